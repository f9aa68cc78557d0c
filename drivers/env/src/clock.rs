//! Wall-clock time. Durations and time-outs are `tokio::time`, never this.

use jiff::Timestamp;

/// The host's wall clock, in UTC. It may be wrong, and it may jump.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}
