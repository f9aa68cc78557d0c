//! What an operation takes of this machine: time, CPU time, memory, room in the repository. And how it is told.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::mutants::by_case::cpu;

const MIB: f64 = (1 << 20) as f64;

/// What one operation took. The names are those of the JSON: they are told in the help of the command.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    operation: String,
    seconds: f64,
    /// User and system, of all threads.
    cpu_seconds: f64,
    /// Of the volume.
    mib_per_second: f64,
    mib_per_cpu_second: f64,
    /// Of the process, before it and at most while it ran.
    memory_before_bytes: u64,
    peak_memory_bytes: u64,
    peak_is_of: Span,
    /// Files that it added to the repository, and bytes in them.
    stored_files: u64,
    stored_bytes: u64,
}

/// What a peak of memory is the peak of.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Span {
    Operation,
    /// The system does not let a process forget its peak.
    Process,
}

/// An operation that is being measured.
pub(super) struct Meter<'a> {
    repository: &'a Path,
    stored: Stored,
    memory_before_bytes: u64,
    peak_is_of: Span,
    at: Instant,
    cpu: Duration,
}

impl Meter<'_> {
    pub fn start(repository: &Path) -> Result<Meter<'_>> {
        let stored = Stored::below(repository)?;
        // Linux takes this for "forget the peak" (proc(5)); where /proc is read-only it cannot be said.
        let forgotten = fs::write("/proc/self/clear_refs", "5").is_ok();
        let peak_is_of = if forgotten { Span::Operation } else { Span::Process };
        let memory_before_bytes = memory("VmRSS")?;
        Ok(Meter { repository, stored, memory_before_bytes, peak_is_of, at: Instant::now(), cpu: cpu() })
    }

    /// The operation has ended; `len` is the volume's.
    pub fn end(self, operation: &str, len: u64) -> Result<Row> {
        let (seconds, cpu_seconds) = (self.at.elapsed().as_secs_f64(), (cpu() - self.cpu).as_secs_f64());
        let peak_memory_bytes = memory("VmHWM")?;
        let stored = Stored::below(self.repository)?;
        let mib = len as f64 / MIB;
        Ok(Row {
            operation: operation.to_owned(),
            seconds,
            cpu_seconds,
            mib_per_second: mib / seconds,
            mib_per_cpu_second: mib / cpu_seconds,
            memory_before_bytes: self.memory_before_bytes,
            peak_memory_bytes,
            peak_is_of: self.peak_is_of,
            stored_files: stored.files - self.stored.files,
            stored_bytes: stored.bytes - self.stored.bytes,
        })
    }
}

/// Memory of the process that is resident, by Linux' own account.
fn memory(key: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.with_context(|| format!("find {key} in /proc/self/status"))? * 1024)
}

#[derive(Clone, Copy, Default)]
struct Stored {
    files: u64,
    bytes: u64,
}

impl Stored {
    fn below(folder: &Path) -> Result<Stored> {
        let mut stored = Stored::default();
        let look = || format!("look at the repository {}", folder.display());
        for entry in fs::read_dir(folder).with_context(look)? {
            let entry = entry.with_context(look)?;
            let meta = entry.metadata().with_context(look)?;
            let below =
                if meta.is_dir() { Stored::below(&entry.path())? } else { Stored { files: 1, bytes: meta.len() } };
            stored = Stored { files: stored.files + below.files, bytes: stored.bytes + below.bytes };
        }
        Ok(stored)
    }
}

pub(super) fn table(rows: &[Row]) -> String {
    let head = ["operation", "s", "MiB/s", "CPU s", "MiB per CPU s", "peak MiB", "stored MiB"].map(str::to_owned);
    let told = |row: &Row| {
        [
            row.operation.clone(),
            format!("{:.2}", row.seconds),
            format!("{:.0}", row.mib_per_second),
            format!("{:.2}", row.cpu_seconds),
            format!("{:.0}", row.mib_per_cpu_second),
            format!("{:.0}", row.peak_memory_bytes as f64 / MIB),
            if row.stored_files == 0 { "-".to_owned() } else { format!("{:.1}", row.stored_bytes as f64 / MIB) },
        ]
    };
    let lines = [head].into_iter().chain(rows.iter().map(told));
    let aligned =
        lines.map(|[name, rest @ ..]| format!("{name:12}{}", rest.map(|cell| format!("{cell:>15}")).concat()));
    let mut table = aligned.collect::<Vec<_>>().join("\n");
    if rows.iter().any(|row| row.peak_is_of == Span::Process) {
        table += "\nThe peak is of the process so far: /proc/self/clear_refs cannot be written here.";
    }
    table
}
