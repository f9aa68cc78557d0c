//! Reports: results rendered for people and programs, as pure functions to text.
//!
//! Start with [`json`]: the file that other programs read, and from which every other report is made. [`terminal`] is
//! the table of a whole invocation, [`failure`] the text of one failure; [`junit`], [`markdown`], [`annotations`],
//! [`ndjson`] and [`html`] are for CI and browsers; [`diff`] compares two files. Nothing here knows of engines, hosts or
//! files.

pub mod annotations;
pub mod diff;
pub mod failure;
pub mod html;
pub mod item;
pub mod json;
pub mod junit;
pub mod latency;
mod layout;
pub mod markdown;
pub mod ndjson;
pub mod summary;
pub mod terminal;

#[cfg(test)]
mod schema;
#[cfg(test)]
mod testing;

use clinker_model::verdict::Verdict;

/// The word of a verdict, as every report writes it.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Golden => "golden",
        Verdict::Skip => "skip",
        Verdict::Xfail => "xfail",
        Verdict::Error => "error",
    }
}

/// A moment or length of virtual time: `130s`, `0.25s`.
pub fn seconds(ns: u64) -> String {
    let (whole, milli) = (ns / 1_000_000_000, ns / 1_000_000 % 1_000);
    if milli == 0 { format!("{whole}s") } else { format!("{whole}.{milli:03}").trim_end_matches('0').to_owned() + "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_drop_what_is_zero() {
        for (ns, expected) in [(0, "0s"), (130_000_000_000, "130s"), (250_000_000, "0.25s"), (1_002_000_000, "1.002s")]
        {
            assert_eq!(seconds(ns), expected);
        }
    }
}
