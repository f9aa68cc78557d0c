//! How long a silent server is waited for.
//!
//! A server is mute when no byte has moved on a connection for the time-out. With many requests on their way on a slow link
//! that is not so simple: what a connection has sent may wait behind the bytes of others, for longer than the time-out. So
//! whatever is heard on any connection extends the wait, up to eight times the time-out, since one connection may be stuck
//! while all others go on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

/// The longest wait in time-outs: 48 MiB are through in eight minutes at 100 KiB per second.
const TIMES: u32 = 8;

/// When a byte was last heard on any connection of a client.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Option<Instant>>>);

impl Heard {
    pub(super) fn now(&self) {
        *self.0.lock().expect("no panic while locked") = Some(Instant::now());
    }

    fn last(&self) -> Option<Instant> {
        *self.0.lock().expect("no panic while locked")
    }
}

pub(super) struct Patience {
    /// The time-out.
    pub limit: Duration,
    /// Of the client's other connections; none if they tell nothing.
    pub heard: Option<Heard>,
}

impl Patience {
    /// When a connection is given up on which a byte last moved then.
    pub(super) fn ends_at(&self, moved: Instant) -> Instant {
        let heard = self.heard.as_ref().and_then(Heard::last).unwrap_or(moved);
        (moved.max(heard) + self.limit).min(moved + self.limit.saturating_mul(TIMES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_others_hear_extends_the_wait_up_to_a_limit() {
        let (start, limit) = (Instant::now(), Duration::from_secs(60));
        let heard = Heard::default();
        let alone = Patience { limit, heard: None };
        let among_others = Patience { limit, heard: Some(heard.clone()) };
        let after = |patience: &Patience| patience.ends_at(start) - start;
        assert_eq!((after(&alone), after(&among_others)), (limit, limit));
        tokio::time::advance(Duration::from_secs(50)).await;
        heard.now();
        assert_eq!((after(&alone), after(&among_others)), (limit, Duration::from_secs(110)));
        tokio::time::advance(Duration::from_secs(1000)).await;
        heard.now();
        assert_eq!(after(&among_others), limit * 8);
    }
}
