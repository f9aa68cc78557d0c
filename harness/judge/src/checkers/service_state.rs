//! Service state: no heartbeat while not working, marks in the transaction of their event, up again after heal.

use std::collections::BTreeMap;

use clinker_model::history::History;
use clinker_model::scenario::{ServiceExpectation, ServiceState};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::services::{
    Moment, Timelines, best_state_at, best_states, down_time, host_of, row_at, state_at, timelines, workers_of,
};
use crate::tally::{Tally, at};
use crate::view::{Note, SEC, commits, disturbed, end_ns, flag, heal_ns, init_interval, seconds, span_of, truth};

pub const CHECKER: Checker = Checker {
    name: "service_state",
    about: "a service is up exactly while its driver works and its heartbeat is fresh",
    source: "D1; spec backup-init; B-INIT-001, 003, 007, 008",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let timelines = timelines(history);
    for (host, timeline) in &timelines {
        rows(&mut tally, host, timeline);
        beats(history, &mut tally, host, timeline);
        up_after_heal(history, &mut tally, host, timeline);
    }
    marks(history, &mut tally);
    for expected in &history.header.plan.expect.service {
        expectation(history, &mut tally, &timelines, expected);
    }
    tally.finish()
}

fn rows(tally: &mut Tally, host: &str, timeline: &[Moment]) {
    for row in timeline {
        tally.require(
            !row.beat || row.working,
            row.t_ns,
            "no heartbeat is written while the driver is not working [D1]",
            || format!("no heartbeat of {host}"),
            || format!("a heartbeat at {} with working = false", at(row.t_ns)),
        );
        let cleared = !row.working && row.heartbeat_ns.is_none() && row.reason.is_none();
        tally.require(
            !row.registered || cleared,
            row.t_ns,
            "registration clears working, reason and last_heartbeat: it is not a check-in [D1]",
            || format!("{host} registers as initializing"),
            || format!("{row:?}"),
        );
    }
}

/// The first heartbeat goes out with the success, the others every `report_interval`.
fn beats(history: &History, tally: &mut Tally, host: &str, timeline: &[Moment]) {
    let report = seconds(history, "report_interval", 10);
    let end = end_ns(history);
    let mut due: Option<u64> = None;
    for (index, row) in timeline.iter().enumerate() {
        let was_working = index > 0 && timeline[index - 1].working && !row.registered;
        if row.working && !was_working {
            due = Some(row.t_ns);
        }
        if !row.working {
            due = None;
        }
        if row.beat {
            due = Some(row.t_ns.saturating_add(report));
        }
        let Some(due) = due else { continue };
        let next = timeline.get(index + 1).map_or(end, |next| next.t_ns);
        let late = next > due.saturating_add(SEC) && !disturbed(history, &[host, "db"], row.t_ns, next);
        tally.require(
            !late,
            due,
            "while working, a heartbeat goes out with the success and every report_interval after it [D1, D3]",
            || format!("a heartbeat of {host} by {}", at(due)),
            || format!("none until {}", at(next)),
        );
    }
}

/// `init.error` marks the service down and `init.end` makes it working, in the same transaction.
fn marks(history: &History, tally: &mut Tally) {
    let mut rows: BTreeMap<&str, &Value> = BTreeMap::new();
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table == "services") {
            rows.insert(&change.id, &change.after);
        }
        let worker = commit.changes.iter().find(|change| change.table == "services").map(|change| change.id.as_str());
        for note in commit.outbox.iter().map(|row| Note { t_ns: commit.t_ns, row }) {
            let failed = match note.event_type() {
                "backup.init.error" => true,
                "backup.init.end" => false,
                _ => continue,
            };
            let row = rows.get(worker.unwrap_or(note.host())).copied().unwrap_or(&Value::Null);
            tally.require(
                !row.is_null() && truth(&row["working"]) != failed && row["reason"] == *note.payload("reason"),
                note.t_ns,
                "the event of an attempt is in the transaction that writes the service row [D1, D5]",
                || format!("{} with working = {} and the event's reason in the row", note.event_type(), !failed),
                || format!("row {row}, event reason {}", note.payload("reason")),
            );
        }
    }
}

/// After heal the service comes up within one interval, one attempt and a little.
fn up_after_heal(history: &History, tally: &mut Tally, host: &str, timeline: &[Moment]) {
    let plan = &history.header.plan;
    let heal = heal_ns(history);
    let endless = plan.faults.iter().any(|planned| span_of(planned).1 == u64::MAX);
    let meant_to_be_down = plan.expect.service.iter().any(|expected| {
        let when = expected.at.or(expected.by).map_or(0, |when| when.ns());
        let named = expected.host == host || expected.host == host_of(host) || expected.host == format!("{host}#0");
        named && expected.is != ServiceState::Up && when >= heal
    });
    if plan.faults.is_empty() || endless || meant_to_be_down || !flag(history, "backup_periodic_initialization", false)
    {
        return;
    }
    let timeout = seconds(history, "backup_initialization_timeout", 60);
    let polling = seconds(history, "backup_driver_stats_polling_interval", 60);
    let by = heal + init_interval(history).max(polling) + timeout + init_interval(history) + SEC;
    if by > end_ns(history) {
        return;
    }
    let state = state_at(timeline, by, down_time(history));
    tally.require(
        state == Some(ServiceState::Up),
        by,
        "after the last fault has ended the service comes up again [D2, D3; liveness]",
        || format!("{host} up by {}", at(by)),
        || format!("{state:?}, last reason {:?}", row_at(timeline, by).and_then(|row| row.reason.clone())),
    );
}

fn expectation(history: &History, tally: &mut Tally, timelines: &Timelines, expected: &ServiceExpectation) {
    const RULE: &str = "the service is in the state the scenario expects [scenario: expect.service; D1]";
    let workers = workers_of(timelines, &expected.host);
    let down = down_time(history);
    let passed = |until: u64| best_states(&workers, until, down);
    if let Some(when) = expected.at {
        let state = best_state_at(&workers, when.ns(), down);
        tally.require(
            state == Some(expected.is),
            when.ns(),
            RULE,
            || format!("{} {:?} at {when}", expected.host, expected.is),
            || format!("{state:?}; states so far: {}", list(&passed(when.ns()))),
        );
    }
    if let Some(by) = expected.by {
        let states = passed(by.ns());
        tally.require(
            states.iter().any(|(t_ns, state)| *t_ns <= by.ns() && *state == expected.is),
            by.ns(),
            RULE,
            || format!("{} {:?} by {by}", expected.host, expected.is),
            || format!("states so far: {}", list(&states)),
        );
    }
}

fn list(states: &[(u64, ServiceState)]) -> String {
    let states: Vec<String> = states.iter().map(|(t_ns, state)| format!("{state:?} since {}", at(*t_ns))).collect();
    if states.is_empty() { "never registered".to_owned() } else { states.join(", ") }
}

#[cfg(test)]
mod tests {
    use clinker_model::Span;
    use clinker_model::fault::{Fault, HostTarget};
    use serde_json::json;

    use super::*;
    use crate::testing::{self, HOST, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn up_at_one() -> Script {
        script().registered().at(1000).outcome(1, None).beat()
    }

    fn expects(script: Script, at: Option<u64>, by: Option<u64>, is: ServiceState) -> Script {
        let (at, by, host) = (at.map(Span::secs), by.map(Span::secs), HOST.to_owned());
        script.plan(|plan| plan.expect.service.push(ServiceExpectation { at, by, is, host }))
    }

    #[test]
    fn heartbeats_need_a_working_driver() {
        judge("after the success", up_at_one().at(11_000).beat(), "ok");
        judge("before it", script().registered().at(1000).beat(), "no heartbeat is written");
        judge("no service at all", script(), "none");
    }

    #[test]
    fn registration_is_not_a_check_in() {
        judge("cleared", up_at_one().at(5000).registered(), "ok");
        let patch = json!({ "started_at": 7, "working": true });
        judge("kept", up_at_one().at(5000).row("services", HOST, patch), "registration clears");
    }

    #[test]
    fn heartbeats_come_on_time_while_working() {
        // 1 s, then every 10 s, with a second of slack.
        judge("at the limit", up_at_one().at(12_000).beat(), "ok");
        judge("too late", up_at_one().at(12_001).beat(), "every report_interval");
        judge("none with the success", script().registered().at(1000).outcome(1, None).at(2500).beat(), "none until");
        let hold = Fault::Hold(HostTarget { host: "db".to_owned() });
        judge("database out of reach", up_at_one().fault(3, Some(20), hold).at(20_500).beat(), "ok");
        // The process ends while a heartbeat is on its way, and comes back long after the next was due.
        let dying = || up_at_one().at(4000).host_event("crashed").at(4001).beat();
        judge("a heartbeat that outlived its process", dying().at(30_000).host_event("restarted"), "ok");
        let again = up_at_one().at(4000).host_event("crashed").host_event("restarted").at(4001).beat();
        judge("the process was back before it", again.at(30_000).beat(), "every report_interval");
    }

    #[test]
    fn marks_are_in_the_transaction_of_their_event() {
        judge("marked", script().registered().outcome(1, Some("unreachable: x: y")), "ok");
        let late = script().registered();
        let payload = testing::init_payload(1, Some("unreachable: x: y"));
        let event = |mut script: Script| {
            let message = script.message(&format!("backup.{HOST}"), "backup.init.error", payload);
            script.commit(vec![], vec![message])
        };
        judge("event alone", event(late), "in the transaction that writes the service row");
    }

    #[test]
    fn a_healed_service_comes_up() {
        let hold = || Fault::Refuse(HostTarget { host: "store".to_owned() });
        let broken = || script().periodic().fault(0, Some(130), hold()).registered().outcome(1, Some("unreachable: x"));
        // heal 130 s + interval 60 s + time-out 60 s + interval 60 s + 1 s = 311 s
        judge("up in time", broken().at(180_000).outcome(4, None).beat().at(190_000).beat(), "ok");
        judge("still down", broken().at(320_000).host_event("started"), "after the last fault has ended");
    }

    #[test]
    fn expected_states_are_held_against_the_row() {
        judge("up by then", expects(up_at_one(), None, Some(1), ServiceState::Up).at(2000).beat(), "ok");
        judge("not yet", expects(up_at_one(), Some(0), None, ServiceState::Up), "Some(Initializing)");
        judge("stale", expects(up_at_one(), Some(61), None, ServiceState::Up), "ok");
        judge("never down", expects(up_at_one(), None, Some(61), ServiceState::Down), "Up since 1.000 s");
    }
}
