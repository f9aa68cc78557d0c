//! The service state of D1, written down a second time: rows and record times in, `up`, `down`, `initializing` out.

use std::collections::{BTreeMap, BTreeSet};

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

/// What happened to each worker's service row, in order; by its id, `<host>` or `<host>#<n>`, which is its name in the
/// world as well.
pub type Timelines = BTreeMap<String, Vec<Moment>>;

/// Reads the service rows out of the transactions.
pub fn timelines(history: &History) -> Timelines {
    let mut timelines = Timelines::new();
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table == "services" && !change.after.is_null()) {
            let timeline = timelines.entry(change.id.clone()).or_default();
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

/// The host of a worker.
pub fn host_of(worker: &str) -> &str {
    worker.split_once('#').map_or(worker, |(host, _)| host)
}

/// The workers that a name means: `<host>` all of the host's, `<host>#<n>` one.
pub fn workers_of<'t>(timelines: &'t Timelines, name: &str) -> Vec<&'t [Moment]> {
    let one = name.strip_suffix("#0").unwrap_or(name);
    let named = |worker: &str| if name.contains('#') { worker == one } else { host_of(worker) == name };
    timelines.iter().filter(|(worker, _)| named(worker)).map(|(_, timeline)| timeline.as_slice()).collect()
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

/// The state of several workers together: the best of theirs (D1).
pub fn best_state_at(workers: &[&[Moment]], t_ns: u64, down_time: u64) -> Option<ServiceState> {
    let rank = |state: &ServiceState| match state {
        ServiceState::Down => 0,
        ServiceState::Initializing => 1,
        ServiceState::Up => 2,
    };
    workers.iter().filter_map(|timeline| state_at(timeline, t_ns, down_time)).max_by_key(rank)
}

/// Every state that several workers together pass through, as [`states`].
pub fn best_states(workers: &[&[Moment]], end_ns: u64, down_time: u64) -> Vec<(u64, ServiceState)> {
    let of = |timeline: &&[Moment]| states(timeline, end_ns, down_time).into_iter().map(|(t_ns, _)| t_ns);
    let moments: BTreeSet<u64> = workers.iter().flat_map(of).collect();
    let mut joined: Vec<(u64, ServiceState)> = Vec::new();
    for t_ns in moments {
        let Some(state) = best_state_at(workers, t_ns, down_time) else { continue };
        if joined.last().is_none_or(|(_, last)| *last != state) {
            joined.push((t_ns, state));
        }
    }
    joined
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

    #[test]
    fn a_host_is_as_good_as_its_best_worker() {
        let first = vec![row(true, None, Some(0))];
        let second = vec![row(false, None, None), Moment { t_ns: 30, ..row(true, None, Some(30)) }];
        let timelines =
            Timelines::from([("h".to_owned(), first), ("h#1".to_owned(), second), ("i".to_owned(), vec![])]);
        let of = |name: &str, t_ns| best_state_at(&workers_of(&timelines, name), t_ns, D);
        assert_eq!([of("h", 60), of("h", 80), of("h", 91)], [Some(Up), Some(Up), Some(Down)]);
        assert_eq!([of("h#0", 80), of("h#1", 80), of("h#1", 20)], [Some(Down), Some(Up), Some(Initializing)]);
        assert_eq!(best_states(&workers_of(&timelines, "h"), 200, D), [(0, Up), (91, Down)]);
    }
}
