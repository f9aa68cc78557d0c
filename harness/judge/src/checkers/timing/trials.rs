//! Attempts and health checks: when the next one starts, how long one may take, and that there is one at a time.

use clinker_model::history::History;
use clinker_model::verdict::Finding;

use super::{Rule, calm, slack};
use crate::Checker;
use crate::attempts::{End, Kind, Probe, probes};
use crate::checkers::attempts::init_notes;
use crate::tally::at;
use crate::view::{end_ns, flag, grain, init_interval, seconds, stops};

pub const ATTEMPT_SPACING: Checker = Checker {
    name: "attempt_spacing",
    about: "after a failed attempt or check the next attempt starts at max(s + I, e), within the grain",
    source: "D2; B-INIT-004, 005, 017",
    check: attempt_spacing,
};

pub const CHECK_SPACING: Checker = Checker {
    name: "check_spacing",
    about: "after a success the next health check starts at max(s + P, e), within the grain",
    source: "D3; B-INIT-006, 013",
    check: check_spacing,
};

pub const CUT_OFF: Checker = Checker {
    name: "cut_off",
    about: "no attempt or check takes longer than T, and one that is given up is given up at s + T, within the grain",
    source: "D2, D3; spec backup-init; B-INIT-016",
    check: cut_off,
};

pub const SINGLE_FLIGHT: Checker = Checker {
    name: "single_flight",
    about: "an attempt or check starts no earlier than the end of the one before",
    source: "D2; B-INIT-005",
    check: single_flight,
};

fn named(probe: &Probe, host: &str) -> String {
    let kind = if probe.kind == Kind::Attempt { "the attempt" } else { "the check" };
    format!("{kind} of {host} that began at {}", at(probe.start_ns))
}

/// The one after it in the same life of the process.
fn follower(probes: &[Probe], index: usize) -> Option<&Probe> {
    probes.get(index + 1).filter(|next| next.life == probes[index].life)
}

fn periodic(history: &History) -> bool {
    flag(history, "backup_periodic_initialization", false)
}

/// What starts at `due`, within the grain, or within the slack when it follows something at once.
struct Due {
    on_grid: u64,
    at: u64,
    slack: u64,
}

fn starts_when_due(rule: &mut Rule<'_>, host: &str, last: &Probe, due: &Due, next: Option<&Probe>, what: &str) {
    let (history, end, grain) = (rule.history, end_ns(rule.history), grain(rule.history));
    if next.is_none() && end <= due.at + due.slack {
        return;
    }
    let early = next.is_some_and(|next| next.start_ns + grain < due.on_grid.max(last.end_ns().unwrap_or_default()));
    let late = next.map_or(end, |next| next.start_ns) > due.at + due.slack;
    let calm = calm(history, host, last.start_ns, due.at + due.slack);
    rule.require(
        !(early || (late && calm)),
        next.map_or(due.at, |next| next.start_ns),
        || format!("{what} of {host} at {} (s {}, e {})", at(due.at), at(last.start_ns), ended(last)),
        || next.map_or_else(|| format!("none until {}", at(end)), |next| format!("one at {}", at(next.start_ns))),
    );
}

fn ended(probe: &Probe) -> String {
    probe.end_ns().map_or("none".to_owned(), at)
}

fn attempt_spacing(history: &History) -> Finding {
    let mut rule = Rule::new(&ATTEMPT_SPACING, history);
    let interval = init_interval(history);
    for (host, probes) in probes(history).iter().filter(|_| periodic(history)) {
        let reports = init_notes(history, host);
        for (index, last) in probes.iter().enumerate() {
            let Some((ended, End::Failed | End::CutOff)) = last.end else { continue };
            // The outcome is made known first; a database that was out of reach delays what follows.
            let told = reports.iter().map(|note| note.t_ns).find(|t_ns| *t_ns >= ended).unwrap_or(ended);
            let on_grid = last.start_ns + interval;
            let due = on_grid.max(ended).max(told);
            let slack = if ended.max(told) < on_grid { grain(history) } else { slack(history) };
            let next = follower(probes, index);
            starts_when_due(&mut rule, host, last, &Due { on_grid, at: due, slack }, next, "the next attempt");
        }
    }
    rule.finish()
}

fn check_spacing(history: &History) -> Finding {
    let mut rule = Rule::new(&CHECK_SPACING, history);
    let polling = seconds(history, "backup_driver_stats_polling_interval", 60);
    for (host, probes) in probes(history).iter().filter(|_| periodic(history)) {
        for (index, last) in probes.iter().enumerate() {
            let Some((ended, End::Ok)) = last.end else { continue };
            let on_grid = last.start_ns + polling;
            let due = on_grid.max(ended);
            let slack = if ended < on_grid { grain(history) } else { slack(history) };
            let next = follower(probes, index).filter(|next| next.kind == Kind::Health);
            starts_when_due(&mut rule, host, last, &Due { on_grid, at: due, slack }, next, "the next check");
        }
    }
    rule.finish()
}

fn cut_off(history: &History) -> Finding {
    let mut rule = Rule::new(&CUT_OFF, history);
    let limit = seconds(history, "backup_initialization_timeout", 60);
    let grain = grain(history) + history.header.plan.tick.ns();
    for (host, probes) in &probes(history) {
        for (index, probe) in probes.iter().enumerate() {
            if probe.end.is_none() && follower(probes, index).is_some() {
                // Another began beside it, and its end is not told from that one's: single_flight speaks of it.
                continue;
            }
            let end = probe.end_ns().unwrap_or_else(|| end_ns(history));
            let took = end.saturating_sub(probe.start_ns);
            let given_up = matches!(probe.end, Some((_, End::CutOff))) && !has_stopped(history, host, end);
            let late = took > limit + grain && calm(history, host, probe.start_ns, end);
            let early = given_up && took + grain < limit;
            rule.require(
                !(late || early),
                end,
                || format!("{} ends by {} (s + T)", named(probe, host), at(probe.start_ns + limit)),
                || format!("{} {}", if given_up { "it was given up at" } else { "it ran until" }, at(end)),
            );
        }
    }
    rule.finish()
}

/// Whether a host's process stopped at this very moment.
fn has_stopped(history: &History, host: &str, t_ns: u64) -> bool {
    history.records.iter().any(|record| record.host == host && record.t_ns == t_ns && stops(&record.entry))
}

fn single_flight(history: &History) -> Finding {
    let mut rule = Rule::new(&SINGLE_FLIGHT, history);
    for (host, probes) in &probes(history) {
        for (index, probe) in probes.iter().enumerate().filter(|(index, _)| *index > 0) {
            rule.require(
                !probe.overlaps,
                probe.start_ns,
                || format!("{} waits for the end of the one before", named(probe, host)),
                || format!("{} was still running", named(&probes[index - 1], host)),
            );
        }
    }
    rule.finish()
}

#[cfg(test)]
mod tests {
    use clinker_model::fault::{Fault, HostTarget};
    use clinker_model::history::Phase::{Fail, Info, Ok};
    use clinker_model::plan::Engine;

    use super::*;
    use crate::testing::{self, HOST, Script, script};

    fn judge(rule: &Checker, case: &str, script: Script, expected: &str) {
        testing::check(case, &(rule.check)(&script.history), expected);
    }

    fn failed_once() -> Script {
        script().periodic().registered().at(5).attempt(20, Fail).outcome(1, Some("unreachable: x"))
    }

    fn then(script: Script, ns: u64) -> Script {
        script.at_ns(ns).attempt(1, Ok)
    }

    const MIN: u64 = 60_000_000_000;

    #[test]
    fn attempts_start_one_interval_after_the_start() {
        // The grain is a timer's millisecond, either way.
        let on = 5_000_000 + MIN;
        judge(&ATTEMPT_SPACING, "exactly", then(failed_once(), on), "ok");
        judge(&ATTEMPT_SPACING, "a millisecond late", then(failed_once(), on + 1_000_000), "ok");
        judge(&ATTEMPT_SPACING, "1 ns later", then(failed_once(), on + 1_000_001), "attempt_spacing: after a failed");
        judge(&ATTEMPT_SPACING, "1 ns too early", then(failed_once(), on - 1_000_001), "the next attempt of");
        judge(&ATTEMPT_SPACING, "never", failed_once().at(70_000).host_event("idle"), "none until 70.000 s");
        let real = failed_once().plan(|plan| plan.engine = Engine::Real);
        judge(&ATTEMPT_SPACING, "real time", then(real, on + 501_000_000), "ok");
        judge(&ATTEMPT_SPACING, "nothing failed", script().periodic().attempt(1, Ok), "none");
    }

    #[test]
    fn an_attempt_longer_than_the_interval_is_followed_at_once() {
        let slow = || script().option("backup_initialization_timeout", "100").periodic().attempt(90_000, Fail);
        judge(&ATTEMPT_SPACING, "at once", then(slow().outcome(1, Some("timeout: x")), 91_000_000_000), "ok");
        let late = then(slow().outcome(1, Some("timeout: x")), 91_000_000_001);
        judge(&ATTEMPT_SPACING, "1 ns after the slack", late, "the next attempt of");
        judge(&ATTEMPT_SPACING, "1 ns before the grain", then(slow(), 89_998_999_999), "one at 89.998 s");
    }

    #[test]
    fn checks_start_one_polling_interval_after_the_start() {
        let up = || script().periodic().attempt(10, Ok).outcome(1, None);
        let check = |ns| up().at_ns(ns).call("check_for_setup_error", 10, Ok);
        judge(&CHECK_SPACING, "exactly", check(MIN), "ok");
        judge(&CHECK_SPACING, "1 ns too late", check(MIN + 1_000_001), "check_spacing: after a success");
        judge(&CHECK_SPACING, "1 ns too early", check(MIN - 1_000_001), "the next check of");
        let db = Fault::Hold(HostTarget { host: "db".to_owned() });
        judge(&CHECK_SPACING, "disturbed", check(MIN + 1_000_001).fault(5, Some(50), db), "ok");
        judge(&CHECK_SPACING, "not due yet", up(), "none");
    }

    #[test]
    fn trials_are_cut_off_at_the_limit() {
        let given_up = |ns| script().call("do_setup", 0, Ok).call_ns("check_for_setup_error", ns, Info);
        judge(&CUT_OFF, "exactly", given_up(MIN), "ok");
        judge(&CUT_OFF, "within the grain", given_up(MIN + 1_000_000), "ok");
        judge(&CUT_OFF, "1 ns later", given_up(MIN + 1_000_001), "cut_off: no attempt or check takes longer");
        judge(&CUT_OFF, "1 ns too early", given_up(MIN - 1_000_001), "it was given up at 59.998 s");
        judge(&CUT_OFF, "its process ended", given_up(9).host_event("crashed"), "ok");
        let runs = script().call("do_setup", 0, Ok).host_event("x").at(60_001);
        judge(&CUT_OFF, "it runs on", runs.record(HOST, idle()), "ok");
        let runs = script().call("do_setup", 0, Ok).host_event("x").at_ns(MIN + 1_000_001);
        judge(&CUT_OFF, "too long", runs.record(HOST, idle()), "it ran until 60.001 s");
    }

    fn idle() -> clinker_model::Entry {
        clinker_model::Entry::Host { what: "idle".to_owned() }
    }

    #[test]
    fn one_trial_at_a_time() {
        let two = |ms| {
            let first = script().periodic().attempt(5_000, Fail);
            let mut both = first.at(ms).attempt(5_000, Fail);
            both.history.records.sort_by_key(|record| record.t_ns);
            both
        };
        judge(&SINGLE_FLIGHT, "one after the other", two(5_000), "ok");
        judge(&SINGLE_FLIGHT, "a millisecond before the end", two(4_999), "was still running");
        judge(&SINGLE_FLIGHT, "only one", script().attempt(5, Ok), "none");
    }
}
