//! The service's side of an operation: records notes, cancels or fails on request.

use std::sync::Mutex;

use async_trait::async_trait;
use clinker_drivers::{BackupControl, Error, Kind, RestoreControl, Result};
use tokio::time::{Duration, Instant};

/// Records what a backup tells the service.
#[derive(Default)]
pub struct BackupRecorder {
    /// Cancels the n-th time it is asked, counted from 0.
    pub cancel_at: Option<usize>,
    /// Fails the n-th note, counted from 0.
    pub fail_note_at: Option<usize>,
    /// How long a note takes.
    pub note_takes: Duration,
    pub location: Mutex<Option<(String, String)>>,
    pub asked: Mutex<usize>,
    pub notes: Mutex<Vec<(Instant, f64)>>,
}

impl BackupRecorder {
    pub fn location(&self) -> Option<(String, String)> {
        self.location.lock().unwrap().clone()
    }

    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    pub fn percents(&self) -> Vec<f64> {
        self.notes.lock().unwrap().iter().map(|(_, percent)| *percent).collect()
    }

    /// Each note with the seconds since `begun`.
    pub fn timed(&self, begun: Instant) -> Vec<(u64, f64)> {
        self.notes.lock().unwrap().iter().map(|(at, percent)| ((*at - begun).as_secs(), *percent)).collect()
    }
}

#[async_trait]
impl BackupControl for BackupRecorder {
    async fn save_location(&self, container: &str, service_metadata: &str) -> Result<()> {
        *self.location.lock().unwrap() = Some((container.to_owned(), service_metadata.to_owned()));
        Ok(())
    }

    async fn check_cancelled(&self) -> Result<()> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        if self.cancel_at == Some(*asked - 1) { Err(Error::cancelled()) } else { Ok(()) }
    }

    async fn progress(&self, backup_percent: f64) -> Result<()> {
        let begun = Instant::now();
        if !self.note_takes.is_zero() {
            tokio::time::sleep(self.note_takes).await;
        }
        let mut notes = self.notes.lock().unwrap();
        if self.fail_note_at == Some(notes.len()) {
            return Err(Error::new(Kind::Unreachable, "database refused the note"));
        }
        notes.push((begun, backup_percent));
        Ok(())
    }
}

/// Records what a restore tells the service.
#[derive(Default)]
pub struct RestoreRecorder {
    /// Cancels the n-th time it is asked, counted from 0.
    pub cancel_at: Option<usize>,
    pub asked: Mutex<usize>,
    pub warnings: Mutex<Vec<String>>,
}

impl RestoreRecorder {
    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap().clone()
    }
}

#[async_trait]
impl RestoreControl for RestoreRecorder {
    async fn check_cancelled(&self) -> Result<()> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        if self.cancel_at == Some(*asked - 1) { Err(Error::cancelled()) } else { Ok(()) }
    }

    fn warn(&self, finding: &str) {
        self.warnings.lock().unwrap().push(finding.to_owned());
    }
}
