//! The highest or lowest of the measurements of the last seconds.

use std::time::Duration;

use tokio::time::Instant;

/// How long a measurement counts, at least; at most twice as long.
const EPOCH: Duration = Duration::from_secs(10);

/// The extreme of the measurements of this epoch and of the one before.
pub(crate) struct Recent {
    extreme: fn(u64, u64) -> u64,
    since: Instant,
    current: Option<u64>,
    previous: Option<u64>,
}

impl Recent {
    pub(crate) fn new(extreme: fn(u64, u64) -> u64, now: Instant) -> Recent {
        Recent { extreme, since: now, current: None, previous: None }
    }

    pub(crate) fn add(&mut self, value: u64, now: Instant) {
        if now - self.since >= EPOCH {
            self.previous = self.current.take();
            self.since = now;
        }
        self.current = Some(self.current.map_or(value, |known| (self.extreme)(known, value)));
    }

    pub(crate) fn value(&self) -> Option<u64> {
        match (self.current, self.previous) {
            (Some(current), Some(previous)) => Some((self.extreme)(current, previous)),
            (current, previous) => current.or(previous),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_measurement_is_forgotten_after_two_epochs() {
        let start = Instant::now();
        let mut recent = Recent::new(u64::min, start);
        recent.add(1, start);
        recent.add(5, start + EPOCH);
        assert_eq!(recent.value(), Some(1));
        recent.add(7, start + 2 * EPOCH);
        assert_eq!(recent.value(), Some(5));
    }
}
