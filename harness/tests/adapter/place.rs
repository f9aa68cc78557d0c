//! A folder with adapters in it, a device that remembers writes, a control that cancels.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use clinker::adapter::{AdapterCommand, AdapterFailure, AdapterProcess, Role};
use clinker_drivers::{BackupControl, Error, Result};

use super::support::MemoryDevice;

/// A folder that is gone at the end.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn command(&self, command: &str) -> AdapterCommand {
        AdapterCommand {
            command: command.to_owned(),
            role: Role::Driver,
            folder: self.folder().join("adapter"),
            start_limit: Duration::from_secs(30),
            request_limit: Duration::from_secs(30),
        }
    }

    /// Our own adapter.
    pub async fn ours(&self, driver: &str, role: Role) -> AdapterProcess {
        let command = format!("'{}' adapter --driver {driver} --role {}", env!("CARGO_BIN_EXE_clinker"), role.as_str());
        let started: std::result::Result<_, AdapterFailure> =
            AdapterProcess::start(AdapterCommand { role, ..self.command(&command) }).await;
        started.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Writes an adapter in sh, which counts the requests it has read in `n` and reads them into `line`.
    pub fn script(&self, body: &str) -> String {
        let path = self.folder().join("adapter.sh");
        let text = format!("n=0\nwhile read -r line; do\n  n=$((n + 1))\n  {body}\ndone\n");
        std::fs::write(&path, text).unwrap();
        format!("exec sh '{}'", path.display())
    }

    /// Drops the handle: then nothing of the adapter may be left.
    pub fn check_gone(&self, process: AdapterProcess) {
        let pid = process.pid();
        drop(process);
        check_gone(pid);
    }
}

/// No process is in the group of this number any more.
pub fn check_gone(group: u32) {
    // Those that are no children of ours have been killed, and take a moment to die.
    for _ in 0..1000 {
        if members(group).is_empty() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let left = members(group);
    assert!(left.is_empty(), "processes {left:?} of group {group} are left");
}

/// The processes of a group that still run.
pub fn members(group: u32) -> Vec<PathBuf> {
    let of_group = |path: &PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        // After the name in parentheses: state, parent, group (proc_pid_stat(5)).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.get(2) == Some(&group.to_string().as_str()) && fields[0] != "Z"
    };
    std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()).filter(of_group).collect()
}

/// A volume in memory that knows where it was written to.
pub struct Device {
    memory: MemoryDevice,
    writes: Mutex<Vec<Range<u64>>>,
}

impl Device {
    pub fn new(data: Vec<u8>) -> Device {
        Device { memory: MemoryDevice::new(data), writes: Mutex::default() }
    }

    pub fn data(&self) -> Vec<u8> {
        self.memory.data()
    }

    pub fn touched(&self, range: Range<u64>) -> bool {
        self.writes.lock().unwrap().iter().any(|write| write.start < range.end && range.start < write.end)
    }
}

#[async_trait]
impl clinker_drivers::Device for Device {
    fn len(&self) -> u64 {
        self.memory.len()
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.memory.read_at(offset, len).await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.writes.lock().unwrap().push(offset..offset + data.len() as u64);
        self.memory.write_at(offset, data).await
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// Wants the backup no longer after so many questions.
pub struct Cancelling(AtomicU64);

impl Cancelling {
    pub fn after(questions: u64) -> Cancelling {
        Cancelling(AtomicU64::new(questions))
    }
}

#[async_trait]
impl BackupControl for Cancelling {
    async fn save_location(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    async fn check_cancelled(&self) -> Result<()> {
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::cancelled()),
        }
    }

    async fn progress(&self, _: f64) -> Result<()> {
        Ok(())
    }
}

/// Stamps are the wall clock's: 14 digits in a row.
pub fn without_stamps(text: &str) -> String {
    let mut out: Vec<char> = Vec::new();
    let mut digits = 0;
    for c in text.chars() {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        out.push(c);
        if digits == 14 {
            out.truncate(out.len() - 14);
            out.extend("<stamp>".chars());
            digits = 0;
        }
    }
    out.into_iter().collect()
}
