//! "Did you mean …?": the known name nearest to a mistyped one.

/// The candidate nearest to `word`, if it is near enough to be what was meant.
pub fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let limit = (word.chars().count() / 3).max(1);
    let near = candidates.iter().map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate));
    let best = near.filter(|(distance, _)| *distance <= limit).min();
    let part = || candidates.iter().find(|candidate| word.len() >= 4 && candidate.contains(word)).copied();
    best.map(|(_, candidate)| candidate).or_else(part)
}

/// What to add to a message that lists the names already: a suggestion, if one is near enough.
pub fn near(word: &str, candidates: &[&str]) -> String {
    nearest(word, candidates).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// What to add to a message about an unknown `word`: a suggestion, or the names that are known when they are few.
pub fn hint(word: &str, candidates: &[&str]) -> String {
    match near(word, candidates) {
        near if !near.is_empty() => near,
        _ if (1..=20).contains(&candidates.len()) => format!("; known are {}", candidates.join(", ")),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let known = ["until", "at", "refuse", "backup_swift_url"];
        for (word, expected) in [
            ("untill", Some("until")),
            ("refsue", Some("refuse")),
            ("swift_url", Some("backup_swift_url")),
            ("elephant", None),
            ("ta", Some("at")),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }

    #[test]
    fn a_hint_lists_the_few_known_names_when_none_is_near() {
        assert_eq!(hint("elephant", &["up", "down"]), "; known are up, down");
        assert_eq!(hint("dwon", &["up", "down"]), "; did you mean `down`?");
    }
}
