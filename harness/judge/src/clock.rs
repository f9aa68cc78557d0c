//! The database's clock (D1), read from the stamps it wrote: monotonic within a boot, and after a restart of its host it
//! goes on from the last stamp it had stored. Ages of service rows are ages on this clock.

use clinker_model::history::{Entry, History};
use clinker_model::scenario::ServiceState;
use serde_json::Value;

use crate::view::{text, truth};

/// From which moment on the clock is behind the run's time by how much, nanoseconds, in order.
pub struct DbClock(Vec<(u64, i128)>);

impl DbClock {
    pub fn of(history: &History) -> DbClock {
        let mut offsets = Vec::new();
        let mut last_stamp = 0;
        for record in &history.records {
            match &record.entry {
                Entry::Commit { changes, .. } => {
                    let rows = changes.iter().filter(|change| change.table == "services");
                    let stamps = rows.flat_map(|change| {
                        let written =
                            |name: &str| (change.before[name] != change.after[name]).then_some(name.to_owned());
                        let names = [written("started_at"), written("last_heartbeat")].into_iter().flatten();
                        names.filter_map(|name| change.after[name].as_u64()).collect::<Vec<_>>()
                    });
                    for stamp in stamps {
                        last_stamp = last_stamp.max(stamp);
                        offsets.push((record.t_ns, i128::from(record.t_ns) - i128::from(stamp)));
                    }
                }
                Entry::Host { what } if what == "restarted" && record.host == "db" => {
                    offsets.push((record.t_ns, i128::from(record.t_ns) - i128::from(last_stamp)));
                }
                _ => {}
            }
        }
        DbClock(offsets)
    }

    /// What it shows at a moment of the run.
    pub fn at(&self, t_ns: u64) -> u64 {
        let position = self.0.partition_point(|(from, _)| *from <= t_ns);
        let offset = position.checked_sub(1).map_or(0, |last| self.0[last].1);
        u64::try_from(i128::from(t_ns) - offset).unwrap_or(0)
    }
}

/// The state of one worker by its row, when the database's clock shows `now`.
pub fn state_of_row(row: &Value, now: u64, down_time: u64) -> ServiceState {
    let age = |name: &str| row[name].as_u64().map(|stamp| now.saturating_sub(stamp));
    if truth(&row["working"]) {
        let fresh = age("last_heartbeat").is_some_and(|age| age <= down_time);
        return if fresh { ServiceState::Up } else { ServiceState::Down };
    }
    let young = text(&row["reason"]).is_empty() && age("started_at").is_some_and(|age| age < down_time);
    if young { ServiceState::Initializing } else { ServiceState::Down }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{HOST, script};
    use crate::view::SEC;

    #[test]
    fn after_a_restart_it_goes_on_from_the_last_stamp() {
        let beats = |stamp: u64| json!({ "last_heartbeat": stamp * SEC });
        let history = script().at(10_000).registered().at(20_000).row("services", HOST, beats(20)).at(50_000);
        let db = Entry::Host { what: "restarted".to_owned() };
        let clock = DbClock::of(&history.record("db", db).history);
        for (t, shown) in [(15, 15), (30, 30), (50, 20), (70, 40)] {
            assert_eq!(clock.at(t * SEC), shown * SEC, "at {t} s");
        }
    }

    #[test]
    fn a_row_is_up_while_its_heartbeat_is_fresh() {
        use ServiceState::{Down, Initializing, Up};
        let working = json!({ "working": true, "started_at": 0, "last_heartbeat": 10 });
        let starting = json!({ "working": false, "reason": null, "started_at": 0, "last_heartbeat": null });
        let failed = json!({ "working": false, "reason": "auth: x", "started_at": 0, "last_heartbeat": 10 });
        for (row, now, expected) in [
            (&working, 70, Up),
            (&working, 71, Down),
            (&starting, 59, Initializing),
            (&starting, 60, Down),
            (&failed, 11, Down),
        ] {
            assert_eq!(state_of_row(row, now, 60), expected, "{row} at {now}");
        }
    }
}
