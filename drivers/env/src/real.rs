//! The production environment: tokio TCP, the host's file system, clocks and randomness.

mod buffers;
mod cpu;
mod fs;
mod net;
mod rng;

use std::sync::Arc;

pub use buffers::Buffers;
use jiff::Timestamp;

use crate::{Clock, Env, Tasks};

/// The environment of an ordinary process.
pub fn env() -> Env {
    Env {
        net: Arc::new(net::TcpNet),
        fs: Arc::new(fs::HostFs::default()),
        clock: Arc::new(SystemClock),
        rng: Arc::new(rng::OsSeeded::default()),
        cpu: Arc::new(cpu::BlockingPool),
        tasks: Tasks::Runtime,
    }
}

/// The system's wall clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
