//! The processes of a world: one `LocalSet` each, polled one after the other when something has woken them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Wake, Waker};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;
use tokio::task::LocalSet;

use super::paths::HostId;

pub(super) struct Process {
    pub(super) name: Arc<str>,
    /// None while the process does not run.
    pub(super) tasks: Option<LocalSet>,
    pub(super) waker: Waker,
    wake: Arc<HostWake>,
    /// Stands still; what woke it waits.
    pub(super) paused: bool,
    /// Real time that its code has run, while that is measured.
    pub(super) spent: Duration,
}

impl Process {
    pub(super) fn new(name: Arc<str>, host: HostId, ready: &Arc<Ready>) -> Process {
        let wake = Arc::new(HostWake { host, queued: AtomicBool::new(false), ready: Arc::clone(ready) });
        Process { name, tasks: None, waker: Waker::from(Arc::clone(&wake)), wake, paused: false, spent: Duration::ZERO }
    }

    /// From here on a wake queues it again.
    pub(super) fn taken(&self) {
        self.wake.queued.store(false, Ordering::Relaxed);
    }
}

/// Hosts that have something to do, in order of their waking.
pub(super) struct Ready(Mutex<State>);

struct State {
    queue: VecDeque<HostId>,
    /// Whoever polls the hosts, while it sleeps.
    sleeper: Option<Waker>,
    /// Permutes the order of hosts.
    draw: Option<ChaCha8Rng>,
}

impl Ready {
    pub(super) fn new(draw: Option<ChaCha8Rng>) -> Arc<Ready> {
        Arc::new(Ready(Mutex::new(State { queue: VecDeque::new(), sleeper: None, draw })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the lock is held")
    }

    /// The next host to poll.
    pub(super) fn take(&self) -> Option<HostId> {
        let mut state = self.state();
        let State { queue, draw, .. } = &mut *state;
        match draw {
            Some(draw) if queue.len() > 1 => {
                let at = draw.next_u64() % queue.len() as u64;
                queue.remove(usize::try_from(at).expect("below a length"))
            }
            _ => queue.pop_front(),
        }
    }

    /// Wakes `sleeper` at the next wake of a host.
    pub(super) fn sleep(&self, sleeper: &Waker) {
        let mut state = self.state();
        if !state.sleeper.as_ref().is_some_and(|known| known.will_wake(sleeper)) {
            state.sleeper = Some(sleeper.clone());
        }
    }

    /// Nobody sleeps: a wake only queues.
    pub(super) fn awake(&self) {
        self.state().sleeper = None;
    }
}

struct HostWake {
    host: HostId,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for HostWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut state = self.ready.state();
        state.queue.push_back(self.host);
        let sleeper = state.sleeper.take();
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }
}
