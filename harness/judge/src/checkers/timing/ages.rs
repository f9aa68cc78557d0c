//! What clients are told about a service: its state, by the age of its heartbeat on the database's monotonic clock.
//!
//! Told means the service list, and the host that the API chose for a create. Wall clocks have no part in it.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History, Phase};
use clinker_model::scenario::ServiceState;
use clinker_model::verdict::Finding;
use serde_json::Value;

use super::Rule;
use super::clock::DbClock;
use crate::Checker;
use crate::services::{Moment, Timelines, down_time, host_of, row_at, state, timelines};
use crate::tally::at;
use crate::view::text;

pub const DOWN_BY: Checker = Checker {
    name: "down_by",
    about: "nobody is told `up` later than b + D + lost after the last heartbeat b, nor `initializing` later than D + lost \
            after the start; lost = the time between each boot of the database since then and the last stamp stored before \
            it, whatever wall clocks say",
    source: "D1; B-INIT-003, 017",
    check: down_by,
};

pub const UP_WHILE_FRESH: Checker = Checker {
    name: "up_while_fresh",
    about: "whoever asks within D of the last heartbeat b of a working service, b <= t <= b + D, is told `up`, whatever wall \
            clocks say",
    source: "D1, inclusive; B-INIT-008, 017",
    check: up_while_fresh,
};

/// The states as an order: worse to better.
fn rank(state: ServiceState) -> u8 {
    match state {
        ServiceState::Down => 0,
        ServiceState::Initializing => 1,
        ServiceState::Up => 2,
    }
}

/// What a client was told about a service at some moment of a stretch of time.
struct Told {
    /// Id of the service row, or the host where only that is known.
    id: String,
    from: u64,
    to: u64,
    state: ServiceState,
    /// Whether it is a worker that was listed, or else a host that was chosen because one of its workers was up.
    listed: bool,
}

fn told(history: &History) -> Vec<Told> {
    let mut asked: BTreeMap<usize, u64> = BTreeMap::new();
    let mut told = Vec::new();
    for record in &history.records {
        let Entry::Op { phase, step, op, value, .. } = &record.entry else { continue };
        let from = *asked.entry(*step).or_insert(record.t_ns);
        if *phase != Phase::Ok {
            continue;
        }
        let to = record.t_ns;
        match op.as_str() {
            "create" if value["host"].is_string() => {
                let id = text(&value["host"]).to_owned();
                told.push(Told { id, from, to, state: ServiceState::Up, listed: false });
            }
            "service_list" => told.extend(listed(value).map(|(id, state)| Told { id, from, to, state, listed: true })),
            _ => {}
        }
    }
    told
}

fn listed(value: &Value) -> impl Iterator<Item = (String, ServiceState)> + '_ {
    let services = value["services"].as_array().into_iter().flatten();
    services.filter_map(|service| {
        let state = serde_json::from_value(service["state"].clone()).ok()?;
        Some((text(&service["id"]).to_owned(), state))
    })
}

/// The states that D1 gives, with ages on the database's clock.
struct Truth {
    timelines: Timelines,
    clock: DbClock,
    down_time: u64,
}

impl Truth {
    fn of(history: &History) -> Truth {
        Truth { timelines: timelines(history), clock: DbClock::of(history), down_time: down_time(history) }
    }

    fn rows(&self, told: &Told) -> impl Iterator<Item = &Vec<Moment>> {
        let meant = |worker: &str| if told.listed { worker == told.id } else { host_of(worker) == told.id };
        self.timelines.iter().filter(move |(worker, _)| meant(worker)).map(|(_, timeline)| timeline)
    }

    fn state(&self, row: &Moment, t_ns: u64) -> ServiceState {
        let read = |t_ns: u64| self.clock.at(t_ns);
        let row = Moment { started_ns: read(row.started_ns), heartbeat_ns: row.heartbeat_ns.map(read), ..row.clone() };
        state(&row, read(t_ns), self.down_time)
    }

    /// The worst and the best state within a stretch of time; none for a service that has not registered.
    fn range(&self, told: &Told) -> Option<(ServiceState, ServiceState)> {
        let Told { from, to, .. } = *told;
        let mut states = Vec::new();
        for timeline in self.rows(told) {
            states.extend(row_at(timeline, from).map(|row| self.state(row, from)));
            for pair in timeline.windows(2).filter(|pair| (from..=to).contains(&pair[1].t_ns)) {
                states.extend([self.state(&pair[0], pair[1].t_ns), self.state(&pair[1], pair[1].t_ns)]);
            }
            states.extend(row_at(timeline, to).map(|row| self.state(row, to)));
        }
        let worst = states.iter().copied().min_by_key(|state| rank(*state))?;
        let best = states.iter().copied().max_by_key(|state| rank(*state))?;
        Some((worst, best))
    }

    fn account(&self, told: &Told) -> String {
        let t_ns = told.to;
        let row = self.rows(told).filter_map(|timeline| row_at(timeline, t_ns)).max_by_key(|row| row.heartbeat_ns);
        let Some(row) = row else { return "not registered".to_owned() };
        let since = row.heartbeat_ns.unwrap_or(row.started_ns);
        let what = if row.heartbeat_ns.is_some() { "heartbeat" } else { "start" };
        let (lost, reason) = (self.clock.lost(since, t_ns), row.reason.as_deref().unwrap_or("none"));
        format!("last {what} {}, lost {}, working {}, reason {reason}", at(since), at(lost), row.working)
    }
}

fn down_by(history: &History) -> Finding {
    let mut rule = Rule::new(&DOWN_BY, history);
    let truth = Truth::of(history);
    for told in told(history) {
        let Some((_, best)) = truth.range(&told) else { continue };
        let Told { id, to, state, .. } = &told;
        rule.require(
            rank(*state) <= rank(best),
            *to,
            || format!("{id} told to be {best:?} at best at {} ({})", at(*to), truth.account(&told)),
            || format!("{state:?}"),
        );
    }
    rule.finish()
}

fn up_while_fresh(history: &History) -> Finding {
    let mut rule = Rule::new(&UP_WHILE_FRESH, history);
    let truth = Truth::of(history);
    for told in told(history).into_iter().filter(|told| told.listed) {
        let Some((worst, _)) = truth.range(&told) else { continue };
        let Told { id, to, state, .. } = &told;
        rule.require(
            rank(*state) >= rank(worst),
            *to,
            || format!("{id} told to be {worst:?} at least at {} ({})", at(*to), truth.account(&told)),
            || format!("{state:?}"),
        );
    }
    rule.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, HOST, Script, script};

    fn judge(rule: &Checker, case: &str, script: Script, expected: &str) {
        testing::check(case, &(rule.check)(&script.history), expected);
    }

    const S: u64 = 1_000_000_000;

    fn lists(script: Script, ns: u64, state: &str) -> Script {
        let op = |phase, value| Entry::Op { phase, step: 0, op: "service_list".to_owned(), value, failure: None };
        let answer = json!({ "services": [ { "id": HOST, "state": state } ] });
        script.at_ns(ns).record("api", op(Phase::Invoke, Value::Null)).record("api", op(Phase::Ok, answer))
    }

    /// Up from 1 s on, without another heartbeat.
    fn silent() -> Script {
        script().registered().at(1_000).outcome(1, None).beat()
    }

    #[test]
    fn nobody_is_told_up_after_the_bound() {
        judge(&DOWN_BY, "at the bound, inclusive", lists(silent(), 61 * S, "up"), "ok");
        judge(
            &DOWN_BY,
            "1 ns later",
            lists(silent(), 61 * S + 1, "up"),
            "down_by: backup-host-1 told to be Down at best",
        );
        judge(&DOWN_BY, "down then", lists(silent(), 61 * S + 1, "down"), "ok");
        judge(&DOWN_BY, "before the first success", lists(script().registered(), S, "up"), "Initializing at best");
        judge(&DOWN_BY, "still initialising", lists(script().registered(), 60 * S - 1, "initializing"), "ok");
        judge(&DOWN_BY, "for too long", lists(script().registered(), 60 * S, "initializing"), "Down at best");
        judge(&DOWN_BY, "nobody asks", silent(), "none");
    }

    #[test]
    fn a_host_that_was_chosen_was_told_to_be_up() {
        let create = |ns| {
            let op = |phase, value| Entry::Op { phase, step: 0, op: "create".to_owned(), value, failure: None };
            let script = silent().at_ns(ns).record("api", op(Phase::Invoke, Value::Null));
            script.at_ns(ns + 4).record("api", op(Phase::Ok, json!({ "host": HOST })))
        };
        judge(&DOWN_BY, "it lapsed meanwhile", create(61 * S), "ok");
        judge(&DOWN_BY, "it had lapsed before", create(61 * S + 1), "Down at best at 61.000 s");
        judge(&UP_WHILE_FRESH, "says nothing of others", create(5 * S), "none");
    }

    #[test]
    fn whoever_asks_in_time_is_told_up() {
        judge(&UP_WHILE_FRESH, "up", lists(silent(), 61 * S, "up"), "ok");
        judge(&UP_WHILE_FRESH, "down at the bound", lists(silent(), 61 * S, "down"), "told to be Up at least");
        judge(&UP_WHILE_FRESH, "down 1 ns later", lists(silent(), 61 * S + 1, "down"), "ok");
        let failed = || silent().outcome(0, Some("unreachable: x"));
        judge(&UP_WHILE_FRESH, "marked down", lists(failed(), 2 * S, "down"), "ok");
    }

    #[test]
    fn a_restart_of_the_database_prolongs_the_bound_by_what_it_lost() {
        // The last stamp is that of 1 s; the boot at 31 s takes the clock back there: 30 s are lost.
        let db = |script: Script, what: &str| script.record("db", Entry::Host { what: what.to_owned() });
        let restarted = || {
            db(
                db(db(script(), "started").registered().at(1_000).outcome(1, None).beat(), "crashed").at(31_000),
                "restarted",
            )
        };
        judge(&DOWN_BY, "at the bound", lists(restarted(), 91 * S, "up"), "ok");
        judge(&DOWN_BY, "1 ns later", lists(restarted(), 91 * S + 1, "up"), "lost 30.000 s");
        judge(&UP_WHILE_FRESH, "up", lists(restarted(), 91 * S, "down"), "Up at least");
    }
}
