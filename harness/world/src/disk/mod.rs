//! An in-memory disk that several hosts can mount: durability, faults, a ledger. It outlives every process.
//!
//! `tree` is the file system without faults, `fs` the port that hosts see, `faults` what goes wrong on purpose.

mod faults;
mod fs;
mod ledger;
mod tree;

use std::sync::{Arc, Mutex, MutexGuard};

use clinker_env::Fs;
use tokio::sync::Notify;

use crate::fabric::Time;
use crate::gate::Gates;
use crate::journal::SimJournal;
use faults::Faults;
use tree::Tree;

/// Where a posix repository lives unless told otherwise.
pub const REPOSITORY: &str = "/var/lib/cinder/backup";

/// The crash points of a disk; a call's position here is its number in the trace.
pub const POINTS: [&str; 11] = [
    "fs.create_dir",
    "fs.create",
    "fs.open",
    "fs.read",
    "fs.write",
    "fs.sync",
    "fs.rename",
    "fs.remove",
    "fs.list",
    "fs.metadata",
    "fs.sync_dir",
];

/// A disk. Cheap to clone; clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Disk>);

struct Disk {
    /// Name as a fault target and in the history.
    name: String,
    /// The directory whose files are the ledger.
    root: String,
    time: Arc<dyn Time>,
    journal: Arc<SimJournal>,
    gates: Gates,
    state: Mutex<State>,
    /// Told when a fault ends.
    changed: Notify,
}

struct State {
    tree: Tree,
    faults: Faults,
}

impl SimDisk {
    pub(crate) fn new(name: &str, root: &str, time: Arc<dyn Time>, journal: Arc<SimJournal>, gates: Gates) -> SimDisk {
        let root = root.trim_end_matches('/');
        let state = Mutex::new(State { tree: Tree::new(root), faults: Faults::default() });
        let (name, root) = (name.to_owned(), root.to_owned());
        SimDisk(Arc::new(Disk { name, root, time, journal, gates, state, changed: Notify::new() }))
    }

    /// The disk as `host` sees it; its calls are crash points of that host.
    pub fn mount(&self, host: &str) -> Arc<dyn Fs> {
        Arc::new(fs::Mount::new(Arc::clone(&self.0), self.0.gates.gate(host)))
    }

    /// Drops what was not made durable: contents not synced, and entries of directories not synced.
    pub fn power_loss(&self) {
        self.0.state().tree.power_loss();
    }

    /// Drops what `host` has written and not synced; what other hosts did stays.
    pub fn client_lost_power(&self, host: &str) {
        self.0.state().tree.client_lost(host);
    }

    /// Puts a file there as if it had always been there, with the directories that it lies in.
    ///
    /// # Errors
    /// The path is not absolute, or something of another kind is in the way.
    pub fn put(&self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.0.state().tree.put(path, bytes)
    }

    /// A file's bytes, or `None` where there is no file; no fault applies.
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        self.0.state().tree.contents(path)
    }

    /// Permission bits of a file or directory.
    pub fn mode(&self, path: &str) -> Option<u32> {
        self.0.state().tree.mode(path)
    }
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }
}
