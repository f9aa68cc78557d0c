//! Losses: how soon a failure is marked, and how soon a back end that is gone is noticed at all.

use clinker_model::Fault;
use clinker_model::history::History;
use clinker_model::plan::PlannedFault;
use clinker_model::verdict::Finding;

use super::{Rule, calm, slack};
use crate::Checker;
use crate::attempts::{End, probes};
use crate::services::{Moment, row_at, timelines};
use crate::tally::at;
use crate::view::{end_ns, flag, seconds, span_of};

pub const DOWN_MARK: Checker = Checker {
    name: "down_mark",
    about: "an attempt or check that fails at e is marked in the service row with its reason: e <= t <= e + slack",
    source: "D1: explicit mark with reason, at once; B-INIT-003",
    check: down_mark,
};

pub const DETECTION: Checker = Checker {
    name: "detection",
    about: "a store lost at f is noticed by a working service: down by f + P + d + slack, with d = 0 for a store that refuses \
            and d = min(driver time-out, T) for one that is silent",
    source: "D3: loss is seen within the polling interval + min(driver time-out, T); B-INIT-013",
    check: detection,
};

fn is_down(row: &Moment) -> bool {
    !row.working && row.reason.is_some()
}

fn down_mark(history: &History) -> Finding {
    let mut rule = Rule::new(&DOWN_MARK, history);
    let (timelines, slack) = (timelines(history), slack(history));
    for (host, probes) in probes(history) {
        let timeline = timelines.get(&host).map(Vec::as_slice).unwrap_or_default();
        for probe in &probes {
            let Some((ended, End::Failed | End::CutOff)) = probe.end else { continue };
            let by = ended + slack;
            let mark = timeline.iter().find(|row| row.t_ns >= ended && is_down(row)).map(|row| row.t_ns);
            let in_time = mark.is_some_and(|mark| mark <= by);
            if !in_time && (end_ns(history) < by || !calm(history, &host, ended, by)) {
                continue;
            }
            rule.require(
                in_time,
                ended,
                || format!("{host} marked down by {}, after the failure at {}", at(by), at(ended)),
                || mark.map_or_else(|| "no mark".to_owned(), |mark| format!("marked at {}", at(mark))),
            );
        }
    }
    rule.finish()
}

/// How long the driver waits for a store that does not answer, nanoseconds; T where it has no time-out of its own.
fn driver_timeout(history: &History) -> u64 {
    let cut_off = seconds(history, "backup_initialization_timeout", 60);
    let own = match history.header.plan.driver.as_str() {
        "posix" => cut_off,
        "s3" => seconds(history, "backup_s3_timeout", 60),
        _ => seconds(history, "backup_swift_timeout", 60),
    };
    own.min(cut_off)
}

/// How long one check takes to see this fault; none for faults that need not make it fail.
fn delay(history: &History, fault: &Fault) -> Option<u64> {
    let host = match fault {
        Fault::Refuse(target) | Fault::ReadOnly(target) | Fault::Silent(target) | Fault::Hold(target) => &target.host,
        _ => return None,
    };
    let is_store = matches!(host.as_str(), "store" | "swift" | "s3");
    let refuses = matches!(fault, Fault::Refuse(_) | Fault::ReadOnly(_));
    is_store.then(|| if refuses { 0 } else { driver_timeout(history) })
}

fn detection(history: &History) -> Finding {
    let mut rule = Rule::new(&DETECTION, history);
    if !flag(history, "backup_periodic_initialization", false) {
        return rule.finish();
    }
    for planned in &history.header.plan.faults {
        let Some(delay) = delay(history, &planned.fault) else { continue };
        for (host, timeline) in timelines(history) {
            noticed(&mut rule, planned, delay, &host, &timeline);
        }
    }
    rule.finish()
}

fn noticed(rule: &mut Rule<'_>, planned: &PlannedFault, delay: u64, host: &str, timeline: &[Moment]) {
    let history = rule.history;
    let (lost, healed) = span_of(planned);
    let polling = seconds(history, "backup_driver_stats_polling_interval", 60);
    let by = lost + polling + delay + slack(history);
    let worked = row_at(timeline, lost).is_some_and(|row| row.working);
    if !worked || healed < by || end_ns(history) < by || !calm(history, host, lost, by) {
        return;
    }
    let marked = timeline.iter().find(|row| row.t_ns >= lost && is_down(row)).map(|row| row.t_ns);
    rule.require(
        marked.is_some_and(|marked| marked <= by),
        by,
        || format!("{host} down by {}, the store being lost at {}", at(by), at(lost)),
        || marked.map_or_else(|| "still working".to_owned(), |marked| format!("marked at {}", at(marked))),
    );
}

#[cfg(test)]
mod tests {
    use clinker_model::fault::HostTarget;
    use clinker_model::history::Phase::{Fail, Ok};

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(rule: &Checker, case: &str, script: Script, expected: &str) {
        testing::check(case, &(rule.check)(&script.history), expected);
    }

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_failure_is_marked_at_once() {
        let failed = || script().periodic().registered().at(900).attempt(100, Fail);
        let marked = |ns| failed().at_ns(ns).outcome(1, Some("unreachable: x")).at(9_000).host_event("idle");
        judge(&DOWN_MARK, "with the failure", marked(S), "ok");
        judge(&DOWN_MARK, "at the bound", marked(2 * S), "ok");
        judge(&DOWN_MARK, "1 ns later", marked(2 * S + 1), "down_mark: backup-host-1 marked down by 2.000 s");
        judge(&DOWN_MARK, "never", failed().at(9_000).host_event("idle"), "no mark");
        judge(&DOWN_MARK, "its process ended", failed().host_event("crashed").at(9_000).host_event("idle"), "none");
        judge(&DOWN_MARK, "nothing failed", script().attempt(1, Ok), "none");
    }

    fn lost(fault: fn(HostTarget) -> Fault, host: &str, until: u64) -> Script {
        let fault = fault(HostTarget { host: host.to_owned() });
        script().periodic().fault(100, Some(until), fault).registered().outcome(1, None).beat()
    }

    #[test]
    fn a_lost_store_is_noticed() {
        // Lost at 100 s: the check comes within 60 s, and takes up to 60 s when the store is silent.
        let marked = |script: Script, ns| script.at_ns(ns).outcome(0, Some("x: y")).at(500_000).host_event("idle");
        judge(&DETECTION, "refuses", marked(lost(Fault::Refuse, "store", 300), 161 * S), "ok");
        judge(
            &DETECTION,
            "1 ns later",
            marked(lost(Fault::Refuse, "store", 300), 161 * S + 1),
            "detection: backup-host",
        );
        judge(&DETECTION, "silent", marked(lost(Fault::Silent, "store", 300), 221 * S), "ok");
        judge(&DETECTION, "1 ns later", marked(lost(Fault::Silent, "store", 300), 221 * S + 1), "marked at 221.000 s");
        let quick = |ns| marked(lost(Fault::Hold, "store", 300).option("backup_swift_timeout", "5"), ns);
        judge(&DETECTION, "the driver's own time-out", quick(166 * S), "ok");
        judge(&DETECTION, "the driver's own time-out, 1 ns later", quick(166 * S + 1), "down by 166.000 s");
        let unseen = lost(Fault::Refuse, "store", 300).at(500_000).host_event("idle");
        judge(&DETECTION, "never", unseen, "still working");
        judge(&DETECTION, "back before", marked(lost(Fault::Refuse, "store", 160), 170 * S), "none");
        judge(&DETECTION, "another host", marked(lost(Fault::Refuse, "volume", 300), 170 * S), "none");
    }
}
