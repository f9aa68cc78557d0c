//! The text of a failed case, or of a run whose history is not at hand: its timeline tells of the wire.

use clinker_model::conformance::CaseResult;
use clinker_model::timeline::{MarkKind, SpanKind, Timeline};
use clinker_model::verdict::{FaultResult, Outcome, RunResult, Verdict};

use super::{breaches, fault_of, field, line, wire_lines};
use crate::item::Item;
use crate::{plain, seconds, verdict_word};

/// Plays that failed and are shown.
const PLAYS_SHOWN_MAX: usize = 2;

/// Renders an item that did not pass; its last line is the command that repeats it.
pub fn item(item: &Item<'_>) -> String {
    let mut out = String::new();
    let bad: Vec<&RunResult> = item.plays.iter().filter(|play| is_bad(play)).collect();
    head(&mut out, item, bad.first().copied());
    if let Some(case) = item.case {
        rule(&mut out, case);
    }
    if let Some(reason) = item.reason {
        field(&mut out, "reason", reason);
    }
    for play in bad.iter().take(PLAYS_SHOWN_MAX) {
        if item.case.is_some() {
            field(&mut out, "play", &play_line(play));
        }
        self::play(&mut out, play, item.case.map_or("", |case| &case.rule));
    }
    if bad.len() > PLAYS_SHOWN_MAX {
        field(&mut out, "", &format!("… and {} more plays that failed", bad.len() - PLAYS_SHOWN_MAX));
    }
    if let Some(hint) = item.case.and_then(|case| case.hint.as_deref()) {
        field(&mut out, "hint", hint);
    }
    field(&mut out, "repro", item.replay);
    out
}

fn is_bad(play: &RunResult) -> bool {
    matches!(play.verdict, Verdict::Fail | Verdict::Golden | Verdict::Error)
}

/// `FAIL B-INIT-004 reinit_after_failures   must · seed 17 · swift`.
fn head(out: &mut String, item: &Item<'_>, play: Option<&RunResult>) {
    let name = format!("{} {}", item.id, item.slug);
    let mut facts: Vec<String> =
        Some(item.level_word()).filter(|word| !word.is_empty()).map(str::to_owned).into_iter().collect();
    if let Some(play) = play {
        facts.extend([format!("seed {}", play.seed), play.driver.clone()]);
    }
    let verdict = verdict_word(item.verdict).to_uppercase();
    let head = plain(&format!("{verdict} {}   {}", name.trim_end(), facts.join(" · ")));
    line(out, format_args!("{}", head.trim_end()));
}

fn rule(out: &mut String, case: &CaseResult) {
    field(out, "rule", &case.rule);
    let upstream = if case.upstream.is_empty() { "no test".to_owned() } else { case.upstream.join(", ") };
    field(out, "", &format!("[spec {}; upstream: {upstream}]", case.spec));
}

fn play_line(play: &RunResult) -> String {
    let reason = play.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}@{}:{}{reason}", play.scenario, play.driver, play.seed)
}

fn play(out: &mut String, play: &RunResult, known: &str) {
    for finding in play.findings.iter().filter(|finding| finding.outcome == Outcome::Fail) {
        breaches(out, finding, known);
    }
    for (index, fault) in play.faults.iter().enumerate() {
        let hosts = play.timeline.as_ref().map(|timeline| hosts(timeline, fault)).unwrap_or_default();
        field(out, if index == 0 { "faults" } else { "" }, &fault_of(fault, &hosts));
    }
    if let Some(timeline) = &play.timeline {
        wire_lines(out, &requests(timeline));
    }
}

/// The lanes on which a fault is drawn, each after a space.
pub(crate) fn hosts(timeline: &Timeline, fault: &FaultResult) -> String {
    let is_drawn = |lane: &&clinker_model::timeline::Lane| {
        let same = |span: &&clinker_model::timeline::LaneSpan| span.label == fault.name && span.from_ns == fault.at_ns;
        lane.spans.iter().filter(|span| span.kind == SpanKind::Fault).any(|span| same(&span))
    };
    timeline.lanes.iter().filter(is_drawn).map(|lane| format!(" {}", lane.host)).collect()
}

fn requests(timeline: &Timeline) -> Vec<String> {
    let of_lane = |lane: &clinker_model::timeline::Lane| {
        let requests = lane.marks.iter().filter(|mark| mark.kind == MarkKind::Request);
        requests
            .map(|mark| (mark.t_ns, format!("t={} {} {}", seconds(mark.t_ns), lane.host, mark.label)))
            .collect::<Vec<_>>()
    };
    let mut all: Vec<(u64, String)> = timeline.lanes.iter().flat_map(of_lane).collect();
    all.sort_by_key(|(t_ns, _)| *t_ns);
    all.into_iter().map(|(_, text)| text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{of_case, of_run};
    use crate::testing::{cases, failed, timeline};

    #[test]
    fn a_failed_case_says_all_in_order_and_ends_with_the_command() {
        let mut case = cases().remove(1);
        case.plays[1].timeline = Some(timeline());
        assert_eq!(
            item(&of_case(&case)),
            "\
FAIL B-INIT-004 reinit_after_failures   must · seed 17 · swift
  rule      while the driver cannot initialise, try again every interval until it succeeds
            [spec backup-init: \"Proposed change\"; upstream: test_backup.py:BackupTestCase.test_init_host]
  reason    attempts
  play      init/heals@swift:17: attempts
  check     attempts
  rule      the next attempt is one interval after the start of the failed one
            [D2]
  expected  an attempt of backup-host-1 at 60.000 s
  observed  none until 600.000 s   (t = 60s)
  faults    refuse swift 0s..130s, bit 3 times
  wire      t=1s swift GET /auth/v1.0 no answer
            t=200s swift GET /auth/v1.0 200
  hint      the loop may end with the first exception
  repro     clinker conform --driver swift --case B-INIT-004 --seed 17
"
        );
    }

    #[test]
    fn a_case_without_plays_says_why_it_failed() {
        let mut case = cases().remove(2);
        case.upstream.clear();
        let text = item(&of_case(&case));
        assert!(text.starts_with("FAIL B-INT-001 bit_flip   must\n  rule "), "{text}");
        assert!(
            text.contains("upstream: no test]\n  reason    restored 1 byte that was never written\n  repro "),
            "{text}"
        );
    }

    #[test]
    fn the_rule_of_a_case_is_said_once() {
        let mut case = cases().remove(1);
        case.plays[1].findings[0].violations[0].rule.clone_from(&case.rule);
        let text = item(&of_case(&case));
        assert_eq!(text.matches("  rule ").count(), 1, "{text}");
        assert!(text.contains("  check     attempts\n  expected  an attempt"), "{text}");
    }

    #[test]
    fn many_plays_are_counted() {
        let mut case = cases().remove(1);
        case.plays = vec![failed(); 5];
        let text = item(&of_case(&case));
        assert_eq!(text.matches("  play ").count(), 2);
        assert!(text.contains("… and 3 more plays that failed\n"), "{text}");
    }

    #[test]
    fn a_run_of_a_file_has_no_wire() {
        let run = failed();
        let text = item(&of_run(&run));
        assert!(
            text.starts_with("FAIL init/heals@swift:17   seed 17 · swift\n  reason    attempts\n  check"),
            "{text}"
        );
        assert!(text.ends_with("bit 3 times\n  repro     clinker replay clk1:init/heals:swift:17\n"), "{text}");
    }
}
