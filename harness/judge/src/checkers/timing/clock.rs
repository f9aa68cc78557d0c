//! The database host's monotonic clock, told from the history: the clock that ages are taken on (D1).

use clinker_model::history::{Entry, History};

use crate::services::timelines;

/// Which clock reading each moment had. It stands still while the database's host is down, and goes on from the last
/// stamp that was stored before: what passed between that stamp and the boot is lost.
pub(super) struct DbClock {
    /// Moment and reading of each boot.
    boots: Vec<(u64, u64)>,
}

impl DbClock {
    pub fn of(history: &History) -> DbClock {
        let mut stamps: Vec<u64> = timelines(history)
            .into_values()
            .flatten()
            .filter(|row| row.beat || row.registered)
            .map(|row| row.t_ns)
            .collect();
        stamps.sort_unstable();
        let mut clock = DbClock { boots: Vec::new() };
        for record in history.records.iter().filter(|record| record.host == "db") {
            if matches!(&record.entry, Entry::Host { what } if what == "started" || what == "restarted") {
                let stored = stamps.iter().rev().find(|stamp| **stamp < record.t_ns);
                let base = stored.map_or(0, |stamp| clock.at(*stamp));
                let since = clock.boots.last().map_or(0, |(_, base)| *base);
                clock.boots.push((record.t_ns, base.max(since)));
            }
        }
        clock
    }

    /// The reading at a moment.
    pub fn at(&self, t_ns: u64) -> u64 {
        match self.boots.iter().rev().find(|(boot, _)| *boot <= t_ns) {
            Some((boot, base)) => base + (t_ns - boot),
            None => t_ns,
        }
    }

    /// How much time between two moments the clock has not counted.
    pub fn lost(&self, from: u64, to: u64) -> u64 {
        to.saturating_sub(from).saturating_sub(self.at(to).saturating_sub(self.at(from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, script};

    fn db(script: Script, what: &str) -> Script {
        script.record("db", Entry::Host { what: what.to_owned() })
    }

    #[test]
    fn time_after_the_last_stamp_before_a_boot_is_lost() {
        let beating = db(script(), "started").at(1_000).registered().outcome(1, None).beat().at(11_000).beat();
        let restarted = db(db(beating.at(15_000), "crashed").at(40_000), "restarted").at(41_000).beat();
        let clock = DbClock::of(&restarted.history);
        let ms = |ms: u64| ms * 1_000_000;
        for (t, reading) in [(0, 0), (11_000, 11_000), (14_000, 14_000), (40_000, 11_000), (41_000, 12_000)] {
            assert_eq!(clock.at(ms(t)), ms(reading), "at {t} ms");
        }
        assert_eq!(clock.lost(ms(11_000), ms(41_000)), ms(29_000));
        assert_eq!(clock.lost(ms(1_000), ms(11_000)), 0);
    }
}
