//! The processes of a world with one runtime: one `LocalSet` each, polled one after the other when something has woken
//! them. What ends a process drops its `LocalSet`, and with it all of its tasks and sockets.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use clinker_env::Env;
use clinker_model::{Entry, Fault, FaultId, Journal as _};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;
use tokio::runtime::{Builder, RngSeed, Runtime, UnhandledPanic};
use tokio::task::LocalSet;

use crate::fabric::Fabric;
use crate::host::{current_host, running};
use crate::panics::{Caught, capture};
use crate::process::{Ended, supervise};
use crate::world::{Software, WorldError};

/// Position of a host in order of addition.
pub(crate) type HostId = usize;

struct Process {
    name: Arc<str>,
    software: Rc<Software>,
    /// None while the process does not run.
    tasks: Option<LocalSet>,
    waker: Waker,
    wake: Arc<HostWake>,
    /// The faults by which it stands still; what woke it waits.
    pauses: Vec<FaultId>,
    /// Real time that its code has run, while that is measured.
    spent: Duration,
}

/// All hosts.
pub(crate) struct Hosts {
    processes: Vec<Process>,
    fabric: Arc<Fabric>,
    ready: Arc<Ready>,
    ended: Ended,
    stray: Stray,
    begun: bool,
    failure: Option<WorldError>,
}

/// The host whose software has spawned a task past its `Env`.
type Stray = Arc<Mutex<Option<String>>>;

/// Builds a runtime that notes who spawns past its `Env`; `clock` sets what else it has.
pub(crate) fn runtime(seed: u64, clock: impl FnOnce(&mut Builder)) -> Result<(Runtime, Stray), WorldError> {
    let stray = Stray::default();
    let noted = Arc::clone(&stray);
    let mut builder = Builder::new_current_thread();
    builder.rng_seed(RngSeed::from_bytes(&seed.to_le_bytes())).on_task_spawn(move |_| {
        let host = current_host().map_or_else(|| "?".to_owned(), |host| host.to_string());
        noted.lock().expect("no panic while the lock is held").get_or_insert(host);
    });
    clock(&mut builder);
    let runtime = builder
        .build()
        .map_err(|error| WorldError::Software { host: "world".to_owned(), reason: error.to_string() })?;
    Ok((runtime, stray))
}

impl Hosts {
    pub(crate) fn new(fabric: Arc<Fabric>, stray: Stray, draw: Option<ChaCha8Rng>) -> Hosts {
        Hosts {
            processes: Vec::new(),
            fabric,
            ready: Ready::new(draw),
            ended: Ended::default(),
            stray,
            begun: false,
            failure: None,
        }
    }

    /// Adds a host whose process does not run yet.
    pub(crate) fn add(&mut self, name: &str, software: Software) -> Result<(), WorldError> {
        if self.begun {
            return Err(WorldError::AddHost { host: name.to_owned(), why: "after the start of the run" });
        }
        if self.find(name).is_some() {
            return Err(WorldError::AddHost { host: name.to_owned(), why: "twice" });
        }
        let host = self.processes.len();
        let wake = Arc::new(HostWake { host, queued: AtomicBool::new(false), ready: Arc::clone(&self.ready) });
        self.processes.push(Process {
            name: name.into(),
            software: Rc::new(software),
            tasks: None,
            waker: Waker::from(Arc::clone(&wake)),
            wake,
            pauses: Vec::new(),
            spent: Duration::ZERO,
        });
        self.fabric.links().set_running(name, true);
        self.fabric.journal().record(name, Entry::Host { what: "started".to_owned() });
        Ok(())
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Begins the run; returns the hosts whose processes are to be started.
    pub(crate) fn begin(&mut self) -> Vec<(HostId, Arc<str>)> {
        self.begun = true;
        let hosts = self.names().into_iter().enumerate();
        hosts.filter(|(_, name)| self.fabric.links().is_running(name)).collect()
    }

    /// Whether hosts may go on towards `until`: nothing has failed, and no signal waits to be taken.
    pub(crate) fn may_run(&self, until: Duration) -> bool {
        self.failure.is_none() && self.fabric.now() < until && self.fabric.signals().is_empty()
    }

    /// Keeps a failure for every later call.
    pub(crate) fn ran(&mut self, result: Result<(), WorldError>) {
        self.failure = result.err();
    }

    /// The time reached, or why the run has failed.
    pub(crate) fn reached(&self) -> Result<Duration, WorldError> {
        self.failure.clone().map_or_else(|| Ok(self.fabric.now()), Err)
    }

    pub(crate) fn find(&self, name: &str) -> Option<HostId> {
        self.processes.iter().position(|process| &*process.name == name)
    }

    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.processes.iter().map(|process| Arc::clone(&process.name)).collect()
    }

    /// Real time that each host's code has run, while that is measured.
    pub(crate) fn spent(&self) -> Vec<(String, Duration)> {
        self.processes.iter().map(|process| (process.name.to_string(), process.spent)).collect()
    }

    pub(crate) fn ready(&self) -> &Arc<Ready> {
        &self.ready
    }

    /// Starts a host's process in an environment of its own.
    pub(crate) fn spawn(&mut self, host: HostId, env: Env) {
        let process = &mut self.processes[host];
        let software = Rc::clone(&process.software);
        let mut tasks = LocalSet::new();
        // Otherwise tokio keeps the panic of a task for whoever joins it, and that may be nobody.
        tasks.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        tasks.spawn_local(supervise(
            Arc::clone(&process.name),
            async move { software(env).await },
            Arc::clone(&self.ended),
        ));
        process.tasks = Some(tasks);
        process.waker.wake_by_ref();
    }

    /// Lets a host do what it can do now.
    pub(crate) fn poll(&mut self, host: HostId) -> Result<(), WorldError> {
        let process = &mut self.processes[host];
        process.wake.queued.store(false, Ordering::Relaxed);
        let Some(tasks) = &mut process.tasks else { return Ok(()) };
        if !process.pauses.is_empty() {
            for id in &process.pauses {
                self.fabric.journal().bite(*id, &process.name, "something to do has to wait");
            }
            return Ok(());
        }
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
        let ended = std::mem::take(&mut *self.ended.lock().expect("no panic while the lock is held"));
        for (host, result) in ended {
            result?;
            if self.fabric.links().set_running(&host, false) {
                if let Some(host) = self.find(&host) {
                    self.end(host);
                }
                self.fabric.journal().record(&host, Entry::Host { what: "ended".to_owned() });
            }
        }
        Ok(())
    }

    /// Drops all tasks of a process. Its sockets close meanwhile, so that its kernel must not be in use; the runtime must
    /// be entered.
    pub(crate) fn end(&mut self, host: HostId) {
        let process = &mut self.processes[host];
        let name = Arc::clone(&process.name);
        let tasks = process.tasks.take();
        running(&name, || drop(tasks));
    }

    pub(crate) fn end_all(&mut self) {
        (0..self.processes.len()).for_each(|host| self.end(host));
    }

    /// Stops and continues processes as the `pause` faults in force say.
    pub(crate) fn sync_pauses(&mut self) {
        let faults = self.fabric.links().others();
        for process in &mut self.processes {
            let pauses = |(id, fault): &(FaultId, Fault)| match fault {
                Fault::Pause(target) if *target.host == *process.name => Some(*id),
                _ => None,
            };
            let paused: Vec<FaultId> = faults.iter().filter_map(pauses).collect();
            if paused.is_empty() && !process.pauses.is_empty() {
                process.waker.wake_by_ref();
            }
            process.pauses = paused;
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

/// Hosts that have something to do, in order of their waking.
pub(crate) struct Ready(Mutex<State>);

struct State {
    queue: VecDeque<HostId>,
    /// Whoever polls the hosts, while it sleeps.
    sleeper: Option<Waker>,
    /// Permutes the order of hosts.
    draw: Option<ChaCha8Rng>,
}

impl Ready {
    pub(crate) fn new(draw: Option<ChaCha8Rng>) -> Arc<Ready> {
        Arc::new(Ready(Mutex::new(State { queue: VecDeque::new(), sleeper: None, draw })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the lock is held")
    }

    pub(crate) fn len(&self) -> usize {
        self.state().queue.len()
    }

    /// The next host to poll.
    pub(crate) fn take(&self) -> Option<HostId> {
        let mut state = self.state();
        let State { queue, draw, .. } = &mut *state;
        match draw {
            Some(draw) if queue.len() > 1 => {
                let at = draw.next_u64() % queue.len() as u64;
                queue.remove(usize::try_from(at).expect("below a length"))
            }
            _ => queue.pop_front(),
        }
    }

    /// Wakes `sleeper` at the next wake of a host.
    pub(crate) fn sleep(&self, sleeper: &Waker) {
        let mut state = self.state();
        if !state.sleeper.as_ref().is_some_and(|known| known.will_wake(sleeper)) {
            state.sleeper = Some(sleeper.clone());
        }
    }

    /// Nobody sleeps: a wake only queues.
    pub(crate) fn awake(&self) {
        self.state().sleeper = None;
    }
}

struct HostWake {
    host: HostId,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for HostWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut state = self.ready.state();
        state.queue.push_back(self.host);
        let sleeper = state.sleeper.take();
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }
}
