//! `clinker bench engine`: what the chunk engine makes of a volume of the user's own, in real time on this machine.
//!
//! The real driver with the POSIX store, real threads and files. Nothing here is simulated, so nothing is the same twice.

mod measure;
mod volume;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, anyhow, bail};
use async_trait::async_trait;
use clap::Args;
use clap::builder::PossibleValuesParser;
use clinker_drivers::{Backup, BackupControl, BackupDriver, Options, RequestContext, RestoreControl, registry};
use clinker_env::{Env, real};
use clinker_model::ByteSize;
use serde::Serialize;

use crate::cli::{Exit, say, tell};
use measure::{Meter, Row, table};
use volume::{Volume, same};

/// Of the JSON.
const FORMAT: u32 = 1;

const ABOUT_THE_RESULTS: &str = "\
The volume is backed up and restored to a new volume, which is then compared with it. With --before that
state is backed up first, unmeasured; then comes the increment, and both are restored.

--json prints one object:
  format          1; it changes when a field goes or means something else, not when one is added
  volume_bytes, compression, chunk_bytes, block_bytes, at_once, threads
  operations      in the order of the work, each with
    operation               \"full\" or \"incremental\"; then \"restore\"
    seconds, cpu_seconds    on the clock; user and system of all threads
    mib_per_second, mib_per_cpu_second
                            of the volume, whatever of it was stored
    memory_before_bytes, peak_memory_bytes
                            of the process: before the operation, and the most while it ran
    peak_is_of              \"operation\", or \"process\" where the system cannot forget an earlier peak
    stored_files, stored_bytes
                            added to the repository, the two documents of a backup included";

#[derive(Args)]
#[command(after_help = ABOUT_THE_RESULTS)]
pub(super) struct Engine {
    /// The volume: a file or block device. It is only read.
    #[arg(long, value_name = "FILE")]
    volume: PathBuf,
    /// An earlier state of it, as long: the increment from there is measured instead of a full backup.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    #[arg(long, default_value = "none", value_parser = PossibleValuesParser::new(["none", "zlib", "zstd", "bz2"]))]
    compression: String,
    /// Bytes of the volume per object.
    #[arg(long, default_value = "50MiB")]
    chunk: ByteSize,
    /// Bytes per sha256; chunks are a multiple of it.
    #[arg(long, default_value = "32KiB")]
    block: ByteSize,
    /// backup_max_inflight_chunks.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1024))]
    at_once: u64,
    /// Threads that compute, read and write.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: u64,
    /// Where backups and restored volumes go meanwhile; a folder of its own is made there, and removed.
    #[arg(long, value_name = "DIR", default_value = "/tmp")]
    directory: PathBuf,
    /// Print the results as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Results<'a> {
    format: u32,
    volume_bytes: u64,
    compression: &'a str,
    chunk_bytes: u64,
    block_bytes: u64,
    at_once: u64,
    threads: u64,
    operations: Vec<Row>,
}

impl Engine {
    pub fn execute(self) -> Result<Exit> {
        self.check_sizes()?;
        let volume = Volume::open("--volume", &self.volume)?;
        let before = self.before.as_ref().map(|path| Volume::open("--before", path)).transpose()?;
        if let (Some(before), Some(path)) = (&before, &self.before)
            && before.len != volume.len
        {
            let (volume_path, path) = (self.volume.display(), path.display());
            bail!(
                "--before: {path} has {} bytes, --volume {volume_path} has {}: an increment needs the same size",
                before.len,
                volume.len
            );
        }
        let threads = usize::try_from(self.threads)?;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(threads).build().context("start the runtime")?;
        let operations = runtime.block_on(self.run(&volume, before.as_ref()))?;
        if !self.json {
            say(&table(&operations))?;
            return Ok(Exit::AllAsExpected);
        }
        let Engine { compression, chunk, block, at_once, threads, .. } = &self;
        let results = Results {
            format: FORMAT,
            volume_bytes: volume.len,
            compression,
            chunk_bytes: chunk.0,
            block_bytes: block.0,
            at_once: *at_once,
            threads: *threads,
            operations,
        };
        say(&serde_json::to_string_pretty(&results)?)?;
        Ok(Exit::AllAsExpected)
    }

    fn check_sizes(&self) -> Result<()> {
        let (chunk, block) = (self.chunk.0, self.block.0);
        if block == 0 {
            bail!("--block: found 0, expected at least one byte");
        }
        if chunk == 0 || !chunk.is_multiple_of(block) {
            bail!("--chunk: found {chunk} bytes, expected a multiple of --block, which is {block} bytes");
        }
        Ok(())
    }

    /// Until it is done, or told to end: what it left must not stay, it may be as large as the volume.
    async fn run(&self, volume: &Volume, before: Option<&Volume>) -> Result<Vec<Row>> {
        tokio::select! {
            biased;
            told = tokio::signal::ctrl_c() => told.context("watch for Ctrl-C").and_then(|()| bail!("ended by Ctrl-C")),
            rows = self.measure(volume, before) => rows,
        }
    }

    async fn measure(&self, volume: &Volume, before: Option<&Volume>) -> Result<Vec<Row>> {
        let wrong = || format!("--directory: make a folder in {}", self.directory.display());
        // The driver takes absolute paths only.
        let parent = self.directory.canonicalize().with_context(wrong)?;
        let folder = tempfile::Builder::new().prefix("clinker-bench-").tempdir_in(parent).with_context(wrong)?;
        let repository = folder.path().join("repository");
        std::fs::create_dir(&repository).with_context(wrong)?;
        let driver = self.driver(&repository, &real::env())?;
        driver.do_setup().await?;
        let bench = Bench { driver, repository };
        let (chain, backup) = match before {
            Some(before) => {
                let (parent, _) = bench.backup(None, before, "the earlier state").await?;
                let (increment, row) = bench.backup(Some(&parent), volume, "incremental").await?;
                (vec![parent, increment], row)
            }
            None => {
                let (full, row) = bench.backup(None, volume, "full").await?;
                (vec![full], row)
            }
        };
        let target = folder.path().join("restored");
        let restore = bench.restore(&chain, &target, volume.len).await?;
        same(&self.volume, &target)?;
        Ok(vec![backup, restore])
    }

    fn driver(&self, repository: &Path, env: &Env) -> Result<Arc<dyn BackupDriver>> {
        let mut options = Options::default();
        let path = repository.to_str();
        let path = path.with_context(|| format!("--directory: {} is not UTF-8", repository.display()))?;
        for (name, value, option) in [
            ("backup_driver", "cinder.backup.drivers.posix.PosixBackupDriver", "--directory"),
            ("backup_posix_path", path, "--directory"),
            ("backup_compression_algorithm", &self.compression, "--compression"),
            ("backup_file_size", &self.chunk.0.to_string(), "--chunk"),
            ("backup_sha_block_size_bytes", &self.block.0.to_string(), "--block"),
            ("backup_max_inflight_chunks", &self.at_once.to_string(), "--at-once"),
        ] {
            options.set(name, value).map_err(|error| anyhow!("{option}: {error}"))?;
        }
        registry::build(&options, env).map_err(|error| anyhow!("{error}"))
    }
}

struct Bench {
    driver: Arc<dyn BackupDriver>,
    repository: PathBuf,
}

impl Bench {
    async fn backup(&self, parent: Option<&Backup>, volume: &Volume, name: &'static str) -> Result<(Backup, Row)> {
        let row = Backup {
            id: name.replace(' ', "-"),
            volume_id: "volume".to_owned(),
            size: volume.len.div_ceil(1 << 30),
            parent_id: parent.map(|parent| parent.id.clone()),
            ..Backup::default()
        };
        let (control, shown) = (Arc::new(Control::default()), volume.shown_as(name));
        let meter = Meter::start(&self.repository)?;
        let done = self.driver.backup(&RequestContext::admin(), &row, parent, &shown, control.clone()).await;
        done.map_err(|error| anyhow!("{name}: {error}"))?;
        let taken = meter.end(name, volume.len)?;
        let location = control.location.lock().expect("no panic while the lock is held").take();
        let (container, prefix) = location.context("the driver saved no location")?;
        Ok((Backup { container: Some(container), service_metadata: Some(prefix), ..row }, taken))
    }

    async fn restore(&self, chain: &[Backup], target: &Path, len: u64) -> Result<Row> {
        let volume = Volume::create(target, len)?.shown_as("restore");
        let control = Arc::new(Control::default());
        let meter = Meter::start(&self.repository)?;
        let done = self.driver.restore(&RequestContext::admin(), chain, &volume, true, control).await;
        done.map_err(|error| anyhow!("restore: {error}"))?;
        meter.end("restore", len)
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
