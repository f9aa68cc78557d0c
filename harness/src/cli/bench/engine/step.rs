//! One operation in a process of its own: what it is told, what it does, what it answers. Processes are started in
//! `engine.rs`.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use clinker_drivers::{Backup, BackupControl, BackupDriver, Options, RequestContext, RestoreControl, registry};
use clinker_env::real;
use serde::{Deserialize, Serialize};

use super::measure::{Meter, Row};
use super::volume::Volume;
use super::{Engine, REPOSITORY, RESTORED};
use crate::cli::tell;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operation {
    /// A full backup of the earlier state.
    Before,
    Full,
    Incremental,
    Restore,
}

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Step {
    pub operation: Operation,
    /// Where everything is.
    pub folder: PathBuf,
    /// The backups so far, oldest first.
    pub chain: Vec<Stored>,
}

/// A backup in the repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    id: String,
    container: String,
    prefix: String,
}

/// What a process has done.
#[derive(Serialize, Deserialize)]
pub(super) struct Done {
    pub row: Row,
    /// Of a backup.
    pub stored: Option<Stored>,
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Step, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Before => "before",
            Operation::Full => "full",
            Operation::Incremental => "incremental",
            Operation::Restore => "restore",
        }
    }
}

impl Step {
    pub async fn run(&self, options: &Engine, volume: &Volume, before: Option<&Volume>) -> Result<Done> {
        let driver = self.driver(options)?;
        driver.do_setup().await?;
        let done = match self.operation {
            Operation::Restore => self.restore(&*driver, volume.len).await,
            Operation::Before => self.backup(&*driver, before.context("--step: --before is missing")?).await,
            Operation::Full | Operation::Incremental => self.backup(&*driver, volume).await,
        };
        done.with_context(|| self.operation.name())
    }

    fn repository(&self) -> PathBuf {
        self.folder.join(REPOSITORY)
    }

    fn driver(&self, engine: &Engine) -> Result<Arc<dyn BackupDriver>> {
        let mut options = Options::default();
        let repository = self.repository();
        let path = repository.to_str();
        let path = path.with_context(|| format!("--directory: {} is not UTF-8", repository.display()))?;
        for (name, value, option) in [
            ("backup_driver", "cinder.backup.drivers.posix.PosixBackupDriver", "--directory"),
            ("backup_posix_path", path, "--directory"),
            ("backup_compression_algorithm", &engine.compression, "--compression"),
            ("backup_file_size", &engine.chunk.0.to_string(), "--chunk"),
            ("backup_sha_block_size_bytes", &engine.block.0.to_string(), "--block"),
            ("backup_max_inflight_chunks", &engine.at_once.to_string(), "--at-once"),
        ] {
            options.set(name, value).map_err(|error| anyhow!("{option}: {error}"))?;
        }
        registry::build(&options, &real::env()).map_err(|error| anyhow!("{error}"))
    }

    /// As a service has the row, of a volume of so many bytes.
    fn row(&self, at: usize, len: u64) -> Backup {
        let Stored { id, container, prefix } = self.chain[at].clone();
        let parent_id = at.checked_sub(1).map(|parent| self.chain[parent].id.clone());
        Backup { container: Some(container), service_metadata: Some(prefix), ..new_row(&id, parent_id, len) }
    }

    async fn backup(&self, driver: &dyn BackupDriver, volume: &Volume) -> Result<Done> {
        let name = self.operation.name();
        let parent = self.chain.len().checked_sub(1).map(|last| self.row(last, volume.len));
        let row = new_row(name, parent.as_ref().map(|parent| parent.id.clone()), volume.len);
        let (control, shown) = (Arc::new(Control::default()), volume.shown_as(name));
        let repository = self.repository();
        let meter = Meter::start(&repository)?;
        driver.backup(&RequestContext::admin(), &row, parent.as_ref(), &shown, control.clone()).await?;
        let taken = meter.end(name, volume.len)?;
        let location = control.location.lock().expect("no panic while the lock is held").take();
        let (container, prefix) = location.context("the driver saved no location")?;
        Ok(Done { row: taken, stored: Some(Stored { id: row.id, container, prefix }) })
    }

    async fn restore(&self, driver: &dyn BackupDriver, len: u64) -> Result<Done> {
        let chain: Vec<Backup> = (0..self.chain.len()).map(|at| self.row(at, len)).collect();
        let volume = Volume::create(&self.folder.join(RESTORED), len)?.shown_as(self.operation.name());
        let repository = self.repository();
        let meter = Meter::start(&repository)?;
        driver.restore(&RequestContext::admin(), &chain, &volume, true, Arc::new(Control::default())).await?;
        Ok(Done { row: meter.end(self.operation.name(), len)?, stored: None })
    }
}

fn new_row(id: &str, parent_id: Option<String>, len: u64) -> Backup {
    Backup {
        id: id.to_owned(),
        volume_id: "volume".to_owned(),
        size: len.div_ceil(1 << 30),
        parent_id,
        ..Backup::default()
    }
}

/// A service that wants every operation, and notes where the backup is.
#[derive(Default)]
struct Control {
    location: Mutex<Option<(String, String)>>,
}

#[async_trait]
impl BackupControl for Control {
    async fn save_location(&self, container: &str, prefix: &str) -> clinker_drivers::Result<()> {
        *self.location.lock().expect("no panic while the lock is held") = Some((container.into(), prefix.into()));
        Ok(())
    }

    async fn check_cancelled(&self) -> clinker_drivers::Result<()> {
        Ok(())
    }

    async fn progress(&self, _percent: f64) -> clinker_drivers::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Control {
    async fn check_cancelled(&self) -> clinker_drivers::Result<()> {
        Ok(())
    }

    fn warn(&self, finding: &str) {
        tell(finding);
    }
}
