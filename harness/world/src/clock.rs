//! Wall clocks: the fixed epoch plus virtual time plus what the host's clock is off by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use clinker_env::Clock;
use clinker_model::{FaultId, Journal as _};
use jiff::{SignedDuration, Timestamp};

use crate::fabric::Time;
use crate::journal::SimJournal;

/// The skews that are on: host and seconds by fault.
#[derive(Default)]
pub(crate) struct Skews(Mutex<BTreeMap<FaultId, (String, i64)>>);

impl Skews {
    pub(crate) fn begin(&self, id: FaultId, host: &str, seconds: i64) {
        self.0.lock().expect("no panic while the lock is held").insert(id, (host.to_owned(), seconds));
    }

    pub(crate) fn end(&self, id: FaultId) {
        self.0.lock().expect("no panic while the lock is held").remove(&id);
    }

    fn of(&self, host: &str) -> Vec<(FaultId, i64)> {
        let skews = self.0.lock().expect("no panic while the lock is held");
        skews.iter().filter(|(_, (on, _))| on == host).map(|(id, (_, seconds))| (*id, *seconds)).collect()
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
        let elapsed = SignedDuration::try_from(self.time.now()).unwrap_or(SignedDuration::MAX);
        let mut seconds: i64 = 0;
        for (id, skew) in self.skews.of(&self.host) {
            seconds = seconds.saturating_add(skew);
            self.journal.bite(id, &self.host, "the clock was read");
        }
        let shifted = elapsed.saturating_add(SignedDuration::from_secs(seconds));
        let end = if shifted.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
        self.epoch.checked_add(shifted).unwrap_or(end)
    }
}
