//! Faults that a body begins and ends: in a server, in the disk, in the network between.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker_model::fault::{self as model, Cut};
use clinker_model::fault::{HostTarget, Matching, Side, Slow, Status};
use clinker_model::history::FaultPhase;
use clinker_model::{ByteSize, Entry, FaultId, Journal, Span};
use clinker_world::{Signals, World, WorldError};
use tokio::sync::oneshot;

use super::Bench;
use super::fs::Call;
use crate::conformance::outcome::{Outcome, Stop};

/// What the world's owner is asked to do, since a process cannot change the world it is in.
#[derive(Clone)]
pub(super) struct Commands {
    queue: Arc<Mutex<VecDeque<Asked>>>,
    signals: Signals,
}

/// A command and whom to tell what came of it.
type Asked = (Command, oneshot::Sender<Result<(), String>>);

pub(super) enum Command {
    Begin(FaultId, Box<model::Fault>),
    End(FaultId),
}

impl Commands {
    pub fn new(signals: Signals) -> Commands {
        Commands { queue: Arc::default(), signals }
    }

    async fn ask(&self, command: Command) -> Result<(), String> {
        let (send, receive) = oneshot::channel();
        self.queue.lock().expect("no panic while the lock is held").push_back((command, send));
        self.signals.done();
        receive.await.unwrap_or_else(|_| Err("the world has ended".to_owned()))
    }

    /// Does what was asked for, between two steps of the world.
    pub fn carry_out(&self, world: &mut dyn World) -> Result<(), WorldError> {
        while let Some((command, done)) = {
            let mut queue = self.queue.lock().expect("no panic while the lock is held");
            queue.pop_front()
        } {
            let result = match command {
                Command::Begin(id, fault) => world.begin(id, &fault).map_err(|error| error.to_string()),
                Command::End(id) => {
                    world.end(id);
                    Ok(())
                }
            };
            // Whoever asked may be gone: its operation was given up.
            let _ = done.send(result);
        }
        Ok(())
    }
}

/// A fault under way; it ends with [`Bench::heal`].
#[derive(Clone, Debug)]
pub struct Fault {
    pub id: FaultId,
    pub name: String,
}

/// Which calls fail, and from which on: for the shorthand forms.
#[derive(Clone, Copy, Debug)]
pub struct Which<'a> {
    pub call: Call,
    /// Text in the request's path; a backup's id is in the path of all that is about it.
    pub about: &'a str,
    /// Counted from 1.
    pub nth: u64,
    /// 0: all from then on.
    pub times: u64,
}

impl Which<'_> {
    fn matching(&self) -> Matching {
        Matching {
            method: self.call.method().to_owned(),
            path: self.about.to_owned(),
            nth: self.nth,
            times: self.times,
        }
    }
}

/// How often it is looked whether something has come, at first and later.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

/// Runs an operation, and something else from a moment on. None of that if the operation ends before the moment comes.
pub async fn during<T, U>(
    operation: impl Future<Output = T>,
    moment: impl Future<Output = ()>,
    then: impl Future<Output = U>,
) -> (T, Option<U>) {
    let mut operation = std::pin::pin!(operation);
    tokio::select! {
        biased;
        ended = &mut operation => return (ended, None),
        () = moment => {}
    }
    let (then, ended) = tokio::join!(biased; then, operation);
    (ended, Some(then))
}

fn store() -> String {
    "store".to_owned()
}

impl Bench {
    /// Begins a fault of the vocabulary that scenarios have; hosts by their names there.
    pub async fn begin(&self, fault: model::Fault) -> Outcome<Fault> {
        let begun = self.declare(fault.name());
        let (mut fault, damaged) = (fault.clone(), damaged(&fault));
        for (_, host) in fault.hosts_mut() {
            *host = self.shared.backend.host(host).to_owned();
        }
        let result = if fault.is_of_world() && self.is_real() {
            self.shared.relays.begin(begun.id, &fault).await
        } else if fault.is_of_world() {
            self.shared.commands.ask(Command::Begin(begun.id, Box::new(fault))).await
        } else {
            let host = fault.hosts().first().map_or("store".to_owned(), |(_, host)| (*host).to_owned());
            self.shared.backend.target(&host).and_then(|target| target.begin(begun.id, &fault))
        };
        if let Err(why) = result {
            // What never began cannot be blamed for not having hit anything.
            self.shared
                .begun
                .lock()
                .expect("no panic while the lock is held")
                .retain(|(fault, _)| fault.id != begun.id);
            // Every back end can damage what it stores: that there is nothing is the driver's doing.
            return Err(match damaged {
                Some(object) => Stop::failed(format!("no object {object} is stored"), "an object to damage", why),
                None => Stop::Skipped(format!("the back end has no such fault: {why}")),
            });
        }
        Ok(begun)
    }

    /// Ends a fault; what it damaged stays damaged.
    pub async fn heal(&self, fault: &Fault) {
        self.note(fault, FaultPhase::End);
        self.shared.backend.end(fault.id);
        self.shared.failing.end(fault.id);
        self.shared.corrupting.end(fault.id);
        self.shared.relays.end(fault.id, &self.shared.journal).await;
        // A fault that the world does not know is none of its: it says nothing then.
        let _ = self.shared.commands.ask(Command::End(fault.id)).await;
    }

    /// How often it has hit something.
    pub fn bites(&self, fault: &Fault) -> u64 {
        self.shared.journal.bites(fault.id)
    }

    /// Names a new fault, for one that the bench carries out itself.
    fn declare(&self, name: &str) -> Fault {
        let id = usize::try_from(self.shared.faults.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
        let fault = Fault { id, name: name.to_owned() };
        self.shared.journal.declare_fault(id, name);
        self.note(&fault, FaultPhase::Begin);
        self.shared.begun.lock().expect("no panic while the lock is held").push((fault.clone(), self.now()));
        fault
    }

    fn note(&self, fault: &Fault, phase: FaultPhase) {
        let entry = Entry::Fault { fault: fault.id, name: fault.name.clone(), phase, what: String::new() };
        self.shared.journal.record("nemesis", entry);
    }

    /// Lets calls fail: a server answers `status`, a disk with an I/O error.
    pub async fn fail(&self, which: Which<'_>, status: u16) -> Outcome<Fault> {
        if self.on_disk() && self.is_real() {
            return Err(Stop::Skipped("a folder of this machine has no fault eio".to_owned()));
        }
        if self.on_disk() {
            let fault = self.declare("eio");
            let error = if status == 403 { io::ErrorKind::PermissionDenied } else { io::ErrorKind::Other };
            // A directory is listed, and a driver's directories need not tell of which backup they are.
            let about = if which.call == Call::List { "" } else { which.about };
            self.shared.failing.begin(fault.id, which.call, about, which.nth, which.times, error);
            return Ok(fault);
        }
        self.status(which, status, None).await
    }

    /// Lets requests be answered with an HTTP status; skips where there is no server.
    pub async fn status(&self, which: Which<'_>, code: u16, retry_after: Option<u64>) -> Outcome<Fault> {
        let status = Status { host: store(), code, retry_after, beyond_per_second: 0, requests: which.matching() };
        self.begin(model::Fault::Status(status)).await
    }

    /// Cuts bodies of requests, or of answers, after so many bytes.
    pub async fn cut(&self, which: Which<'_>, side: Side, after: u64) -> Outcome<Fault> {
        let cut = Cut { host: store(), side, after: ByteSize(after), requests: which.matching() };
        self.begin(model::Fault::Cut(cut)).await
    }

    /// Makes calls late, and bodies slow.
    pub async fn slow(&self, which: Which<'_>, delay: Duration, bytes_per_second: u64) -> Outcome<Fault> {
        let slow = Slow { host: store(), delay: Span(delay), bytes_per_second, requests: which.matching() };
        self.begin(model::Fault::Slow(slow)).await
    }

    /// Flips a bit in the bodies of so many uploads, on their way; 0 = of all.
    pub fn corrupt_uploads(&self, times: u64) -> Outcome<Fault> {
        if self.on_disk() || self.is_real() {
            return Err(Stop::Skipped("there is no wire here that could be tampered with".to_owned()));
        }
        let fault = self.declare("corrupt_upload");
        self.shared.corrupting.begin(fault.id, times);
        Ok(fault)
    }

    /// Returns when it is so: for the moment of [`during`], as it may never be.
    pub async fn until(&self, so: impl Fn(&Bench) -> bool) {
        let since = self.now();
        while !so(self) {
            // What takes longer is no matter of milliseconds.
            let soon = self.now().saturating_sub(since) < LONG;
            self.wait(if soon { SOON } else { LATER }).await;
        }
    }

    pub fn target(host: &str) -> HostTarget {
        HostTarget { host: host.to_owned() }
    }

    /// Flips one bit in the middle of a stored object.
    pub async fn flip(&self, made: &clinker_drivers::Backup, object: &str) -> Outcome<Fault> {
        self.begin(model::Fault::Corrupt(stored(made, object))).await
    }

    /// A stored object loses its second half.
    pub async fn truncate(&self, made: &clinker_drivers::Backup, object: &str) -> Outcome<Fault> {
        self.begin(model::Fault::Truncate(stored(made, object))).await
    }

    /// A stored object disappears.
    pub async fn lose(&self, made: &clinker_drivers::Backup, object: &str) -> Outcome<Fault> {
        self.begin(model::Fault::Lose(stored(made, object))).await
    }

    /// Two stored objects change places.
    pub async fn swap(&self, made: &clinker_drivers::Backup, object: &str, with: &str) -> Outcome<Fault> {
        let (backup, object, with) = (made.id.clone(), object.to_owned(), with.to_owned());
        self.begin(model::Fault::Swap(model::Swap { backup, object, with })).await
    }
}

/// The object that a fault damages, by the end of its name.
fn damaged(fault: &model::Fault) -> Option<String> {
    match fault {
        model::Fault::Corrupt(stored) | model::Fault::Truncate(stored) | model::Fault::Lose(stored) => {
            Some(stored.object.clone())
        }
        model::Fault::Swap(swap) => Some(format!("{} or {}", swap.object, swap.with)),
        _ => None,
    }
}

fn stored(made: &clinker_drivers::Backup, object: &str) -> model::Stored {
    model::Stored { backup: made.id.clone(), object: object.to_owned() }
}
