//! The text of one failure: rule, expected, observed, faults, the last wire events, and how to repeat it.
//!
//! [`text`] is of a run whose history is at hand; [`item()`], in `failure/item.rs`, makes do with what a result holds.

mod item;

use std::fmt::Write as _;

pub(crate) use item::hosts;
pub use item::item;

use clinker_model::History;
use clinker_model::Record;
use clinker_model::history::Entry;
use clinker_model::verdict::{FaultResult, Finding, Outcome, RunResult, Violation};

use crate::{plain, seconds, verdict_word};

/// Violations of one checker that are shown in full.
const VIOLATIONS_SHOWN_MAX: usize = 3;
const WIRE_EVENTS_SHOWN_MAX: usize = 8;

/// Renders a run that did not pass; its last line is the command that repeats it.
pub fn text(result: &RunResult, history: &History) -> String {
    let mut out = String::new();
    let verdict = verdict_word(result.verdict).to_uppercase();
    line(&mut out, format_args!("{verdict} {}   seed {} · {}", result.scenario, result.seed, result.driver));
    if let Some(reason) = &result.reason {
        field(&mut out, "reason", reason);
    }
    for finding in result.findings.iter().filter(|finding| finding.outcome == Outcome::Fail) {
        breaches(&mut out, finding, "");
    }
    for (index, fault) in result.faults.iter().enumerate() {
        field(&mut out, if index == 0 { "faults" } else { "" }, &fault_line(fault, index, history));
    }
    wire(&mut out, history);
    field(&mut out, "repro", &result.replay);
    out
}

fn line(out: &mut String, args: std::fmt::Arguments<'_>) {
    writeln!(out, "{args}").expect("a String takes every write");
}

/// A name in its column and a text whose further lines stand under its first.
fn field(out: &mut String, name: &str, text: &str) {
    for (index, part) in plain(text).lines().enumerate() {
        line(out, format_args!("  {:<9} {part}", if index == 0 { name } else { "" }));
    }
}

/// What a checker found; a rule that is `known` is not said again.
fn breaches(out: &mut String, finding: &Finding, known: &str) {
    field(out, "check", &finding.checker);
    for violation in finding.violations.iter().take(VIOLATIONS_SHOWN_MAX) {
        breach(out, violation, known);
    }
    let more = finding.violations.len().saturating_sub(VIOLATIONS_SHOWN_MAX);
    if more > 0 {
        field(out, "", &format!("… and {more} more in result.json"));
    }
}

/// The rule, with its source in brackets on a line of its own.
fn breach(out: &mut String, violation: &Violation, known: &str) {
    let (rule, source) = match violation.rule.rfind(" [") {
        Some(at) => violation.rule.split_at(at),
        None => (violation.rule.as_str(), ""),
    };
    if violation.rule != known {
        field(out, "rule", rule);
        field(out, "", source.trim_start());
    }
    field(out, "expected", &violation.expected);
    field(out, "observed", &format!("{}   (t = {})", violation.observed, seconds(violation.t_ns)));
}

fn fault_line(fault: &FaultResult, index: usize, history: &History) -> String {
    let planned = history.header.plan.faults.get(index);
    let hosts = planned.map(|planned| planned.fault.hosts()).unwrap_or_default();
    fault_of(fault, &hosts.iter().map(|(_, host)| format!(" {host}")).collect::<String>())
}

/// `refuse store 0s..130s, bit 3 times`, given ` store`.
fn fault_of(fault: &FaultResult, host: &str) -> String {
    let until = fault.until_ns.map_or("end".to_owned(), seconds);
    let times = if fault.bites == 1 { "time" } else { "times" };
    format!("{}{host} {}..{until}, bit {} {times}", fault.name, seconds(fault.at_ns), fault.bites)
}

/// The last requests that a server answered or dropped.
fn wire(out: &mut String, history: &History) {
    wire_lines(out, &history.records.iter().filter_map(wire_line).collect::<Vec<_>>());
}

fn wire_lines(out: &mut String, requests: &[String]) {
    if requests.is_empty() {
        return field(out, "wire", "no request reached a server");
    }
    let skipped = requests.len().saturating_sub(WIRE_EVENTS_SHOWN_MAX);
    if skipped > 0 {
        field(out, "wire", &format!("… {skipped} requests before"));
    }
    for (index, request) in requests[skipped..].iter().enumerate() {
        field(out, if skipped == 0 && index == 0 { "wire" } else { "" }, request);
    }
}

fn wire_line(record: &Record) -> Option<String> {
    let Entry::Request { method, path, status, request_bytes, response_bytes } = &record.entry else { return None };
    let answer = if *status == 0 { "no answer".to_owned() } else { status.to_string() };
    let (at, host) = (seconds(record.t_ns), &record.host);
    Some(format!("t={at} {host} {method} {path} -> {answer}   {request_bytes} B in, {response_bytes} B out"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{failed, history};

    #[test]
    fn a_failure_says_all_in_order_and_ends_with_the_command() {
        let mut history = history();
        history.records.drain(..10);
        assert_eq!(
            text(&failed(), &history),
            "\
FAIL init/heals   seed 17 · swift
  reason    attempts
  check     attempts
  rule      the next attempt is one interval after the start of the failed one
            [D2]
  expected  an attempt of backup-host-1 at 60.000 s
  observed  none until 600.000 s   (t = 60s)
  faults    refuse store 0s..130s, bit 3 times
  wire      t=10s swift GET /auth/v1.0 -> 200   0 B in, 12 B out
            t=11s swift GET /auth/v1.0 -> no answer   0 B in, 12 B out
  repro     clinker replay clk1:init/heals:swift:17
"
        );
    }

    #[test]
    fn only_the_last_requests_and_first_violations_are_shown() {
        let mut result = failed();
        let violation = result.findings[0].violations[0].clone();
        result.findings[0].violations = vec![violation; 5];
        let text = text(&result, &history());
        assert!(text.contains("wire      … 4 requests before\n"), "{text}");
        assert!(text.contains("… and 2 more in result.json\n"), "{text}");
        assert_eq!(text.matches("  rule ").count(), 3);
    }

    #[test]
    fn a_run_without_requests_says_so() {
        let mut history = history();
        history.records.clear();
        assert!(text(&failed(), &history).contains("wire      no request reached a server\n"));
    }
}
