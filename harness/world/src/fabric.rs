//! What all engines share: journal, crash points, links, random streams, skews, disks. No engine is named here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use clinker_env::{Env, Tasks};
use clinker_model::{Fault, FaultId};

use crate::clock::{Off, SimClock, Skews};
use crate::cpu::SimCpu;
use crate::disk::SimDisk;
use crate::gate::Gates;
use crate::journal::SimJournal;
use crate::links::Links;
use crate::net::SimNet;
use crate::rng::Streams;
use crate::wire::Wire;
use crate::world::{Signals, WorldConfig, WorldError};

/// Virtual time since the start of the run, exact on the host that asks.
pub(crate) trait Time: Send + Sync {
    fn now(&self) -> Duration;
}

/// The engine-neutral half of a world.
pub struct Fabric {
    config: WorldConfig,
    time: Arc<dyn Time>,
    journal: Arc<SimJournal>,
    signals: Signals,
    gates: Gates,
    links: Arc<Links>,
    streams: Arc<Streams>,
    skews: Arc<Skews>,
    disks: Mutex<BTreeMap<String, SimDisk>>,
    /// Disks that several hosts mount.
    shared_disks: Mutex<Vec<SimDisk>>,
}

impl Fabric {
    pub(crate) fn new(config: WorldConfig, time: Arc<dyn Time>) -> Arc<Fabric> {
        let journal = Arc::new(SimJournal::new(Arc::clone(&time), config.tracing));
        let signals = Signals::default();
        Arc::new(Fabric {
            gates: Gates::new(Arc::clone(&journal), signals.clone()),
            links: Arc::new(Links::new(Arc::clone(&journal))),
            streams: Arc::new(Streams::new(config.seed)),
            skews: Arc::new(Skews::default()),
            disks: Mutex::default(),
            shared_disks: Mutex::default(),
            config,
            time,
            journal,
            signals,
        })
    }

    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// Virtual time since the start; exact within a host, between steps the world's.
    pub fn now(&self) -> Duration {
        self.time.now()
    }

    pub fn journal(&self) -> &Arc<SimJournal> {
        &self.journal
    }

    pub fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Whether a `hold` lies on the link between two hosts.
    pub fn is_held(&self, a: &str, b: &str) -> bool {
        self.links.is_held(a, b)
    }

    pub(crate) fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    pub(crate) fn known(&self, host: &str) -> Result<(), WorldError> {
        let hosts = self.links.hosts();
        if hosts.iter().any(|known| known == host) {
            return Ok(());
        }
        Err(WorldError::UnknownHost { host: host.to_owned(), known: hosts.join(", ") })
    }

    /// A new disk for several hosts, with its own name as a fault target; `root` is the repository it keeps a ledger of.
    pub fn new_disk(&self, name: &str, root: &str) -> SimDisk {
        let disk = self.make_disk(name, root);
        self.shared_disks.lock().expect("no panic while the lock is held").push(disk.clone());
        disk
    }

    fn make_disk(&self, name: &str, root: &str) -> SimDisk {
        SimDisk::new(name, root, Arc::clone(&self.time), Arc::clone(&self.journal), self.gates.clone())
    }

    /// What a host's loss of power does to disks: its own loses all that was not synced, a shared one what this host wrote.
    pub(crate) fn disks_lose_power(&self, host: &str) {
        self.disk(host).power_loss();
        for disk in &*self.shared_disks.lock().expect("no panic while the lock is held") {
            disk.client_lost_power(host);
        }
    }

    /// The host's own disk.
    pub(crate) fn disk(&self, host: &str) -> SimDisk {
        self.disks().entry(host.to_owned()).or_insert_with(|| self.make_disk(host, "/")).clone()
    }

    fn disks(&self) -> MutexGuard<'_, BTreeMap<String, SimDisk>> {
        self.disks.lock().expect("no panic while the lock is held")
    }

    /// The environment of a process that starts on `host`.
    pub(crate) fn env(&self, host: &str, wire: Arc<dyn Wire>) -> Env {
        let gate = self.gates.gate(host);
        let cores = self.config.host_cores.get(host).copied().unwrap_or(self.config.cores);
        Env {
            net: Arc::new(SimNet::new(wire, gate.clone(), Arc::clone(&self.links), Arc::clone(&self.journal))),
            fs: self.disk(host).mount(host),
            clock: Arc::new(SimClock::new(
                host,
                self.config.epoch,
                Arc::clone(&self.time),
                Arc::clone(&self.skews),
                Arc::clone(&self.journal),
            )),
            rng: Arc::new(self.streams.of(host)),
            cpu: Arc::new(SimCpu::new(cores, gate)),
            tasks: Tasks::LocalSet,
        }
    }

    /// Switches a fault on, but for what the engine has to do about it.
    pub(crate) fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), WorldError> {
        self.journal.declare_fault(id, fault.name());
        match fault {
            Fault::Hold(target) => {
                self.known(&target.host)?;
                self.links.hold(id, &target.host);
            }
            Fault::Refuse(target) => {
                self.known(&target.host)?;
                self.links.refuse(id, &target.host);
            }
            Fault::Skew(skew) => {
                self.known(&skew.host)?;
                self.skews.begin(id, &skew.host, Off::By(skew.seconds));
            }
            Fault::Drift(drift) => {
                self.known(&drift.host)?;
                self.skews.begin(id, &drift.host, Off::Drifting { since: self.now(), ppm: drift.ppm });
            }
            Fault::Crash(crash) => {
                self.known(&crash.host)?;
                if let Some(point) = &crash.point {
                    self.gates.arm(id, &crash.host, point, crash.when, crash.nth);
                }
            }
            own if own.is_of_world() => {
                own.hosts().iter().try_for_each(|(_, host)| self.known(host))?;
                self.links.begin(id, own);
            }
            other => return Err(WorldError::NotMine { id, name: other.name() }),
        }
        Ok(())
    }

    pub(crate) fn end(&self, id: FaultId) {
        self.links.end(id);
        self.skews.end(id);
        self.gates.disarm(id);
    }
}
