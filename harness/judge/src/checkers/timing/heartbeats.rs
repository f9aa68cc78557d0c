//! Heartbeats: the first with the success, the others on the grid that starts there, none while not working.

use clinker_model::history::History;
use clinker_model::verdict::Finding;

use super::{Rule, calm, slack};
use crate::Checker;
use crate::attempts::{Kind, Probe, probes};
use crate::services::{Moment, timelines};
use crate::tally::at;
use crate::view::{SEC, end_ns, grain, seconds};

pub const FIRST_HEARTBEAT: Checker = Checker {
    name: "first_heartbeat",
    about: "an attempt that succeeds at e is followed by a heartbeat at once: e <= t <= e + slack",
    source: "D1; B-INIT-001, 007",
    check: first_heartbeat,
};

pub const HEARTBEAT_SPACING: Checker = Checker {
    name: "heartbeat_spacing",
    about: "while working, heartbeat k after a success at e comes at e + k x R <= t <= e + k x R + min(slack, R / 10), whatever the load",
    source: "D1, D3: heartbeats never starve under data load",
    check: heartbeat_spacing,
};

pub const HEARTBEAT_SILENCE: Checker = Checker {
    name: "heartbeat_silence",
    about: "no heartbeat is written between a registration, a failed attempt or a failed check and the next success",
    source: "D1; spec backup-init; B-INIT-003",
    check: heartbeat_silence,
};

fn first_heartbeat(history: &History) -> Finding {
    let mut rule = Rule::new(&FIRST_HEARTBEAT, history);
    let (timelines, slack) = (timelines(history), slack(history));
    for (host, probes) in probes(history) {
        let timeline = timelines.get(&host).map(Vec::as_slice).unwrap_or_default();
        for ended in successes(&probes) {
            let by = ended + slack;
            let beat = timeline.iter().find(|row| row.beat && row.t_ns >= ended).map(|row| row.t_ns);
            let in_time = beat.is_some_and(|beat| beat <= by);
            if !in_time && (end_ns(history) < by || !calm(history, &host, ended, by)) {
                continue;
            }
            rule.require(
                in_time,
                ended,
                || format!("a heartbeat of {host} by {}, after the success at {}", at(by), at(ended)),
                || beat.map_or_else(|| "none".to_owned(), |beat| format!("the first at {}", at(beat))),
            );
        }
    }
    rule.finish()
}

/// When attempts succeeded.
fn successes(probes: &[Probe]) -> impl Iterator<Item = u64> {
    let attempts = probes.iter().filter(|probe| probe.kind == Kind::Attempt && probe.succeeded());
    attempts.filter_map(Probe::end_ns)
}

/// A stretch of time in which a service worked without a break.
struct Stretch {
    /// When the attempt succeeded: the grid's origin.
    origin: u64,
    /// When working was revoked, or the process stopped or registered again; else the end of the history.
    until: u64,
    beats: Vec<u64>,
}

fn heartbeat_spacing(history: &History) -> Finding {
    let mut rule = Rule::new(&HEARTBEAT_SPACING, history);
    let timelines = timelines(history);
    for (host, probes) in probes(history) {
        let timeline = timelines.get(&host).map(Vec::as_slice).unwrap_or_default();
        for stretch in stretches(history, &probes, timeline) {
            on_grid(&mut rule, &host, &stretch);
        }
    }
    rule.finish()
}

fn stretches(history: &History, probes: &[Probe], timeline: &[Moment]) -> Vec<Stretch> {
    let origins: Vec<u64> = successes(probes).collect();
    let stretch = |(index, origin): (usize, &u64)| {
        let later = timeline.iter().filter(|row| row.t_ns >= *origin);
        let working: Vec<&Moment> = later.skip_while(|row| !row.working).take_while(|row| row.working).collect();
        // The process knows of a failed check before the row does.
        let failed = probes.iter().filter(|probe| !probe.succeeded()).filter_map(Probe::end_ns);
        let revoked = failed.filter(|ended| ended > origin).min();
        let broken = timeline.iter().find(|row| row.t_ns > *origin && !row.working && !working.is_empty());
        let broken = broken.filter(|row| working.first().is_some_and(|first| row.t_ns > first.t_ns));
        let next = origins.get(index + 1).copied();
        let ends = [revoked, broken.map(|row| row.t_ns), next, Some(end_ns(history))];
        let until = ends.into_iter().flatten().min().unwrap_or(*origin);
        let beats = working.iter().filter(|row| row.beat && row.t_ns < until).map(|row| row.t_ns).collect();
        Stretch { origin: *origin, until, beats }
    };
    origins.iter().enumerate().map(stretch).collect()
}

/// How late a heartbeat may be: a small part of the interval.
fn lateness(history: &History) -> u64 {
    let jitter = slack(history) - SEC;
    SEC.min(seconds(history, "report_interval", 10) / 10) + jitter
}

/// How long a call that has lost its connection waits before it tries another, and the pause between.
const TRY: u64 = 11 * SEC;

/// Each point of the grid has its heartbeat, and each heartbeat its point.
fn on_grid(rule: &mut Rule<'_>, host: &str, stretch: &Stretch) {
    let (history, interval) = (rule.history, seconds(rule.history, "report_interval", 10).max(1));
    let (slack, grain) = (lateness(history), grain(history));
    let Stretch { origin, until, beats } = stretch;
    let mut due = origin + interval;
    while due + slack < *until {
        let near = |beat: &&u64| (due.saturating_sub(grain)..=due + slack).contains(*beat);
        let found = beats.iter().find(near);
        if found.is_some() || calm(history, host, due.saturating_sub(interval.max(TRY)), due + slack) {
            let after = || beats.iter().find(|beat| **beat + grain >= due);
            rule.require(
                found.is_some(),
                due,
                || format!("a heartbeat of {host} by {}, after the success at {}", at(due + slack), at(*origin)),
                || after().map_or_else(|| "none".to_owned(), |beat| format!("the next at {}", at(*beat))),
            );
        }
        due += interval;
    }
    for beat in beats.iter().skip(1) {
        let since = beat + grain - origin;
        let off = since % interval;
        // What a network has kept arrives whenever it does.
        let fits = off <= slack + grain || !calm(history, host, *origin, *beat);
        rule.require(
            fits,
            *beat,
            || format!("heartbeats of {host} on the grid of {} s from {}", interval as f64 / 1e9, at(*origin)),
            || format!("one at {}", at(*beat)),
        );
    }
}

fn heartbeat_silence(history: &History) -> Finding {
    let mut rule = Rule::new(&HEARTBEAT_SILENCE, history);
    for (host, timeline) in timelines(history) {
        for row in timeline.iter().filter(|row| row.beat) {
            rule.require(
                row.working,
                row.t_ns,
                || format!("no heartbeat of {host} while it does not work"),
                || format!("one at {} with working = false", at(row.t_ns)),
            );
        }
    }
    rule.finish()
}

#[cfg(test)]
mod tests {
    use clinker_model::fault::{Fault, HostTarget};
    use clinker_model::history::Phase::{Fail, Ok};

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(rule: &Checker, case: &str, script: Script, expected: &str) {
        testing::check(case, &(rule.check)(&script.history), expected);
    }

    const S: u64 = 1_000_000_000;

    /// An attempt that succeeds at 1 s.
    fn success() -> Script {
        script().periodic().registered().at(900).attempt(100, Ok)
    }

    fn idle(script: Script, ns: u64) -> Script {
        script.at_ns(ns).host_event("idle")
    }

    #[test]
    fn the_first_heartbeat_follows_at_once() {
        let first = |ns| idle(success().at_ns(ns).outcome(1, None).beat(), 9 * S);
        judge(&FIRST_HEARTBEAT, "with the success", first(S), "ok");
        judge(&FIRST_HEARTBEAT, "at the bound", first(2 * S), "ok");
        judge(&FIRST_HEARTBEAT, "1 ns later", first(2 * S + 1), "first_heartbeat: a heartbeat of");
        judge(&FIRST_HEARTBEAT, "never", idle(success().outcome(1, None), 9 * S), "by 2.000 s, after the success");
        judge(&FIRST_HEARTBEAT, "no success", script().attempt(1, Fail), "none");
    }

    /// Heartbeats at 1 s and at these moments; the history goes on to 33 s.
    fn beats(ns: &[u64]) -> Script {
        let up = success().outcome(1, None).beat();
        idle(ns.iter().fold(up, |script, ns| script.at_ns(*ns).beat()), 33 * S)
    }

    #[test]
    fn heartbeats_keep_the_grid() {
        judge(&HEARTBEAT_SPACING, "on the grid", beats(&[11 * S, 21 * S, 31 * S]), "ok");
        judge(&HEARTBEAT_SPACING, "at the bound", beats(&[12 * S, 21 * S, 32 * S]), "ok");
        judge(
            &HEARTBEAT_SPACING,
            "1 ns later",
            beats(&[11 * S, 22 * S + 1, 31 * S]),
            "a heartbeat of backup-host-1 by",
        );
        judge(&HEARTBEAT_SPACING, "a drifting grid", beats(&[11 * S, 21 * S + S / 2, 32 * S + 1]), "the success at");
        judge(&HEARTBEAT_SPACING, "missing", beats(&[11 * S, 31 * S]), "the next at 31.000 s");
        judge(&HEARTBEAT_SPACING, "one too many", beats(&[11 * S, 16 * S, 21 * S, 31 * S]), "one at 16.000 s");
        judge(&HEARTBEAT_SPACING, "a millisecond early", beats(&[11 * S - 1_000_000, 21 * S, 31 * S]), "ok");
        judge(&HEARTBEAT_SPACING, "1 ns more", beats(&[11 * S - 1_000_001, 21 * S, 31 * S]), "a heartbeat of");
        let db = Fault::Hold(HostTarget { host: "db".to_owned() });
        judge(&HEARTBEAT_SPACING, "database away", beats(&[11 * S, 25 * S, 31 * S]).fault(20, Some(25), db), "ok");
    }

    #[test]
    fn short_intervals_allow_less() {
        let beats = |ns: &[u64]| beats(ns).option("report_interval", "5");
        let grid = |third| [6 * S, 11 * S, third, 21 * S, 26 * S, 31 * S];
        judge(&HEARTBEAT_SPACING, "a tenth late", beats(&grid(16 * S + S / 2)), "ok");
        judge(&HEARTBEAT_SPACING, "1 ns more", beats(&grid(16 * S + S / 2 + 1)), "by 16.500 s, after the success");
    }

    #[test]
    fn the_grid_ends_with_working() {
        let lost = success().outcome(1, None).beat().at(5_000).call("check_for_setup_error", 10, Fail);
        judge(&HEARTBEAT_SPACING, "revoked", idle(lost.outcome(0, Some("unreachable: x")), 33 * S), "none");
        let again = beats(&[11 * S, 21 * S, 31 * S]).at(40_000).host_event("crashed").host_event("restarted");
        let again = again.registered().attempt(500, Ok).outcome(1, None).beat().at(50_500).beat();
        judge(&HEARTBEAT_SPACING, "a new life, a new grid", idle(again, 52 * S), "ok");
    }

    #[test]
    fn a_service_that_does_not_work_is_silent() {
        judge(&HEARTBEAT_SILENCE, "working", beats(&[11 * S]), "ok");
        let failed = || success().outcome(1, None).beat().at(1_001).outcome(0, Some("unreachable: x"));
        judge(&HEARTBEAT_SILENCE, "before the mark", failed(), "ok");
        judge(&HEARTBEAT_SILENCE, "with it", failed().beat(), "heartbeat_silence: no heartbeat is written");
        judge(&HEARTBEAT_SILENCE, "none", script().registered(), "none");
    }
}
