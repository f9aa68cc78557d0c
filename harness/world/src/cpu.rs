//! Modelled cores: a job waits for a core (first come, first served), takes bytes ÷ rate of virtual time, and runs inline.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use clinker_env::{Cpu, Work};
use tokio::sync::Semaphore;

use crate::gate::Gate;

const MIB: u64 = 1 << 20;

/// Bytes per second of one core.
fn rate(work: Work) -> u64 {
    match work {
        Work::Hash => 400 * MIB,
        Work::Zlib => 40 * MIB,
        Work::Other => 150 * MIB,
    }
}

/// The cores of one process's life.
pub(crate) struct SimCpu {
    cores: Semaphore,
    /// Nanoseconds charged but not slept yet. tokio sleeps whole milliseconds, and rounding each small job up would make
    /// hashing of 64 KiB (0.16 ms) six times too slow; so the remainder is carried over.
    owed_ns: Mutex<u64>,
    gate: Gate,
}

impl SimCpu {
    pub(crate) fn new(cores: usize, gate: Gate) -> SimCpu {
        SimCpu { cores: Semaphore::new(cores.max(1)), owed_ns: Mutex::new(0), gate }
    }

    /// Charges a job; returns the whole milliseconds now due.
    fn charge(&self, work: Work, bytes: u64) -> Duration {
        let cost_ns = u128::from(bytes) * 1_000_000_000 / u128::from(rate(work));
        let mut owed_ns = self.owed_ns.lock().expect("no panic while the lock is held");
        let total_ns = owed_ns.saturating_add(u64::try_from(cost_ns).unwrap_or(u64::MAX));
        *owed_ns = total_ns % 1_000_000;
        Duration::from_millis(total_ns / 1_000_000)
    }
}

#[async_trait]
impl Cpu for SimCpu {
    async fn run(&self, work: Work, bytes: u64, job: Box<dyn FnOnce() + Send>) {
        let _core = self.cores.acquire().await.expect("the semaphore is never closed");
        let due = self.charge(work, bytes);
        if !due.is_zero() {
            tokio::time::sleep(due).await;
        }
        self.gate.hold_if_parked().await;
        job();
    }
}
