//! The service state of D1, written down a second time: rows and record times in, `up`, `down`, `initializing` out.

use std::collections::BTreeMap;

use clinker_model::history::History;
use clinker_model::scenario::ServiceState;
use serde_json::Value;

use crate::view::{commits, seconds, text, truth};

/// A service row after one transaction. Times are those of the transactions, not those in the row.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    pub t_ns: u64,
    /// When the process registered last.
    pub started_ns: u64,
    pub working: bool,
    pub reason: Option<String>,
    pub heartbeat_ns: Option<u64>,
    /// Whether this very transaction registered the process, or wrote a heartbeat.
    pub registered: bool,
    pub beat: bool,
}

/// What happened to each host's service row, in order.
pub type Timelines = BTreeMap<String, Vec<Moment>>;

/// Reads the service rows out of the transactions.
pub fn timelines(history: &History) -> Timelines {
    let mut timelines = Timelines::new();
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table == "services" && !change.after.is_null()) {
            let host = change.after["host"].as_str().unwrap_or(&change.id).to_owned();
            let timeline = timelines.entry(host).or_default();
            let moment = moment(commit.t_ns, &change.before, &change.after, timeline.last());
            timeline.push(moment);
        }
    }
    timelines
}

fn moment(t_ns: u64, before: &Value, after: &Value, last: Option<&Moment>) -> Moment {
    let registered = before.is_null() || before["started_at"] != after["started_at"];
    let beat = !after["last_heartbeat"].is_null() && before["last_heartbeat"] != after["last_heartbeat"];
    let carried = last.and_then(|last| last.heartbeat_ns).filter(|_| !after["last_heartbeat"].is_null());
    Moment {
        t_ns,
        started_ns: if registered { t_ns } else { last.map_or(t_ns, |last| last.started_ns) },
        working: truth(&after["working"]),
        reason: Some(text(&after["reason"]).to_owned()).filter(|reason| !reason.is_empty()),
        heartbeat_ns: if beat { Some(t_ns) } else { carried },
        registered,
        beat,
    }
}

/// The row as the last transaction up to `t_ns` left it.
pub fn row_at(timeline: &[Moment], t_ns: u64) -> Option<&Moment> {
    timeline.iter().take_while(|moment| moment.t_ns <= t_ns).last()
}

/// `service_down_time` in nanoseconds.
pub fn down_time(history: &History) -> u64 {
    seconds(history, "service_down_time", 60)
}

/// The state at `t_ns`, from the row as it was then.
pub fn state(row: &Moment, t_ns: u64, down_time: u64) -> ServiceState {
    let fresh = |since: u64| t_ns.saturating_sub(since) <= down_time;
    match (row.working, &row.reason, row.heartbeat_ns) {
        (true, _, Some(beat)) if fresh(beat) => ServiceState::Up,
        (true, _, Some(_)) | (false, Some(_), _) => ServiceState::Down,
        _ if t_ns.saturating_sub(row.started_ns) < down_time => ServiceState::Initializing,
        _ => ServiceState::Down,
    }
}

/// The state at `t_ns`; none before the first registration.
pub fn state_at(timeline: &[Moment], t_ns: u64, down_time: u64) -> Option<ServiceState> {
    row_at(timeline, t_ns).map(|row| state(row, t_ns, down_time))
}

/// Every state a service passes through, with the moment it begins; equal neighbours are joined.
pub fn states(timeline: &[Moment], end_ns: u64, down_time: u64) -> Vec<(u64, ServiceState)> {
    let mut states: Vec<(u64, ServiceState)> = Vec::new();
    let mut push = |t_ns: u64, state: ServiceState| {
        if states.last().is_none_or(|(_, last)| *last != state) {
            states.push((t_ns, state));
        }
    };
    for (index, row) in timeline.iter().enumerate() {
        let next = timeline.get(index + 1).map_or(end_ns.saturating_add(1), |next| next.t_ns);
        if row.t_ns < next {
            push(row.t_ns, state(row, row.t_ns, down_time));
        }
        let lapses = match row.heartbeat_ns.filter(|_| row.working) {
            Some(beat) => beat.saturating_add(down_time).saturating_add(1),
            None => row.started_ns.saturating_add(down_time),
        };
        if lapses > row.t_ns && lapses < next {
            push(lapses, state(row, lapses, down_time));
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;
    use ServiceState::{Down, Initializing, Up};

    const D: u64 = 60;

    fn row(working: bool, reason: Option<&str>, heartbeat_ns: Option<u64>) -> Moment {
        let reason = reason.map(str::to_owned);
        Moment { t_ns: 0, started_ns: 0, working, reason, heartbeat_ns, registered: false, beat: false }
    }

    #[test]
    fn the_state_follows_row_and_clock() {
        for (row, t_ns, expected) in [
            (row(false, None, None), 0, Initializing),
            (row(false, None, None), 59, Initializing),
            (row(false, None, None), 60, Down),
            (row(false, Some("unreachable: x"), None), 1, Down),
            (row(true, None, Some(0)), 60, Up),
            (row(true, None, Some(0)), 61, Down),
            (row(true, None, None), 10, Initializing),
        ] {
            assert_eq!(state(&row, t_ns, D), expected, "{row:?} at {t_ns}");
        }
    }

    #[test]
    fn states_name_the_moment_a_heartbeat_lapses() {
        let timeline = [row(false, None, None), Moment { t_ns: 5, ..row(true, None, Some(5)) }];
        assert_eq!(states(&timeline, 200, D), [(0, Initializing), (5, Up), (66, Down)]);
    }
}
