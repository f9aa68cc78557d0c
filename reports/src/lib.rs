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

/// A text that comes from a driver, fit for a terminal or a CI log: control characters are escaped, and no line of it is
/// one of GitHub's workflow commands, which may be indented (`::error::`) or stand anywhere (`##[error]`).
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let (indent, rest) = line.split_at(indent);
        escaped(&mut out, indent);
        if rest.starts_with("::") {
            out.push('\\');
        }
        escaped(&mut out, &rest.replace("##[", "##\\["));
    }
    out
}

fn escaped(out: &mut String, text: &str) {
    // Those that turn the direction of writing round make a line read as another one.
    let turns = |ch: char| matches!(ch, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    for ch in text.chars() {
        match ch {
            '\n' | '\t' => out.push(ch),
            _ if ch.is_control() || turns(ch) => out.extend(ch.escape_default()),
            _ => out.push(ch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_moves_a_cursor_or_is_a_command() {
        for (text, expected) in [
            ("as it is: a::b, ü\n\tindented", "as it is: a::b, ü\n\tindented"),
            ("\u{1b}[31mred\0\r\n", "\\u{1b}[31mred\\u{0}\\r\n"),
            ("\u{9b}2J\u{202e}", "\\u{9b}2J\\u{202e}"),
            ("::error::x\n  ::set-env name=a::b", "\\::error::x\n  \\::set-env name=a::b"),
            ("x ##[error] y", "x ##\\[error] y"),
            ("\u{b}::error::", "\\u{b}\\::error::"),
            ("", ""),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn moments_drop_what_is_zero() {
        for (ns, expected) in [(0, "0s"), (130_000_000_000, "130s"), (250_000_000, "0.25s"), (1_002_000_000, "1.002s")]
        {
            assert_eq!(seconds(ns), expected);
        }
    }
}
