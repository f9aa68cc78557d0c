//! How far the clients have come: they outlive the API's process.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// What clients know of their own steps.
#[derive(Default)]
pub(super) struct Progress(Mutex<State>);

#[derive(Default)]
struct State {
    started: bool,
    /// How many steps somebody has begun.
    begun: usize,
    /// Those that wait for their answers: more than one, if they were asked for side by side.
    under_way: BTreeSet<usize>,
}

impl Progress {
    /// The start of the run, as the clock of a process tells it that starts at `now`.
    pub fn start(&self, now: Duration) -> Instant {
        let again = std::mem::replace(&mut self.state().started, true);
        let elapsed = if again { now } else { Duration::ZERO };
        Instant::now().checked_sub(elapsed).unwrap_or_else(Instant::now)
    }

    /// The first step that nobody has begun.
    pub fn next(&self) -> usize {
        self.state().begun
    }

    /// The steps with which the API's process went away; from here on they count as ended.
    pub fn lost_steps(&self) -> BTreeSet<usize> {
        std::mem::take(&mut self.state().under_way)
    }

    pub fn begin(&self, step: usize) {
        let mut state = self.state();
        state.begun = step + 1;
        state.under_way.insert(step);
    }

    pub fn end(&self, step: usize) {
        self.state().under_way.remove(&step);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the lock is held")
    }
}
