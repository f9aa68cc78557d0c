//! What a running operation asks of the service and tells it, answered by the bench.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::{BackupControl, Error, RestoreControl, Result};
use clinker_world::SimJournal;

/// The service's side of one operation.
pub struct Watch {
    journal: Arc<SimJournal>,
    cancel_at: Option<u64>,
    state: Mutex<Watched>,
}

/// What was seen of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// Container and prefix, each time they were saved.
    pub locations: Vec<(String, String)>,
    /// How often it asked whether it is cancelled.
    pub asked: u64,
    /// Progress notes with their time.
    pub notes: Vec<(Duration, f64)>,
    pub volume_meta: Vec<Option<String>>,
    pub warnings: Vec<String>,
}

impl Watch {
    /// The operation is cancelled when it asks for the `cancel_at`th time, counted from 1.
    pub fn new(journal: Arc<SimJournal>, cancel_at: Option<u64>) -> Arc<Watch> {
        Arc::new(Watch { journal, cancel_at, state: Mutex::default() })
    }

    pub fn seen(&self) -> Watched {
        self.state().clone()
    }

    fn state(&self) -> MutexGuard<'_, Watched> {
        self.state.lock().expect("no panic while the lock is held")
    }

    fn ask(&self) -> Result<()> {
        let mut state = self.state();
        state.asked += 1;
        match self.cancel_at {
            Some(at) if state.asked >= at => Err(Error::cancelled()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl BackupControl for Watch {
    async fn save_location(&self, container: &str, service_metadata: &str) -> Result<()> {
        self.state().locations.push((container.to_owned(), service_metadata.to_owned()));
        Ok(())
    }

    async fn check_cancelled(&self) -> Result<()> {
        self.ask()
    }

    async fn progress(&self, backup_percent: f64) -> Result<()> {
        let now = self.journal.now();
        self.state().notes.push((now, backup_percent));
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Watch {
    async fn check_cancelled(&self) -> Result<()> {
        self.ask()
    }

    async fn volume_meta(&self, volume_meta: Option<&str>) -> Result<()> {
        self.state().volume_meta.push(volume_meta.map(str::to_owned));
        Ok(())
    }

    fn warn(&self, finding: &str) {
        self.state().warnings.push(finding.to_owned());
    }
}
