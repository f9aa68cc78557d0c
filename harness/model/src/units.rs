//! Units as scenario files write them: `"1m30s"` for times, `"64KiB"` for sizes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of (virtual) time, or a moment counted from the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    pub fn secs(secs: u64) -> Span {
        Span(Duration::from_secs(secs))
    }

    pub fn ns(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    fn parse(text: &str) -> Option<Span> {
        let mut rest = text;
        let mut total = Duration::ZERO;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let value: f64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit_ms = match &rest[..end] {
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 60e3,
                "h" => 3600e3,
                "d" => 86400e3,
                _ => return None,
            };
            let ms = value * unit_ms;
            if !(0.0..=1e12).contains(&ms) {
                return None;
            }
            total += Duration::from_millis(ms.round() as u64);
            rest = &rest[end..];
        }
        Some(Span(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        if ms.is_multiple_of(1000) { write!(f, "{}s", ms / 1000) } else { write!(f, "{ms}ms") }
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    fn parse(text: &str) -> Option<ByteSize> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let value: u64 = text[..digits].parse().ok()?;
        let unit = match text[digits..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        value.checked_mul(unit).map(ByteSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 > 0 && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}B", self.0)
    }
}

macro_rules! text_serde {
    ($type:ty, $expected:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                <$type>::parse(text).ok_or_else(|| format!(concat!("\"{}\" is not ", $expected), text))
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}
text_serde!(Span, "a time such as \"90s\", \"1m30s\", \"250ms\", \"2h\" or \"1d\"");
text_serde!(ByteSize, "a size such as \"4096\", \"64KiB\", \"1MiB\" or \"2GiB\"");

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, ms: Option<u64>) {
        assert_eq!(Span::parse(text), ms.map(|ms| Span(Duration::from_millis(ms))), "{text}");
    }

    #[test]
    fn times_add_up_their_parts() {
        check("90s", Some(90_000));
        check("1m30s", Some(90_000));
        check("250ms", Some(250));
        check("0.5s", Some(500));
        check("20000.4ms", Some(20_000));
        check("2h", Some(7_200_000));
    }

    #[test]
    fn a_time_without_unit_is_refused() {
        for text in ["", "90", "s", "1x", "-1s", "1..2s"] {
            check(text, None);
        }
    }

    #[test]
    fn sizes_use_binary_units() {
        assert_eq!(ByteSize::parse("64KiB"), Some(ByteSize(65536)));
        assert_eq!(ByteSize::parse("12345"), Some(ByteSize(12345)));
        assert_eq!(ByteSize::parse("64KB"), None);
        assert_eq!(ByteSize::parse("99999999999999999GiB"), None);
    }
}
