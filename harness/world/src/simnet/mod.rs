//! The event-driven engine: one runtime, one queue of events, and a clock that jumps to the next of them.
//!
//! Every host's process is a `LocalSet`, polled when something has woken it; its tasks end with it. When no host has
//! anything to do, tokio's paused clock goes on to the next timer of a host or the next event of the network, whichever
//! is first, so that idle time costs nothing. Timers have tokio's grain of 1 ms; the network calculates in nanoseconds.

mod hosts;
mod paths;
mod queue;
mod socket;
mod tcp;

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use clinker_model::{Entry, Fault, Journal as _};
use tokio::runtime::{Builder, RngSeed, Runtime};
use tokio::task::LocalSet;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::fabric::{Fabric, Time};
use crate::host::{current_host, running};
use crate::isolate::require_tokio_unstable;
use crate::panics::{Caught, capture};
use crate::process::{Ended, supervise};
use crate::rng::Streams;
use crate::world::{Death, Schedule, Software, World, WorldConfig, WorldError};
use hosts::{Process, Ready};
use paths::HostId;
use queue::Queue;
use socket::{Network, SimnetWire};
use tcp::Kernel;

pub struct SimnetWorld {
    // The processes go before the runtime whose timers they hold.
    processes: Vec<Process>,
    software: Vec<Rc<Software>>,
    runtime: Runtime,
    start: Instant,
    fabric: Arc<Fabric>,
    time: Arc<EventTime>,
    network: Arc<Network>,
    ready: Arc<Ready>,
    ended: Ended,
    /// The host whose software has spawned a task past its `Env`.
    stray: Arc<Mutex<Option<String>>>,
    begun: bool,
    failure: Option<WorldError>,
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
        let stray = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&stray);
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .rng_seed(RngSeed::from_bytes(&config.seed.to_le_bytes()))
            .on_task_spawn(move |_| {
                let host = current_host().map_or_else(|| "?".to_owned(), |host| host.to_string());
                noted.lock().expect("no panic while the lock is held").get_or_insert(host);
            })
            .build()
            .map_err(|error| WorldError::Software { host: "world".to_owned(), reason: error.to_string() })?;
        let start = runtime.block_on(async { Instant::now() });
        let time = Arc::new(EventTime::default());
        let draw = |name: &str| match config.schedule {
            Schedule::InOrder => None,
            Schedule::Permuted(seed) => Some(Streams::new(seed).open("world", name)),
        };
        let ready = Ready::new(draw("hosts"));
        let queue = Queue::new(draw("events"));
        let fabric = Fabric::new(config, Arc::clone(&time) as Arc<dyn Time>);
        let network = Network::new(Kernel::new(Arc::clone(&fabric), queue));
        Ok(SimnetWorld {
            processes: Vec::new(),
            software: Vec::new(),
            runtime,
            start,
            fabric,
            time,
            network,
            ready,
            ended: Ended::default(),
            stray,
            begun: false,
            failure: None,
        })
    }

    fn host(&self, name: &str) -> Option<HostId> {
        self.processes.iter().position(|process| &*process.name == name)
    }

    /// Lets the hosts run until `until` or until a signal is raised.
    fn run(&mut self, until: Duration) -> Result<(), WorldError> {
        let mut turn = Turn {
            processes: &mut self.processes,
            fabric: &self.fabric,
            time: &self.time,
            network: &self.network,
            ready: &self.ready,
            ended: &self.ended,
            stray: &self.stray,
            start: self.start,
            until,
            alarm: None,
        };
        self.runtime.block_on(poll_fn(|cx| turn.poll(cx)))
    }

    fn begin_run(&mut self) {
        self.begun = true;
        self.sync_faults();
        for host in 0..self.processes.len() {
            let name = Arc::clone(&self.processes[host].name);
            if self.is_running(&name) {
                self.spawn(host);
            }
        }
    }

    fn spawn(&mut self, host: HostId) {
        let env = {
            let process = &self.processes[host];
            let wire = SimnetWire { host, network: Arc::clone(&self.network) };
            self.fabric.env(&process.name, Arc::new(wire))
        };
        let software = Rc::clone(&self.software[host]);
        let process = &mut self.processes[host];
        let tasks = LocalSet::new();
        tasks.spawn_local(supervise(
            Arc::clone(&process.name),
            async move { software(env).await },
            Arc::clone(&self.ended),
        ));
        process.tasks = Some(tasks);
        process.waker.wake_by_ref();
    }
}

/// One call of [`World::advance`].
struct Turn<'a> {
    processes: &'a mut Vec<Process>,
    fabric: &'a Arc<Fabric>,
    time: &'a EventTime,
    network: &'a Network,
    ready: &'a Ready,
    ended: &'a Ended,
    stray: &'a Mutex<Option<String>>,
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
        self.ready.awake();
        loop {
            self.network.kernel().run_until(now_ns);
            let Some(host) = self.ready.take() else { break };
            self.poll_host(host)?;
            if !self.fabric.signals().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        self.ready.sleep(cx.waker());
        self.set_alarm(cx);
        Poll::Pending
    }

    fn poll_host(&mut self, host: HostId) -> Result<(), WorldError> {
        let process = &mut self.processes[host];
        process.taken();
        if process.paused {
            self.fabric.links().bite_pauses(&process.name);
            return Ok(());
        }
        let Some(tasks) = &mut process.tasks else { return Ok(()) };
        let mut cx = Context::from_waker(&process.waker);
        let began = self.fabric.config().account.then(stopwatch);
        let polled = running(&process.name, || capture(|| Pin::new(tasks).poll(&mut cx)));
        if let Some(began) = began {
            process.spent += began.elapsed();
        }
        if let Err(caught) = polled {
            return Err(panicked(caught));
        }
        if let Some(host) = self.stray.lock().expect("no panic while the lock is held").take() {
            let reason =
                "it spawned a task with tokio::spawn; the tasks of a process are spawned with Env::tasks".to_owned();
            return Err(WorldError::Software { host, reason });
        }
        self.reap()
    }

    /// Clears away the hosts whose software has ended: what it has spawned ends with it.
    fn reap(&mut self) -> Result<(), WorldError> {
        for (host, result) in std::mem::take(&mut *self.ended.lock().expect("no panic while the lock is held")) {
            result?;
            if self.fabric.links().set_running(&host, false) {
                if let Some(process) = self.processes.iter_mut().find(|process| *process.name == host) {
                    end(process);
                }
                self.fabric.journal().record(&host, Entry::Host { what: "ended".to_owned() });
            }
        }
        Ok(())
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

/// Real time; what it measures is shown and decides nothing.
#[expect(clippy::disallowed_methods, reason = "a bench asks how long hosts' code really runs")]
fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}

fn panicked(caught: Caught) -> WorldError {
    WorldError::Panic { host: caught.host.unwrap_or_else(|| "?".to_owned()), message: caught.message }
}

/// Drops all tasks of a process. Its sockets close meanwhile, so that its kernel must not be in use.
fn end(process: &mut Process) {
    let name = Arc::clone(&process.name);
    let tasks = process.tasks.take();
    running(&name, || drop(tasks));
}

impl World for SimnetWorld {
    fn fabric(&self) -> &Arc<Fabric> {
        &self.fabric
    }

    fn engine(&self) -> &'static str {
        "simnet"
    }

    fn spent(&self) -> Vec<(String, Duration)> {
        self.processes.iter().map(|process| (process.name.to_string(), process.spent)).collect()
    }

    fn add_host(&mut self, name: &str, software: Software) -> Result<(), WorldError> {
        let refuse = |why| Err(WorldError::AddHost { host: name.to_owned(), why });
        if self.begun {
            return refuse("after the start of the run");
        }
        if self.host(name).is_some() {
            return refuse("twice");
        }
        let host = self.processes.len();
        self.processes.push(Process::new(name.into(), host, &self.ready));
        self.software.push(Rc::new(software));
        let names = self.processes.iter().map(|process| Arc::clone(&process.name)).collect();
        let streams = Arc::clone(self.fabric.streams());
        let mut kernel = self.network.kernel();
        kernel.add_host();
        kernel.paths.lay(names, |name| streams.open("world", name));
        drop(kernel);
        self.fabric.links().set_running(name, true);
        self.fabric.journal().record(name, Entry::Host { what: "started".to_owned() });
        Ok(())
    }

    fn advance(&mut self, until: Duration) -> Result<Duration, WorldError> {
        if !self.begun {
            self.begin_run();
        }
        if self.failure.is_none() && self.now() < until && self.fabric.signals().is_empty() {
            self.failure = self.run(until).err();
        }
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.now()),
        }
    }

    fn kill(&mut self, host: &str, death: Death) {
        let Some(host) = self.host(host) else { return };
        if death == Death::Power {
            self.network.kernel().power_off(host);
        }
        let _runtime = self.runtime.enter();
        end(&mut self.processes[host]);
    }

    fn start(&mut self, host: &str) {
        let Some(host) = self.host(host) else { return };
        self.network.kernel().power_on(host);
        if self.begun {
            self.spawn(host);
        }
    }

    fn sync_faults(&mut self) {
        let faults = self.fabric.links().others();
        for process in &mut self.processes {
            let pauses = |fault: &Fault| matches!(fault, Fault::Pause(target) if *target.host == *process.name);
            let paused = faults.iter().any(|(_, fault)| pauses(fault));
            if process.paused && !paused {
                process.waker.wake_by_ref();
            }
            process.paused = paused;
        }
        let processes = &self.processes;
        let host_of = |name: &str| processes.iter().position(|process| &*process.name == name);
        self.network.kernel().sync_faults(host_of);
    }
}

impl Drop for SimnetWorld {
    fn drop(&mut self) {
        let _runtime = self.runtime.enter();
        self.processes.iter_mut().for_each(end);
    }
}
