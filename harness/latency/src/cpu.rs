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
    /// When each is free, nanoseconds since the start; and what all of them have done.
    state: Mutex<(Vec<u64>, u64)>,
}

impl Cores {
    pub(crate) fn new(cores: u64, rate: u64, start: Instant) -> Cores {
        let cores = usize::try_from(cores).unwrap_or(usize::MAX).clamp(1, 1024);
        Cores { start, rate, state: Mutex::new((vec![0; cores], 0)) }
    }

    /// Nanoseconds of all cores together.
    pub(crate) fn busy_ns(&self) -> u64 {
        self.state.lock().expect("no panic while the lock is held").1
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
                state.1 += takes_ns;
                let first = state.0.iter_mut().min().expect("there is one core at least");
                *first = (*first).max(now_ns) + takes_ns;
                *first
            };
            sleep_until(self.start + Duration::from_nanos(done_ns)).await;
        }
        job();
    }
}
