//! `clinker bench engine`: what the chunk engine makes of a volume of the user's own, in real time on this machine.
//!
//! The real driver with the POSIX store, real threads and files. Nothing here is simulated, so nothing is the same twice.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use async_trait::async_trait;
use bytes::Bytes;
use clap::Args;
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, Device, Error, Kind, Options, RequestContext, RestoreControl, registry,
};
use clinker_env::{Env, real};
use clinker_model::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Exit, say};
use crate::mutants::by_case::cpu;

#[derive(Args)]
pub(super) struct Engine {
    /// The volume: a file. It is only read.
    #[arg(long, value_name = "FILE")]
    volume: PathBuf,
    /// An earlier state of it: the increment from there is measured too.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    /// none, zlib, zstd or bz2.
    #[arg(long, default_value = "none")]
    compression: String,
    /// Bytes of the volume per object.
    #[arg(long, default_value = "50MiB")]
    chunk: ByteSize,
    /// Bytes per sha256.
    #[arg(long, default_value = "32KiB")]
    block: ByteSize,
    /// backup_max_inflight_chunks.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
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

/// What one operation took.
#[derive(serde::Serialize)]
struct Row {
    operation: &'static str,
    seconds: f64,
    cpu_seconds: f64,
    mib_per_second: f64,
    mib_per_cpu_second: f64,
    /// Of the process so far.
    peak_mib: u64,
    /// In the repository after it.
    stored_mib: f64,
}

impl Engine {
    pub fn execute(self) -> Result<Exit> {
        let threads = usize::try_from(self.threads)?;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(threads).build().context("start the runtime")?;
        let rows = runtime.block_on(self.run())?;
        match self.json {
            true => say(&serde_json::to_string_pretty(&rows)?)?,
            false => say(&table(&rows))?,
        }
        Ok(Exit::AllAsExpected)
    }

    async fn run(&self) -> Result<Vec<Row>> {
        let folder = tempfile::Builder::new().prefix("clinker-bench-").tempdir_in(&self.directory);
        let folder = folder.with_context(|| format!("--directory: make a folder in {}", self.directory.display()))?;
        let repository = folder.path().join("repository");
        std::fs::create_dir(&repository).context("make the repository")?;
        let env = real::env();
        let driver = self.driver(&repository, &env)?;
        let bench = Bench { driver, repository };
        let volume = Volume::open("--volume", &self.volume)?;
        let mut rows = Vec::new();
        let chain = match &self.before {
            Some(before) => {
                let before = Volume::open("--before", before)?;
                let (parent, _) = bench.backup(None, &before, "the earlier state").await?;
                let (increment, row) = bench.backup(Some(&parent), &volume, "incremental").await?;
                rows.push(row);
                vec![parent, increment]
            }
            None => {
                let (full, row) = bench.backup(None, &volume, "full").await?;
                rows.push(row);
                vec![full]
            }
        };
        let target = folder.path().join("restored");
        rows.push(bench.restore(&chain, &target, volume.len).await?);
        same(&self.volume, &target)?;
        Ok(rows)
    }

    fn driver(&self, repository: &Path, env: &Env) -> Result<Arc<dyn BackupDriver>> {
        let mut options = Options::default();
        let path = repository.to_str().context("--directory: not UTF-8")?;
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
        let control = Arc::new(Control::new(name));
        let row = Backup {
            id: name.replace(' ', "-"),
            volume_id: "volume".to_owned(),
            size: volume.len.div_ceil(1 << 30),
            parent_id: parent.map(|parent| parent.id.clone()),
            ..Backup::default()
        };
        let begun = (Instant::now(), cpu());
        let done = self.driver.backup(&RequestContext::admin(), &row, parent, volume, control.clone()).await;
        done.map_err(|error| anyhow!("{name}: {error}"))?;
        let taken = self.row(name, volume.len, begun)?;
        control.bar.finish_and_clear();
        let location = control.location.lock().expect("no panic while the lock is held").take();
        let (container, prefix) = location.context("the driver saved no location")?;
        Ok((Backup { container: Some(container), service_metadata: Some(prefix), ..row }, taken))
    }

    async fn restore(&self, chain: &[Backup], target: &Path, len: u64) -> Result<Row> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(target);
        let file = file.context("make the restored volume")?;
        file.set_len(len).context("make the restored volume")?;
        let volume = Volume { file: Arc::new(file), len };
        let control = Arc::new(Control::new("restore"));
        let begun = (Instant::now(), cpu());
        let done = self.driver.restore(&RequestContext::admin(), chain, &volume, true, control.clone()).await;
        done.map_err(|error| anyhow!("restore: {error}"))?;
        let row = self.row("restore", len, begun)?;
        control.bar.finish_and_clear();
        Ok(row)
    }

    fn row(&self, operation: &'static str, len: u64, (at, cpu_at): (Instant, Duration)) -> Result<Row> {
        let (seconds, cpu_seconds) = (at.elapsed().as_secs_f64(), (cpu() - cpu_at).as_secs_f64());
        let mib = len as f64 / f64::from(1 << 20);
        Ok(Row {
            operation,
            seconds,
            cpu_seconds,
            mib_per_second: mib / seconds,
            mib_per_cpu_second: mib / cpu_seconds,
            peak_mib: peak_mib()?,
            stored_mib: stored(&self.repository)? as f64 / f64::from(1 << 20),
        })
    }
}

/// The progress bar, and where the backup is.
struct Control {
    bar: ProgressBar,
    location: Mutex<Option<(String, String)>>,
}

impl Control {
    fn new(name: &'static str) -> Control {
        let bar = ProgressBar::new(100);
        let style = ProgressStyle::with_template("{prefix:>17} {bar:40} {pos} % {elapsed}");
        bar.set_style(style.expect("the template is well formed"));
        bar.set_prefix(name);
        Control { bar, location: Mutex::default() }
    }
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

    async fn progress(&self, percent: f64) -> clinker_drivers::Result<()> {
        self.bar.set_position(percent as u64);
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Control {
    async fn check_cancelled(&self) -> clinker_drivers::Result<()> {
        self.bar.tick();
        Ok(())
    }

    fn warn(&self, finding: &str) {
        self.bar.println(finding);
    }
}

/// A file as a volume.
struct Volume {
    file: Arc<File>,
    len: u64,
}

impl Volume {
    fn open(option: &str, path: &Path) -> Result<Volume> {
        let opened = || -> std::io::Result<(File, u64)> {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        };
        let (file, len) = opened().with_context(|| format!("{option}: open {}", path.display()))?;
        if len == 0 {
            bail!("{option}: {} is empty, or is no file", path.display());
        }
        Ok(Volume { file: Arc::new(file), len })
    }

    #[expect(clippy::disallowed_methods, reason = "this bench is of the real machine: its threads read and write")]
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&File) -> std::io::Result<T> + Send + 'static,
    ) -> clinker_drivers::Result<T> {
        let file = Arc::clone(&self.file);
        let done = tokio::task::spawn_blocking(move || call(&file)).await.map_err(std::io::Error::other);
        done.flatten().map_err(|error| Error::new(Kind::Internal, "cannot use the volume").with_source(error))
    }
}

#[async_trait]
impl Device for Volume {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read_at(&self, offset: u64, len: usize) -> clinker_drivers::Result<Bytes> {
        let len = usize::try_from(self.len.saturating_sub(offset)).map_or(len, |left| left.min(len));
        self.blocking(move |file| {
            let mut data = vec![0; len];
            file.read_exact_at(&mut data, offset)?;
            Ok(data.into())
        })
        .await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> clinker_drivers::Result<()> {
        self.blocking(move |file| file.write_all_at(&data, offset)).await
    }

    async fn flush(&self) -> clinker_drivers::Result<()> {
        self.blocking(File::sync_all).await
    }
}

fn same(one: &Path, other: &Path) -> Result<()> {
    let open = |path: &Path| File::open(path).map(|file| BufReader::with_capacity(1 << 20, file));
    let (mut one, mut other) = (open(one)?, open(other)?);
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(());
        }
        other.read_exact(&mut right[..read])?;
        if left[..read] != right[..read] {
            bail!("the restored volume is not what was backed up");
        }
    }
}

/// The most memory that the process has held, by Linux' own account.
fn peak_mib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.context("read VmHWM in /proc/self/status")? / 1024)
}

/// Bytes of the files below.
fn stored(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).context("look at the repository")? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { stored(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}

fn table(rows: &[Row]) -> String {
    let head = ["operation", "s", "MiB/s", "CPU s", "MiB per CPU s", "peak MiB", "stored MiB"].map(str::to_owned);
    let told = |row: &Row| {
        [
            row.operation.to_owned(),
            format!("{:.2}", row.seconds),
            format!("{:.0}", row.mib_per_second),
            format!("{:.2}", row.cpu_seconds),
            format!("{:.0}", row.mib_per_cpu_second),
            row.peak_mib.to_string(),
            format!("{:.1}", row.stored_mib),
        ]
    };
    let lines = [head].into_iter().chain(rows.iter().map(told));
    let aligned =
        lines.map(|[name, rest @ ..]| format!("{name:17}{}", rest.map(|cell| format!("{cell:>15}")).concat()));
    aligned.collect::<Vec<_>>().join("\n")
}
