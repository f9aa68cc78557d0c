//! Initialisation attempts: whether one is due at all, their numbers, and the events that report them.

use clinker_model::history::History;
use clinker_model::verdict::Finding;

use crate::Checker;
use crate::attempts::{End, Kind, Probe, probes};
use crate::services::timelines;
use crate::tally::{Tally, at};
use crate::view::{Note, SEC, commits, disturbed, end_ns, flag, grain};

pub const CHECKER: Checker = Checker {
    name: "attempts",
    about: "a failed initialisation, and no other, is tried again; each attempt and each lost driver is told once",
    source: "D2; spec backup-init; B-INIT-004, 005, 006, 013, 015",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let all = probes(history);
    for (host, probes) in &all {
        wanted(history, &mut tally, host, probes);
        let reports = init_notes(history, host);
        reported(history, &mut tally, host, probes, &reports);
        numbers(history, &mut tally, host, &reports);
    }
    let expected: Vec<u64> = history.header.plan.expect.attempts.iter().map(|span| span.ns()).collect();
    if !expected.is_empty() {
        let first = all.get("backup-host-1").map(Vec::as_slice).unwrap_or_default();
        as_expected(&mut tally, &expected, first, grain(history));
    }
    tally.finish()
}

/// The reports of one worker: those in the transactions that write its row.
pub(super) fn init_notes<'h>(history: &'h History, worker: &str) -> Vec<Note<'h>> {
    let mut reports = Vec::new();
    for commit in commits(history) {
        let row = commit.changes.iter().find(|change| change.table == "services");
        let notes = commit.outbox.iter().map(|row| Note { t_ns: commit.t_ns, row });
        let of_worker = |note: &Note<'_>| {
            note.event_type().starts_with("backup.init.") && row.map_or(note.host(), |row| &row.id) == worker
        };
        reports.extend(notes.filter(of_worker));
    }
    reports
}

/// Attempts go on only after a failure, and only with periodic initialisation; so do checks of a driver that works.
fn wanted(history: &History, tally: &mut Tally, host: &str, probes: &[Probe]) {
    let periodic = flag(history, "backup_periodic_initialization", false);
    if let Some(probe) = probes.iter().find(|probe| probe.kind == Kind::Health).filter(|_| !periodic) {
        tally.broken(
            probe.start_ns,
            "health checks belong to periodic initialisation [D3]",
            "none: backup_periodic_initialization is off",
            format!("a check of {host} at {}", at(probe.start_ns)),
        );
    }
    for (last, next) in probes.iter().zip(probes.iter().skip(1)) {
        let Some((_, outcome)) = last.end.filter(|_| next.life == last.life && next.kind == Kind::Attempt) else {
            continue;
        };
        let why = if periodic { "none after a success" } else { "periodic initialisation is off: exactly one" };
        tally.require(
            periodic && outcome != End::Ok,
            next.start_ns,
            "attempts go on only after a failure, and only with periodic initialisation [D2]",
            || why.to_owned(),
            || format!("{host} attempts again at {}", at(next.start_ns)),
        );
    }
}

/// Each attempt that ended, and each failed check, is reported by exactly one event before the next begins.
fn reported(history: &History, tally: &mut Tally, host: &str, probes: &[Probe], reports: &[Note<'_>]) {
    let end = end_ns(history);
    for (index, probe) in probes.iter().enumerate() {
        let Some((ended, outcome)) = probe.end else { continue };
        let next = probes.get(index + 1).map_or(end + 1, |next| next.start_ns);
        if (probe.kind == Kind::Health && outcome == End::Ok)
            || disturbed(history, &[host, "db"], probe.start_ns, next)
            || ended + 5 * SEC > end
        {
            continue;
        }
        let suffix = if outcome == End::Ok { ".end" } else { ".error" };
        let during = |note: &&Note<'_>| (ended..=next).contains(&note.t_ns);
        let told: Vec<&str> = reports.iter().filter(during).map(Note::event_type).collect();
        tally.require(
            told.len() == 1 && told[0].ends_with(suffix),
            ended,
            "each attempt is reported by exactly one event of its outcome [D5]",
            || format!("backup.init{suffix} of {host} after {}", at(ended)),
            || format!("{told:?}"),
        );
    }
}

/// 1, 2, 3 … until working; then 0 for a failed check and from 1 again.
fn numbers(history: &History, tally: &mut Tally, host: &str, reports: &[Note<'_>]) {
    let registered: Vec<u64> = timelines(history)
        .get(host)
        .map(|timeline| timeline.iter().filter(|row| row.registered).map(|row| row.t_ns).collect())
        .unwrap_or_default();
    let mut last: Option<(u64, u64, bool)> = None;
    for note in reports {
        let Some(attempt) = note.payload("attempt").as_u64() else { continue };
        let worked = note.event_type() == "backup.init.end";
        let fits = match last {
            Some((then, _, _)) if registered.iter().any(|t_ns| (then..=note.t_ns).contains(t_ns)) => attempt >= 1,
            None => attempt == 1,
            Some((_, _, true)) => attempt == 0,
            Some((_, number, false)) => attempt == number + 1,
        };
        tally.require(
            fits,
            note.t_ns,
            "attempts are counted from 1, again from 1 after working; a failed check is attempt 0 [D5]",
            || format!("the number after {:?} of {host}", last.map(|(_, number, _)| number)),
            || format!("attempt {attempt}"),
        );
        last = Some((note.t_ns, attempt, worked));
    }
}

/// The scenario's list holds exactly; the first of it may come up to a second late, for the registration before it.
fn as_expected(tally: &mut Tally, expected: &[u64], probes: &[Probe], grain: u64) {
    let observed: Vec<u64> =
        probes.iter().filter(|probe| probe.kind == Kind::Attempt).map(|probe| probe.start_ns).collect();
    let near = |(want, got): (&u64, &u64)| *got + grain >= *want && *got <= *want + SEC;
    let list = |times: &[u64]| times.iter().map(|t_ns| at(*t_ns)).collect::<Vec<_>>().join(", ");
    tally.require(
        observed.len() == expected.len() && expected.iter().zip(&observed).all(near),
        expected[0],
        "attempts start when the scenario says [scenario: expect.attempts; D2]",
        || list(expected),
        || list(&observed),
    );
}

#[cfg(test)]
mod tests {
    use clinker_model::Span;
    use clinker_model::history::Phase::{Fail, Ok};

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn failed_once() -> Script {
        script().periodic().registered().at(5).attempt(20, Fail).outcome(1, Some("unreachable: x"))
    }

    #[test]
    fn without_periodic_initialisation_there_is_exactly_one() {
        let one = || script().registered().attempt(10, Fail).outcome(1, Some("unreachable: x"));
        judge("one", one().at(200_000).host_event("idle"), "ok");
        judge("two", one().at(60_000).attempt(10, Ok).outcome(2, None), "exactly one");
        let up = || script().attempt(10, Ok).outcome(1, None);
        judge("a check", up().at(60_000).call("check_for_setup_error", 10, Ok), "belong to periodic initialisation");
    }

    fn up() -> Script {
        script().periodic().registered().attempt(10, Ok).outcome(1, None)
    }

    #[test]
    fn none_follows_a_success() {
        judge("quiet", up().at(9_000).host_event("idle"), "ok");
        judge("again", up().at(60_000).attempt(10, Ok).outcome(2, None), "none after a success");
    }

    #[test]
    fn each_attempt_has_one_event_and_a_number() {
        let silent = script().periodic().registered().attempt(10, Fail).at(60_000).attempt(10, Ok).outcome(1, None);
        judge("no event", silent, "exactly one event of its outcome");
        let lost = || up().at(60_000).call("check_for_setup_error", 10, Fail);
        judge("a lost driver", lost().outcome(0, Some("unreachable: x")).at(70_000).host_event("idle"), "ok");
        judge("not told", lost().at(70_000).host_event("idle"), "exactly one event of its outcome");
        judge("wrong number", failed_once().at(60_005).attempt(1, Ok).outcome(3, None), "attempts are counted from 1");
    }

    #[test]
    fn the_scenario_may_list_the_attempts() {
        let expect = |script: Script, secs: &[u64]| {
            let list = secs.iter().map(|secs| Span::secs(*secs)).collect();
            script.plan(|plan| plan.expect.attempts = list)
        };
        let two = || failed_once().at(60_005).attempt(1, Ok).outcome(2, None);
        judge("as listed", expect(two(), &[0, 60]), "ok");
        judge("one more", expect(two(), &[0, 60, 120]), "0.000 s, 60.000 s, 120.000 s");
    }
}
