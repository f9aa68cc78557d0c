//! What scenarios call backups and volumes, with the ids behind the names.

use std::collections::BTreeMap;
use std::sync::Mutex;

use clinker_manager::record::Record;
use clinker_model::plan::PlannedVolume;

/// Names in use; backups and new volumes join as the workload makes them.
pub(super) struct Names {
    backups: Mutex<BTreeMap<String, String>>,
    volumes: Mutex<BTreeMap<String, String>>,
    records: Mutex<BTreeMap<String, Record>>,
    snapshots: Mutex<BTreeMap<String, String>>,
}

impl Names {
    pub fn of(volumes: &[PlannedVolume]) -> Names {
        let volumes = volumes.iter().map(|volume| (volume.name.clone(), volume.id.clone())).collect();
        Names {
            backups: Mutex::default(),
            volumes: Mutex::new(volumes),
            records: Mutex::default(),
            snapshots: Mutex::default(),
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
