//! Wall clocks: the fixed epoch plus virtual time plus what the host's clock is off by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker_env::Clock;
use clinker_model::{FaultId, Journal as _};
use jiff::{SignedDuration, Timestamp};

use crate::fabric::Time;
use crate::journal::SimJournal;

/// What a host's wall clock is off by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Off {
    /// So many seconds, from the start of the fault to its end.
    By(i64),
    /// Millionths of the time since then.
    Drifting { since: Duration, ppm: i64 },
}

impl Off {
    fn now(self, elapsed: Duration) -> SignedDuration {
        match self {
            Off::By(seconds) => SignedDuration::from_secs(seconds),
            Off::Drifting { since, ppm } => {
                let nanos = i128::try_from(elapsed.saturating_sub(since).as_nanos()).unwrap_or(i128::MAX);
                let off = nanos.saturating_mul(i128::from(ppm)) / 1_000_000;
                SignedDuration::from_nanos(i64::try_from(off).unwrap_or(if ppm < 0 { i64::MIN } else { i64::MAX }))
            }
        }
    }
}

/// The faults of clocks that are on, with their hosts.
#[derive(Default)]
pub(crate) struct Skews(Mutex<BTreeMap<FaultId, (String, Off)>>);

impl Skews {
    pub(crate) fn begin(&self, id: FaultId, host: &str, off: Off) {
        self.0.lock().expect("no panic while the lock is held").insert(id, (host.to_owned(), off));
    }

    pub(crate) fn end(&self, id: FaultId) {
        self.0.lock().expect("no panic while the lock is held").remove(&id);
    }

    fn of(&self, host: &str) -> Vec<(FaultId, Off)> {
        let skews = self.0.lock().expect("no panic while the lock is held");
        skews.iter().filter(|(_, (on, _))| on == host).map(|(id, (_, off))| (*id, *off)).collect()
    }
}

pub(crate) struct SimClock {
    host: String,
    epoch: Timestamp,
    time: Arc<dyn Time>,
    skews: Arc<Skews>,
    journal: Arc<SimJournal>,
}

impl SimClock {
    pub(crate) fn new(
        host: &str,
        epoch: Timestamp,
        time: Arc<dyn Time>,
        skews: Arc<Skews>,
        journal: Arc<SimJournal>,
    ) -> SimClock {
        SimClock { host: host.to_owned(), epoch, time, skews, journal }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let now = self.time.now();
        let mut shifted = SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
        for (id, off) in self.skews.of(&self.host) {
            shifted = shifted.saturating_add(off.now(now));
            self.journal.bite(id, &self.host, "the clock was read");
        }
        let end = if shifted.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
        self.epoch.checked_add(shifted).unwrap_or(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_drifts_is_right_when_it_begins_to() {
        let drift = |ppm| Off::Drifting { since: Duration::from_secs(100), ppm };
        let check = |off: Off, at_s: u64, expected_ms: i128| {
            assert_eq!(off.now(Duration::from_secs(at_s)).as_millis(), expected_ms, "{off:?} at {at_s} s");
        };
        check(drift(500), 100, 0);
        check(drift(500), 1_100, 500);
        check(drift(-250_000), 500, -100_000);
        check(Off::By(-3600), 500, -3_600_000);
    }
}
