//! Modelled cores, by the nanosecond: a job takes bytes ÷ rate of one of them, first come, first served.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use clinker_env::{Cpu, Work};
use tokio::time::{Instant, sleep_until};

pub(crate) struct Cores {
    start: Instant,
    /// Bytes per second; 0 = without end.
    rate: u64,
    state: Mutex<State>,
}

/// Nanoseconds since the start.
struct State {
    /// When each core is free.
    free: Vec<u64>,
    /// When one computed.
    busy: Vec<(u64, u64)>,
}

impl Cores {
    pub(crate) fn new(cores: u64, rate: u64, start: Instant) -> Cores {
        let cores = usize::try_from(cores).unwrap_or(usize::MAX).clamp(1, 1024);
        Cores { start, rate, state: Mutex::new(State { free: vec![0; cores], busy: Vec::new() }) }
    }

    /// When a core computed, each job for itself: nanoseconds since the start.
    pub(crate) fn busy(&self) -> Vec<(u64, u64)> {
        self.state.lock().expect("no panic while the lock is held").busy.clone()
    }
}

#[async_trait]
impl Cpu for Cores {
    async fn run(&self, work: Work, bytes: u64, job: Box<dyn FnOnce() + Send>) {
        if self.rate > 0 && work == Work::Hash {
            let takes_ns = u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(self.rate)).unwrap_or(u64::MAX);
            let now_ns = u64::try_from((Instant::now() - self.start).as_nanos()).unwrap_or(u64::MAX);
            let done_ns = {
                let mut state = self.state.lock().expect("no panic while the lock is held");
                let first = state.free.iter_mut().min().expect("there is one core at least");
                let begin_ns = (*first).max(now_ns);
                let done_ns = begin_ns + takes_ns;
                *first = done_ns;
                state.busy.push((begin_ns, done_ns));
                done_ns
            };
            sleep_until(self.start + Duration::from_nanos(done_ns)).await;
        }
        job();
    }
}
