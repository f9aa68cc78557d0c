//! What scenarios call backups and volumes, with the ids behind the names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use clinker_manager::record::Record;
use clinker_model::plan::{PlannedVolume, Step};

/// Names in use; backups and new volumes join as the workload makes them.
pub(super) struct Names {
    backups: Mutex<BTreeMap<String, String>>,
    volumes: Mutex<BTreeMap<String, String>>,
    records: Mutex<BTreeMap<String, Record>>,
    snapshots: Mutex<BTreeMap<String, String>>,
    /// Backups whose create went down with the API's process before it was made.
    lost: Mutex<BTreeSet<String>>,
}

impl Names {
    pub fn of(volumes: &[PlannedVolume]) -> Names {
        let volumes = volumes.iter().map(|volume| (volume.name.clone(), volume.id.clone())).collect();
        Names {
            backups: Mutex::default(),
            volumes: Mutex::new(volumes),
            records: Mutex::default(),
            snapshots: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    pub fn backup(&self, name: &str) -> Result<String, String> {
        let backups = self.backups.lock().expect("no panic while the lock is held");
        backups.get(name).cloned().ok_or_else(|| format!("no backup was accepted as \"{name}\""))
    }

    pub fn volume(&self, name: &str) -> Result<String, String> {
        let volumes = self.volumes.lock().expect("no panic while the lock is held");
        volumes.get(name).cloned().ok_or_else(|| format!("no volume is called \"{name}\""))
    }

    pub fn add_backup(&self, name: &str, id: &str) {
        self.backups.lock().expect("no panic while the lock is held").insert(name.to_owned(), id.to_owned());
    }

    pub fn lose_backup(&self, name: &str) {
        self.lost.lock().expect("no panic while the lock is held").insert(name.to_owned());
    }

    /// Whether a step needs a backup that never came to be.
    pub fn is_lost(&self, step: &Step) -> bool {
        let name = match step {
            Step::Restore(restore) => &restore.backup,
            Step::Delete(of) | Step::ForceDelete(of) | Step::Forget(of) => &of.backup,
            Step::Export(export) => &export.backup,
            Step::ResetStatus(reset) => &reset.backup,
            Step::Import(_) | Step::Snapshot(_) => return false,
            Step::Create(_) | Step::Write(_) | Step::Set(_) => return false,
            Step::ServiceList(_) | Step::Quota(_) | Step::Messages(_) => return false,
        };
        self.lost.lock().expect("no panic while the lock is held").contains(name)
    }

    pub fn add_volume(&self, name: &str, id: &str) {
        self.volumes.lock().expect("no panic while the lock is held").insert(name.to_owned(), id.to_owned());
    }

    pub fn record(&self, name: &str) -> Result<Record, String> {
        let records = self.records.lock().expect("no panic while the lock is held");
        records.get(name).cloned().ok_or_else(|| format!("no record was exported as \"{name}\""))
    }

    pub fn add_record(&self, name: &str, record: Record) {
        self.records.lock().expect("no panic while the lock is held").insert(name.to_owned(), record);
    }

    pub fn snapshot(&self, name: &str) -> Result<String, String> {
        let snapshots = self.snapshots.lock().expect("no panic while the lock is held");
        snapshots.get(name).cloned().ok_or_else(|| format!("no snapshot is called \"{name}\""))
    }

    pub fn add_snapshot(&self, name: &str, id: &str) {
        self.snapshots.lock().expect("no panic while the lock is held").insert(name.to_owned(), id.to_owned());
    }

    /// Ids of all accepted backups.
    pub fn backups(&self) -> Vec<String> {
        self.backups.lock().expect("no panic while the lock is held").values().cloned().collect()
    }
}
