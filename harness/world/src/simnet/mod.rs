//! The event-driven engine: one runtime, one queue of events, and a clock that jumps to the next of them.
//!
//! Every host's process is a `LocalSet`, polled when something has woken it; its tasks end with it. When no host has
//! anything to do, tokio's paused clock goes on to the next timer of a host or the next event of the network, whichever
//! is first, so that idle time costs nothing. Timers have tokio's grain of 1 ms; the network calculates in nanoseconds.

mod paths;
mod queue;
mod socket;
mod tcp;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use clinker_model::plan::Engine;
use tokio::runtime::Runtime;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::fabric::{Fabric, Time};
use crate::hosts::{HostId, Hosts, runtime};
use crate::isolate::require_tokio_unstable;
use crate::rng::Streams;
use crate::world::{Death, Schedule, Software, World, WorldConfig, WorldError};
use queue::Queue;
use socket::{Network, SimnetWire};
use tcp::Kernel;

pub struct SimnetWorld {
    // The processes go before the runtime whose timers they hold.
    hosts: Hosts,
    runtime: Runtime,
    start: Instant,
    fabric: Arc<Fabric>,
    time: Arc<EventTime>,
    network: Arc<Network>,
}

/// Virtual time: set whenever the runtime has gone on.
#[derive(Default)]
struct EventTime(AtomicU64);

impl Time for EventTime {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl SimnetWorld {
    pub fn new(config: WorldConfig) -> Result<SimnetWorld, WorldError> {
        require_tokio_unstable()?;
        let (runtime, stray) = runtime(config.seed, |builder| {
            builder.enable_time().start_paused(true);
        })?;
        let start = runtime.block_on(async { Instant::now() });
        let time = Arc::new(EventTime::default());
        let draw = |name: &str| match config.schedule {
            Schedule::InOrder => None,
            Schedule::Permuted(seed) => Some(Streams::new(seed).open("world", name)),
        };
        let (hosts, events) = (draw("hosts"), draw("events"));
        let fabric = Fabric::new(config, Arc::clone(&time) as Arc<dyn Time>);
        let network = Network::new(Kernel::new(Arc::clone(&fabric), Queue::new(events)));
        let hosts = Hosts::new(Arc::clone(&fabric), stray, hosts);
        Ok(SimnetWorld { hosts, runtime, start, fabric, time, network })
    }

    /// Lets the hosts run until `until` or until a signal is raised.
    fn run(&mut self, until: Duration) -> Result<(), WorldError> {
        let mut turn = Turn {
            hosts: &mut self.hosts,
            fabric: &self.fabric,
            time: &self.time,
            network: &self.network,
            start: self.start,
            until,
            alarm: None,
        };
        self.runtime.block_on(poll_fn(|cx| turn.poll(cx)))
    }

    fn begin_run(&mut self) {
        let streams = Arc::clone(self.fabric.streams());
        self.network.kernel().paths.lay(self.hosts.names(), |name| streams.open("world", name));
        self.sync_faults();
        for (host, name) in self.hosts.begin() {
            self.spawn(host, &name);
        }
    }

    fn spawn(&mut self, host: HostId, name: &str) {
        let wire = SimnetWire { host, network: Arc::clone(&self.network) };
        self.hosts.spawn(host, self.fabric.env(name, Arc::new(wire)));
    }
}

/// One call of [`World::advance`].
struct Turn<'a> {
    hosts: &'a mut Hosts,
    fabric: &'a Fabric,
    time: &'a EventTime,
    network: &'a Network,
    start: Instant,
    until: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Turn<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WorldError>> {
        let now = self.start.elapsed();
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.time.0.store(now_ns, Ordering::Relaxed);
        if now >= self.until {
            return Poll::Ready(Ok(()));
        }
        self.hosts.ready().awake();
        loop {
            self.network.kernel().run_until(now_ns);
            let Some(host) = self.hosts.ready().take() else { break };
            self.hosts.poll(host)?;
            if !self.fabric.signals().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        self.hosts.ready().sleep(cx.waker());
        self.set_alarm(cx);
        Poll::Pending
    }

    /// Sleeps to the next event of the network, or to the end of the turn.
    fn set_alarm(&mut self, cx: &mut Context<'_>) {
        let next = self.network.kernel().queue.next_ns().map_or(self.until, Duration::from_nanos).min(self.until);
        let at = self.start + next;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
        if alarm.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl World for SimnetWorld {
    fn fabric(&self) -> &Arc<Fabric> {
        &self.fabric
    }

    fn engine(&self) -> Engine {
        Engine::Simnet
    }

    fn spent(&self) -> Vec<(String, Duration)> {
        self.hosts.spent()
    }

    fn add_host(&mut self, name: &str, software: Software) -> Result<(), WorldError> {
        self.hosts.add(name, software)
    }

    fn advance(&mut self, until: Duration) -> Result<Duration, WorldError> {
        if !self.hosts.has_begun() {
            self.begin_run();
        }
        if self.hosts.may_run(until) {
            let result = self.run(until);
            self.hosts.ran(result);
        }
        self.hosts.reached()
    }

    fn kill(&mut self, host: &str, death: Death) {
        let Some(host) = self.hosts.find(host) else { return };
        if death == Death::Power {
            self.network.kernel().power_off(host);
        }
        let _runtime = self.runtime.enter();
        self.hosts.end(host);
    }

    fn start(&mut self, name: &str) {
        let Some(host) = self.hosts.find(name) else { return };
        self.network.kernel().power_on(host);
        if self.hosts.has_begun() {
            self.spawn(host, name);
        }
    }

    fn sync_faults(&mut self) {
        self.hosts.sync_pauses();
        self.network.kernel().sync_faults(|name| self.hosts.find(name));
    }
}

impl Drop for SimnetWorld {
    fn drop(&mut self) {
        let _runtime = self.runtime.enter();
        self.hosts.end_all();
    }
}
