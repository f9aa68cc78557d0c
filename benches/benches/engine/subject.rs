//! What is measured: the driver with a repository of its own, and one operation at a time on volumes in memory.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::{Backup, BackupControl, BackupDriver, Options, RequestContext, RestoreControl, Result, registry};
use clinker_env::Env;
use cpu_time::ProcessTime;
use tokio::time::Instant;

use super::BLOCK;
use super::memory::Memory;

/// The driver, and a folder that goes when it is dropped.
pub struct Subject {
    driver: Arc<dyn BackupDriver>,
    repository: tempfile::TempDir,
}

/// Wall time, and the CPU time of the process.
pub type Taken = (Duration, Duration);

impl Subject {
    pub fn new(env: &Env, compression: &str, chunk: u64) -> Subject {
        let memory = Path::new("/dev/shm");
        let repository = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let repository = repository.expect("make a folder for the repository");
        let mut options = Options::default();
        for (name, value) in [
            ("backup_driver", "posix"),
            ("backup_posix_path", repository.path().to_str().expect("temporary folders have names in UTF-8")),
            ("backup_compression_algorithm", compression),
            ("backup_file_size", &chunk.to_string()),
            ("backup_sha_block_size_bytes", &BLOCK.to_string()),
        ] {
            options.set(name, value).expect("the options are valid");
        }
        let driver = registry::build(&options, env).expect("the driver is built");
        Subject { driver, repository }
    }

    pub async fn backup(&self, parent: Option<&Backup>, volume: &Memory) -> (Backup, Taken) {
        let id = if parent.is_some() { "increment" } else { "full" };
        let row = Backup {
            id: id.to_owned(),
            volume_id: "volume".to_owned(),
            size: 1,
            parent_id: parent.map(|parent| parent.id.clone()),
            ..Backup::default()
        };
        let (control, context) = (Arc::new(Control::default()), RequestContext::admin());
        let done = taken(self.driver.backup(&context, &row, parent, volume, control.clone()));
        let (done, taken) = done.await;
        done.unwrap_or_else(|error| panic!("in {}: {error}", self.repository.path().display()));
        let location = control.0.lock().expect("no panic while the lock is held").take();
        let (container, prefix) = location.expect("a backup says where it is");
        (Backup { container: Some(container), service_metadata: Some(prefix), ..row }, taken)
    }

    pub async fn delete(&self, backup: &Backup) {
        self.driver.delete_backup(&RequestContext::admin(), backup).await.expect("what was stored can be deleted");
    }

    /// To a new volume.
    pub async fn restore(&self, backup: &Backup, target: &Memory) -> Taken {
        let (chain, context) = (std::slice::from_ref(backup), RequestContext::admin());
        let control = Arc::new(Control::default());
        let (done, taken) = taken(self.driver.restore(&context, chain, target, true, control)).await;
        done.expect("what was stored can be restored");
        taken
    }
}

async fn taken<T>(work: impl Future<Output = T>) -> (T, Taken) {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    let done = work.await;
    (done, (wall.elapsed(), cpu.elapsed()))
}

/// Where the backup is.
#[derive(Default)]
struct Control(Mutex<Option<(String, String)>>);

#[async_trait]
impl BackupControl for Control {
    async fn save_location(&self, container: &str, prefix: &str) -> Result<()> {
        *self.0.lock().expect("no panic while the lock is held") = Some((container.to_owned(), prefix.to_owned()));
        Ok(())
    }

    async fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }

    async fn progress(&self, _: f64) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Control {
    async fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }

    fn warn(&self, finding: &str) {
        panic!("a sound backup was found wanting: {finding}");
    }
}
