//! Whose body goes out now: one at full rate rather than many at once, so that the first are stored first.
//!
//! A turn ends when the body is in the socket, or when its connection has nothing to do for longer than the link takes for
//! what was written: then it is the connection's window that holds the body up, not the link, and another may use it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::recent::Recent;

/// A body of so many bytes or fewer is in the socket at once, and needs no turn.
const SMALL: usize = 64 << 10;
/// Progress is measured over about this time.
const SLOT: Duration = Duration::from_millis(8);
/// How long a connection may stand still on top of what the link needs.
const GRACE: Duration = Duration::from_millis(2);
/// How long one may stand still while nothing is known of the link.
const UNKNOWN: Duration = Duration::from_millis(20);

/// The turns of one client.
#[derive(Clone)]
pub(super) struct Turns {
    one: Arc<Semaphore>,
    link: Arc<Mutex<Link>>,
}

/// What is known of the link: bytes that connections were freed to write, by time.
struct Link {
    since: Instant,
    bytes: u64,
    /// Bytes per second.
    rate_max: Recent,
}

/// The right to send a body, and how it goes on.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    turns: Turns,
    /// Bytes that are not in the socket yet.
    left: u64,
    /// Bytes written since the connection last stood still; none of the first of them tell of the link.
    burst: u64,
    first: bool,
    still_since: Option<Instant>,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Turns {
        let link = Link { since: now, bytes: 0, rate_max: Recent::new(u64::max, now) };
        Turns { one: Arc::new(Semaphore::new(1)), link: Arc::new(Mutex::new(link)) }
    }

    /// Waits for the turn of a body of `len` bytes, first come, first served; none if it needs none.
    pub(super) async fn take(&self, len: usize) -> Option<Turn> {
        if len <= SMALL {
            return None;
        }
        let permit = Arc::clone(&self.one).acquire_owned().await.ok()?;
        let turns = self.clone();
        Some(Turn { _permit: permit, turns, left: len as u64, burst: 0, first: true, still_since: None })
    }

    fn link(&self) -> std::sync::MutexGuard<'_, Link> {
        self.link.lock().expect("no panic while locked")
    }
}

impl Turn {
    /// So many bytes went into the socket; false when that was the last of the body.
    pub(super) fn wrote(&mut self, bytes: u64, now: Instant) -> bool {
        if self.still_since.take().is_some() {
            (self.burst, self.first) = (0, false);
        }
        self.burst += bytes;
        if !self.first {
            self.turns.link().moved(bytes, now);
        }
        self.left = self.left.saturating_sub(bytes);
        self.left > 0
    }

    /// The socket takes no more.
    pub(super) fn stands_still(&mut self, now: Instant) {
        self.still_since.get_or_insert(now);
    }

    /// When it is somebody else's turn, if nothing moves until then.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        let link_ns = match self.turns.link().rate_max.value() {
            Some(rate) => u128::from(self.burst) * 1_000_000_000 / u128::from(rate.max(1)),
            None => UNKNOWN.as_nanos(),
        };
        let link = Duration::from_nanos(u64::try_from(link_ns).unwrap_or(u64::MAX));
        self.still_since.and_then(|since| since.checked_add(link)?.checked_add(GRACE))
    }
}

impl Link {
    fn moved(&mut self, bytes: u64, now: Instant) {
        self.bytes += bytes;
        let span = now - self.since;
        if span >= SLOT {
            let rate = u128::from(self.bytes) * 1_000_000_000 / span.as_nanos();
            self.rate_max.add(u64::try_from(rate).unwrap_or(u64::MAX), now);
            (self.since, self.bytes) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_until_the_one_before_is_in_the_socket() {
        let turns = Turns::new(Instant::now());
        let mut first = turns.take(1 << 20).await.expect("it is large");
        assert!(turns.take(SMALL).await.is_none());
        assert_eq!(turns.one.available_permits(), 0);
        assert!(first.wrote((1 << 20) - 1, Instant::now()));
        assert!(!first.wrote(1, Instant::now()));
        drop(first);
        assert!(turns.take(1 << 20).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_stands_still_for_longer_than_the_link_needs_gives_way() {
        let start = Instant::now();
        let turns = Turns::new(start);
        let mut turn = turns.take(64 << 20).await.expect("it is large");
        assert_eq!(turn.ends_at(), None);
        turn.wrote(4 << 20, start);
        turn.stands_still(start);
        assert_eq!(turn.ends_at(), Some(start + UNKNOWN + GRACE));
        // 100,000 bytes in 10 ms are 10 MB/s: 50,000 of them take 5 ms.
        turn.wrote(100_000, start + Duration::from_millis(10));
        turn.stands_still(start + Duration::from_millis(10));
        assert_eq!(turn.ends_at(), Some(start + Duration::from_millis(20) + GRACE));
        turn.wrote(50_000, start + Duration::from_millis(15));
        turn.stands_still(start + Duration::from_millis(16));
        assert_eq!(turn.ends_at(), Some(start + Duration::from_millis(21) + GRACE));
    }
}
