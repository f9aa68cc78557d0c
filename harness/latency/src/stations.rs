//! What computes and what reads the volume, by the nanosecond: cores and a disk, each of them a row of stations of which a
//! job takes one for bytes ÷ rate, first come, first served.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{Device, Result};
use clinker_env::{Cpu, Work};
use tokio::time::{Instant, sleep_until};

pub(crate) struct Stations {
    start: Instant,
    /// Bytes per second; 0 = without end.
    rate: u64,
    state: Mutex<State>,
}

/// Nanoseconds since the start.
struct State {
    /// When each is free.
    free: Vec<u64>,
    /// When one was at work.
    busy: Vec<(u64, u64)>,
}

impl Stations {
    pub(crate) fn new(number: u64, rate: u64, start: Instant) -> Stations {
        let number = usize::try_from(number).unwrap_or(usize::MAX).clamp(1, 1024);
        Stations { start, rate, state: Mutex::new(State { free: vec![0; number], busy: Vec::new() }) }
    }

    /// When one was at work, each job for itself: nanoseconds since the start.
    pub(crate) fn busy(&self) -> Vec<(u64, u64)> {
        self.state.lock().expect("no panic while the lock is held").busy.clone()
    }

    /// Waits for a station, and for its work on so many bytes.
    async fn take(&self, bytes: u64) {
        if self.rate == 0 {
            return;
        }
        let takes_ns = u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(self.rate)).unwrap_or(u64::MAX);
        let now_ns = u64::try_from((Instant::now() - self.start).as_nanos()).unwrap_or(u64::MAX);
        let done_ns = {
            let mut state = self.state.lock().expect("no panic while the lock is held");
            let first = state.free.iter_mut().min().expect("there is one at least");
            let begin_ns = (*first).max(now_ns);
            let done_ns = begin_ns + takes_ns;
            *first = done_ns;
            state.busy.push((begin_ns, done_ns));
            done_ns
        };
        sleep_until(self.start + Duration::from_nanos(done_ns)).await;
    }
}

#[async_trait]
impl Cpu for Stations {
    async fn run(&self, work: Work, bytes: u64, job: Box<dyn FnOnce() + Send>) {
        if work == Work::Hash {
            self.take(bytes).await;
        }
        job();
    }
}

/// A volume that is read by a station.
pub(crate) struct Read<'a> {
    pub volume: &'a dyn Device,
    pub disk: &'a Stations,
}

#[async_trait]
impl Device for Read<'_> {
    fn len(&self) -> u64 {
        self.volume.len()
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.disk.take(len as u64).await;
        self.volume.read_at(offset, len).await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.volume.write_at(offset, data).await
    }

    async fn flush(&self) -> Result<()> {
        self.volume.flush().await
    }
}
