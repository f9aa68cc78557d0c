//! What Ceilometer's meter `backup.size` would take: one sample of each event whose type one of its patterns matches.

/// Ceilometer's patterns, regular expressions matched at the start of an event type: a dot is any character, and what
/// follows `.*` does not matter.
const PATTERNS: [&str; 4] = ["backup.exists", "backup.create.*", "backup.delete.*", "backup.restore.*"];

/// Whether an event of this type makes a sample.
pub fn is_sample(event_type: &str) -> bool {
    PATTERNS.iter().any(|pattern| {
        let fixed = pattern.strip_suffix(".*").unwrap_or(pattern);
        let mut own = event_type.chars();
        fixed.chars().all(|wanted| own.next().is_some_and(|found| wanted == '.' || wanted == found))
    })
}

#[cfg(test)]
mod tests {
    use super::is_sample;

    #[test]
    fn progress_and_errors_make_samples_too() {
        let rows = [
            ("backup.create.start", true),
            ("backup.create.error", true),
            ("backup.createprogress", true),
            ("backup.restore.end", true),
            ("backup.delete.error", true),
            ("backup.exists", true),
            ("backup.reset_status.end", false),
            ("backup.init.error", false),
            ("volume.create.end", false),
        ];
        for (event_type, expected) in rows {
            assert_eq!(is_sample(event_type), expected, "{event_type}");
        }
    }
}
