//! Health checks of a working driver: their spacing, and that a failed one takes the service down.

use clinker_model::history::History;
use clinker_model::verdict::Finding;

use super::attempts::init_notes;
use crate::Checker;
use crate::attempts::{End, Kind, Probe, probes};
use crate::tally::{Tally, at};
use crate::view::{SEC, disturbed, end_ns, flag, grain, seconds};

pub const CHECKER: Checker = Checker {
    name: "health",
    about: "a working driver is re-checked on the polling interval, and a loss revokes working",
    source: "D3; B-INIT-013",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let periodic = flag(history, "backup_periodic_initialization", false);
    for (host, probes) in probes(history) {
        if periodic {
            on_time(history, &mut tally, &host, &probes);
            revoked(history, &mut tally, &host, &probes);
        } else if let Some(probe) = probes.iter().find(|probe| probe.kind == Kind::Health) {
            tally.broken(
                probe.start_ns,
                "health checks belong to periodic initialisation [D3]",
                "none: backup_periodic_initialization is off",
                format!("a check of {host} at {}", at(probe.start_ns)),
            );
        }
    }
    tally.finish()
}

/// After every success the next check starts one polling interval after the start, at once if that took longer.
fn on_time(history: &History, tally: &mut Tally, host: &str, probes: &[Probe]) {
    let polling = seconds(history, "backup_driver_stats_polling_interval", 60);
    let (end, grain) = (end_ns(history), grain(history));
    for (index, last) in probes.iter().enumerate() {
        let Some((ended, End::Ok)) = last.end else { continue };
        let next = probes.get(index + 1).filter(|next| next.life == last.life && next.kind == Kind::Health);
        let due = (last.start_ns + polling).max(ended);
        let slack = if due == last.start_ns + polling { grain } else { SEC };
        if next.is_none() && end <= due + slack {
            continue;
        }
        let early = next.is_some_and(|next| next.start_ns + grain < due);
        let late = next.map_or(end, |next| next.start_ns) > due + slack;
        let calm = !disturbed(history, &[host, "db"], last.start_ns, due + slack);
        tally.require(
            !(early || (late && calm)),
            next.map_or(due, |next| next.start_ns),
            "a working driver is checked one polling interval after the start of the previous check or attempt [D3]",
            || format!("a check of {host} at {}", at(due)),
            || next.map_or_else(|| format!("none until {}", at(end)), |next| format!("one at {}", at(next.start_ns))),
        );
    }
}

/// A failed check is an `init.error` of attempt 0 at once.
fn revoked(history: &History, tally: &mut Tally, host: &str, probes: &[Probe]) {
    let reports = init_notes(history, host);
    for probe in probes.iter().filter(|probe| probe.kind == Kind::Health) {
        let Some((ended, End::Failed | End::CutOff)) = probe.end else { continue };
        let by = ended + SEC;
        if by > end_ns(history) || disturbed(history, &[host, "db"], probe.start_ns, by) {
            continue;
        }
        let told = reports.iter().any(|note| {
            let of_check = note.payload("attempt").as_u64() == Some(0);
            of_check && note.event_type() == "backup.init.error" && (ended..=by).contains(&note.t_ns)
        });
        tally.require(
            told,
            ended,
            "a failed check revokes working at once [D3]",
            || format!("backup.init.error with attempt 0 of {host} by {}", at(by)),
            || "no such event".to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use clinker_model::history::Phase::{Fail, Ok};

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn up() -> Script {
        script().periodic().attempt(10, Ok).outcome(1, None)
    }

    fn checked(script: Script, ms: u64) -> Script {
        script.at(ms).call("check_for_setup_error", 10, Ok)
    }

    #[test]
    fn checks_come_on_the_polling_interval() {
        judge("on time", checked(checked(up(), 60_000), 120_000), "ok");
        judge("late", checked(up(), 60_002), "one polling interval after");
        judge("early", checked(up(), 59_998), "one polling interval after");
        judge("never", up().at(61_000).host_event("idle"), "none until 61.000 s");
        judge("not due yet", up(), "none");
    }

    #[test]
    fn a_failed_check_revokes_working() {
        let failed = || up().at(60_000).call("check_for_setup_error", 10, Fail);
        judge("revoked", failed().outcome(0, Some("unreachable: x")).at(65_000).host_event("idle"), "ok");
        judge("ignored", failed().at(65_000).host_event("idle"), "revokes working at once");
    }

    #[test]
    fn without_periodic_initialisation_nothing_is_checked() {
        let off = || script().attempt(10, Ok).outcome(1, None);
        judge("quiet", off().at(100_000).host_event("idle"), "none");
        judge("checked", checked(off(), 60_000), "belong to periodic initialisation");
    }
}
