//! The environment seam: the ports through which drivers and manager reach the world.
//!
//! Start with [`Env`]. Its production ports are in [`real`]; a simulation brings its own. Code that takes an `Env` runs
//! unchanged in both, because it has no other way to sockets, files, wall time, randomness or computing time.
//! Sleeping and time-outs are plain `tokio::time`, which a simulated world virtualises by itself.

pub mod clock;
pub mod cpu;
pub mod fs;
pub mod net;
pub mod real;
pub mod rng;
pub mod tasks;

use std::sync::Arc;

pub use clock::Clock;
pub use cpu::{Cpu, Work};
pub use fs::{File, Fs, Metadata};
pub use net::{BoxStream, Listener, Net, Stream};
pub use rng::Rng;
pub use tasks::Tasks;

/// Everything a driver or a service may ask of the outside world. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    pub net: Arc<dyn Net>,
    pub fs: Arc<dyn Fs>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub cpu: Arc<dyn Cpu>,
    pub tasks: Tasks,
}

impl Env {
    /// Runs `job` where computing belongs: a blocking pool in production, inline at modelled cost in a simulation.
    ///
    /// `bytes` is the amount of input, from which a simulation derives the time the job takes.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: Work,
        bytes: u64,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (send, receive) = tokio::sync::oneshot::channel();
        let job = Box::new(move || {
            // The receiver is gone only when the caller was dropped: nobody wants the result then.
            let _ = send.send(job());
        });
        self.cpu.run(work, bytes, job).await;
        receive.await.expect("Cpu::run returns after the job has run")
    }
}
