//! The engine of this machine: loopback TCP in real time. It shows that what the simulations say holds over real sockets.
//!
//! Hosts are `LocalSet`s of one runtime, as in simnet; disks and wall clocks are the fabric's, on real time. The kernel
//! below is Linux', so only faults that need no other kernel can be played.

mod wire;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use clinker_model::plan::Engine;
use tokio::runtime::Runtime;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::fabric::{Fabric, Time};
use crate::hosts::{HostId, Hosts, runtime};
use crate::isolate::require_tokio_unstable;
use crate::world::{Death, Software, World, WorldConfig, WorldError};
use wire::{Ports, RealWire};

pub struct RealWorld {
    // The processes go before the runtime whose timers and sockets they hold.
    hosts: Hosts,
    runtime: Runtime,
    fabric: Arc<Fabric>,
    time: Arc<SinceStart>,
    ports: Arc<Ports>,
}

/// Real time since the first [`World::advance`].
#[derive(Default)]
struct SinceStart(OnceLock<Instant>);

impl SinceStart {
    fn begin(&self) -> Instant {
        *self.0.get_or_init(Instant::now)
    }
}

impl Time for SinceStart {
    fn now(&self) -> Duration {
        self.0.get().map(Instant::elapsed).unwrap_or_default()
    }
}

impl RealWorld {
    pub fn new(config: WorldConfig) -> Result<RealWorld, WorldError> {
        require_tokio_unstable()?;
        let (runtime, stray) = runtime(config.seed, |builder| {
            builder.enable_all();
        })?;
        let no_sockets = |error: std::io::Error| WorldError::Software {
            host: "world".to_owned(),
            reason: format!("no loopback socket could be bound: {error}"),
        };
        let time = Arc::new(SinceStart::default());
        let fabric = Fabric::new(config, Arc::clone(&time) as Arc<dyn Time>);
        let ports = Arc::new(Ports::new().map_err(no_sockets)?);
        let hosts = Hosts::new(Arc::clone(&fabric), stray, None);
        Ok(RealWorld { hosts, runtime, fabric, time, ports })
    }

    fn run(&mut self, until: Duration) -> Result<(), WorldError> {
        let start = self.time.begin();
        let mut turn = Turn { hosts: &mut self.hosts, fabric: &self.fabric, start, until, alarm: None };
        self.runtime.block_on(poll_fn(|cx| turn.poll(cx)))
    }

    fn spawn(&mut self, host: HostId, name: &str) {
        let wire = RealWire { host: name.into(), ports: Arc::clone(&self.ports), fabric: Arc::clone(&self.fabric) };
        self.hosts.spawn(host, self.fabric.env(name, Arc::new(wire)));
    }
}

/// One call of [`World::advance`].
struct Turn<'a> {
    hosts: &'a mut Hosts,
    fabric: &'a Fabric,
    start: Instant,
    until: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Turn<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WorldError>> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(self.start + self.until)));
        if alarm.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.hosts.ready().sleep(cx.waker());
        // Each host once: between two rounds the runtime looks at its sockets and timers.
        for _ in 0..self.hosts.ready().len() {
            let Some(host) = self.hosts.ready().take() else { break };
            self.hosts.poll(host)?;
            if !self.fabric.signals().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        if self.hosts.ready().len() > 0 {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl World for RealWorld {
    fn fabric(&self) -> &Arc<Fabric> {
        &self.fabric
    }

    fn engine(&self) -> Engine {
        Engine::Real
    }

    fn spent(&self) -> Vec<(String, Duration)> {
        self.hosts.spent()
    }

    fn add_host(&mut self, name: &str, software: Software) -> Result<(), WorldError> {
        self.hosts.add(name, software)
    }

    fn advance(&mut self, until: Duration) -> Result<Duration, WorldError> {
        if !self.hosts.has_begun() {
            self.time.begin();
            for (host, name) in self.hosts.begin() {
                self.spawn(host, &name);
            }
        }
        if self.hosts.may_run(until) {
            let result = self.run(until);
            self.hosts.ran(result);
        }
        self.hosts.reached()
    }

    fn kill(&mut self, host: &str, _: Death) {
        let Some(host) = self.hosts.find(host) else { return };
        let _runtime = self.runtime.enter();
        self.hosts.end(host);
    }

    fn start(&mut self, name: &str) {
        let Some(host) = self.hosts.find(name) else { return };
        if self.hosts.has_begun() {
            self.spawn(host, name);
        }
    }

    fn sync_faults(&mut self) {
        self.hosts.sync_pauses();
    }
}

impl Drop for RealWorld {
    fn drop(&mut self) {
        let _runtime = self.runtime.enter();
        self.hosts.end_all();
    }
}
