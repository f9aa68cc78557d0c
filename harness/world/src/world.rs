//! The trait in front of every engine, with what goes in (software, faults) and what comes out (signals, errors).

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker_env::Env;
use clinker_model::plan::Engine;
use clinker_model::{Entry, Fault, FaultId, Journal as _};
use jiff::Timestamp;

use crate::{Fabric, Gate, SimDisk, SimJournal};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a process of a host does until it ends. `Ok` is an ordinary exit; an error fails the run.
pub type SoftwareFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>>>>;

/// Makes the process of a host; called at its start and at each restart.
pub type Software = Box<dyn Fn(Env) -> SoftwareFuture>;

/// What a world is determined by, besides its software.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    pub seed: u64,
    /// Step of an engine that advances in steps; messages move at its borders.
    pub tick: Duration,
    /// Wall-clock time at the start.
    pub epoch: Timestamp,
    /// One way, of every link.
    pub latency: Duration,
    /// Modelled cores of a host, unless `host_cores` says otherwise.
    pub cores: usize,
    pub host_cores: BTreeMap<String, usize>,
    /// Send buffer and receive window of a connection, bytes; for an engine that models them.
    pub window: u64,
    /// What happens at one instant, and which host is served first; for an engine that can choose.
    pub schedule: Schedule,
    /// Measures how long each host's code really runs; for benches, since nothing simulated depends on it.
    pub account: bool,
    pub tracing: Tracing,
}

impl WorldConfig {
    pub fn new(seed: u64) -> WorldConfig {
        WorldConfig {
            seed,
            tick: Duration::from_millis(10),
            // 2026-01-01T00:00:00Z
            epoch: Timestamp::constant(1_767_225_600, 0),
            latency: Duration::from_millis(1),
            cores: 2,
            host_cores: BTreeMap::new(),
            window: 4 << 20,
            schedule: Schedule::InOrder,
            account: false,
            tracing: Tracing::Hashed,
        }
    }
}

/// What becomes of the events of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracing {
    /// Nothing, so that a bench can tell what the rest costs; two runs cannot be compared.
    Off,
    /// They go into one rolling hash.
    #[default]
    Hashed,
    /// They are kept as well, so that the first difference between two runs can be shown.
    Kept,
}

/// The order of what happens at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// First come, first served.
    #[default]
    InOrder,
    /// Permuted from this seed: another schedule that is as possible as the first.
    Permuted(u64),
}

/// Something that the caller of [`World::advance`] should act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The crash point of `fault` was reached: `host` is parked and waits for [`World::end_process`].
    PointReached { host: String, fault: FaultId },
    /// Software has declared that all is done.
    Done,
}

/// The handle by which software raises signals. Cheap to clone.
#[derive(Clone, Default)]
pub struct Signals(Arc<Mutex<VecDeque<Signal>>>);

impl Signals {
    /// Ends the current [`World::advance`] as soon as the engine can, with [`Signal::Done`].
    pub fn done(&self) {
        self.raise(Signal::Done);
    }

    pub(crate) fn raise(&self, signal: Signal) {
        self.0.lock().expect("no panic while the lock is held").push_back(signal);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().expect("no panic while the lock is held").is_empty()
    }

    fn take(&self) -> Vec<Signal> {
        self.0.lock().expect("no panic while the lock is held").drain(..).collect()
    }
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum WorldError {
    #[error("tokio was built without `--cfg tokio_unstable`, so its scheduler cannot be seeded: unset RUSTFLAGS")]
    TokioUnstable,
    #[error("host `{host}` ended with an error: {reason}")]
    Software { host: String, reason: String },
    #[error("host `{host}` panicked: {message}")]
    Panic { host: String, message: String },
    #[error("no host is named `{host}`; there are: {known}")]
    UnknownHost { host: String, known: String },
    #[error("host `{host}` was added {why}")]
    AddHost { host: String, why: &'static str },
    #[error("fault {id} (`{name}`) is for a fake or a disk: begin it there")]
    NotMine { id: FaultId, name: &'static str },
    #[error("fault {id} (`{name}`) cannot be played by engine {engine}: simnet can")]
    NotExpressible { id: FaultId, name: &'static str, engine: &'static str },
}

/// What ends with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Its kernel closes its connections.
    Process,
    /// The machine is gone: nobody closes anything.
    Power,
}

/// A simulated network of hosts in virtual time.
///
/// Required methods are what differs between engines; callers use the provided ones and [`World::advance`].
pub trait World {
    /// What all engines share.
    fn fabric(&self) -> &Arc<Fabric>;

    /// Adds a host that runs `software`. Only before the first [`World::advance`].
    fn add_host(&mut self, name: &str, software: Software) -> Result<(), WorldError>;

    /// Runs until `until` (virtual time since the start), or until a signal is raised; returns the virtual time reached,
    /// which an engine with ticks rounds up. Returns at once while signals wait to be taken.
    ///
    /// Fails when software ends with an error or panics; every later call then fails in the same way.
    fn advance(&mut self, until: Duration) -> Result<Duration, WorldError>;

    /// Engine part of [`World::crash`] and [`World::end_process`]: drops everything that runs on a host. The name is known.
    fn kill(&mut self, host: &str, death: Death);

    /// Engine part of [`World::restart`]: runs the host's software from its beginning. The name is known.
    fn start(&mut self, host: &str);

    /// Makes the engine agree with the fabric's faults: held links and what [`Links`](crate::links) lists beside them.
    fn sync_faults(&mut self);

    /// Which engine this is; it says what faults the world can play.
    fn engine(&self) -> Engine;

    /// Real time that each host's code has run, by host, if [`WorldConfig::account`] asked for it; for an engine that can
    /// tell.
    fn spent(&self) -> Vec<(String, Duration)> {
        Vec::new()
    }

    /// Virtual time since the start.
    fn now(&self) -> Duration {
        self.fabric().now()
    }

    fn journal(&self) -> Arc<SimJournal> {
        Arc::clone(self.fabric().journal())
    }

    fn signals(&self) -> Signals {
        self.fabric().signals().clone()
    }

    fn take_signals(&mut self) -> Vec<Signal> {
        self.fabric().signals().take()
    }

    /// The crash points of a host, for wrappers around ports that are not the world's (`db.op_finish` …).
    fn gate(&self, host: &str) -> Gate {
        self.fabric().gates().gate(host)
    }

    /// The host's own disk, which is `Env::fs` unless the software replaces it. It outlives crashes.
    fn disk(&self, host: &str) -> SimDisk {
        self.fabric().disk(host)
    }

    /// Starts one of the world's own faults: `hold`, `refuse`, `skew`, and `crash`, which without a point ends the process
    /// at once and with a point arms it (a [`Signal::PointReached`] asks for [`World::crash`]). Restarting is the caller's.
    fn begin(&mut self, id: FaultId, fault: &Fault) -> Result<(), WorldError> {
        let fabric = Arc::clone(self.fabric());
        let engine = self.engine();
        if !engine.plays(fault) {
            return Err(WorldError::NotExpressible { id, name: fault.name(), engine: engine.name() });
        }
        fabric.begin(id, fault)?;
        match fault {
            Fault::Crash(crash) if crash.point.is_none() && self.is_running(&crash.host) => {
                fabric.journal().bite(id, &crash.host, "the process ended");
                self.end_process(&crash.host, crash.power)?;
            }
            Fault::Crash(_) => {}
            _ => self.sync_faults(),
        }
        Ok(())
    }

    /// Ends a fault; unknown ids are ignored.
    fn end(&mut self, id: FaultId) {
        self.fabric().end(id);
        self.sync_faults();
    }

    /// Ends the host's process at once: its memory is gone, its disks and random streams are not.
    fn crash(&mut self, host: &str) -> Result<(), WorldError> {
        self.end_process(host, false)
    }

    /// As [`World::crash`], or with `power` the loss of the whole machine's power: peers hear nothing of it, and what was
    /// not synced is gone from its disks.
    fn end_process(&mut self, host: &str, power: bool) -> Result<(), WorldError> {
        let fabric = Arc::clone(self.fabric());
        fabric.known(host)?;
        if fabric.links().set_running(host, false) {
            self.kill(host, if power { Death::Power } else { Death::Process });
            if power {
                fabric.disks_lose_power(host);
            }
            fabric.journal().record(host, Entry::Host { what: "crashed".to_owned() });
        }
        fabric.gates().unpark(host);
        Ok(())
    }

    /// Starts the host's process; one that still runs is ended first.
    fn restart(&mut self, host: &str) -> Result<(), WorldError> {
        self.crash(host)?;
        let fabric = Arc::clone(self.fabric());
        fabric.journal().record(host, Entry::Host { what: "restarted".to_owned() });
        fabric.links().set_running(host, true);
        self.start(host);
        Ok(())
    }

    fn is_running(&self, host: &str) -> bool {
        self.fabric().links().is_running(host)
    }
}
