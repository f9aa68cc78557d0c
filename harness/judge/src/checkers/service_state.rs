//! Service state: registration clears it, marks are in the transaction of their event, and it is what a scenario says.

use std::collections::BTreeMap;

use clinker_model::history::History;
use clinker_model::scenario::{ServiceExpectation, ServiceState};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::services::{Moment, Timelines, best_state_at, best_states, down_time, timelines, workers_of};
use crate::tally::{Tally, at};
use crate::view::{Note, commits, truth};

pub const CHECKER: Checker = Checker {
    name: "service_state",
    about: "the row of a service tells what its attempts found, from the transaction of their event on",
    source: "D1; spec backup-init; B-INIT-001, 003, 007, 008",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let timelines = timelines(history);
    for (host, timeline) in &timelines {
        rows(&mut tally, host, timeline);
    }
    marks(history, &mut tally);
    for expected in &history.header.plan.expect.service {
        expectation(history, &mut tally, &timelines, expected);
    }
    tally.finish()
}

fn rows(tally: &mut Tally, host: &str, timeline: &[Moment]) {
    for row in timeline {
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
    fn registration_is_not_a_check_in() {
        judge("cleared", up_at_one().at(5000).registered(), "ok");
        let patch = json!({ "started_at": 7, "working": true });
        judge("kept", up_at_one().at(5000).row("services", HOST, patch), "registration clears");
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
    fn expected_states_are_held_against_the_row() {
        judge("up by then", expects(up_at_one(), None, Some(1), ServiceState::Up).at(2000).beat(), "ok");
        judge("not yet", expects(up_at_one(), Some(0), None, ServiceState::Up), "Some(Initializing)");
        judge("stale", expects(up_at_one(), Some(61), None, ServiceState::Up), "ok");
        judge("never down", expects(up_at_one(), None, Some(61), ServiceState::Down), "Up since 1.000 s");
    }
}
