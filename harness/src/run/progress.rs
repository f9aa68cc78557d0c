//! How far the clients have come: they outlive the API's process.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// What clients know of their own steps.
#[derive(Default)]
pub(super) struct Progress(Mutex<State>);

#[derive(Default)]
struct State {
    started: bool,
    /// Steps that have ended, whatever way.
    done: usize,
    /// The step that waits for its answer.
    under_way: bool,
}

impl Progress {
    /// The start of the run, as the clock of a process tells it that starts at `now`.
    pub fn start(&self, now: Duration) -> Instant {
        let again = std::mem::replace(&mut self.state().started, true);
        let elapsed = if again { now } else { Duration::ZERO };
        Instant::now().checked_sub(elapsed).unwrap_or_else(Instant::now)
    }

    /// The first step that nobody has begun, or that nobody will ever answer.
    pub fn next(&self) -> usize {
        self.state().done
    }

    /// Whether the API's process went away with a step; from here on that step counts as ended.
    pub fn lost_step(&self) -> Option<usize> {
        let mut state = self.state();
        let lost = std::mem::take(&mut state.under_way).then_some(state.done);
        state.done += usize::from(lost.is_some());
        lost
    }

    pub fn begin(&self) {
        self.state().under_way = true;
    }

    pub fn end(&self) {
        let mut state = self.state();
        state.under_way = false;
        state.done += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the lock is held")
    }
}
