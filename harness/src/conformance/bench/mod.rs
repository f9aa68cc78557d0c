//! The bench: a world with one process that calls a driver directly, and the driver's back end. No manager, no database.
//!
//! [`play()`] puts it up for one body and takes it down. A body gets a [`Bench`]: it makes drivers, hands them volumes, breaks
//! the back end and looks into it. The same body runs in the simulation and, for adapters, in real time.

mod backend;
mod checks;
mod crash;
pub mod device;
mod faults;
mod folder;
pub mod format;
mod fs;
mod operations;
mod play;
mod relays;
mod watch;
mod wire;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker_drivers::{BackupDriver, Error, Options, RequestContext};
use clinker_env::Env;
use clinker_model::history::Entry;
use clinker_world::SimJournal;

pub use checks::untouched;
pub use crash::End;
pub use faults::{Fault, Which, during};
pub use fs::Call;
pub use operations::{Made, Order};
pub use play::{Body, Pace, Played, Setting, play};
pub use watch::{Watch, Watched};

use super::adapters;
use super::candidate::Candidate;
use super::outcome::{Outcome, Stop};
use crate::adapter::Role;
use crate::loader::presets::{BLOCK, CHUNK, port};
use crate::run::scene::{Recorder, driver_factory};
use crate::run::{Parts, scene};
use backend::Backend;
use device::Volume;
use faults::Commands;
use fs::Failing;
use relays::Relays;
use wire::Corrupting;

/// The host on which bodies and drivers run.
pub const HOST: &str = "backup-host-1";

/// A request that the back end has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub at: Duration,
    pub method: String,
    pub path: String,
    /// 0: it was not answered.
    pub status: u16,
}

/// What a body works with. Cheap to clone.
#[derive(Clone)]
pub struct Bench {
    shared: Arc<Shared>,
}

struct Shared {
    candidate: Candidate,
    parts: Parts,
    env: Env,
    journal: Arc<SimJournal>,
    backend: Backend,
    failing: Failing,
    corrupting: Corrupting,
    /// The process behind the driver, if it is an adapter's.
    adapter: Option<Arc<adapters::Seat>>,
    relays: Relays,
    pace: Pace,
    commands: Commands,
    gate: clinker_world::Gate,
    calls: Arc<AtomicU64>,
    /// What the play is a variant of: `create/2/reset`; empty where there is only one.
    variant: String,
    seed: u64,
    /// Volumes and backups so far.
    made: AtomicU64,
    /// Ids of backups, so that what nobody explains can be found.
    known: Mutex<Vec<String>>,
    /// Faults so far.
    faults: AtomicU64,
    begun: Arc<Mutex<Vec<(Fault, Duration)>>>,
}

impl Bench {
    pub fn candidate(&self) -> &Candidate {
        &self.shared.candidate
    }

    /// Which variant of the case this play is.
    pub fn variant(&self) -> &str {
        &self.shared.variant
    }

    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// Virtual time since the start; real time for an adapter.
    pub fn now(&self) -> Duration {
        self.shared.journal.now()
    }

    /// The options that a healthy driver has here: the preset's, with the standard geometry.
    pub fn options(&self) -> BTreeMap<String, String> {
        let mut options = self.shared.candidate.preset.options(CHUNK, BLOCK);
        // A case's progress is its own: none unless it asks for it.
        options.insert("backup_object_number_per_notification".to_owned(), "1000000".to_owned());
        if self.shared.adapter.is_some() {
            adapters::hasten(self.shared.candidate.preset.name, &mut options);
        }
        self.shared.backend.adapt(&mut options, &self.shared.relays);
        options
    }

    /// A driver made from these options, not set up.
    pub fn make(&self, options: &BTreeMap<String, String>) -> Result<Arc<dyn BackupDriver>, Error> {
        let shared = &self.shared;
        let mut typed = Options { host: HOST.to_owned(), ..Options::default() };
        for (name, value) in options {
            let known = typed.set(name, value);
            // Whether an adapter takes an option is for it to say.
            if shared.adapter.is_none() {
                known?;
            }
        }
        let parts = match &shared.adapter {
            Some(seat) => adapters::parts(&shared.parts, seat, options),
            None => shared.parts.clone(),
        };
        let recorder =
            Recorder { journal: Arc::clone(&shared.journal), host: HOST.to_owned(), calls: Arc::clone(&shared.calls) };
        driver_factory(typed, shared.env.clone(), parts, recorder, shared.gate.clone())()
    }

    /// A driver that is set up, with some options of its own.
    pub async fn driver_with(&self, options: &[(&str, &str)]) -> Outcome<Arc<dyn BackupDriver>> {
        let mut all = self.options();
        all.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let driver = self.make(&all)?;
        driver.do_setup().await?;
        Ok(driver)
    }

    /// A driver that is set up.
    pub async fn driver(&self) -> Outcome<Arc<dyn BackupDriver>> {
        self.driver_with(&[]).await
    }

    /// The caller of every operation.
    pub fn context(&self) -> RequestContext {
        self.shared.backend.context(&self.shared.env)
    }

    /// A volume of random bytes, each another one.
    pub fn volume(&self, len: u64) -> Arc<Volume> {
        Arc::new(Volume::random(self.shared.seed.wrapping_mul(31).wrapping_add(self.number()), len))
    }

    fn number(&self) -> u64 {
        self.shared.made.fetch_add(1, Ordering::Relaxed)
    }

    /// A UUID that nothing else here has.
    pub fn uuid(&self) -> String {
        self.shared.env.rng.uuid()
    }

    /// Requests that the servers have seen so far; none where the back end is a disk.
    pub fn requests(&self) -> Vec<Seen> {
        let records = self.shared.journal.records().into_iter();
        let seen = records.filter_map(|record| match record.entry {
            Entry::Request { method, path, status, .. } => {
                Some(Seen { at: Duration::from_nanos(record.t_ns), method, path, status })
            }
            _ => None,
        });
        seen.collect()
    }

    /// Lets time pass.
    pub async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Fails with `skip` unless the candidate has the capability.
    pub fn needs(&self, capability: &str) -> Outcome {
        if self.shared.candidate.claims(capability) {
            return Ok(());
        }
        Err(Stop::Skipped(format!("{} does not claim {capability}", self.shared.candidate.name)))
    }

    /// How many notes about a backup an adapter has sent when no operation of it was under way any more.
    pub fn late_notes(&self, backup_id: &str) -> usize {
        self.shared.adapter.as_ref().map_or(0, |seat| seat.process().late_notifications(backup_id).len())
    }

    /// Whether each read, write and flush of a volume is seen: what a driver in another process is given is a file.
    pub fn sees_device(&self) -> bool {
        self.shared.adapter.as_ref().is_none_or(|seat| seat.role() == Role::Store)
    }

    /// Fails with `skip` where it is not.
    pub fn must_see_device(&self) -> Outcome {
        if self.sees_device() {
            return Ok(());
        }
        Err(Stop::Skipped("what a driver in another process does to its device's file is not seen".to_owned()))
    }

    /// Whether time is real: the driver is not ours to slow down.
    pub fn is_real(&self) -> bool {
        self.shared.pace != Pace::Virtual
    }

    /// A length of time that is long to a driver and bearable to whoever waits for the case.
    pub fn unit(&self) -> Duration {
        Duration::from_secs(if self.is_real() { 1 } else { 20 })
    }

    /// Whether the back end is a disk, not a server.
    pub fn on_disk(&self) -> bool {
        self.shared.candidate.preset.store == "store"
    }

    pub fn journal(&self) -> Arc<SimJournal> {
        Arc::clone(&self.shared.journal)
    }

    /// A path of the store's server as a URL.
    pub fn url(&self, path: &str) -> String {
        let store = self.shared.candidate.preset.store;
        self.shared.relays.translated(&format!("http://{store}:{}{path}", port(store)))
    }

    /// The project of every operation.
    pub fn project(&self) -> &'static str {
        scene::PROJECT
    }
}
