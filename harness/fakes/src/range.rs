//! `Range` headers, as every fake reads them.

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    /// First and last byte.
    Part(u64, u64),
    Many,
    Unsatisfiable,
}

/// A `Range` header; one that is not understood is ignored, as RFC 9110 has it.
pub(crate) fn parse_range(range: &str, len: u64) -> Wanted {
    let Some(ranges) = range.strip_prefix("bytes=") else { return Wanted::Whole };
    if ranges.contains(',') {
        return Wanted::Many;
    }
    let Some((first, last)) = ranges.split_once('-') else { return Wanted::Whole };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => Wanted::Whole,
        (Ok(first), last) if last.is_ok() || ranges.ends_with('-') => {
            if first >= len {
                return Wanted::Unsatisfiable;
            }
            Wanted::Part(first, last.map_or(len - 1, |last| last.min(len - 1)))
        }
        (Err(_), Ok(suffix)) if first.is_empty() => match suffix.min(len) {
            0 => Wanted::Unsatisfiable,
            suffix => Wanted::Part(len - suffix, len - 1),
        },
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (range, expect) in [
            ("bytes=0-19", Wanted::Part(0, 19)),
            ("bytes=90-", Wanted::Part(90, 99)),
            ("bytes=90-200", Wanted::Part(90, 99)),
            ("bytes=-10", Wanted::Part(90, 99)),
            ("bytes=-200", Wanted::Part(0, 99)),
            ("bytes=100-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-1", Wanted::Whole),
            ("bytes=x-", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Many),
        ] {
            assert_eq!(parse_range(range, 100), expect, "{range}");
        }
    }
}
