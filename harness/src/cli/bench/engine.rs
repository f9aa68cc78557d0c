//! `clinker bench engine`: what the chunk engine makes of a volume of the user's own, in real time on this machine.
//!
//! The real driver with the POSIX store, real threads and files. Nothing here is simulated, so nothing is the same twice.
//! Here are the options and the processes; what one of them does is in [`step`].

mod measure;
mod step;
mod volume;

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Error, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use clinker_model::ByteSize;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Exit, say};
use measure::{Row, table};
use step::{Done, Operation, Step};
use volume::{Volume, same};

/// Of the JSON.
const FORMAT: u32 = 1;
/// In the folder where it all happens.
const REPOSITORY: &str = "repository";
const RESTORED: &str = "restored";

const ABOUT_THE_RESULTS: &str = "\
The volume is backed up and restored to a new volume, which is then compared with it. With --before that
state is backed up first, unmeasured; then comes the increment, and both are restored. Each operation has a
process of its own, so that the memory is its own.

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
    /// What this process is to do of it all, as JSON. The program says this to itself.
    #[arg(long, hide = true)]
    step: Option<Step>,
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
        if let Some(step) = &self.step {
            let done = self.runtime()?.block_on(step.run(&self, &volume, before.as_ref()));
            say(&serde_json::to_string(&done.map_err(|error| format!("{error:#}")))?)?;
            return Ok(Exit::AllAsExpected);
        }
        let operations = self.runtime()?.block_on(self.measure(before.is_some()))?;
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

    /// The calling thread only waits and hands out work.
    fn runtime(&self) -> Result<Runtime> {
        let threads = usize::try_from(self.threads)?;
        Builder::new_current_thread().enable_all().max_blocking_threads(threads).build().context("start the runtime")
    }

    async fn measure(&self, has_before: bool) -> Result<Vec<Row>> {
        let wrong = || format!("--directory: make a folder in {}", self.directory.display());
        // The driver takes absolute paths only.
        let parent = self.directory.canonicalize().with_context(wrong)?;
        let folder = tempfile::Builder::new().prefix("clinker-bench-").tempdir_in(parent).with_context(wrong)?;
        std::fs::create_dir(folder.path().join(REPOSITORY)).with_context(wrong)?;
        let step = |operation, chain: &[_]| Step { operation, folder: folder.path().to_owned(), chain: chain.to_vec() };
        let mut chain = Vec::new();
        if has_before {
            chain.extend(in_own_process(step(Operation::Before, &chain)).await?.stored);
        }
        let operation = if has_before { Operation::Incremental } else { Operation::Full };
        let backup = in_own_process(step(operation, &chain)).await?;
        chain.extend(backup.stored);
        let restore = in_own_process(step(Operation::Restore, &chain)).await?;
        same(&self.volume, &folder.path().join(RESTORED))?;
        Ok(vec![backup.row, restore.row])
    }
}

/// Until it is done, or we are told to end: then nothing must go on, nor stay, it may be as large as the volume.
async fn in_own_process(step: Step) -> Result<Done> {
    let watch = |kind| signal(kind).context("watch for signals");
    let (mut interrupt, mut terminate) = (watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?);
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command.args(std::env::args_os().skip(1)).arg("--step").arg(serde_json::to_string(&step)?);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start a process")?;
    let ended = tokio::select! {
        biased;
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        status = child.wait() => Some(status.context("wait for a process")?),
    };
    let Some(status) = ended else {
        child.kill().await.context("end a process")?;
        bail!("ended by a signal");
    };
    let mut answer = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut answer).await.context("read what a process answers")?;
    }
    match serde_json::from_slice::<Result<Done, String>>(&answer) {
        Ok(done) => done.map_err(Error::msg),
        Err(_) => bail!("the process of an operation ended without an answer: {status}"),
    }
}
