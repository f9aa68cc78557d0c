//! The reference engine: turmoil. Time moves in ticks, messages at their borders; hosts have a runtime each.

mod sockets;
mod wire;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use ::turmoil::{Builder, Sim};
use clinker_model::plan::Engine;
use clinker_model::{Entry, Journal as _};

use crate::fabric::{Fabric, Time};
use crate::host::enter_host;
use crate::isolate::require_tokio_unstable;
use crate::panics::capture;
use crate::process::{Ended, supervise};
use crate::world::{Death, Software, World, WorldConfig, WorldError};
use sockets::Sockets;
use wire::TurmoilWire;

/// Segments in flight per stream, and connections that nobody has accepted yet; turmoil panics when the latter overflow.
const TCP_CAPACITY: usize = 1 << 16;

/// Longer than any run: the caller of `advance` decides when a run ends.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

pub struct TurmoilWorld {
    sim: Sim<'static>,
    fabric: Arc<Fabric>,
    time: Arc<SimTime>,
    sockets: Arc<Sockets>,
    /// Names in order of addition.
    hosts: Vec<String>,
    /// Links on which turmoil holds messages, as pairs of names in order of addition.
    held: BTreeSet<(String, String)>,
    ended: Ended,
    begun: bool,
    failure: Option<WorldError>,
}

/// Virtual time: within a step the running host's, between steps the simulation's.
#[derive(Default)]
struct SimTime {
    stepping: AtomicBool,
    base_ns: AtomicU64,
}

impl Time for SimTime {
    fn now(&self) -> Duration {
        let base = Duration::from_nanos(self.base_ns.load(Ordering::Relaxed));
        if self.stepping.load(Ordering::Relaxed) { ::turmoil::sim_elapsed().unwrap_or(base) } else { base }
    }
}

impl TurmoilWorld {
    pub fn new(config: WorldConfig) -> Result<TurmoilWorld, WorldError> {
        require_tokio_unstable()?;
        let sim = Builder::new()
            .epoch(SystemTime::from(config.epoch))
            .rng_seed(config.seed)
            .tick_duration(config.tick)
            .tcp_capacity(TCP_CAPACITY)
            .min_message_latency(config.latency)
            .max_message_latency(config.latency)
            .simulation_duration(FOR_EVER)
            .build();
        let time = Arc::new(SimTime::default());
        Ok(TurmoilWorld {
            sim,
            fabric: Fabric::new(config, Arc::clone(&time) as Arc<dyn Time>),
            time,
            sockets: Arc::default(),
            hosts: Vec::new(),
            held: BTreeSet::new(),
            ended: Ended::default(),
            begun: false,
            failure: None,
        })
    }

    fn step(&mut self) -> Result<(), WorldError> {
        self.time.stepping.store(true, Ordering::Relaxed);
        let result = capture(|| self.sim.step());
        self.time.stepping.store(false, Ordering::Relaxed);
        let now_ns = u64::try_from(self.sim.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.time.base_ns.store(now_ns, Ordering::Relaxed);
        match result {
            Ok(Ok(_)) => self.reap(),
            Ok(Err(error)) => Err(WorldError::Software { host: "?".to_owned(), reason: error.to_string() }),
            Err(caught) => {
                let host = caught.host.unwrap_or_else(|| "?".to_owned());
                Err(WorldError::Panic { host, message: caught.message })
            }
        }
    }

    /// Clears away the hosts whose software has ended: what it has spawned ends with it.
    fn reap(&mut self) -> Result<(), WorldError> {
        let ended = std::mem::take(&mut *self.ended.lock().expect("no panic while the lock is held"));
        for (host, result) in ended {
            result?;
            if self.fabric.links().set_running(&host, false) {
                self.kill(&host, Death::Process);
                self.fabric.journal().record(&host, Entry::Host { what: "ended".to_owned() });
            }
        }
        Ok(())
    }
}

impl World for TurmoilWorld {
    fn fabric(&self) -> &Arc<Fabric> {
        &self.fabric
    }

    fn add_host(&mut self, name: &str, software: Software) -> Result<(), WorldError> {
        let refuse = |why| Err(WorldError::AddHost { host: name.to_owned(), why });
        if self.begun {
            return refuse("after the start of the run");
        }
        if self.hosts.iter().any(|known| known == name) {
            return refuse("twice");
        }
        let fabric = Arc::clone(&self.fabric);
        let (ended, sockets) = (Arc::clone(&self.ended), Arc::clone(&self.sockets));
        let host: Arc<str> = name.into();
        let software = Rc::new(software);
        self.sim.host(name, move || {
            let (fabric, host, software) = (Arc::clone(&fabric), Arc::clone(&host), Rc::clone(&software));
            let (ended, sockets) = (Arc::clone(&ended), Arc::clone(&sockets));
            async move {
                let wire = TurmoilWire { host: Arc::clone(&host), sockets, fabric: Arc::clone(&fabric) };
                let env = fabric.env(&host, Arc::new(wire));
                enter_host(&host);
                supervise(host, async move { software(env).await }, ended).await;
                Ok(())
            }
        });
        self.hosts.push(name.to_owned());
        self.fabric.links().set_running(name, true);
        self.fabric.journal().record(name, Entry::Host { what: "started".to_owned() });
        self.sync_faults();
        Ok(())
    }

    fn advance(&mut self, until: Duration) -> Result<Duration, WorldError> {
        self.begun = true;
        while self.sim.elapsed() < until && self.fabric.signals().is_empty() {
            if self.failure.is_none() {
                self.failure = self.step().err();
            }
            if let Some(failure) = &self.failure {
                return Err(failure.clone());
            }
        }
        Ok(self.sim.elapsed())
    }

    fn engine(&self) -> Engine {
        Engine::Turmoil
    }

    fn kill(&mut self, host: &str, _: Death) {
        let sockets = Arc::clone(&self.sockets);
        sockets.while_dying(host, || self.sim.crash(host));
    }

    fn start(&mut self, host: &str) {
        self.sim.bounce(host);
    }

    fn sync_faults(&mut self) {
        for (n, a) in self.hosts.iter().enumerate() {
            for b in &self.hosts[n + 1..] {
                let pair = (a.clone(), b.clone());
                if self.fabric.is_held(a, b) {
                    if self.held.insert(pair) {
                        self.sim.hold(a.as_str(), b.as_str());
                    }
                } else if self.held.remove(&pair) {
                    self.sim.release(a.as_str(), b.as_str());
                }
            }
        }
    }
}
