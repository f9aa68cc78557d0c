//! What the tests of the whole harness share: a volume in memory, the service's side of a driver call, a journal.

pub mod body;
pub mod s3;
pub mod swift;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{BackupControl, Device, Error, Kind, RestoreControl, Result};
use clinker_model::{Entry, FaultId, Journal};

/// A volume in memory.
pub struct MemoryDevice(Mutex<Vec<u8>>);

impl MemoryDevice {
    pub fn new(data: Vec<u8>) -> MemoryDevice {
        MemoryDevice(Mutex::new(data))
    }

    pub fn data(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Device for MemoryDevice {
    fn len(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let data = self.0.lock().unwrap();
        let start = data.len().min(offset as usize);
        Ok(Bytes::copy_from_slice(&data[start..data.len().min(start + len)]))
    }

    async fn write_at(&self, offset: u64, new: Bytes) -> Result<()> {
        let mut data = self.0.lock().unwrap();
        match data.get_mut(offset as usize..offset as usize + new.len()) {
            Some(range) => range.copy_from_slice(&new),
            None => return Err(Error::new(Kind::InvalidVolume, "write beyond the end")),
        }
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// The service's side of an operation: remembers what it is told and wants the operation to go on.
#[derive(Default)]
pub struct Control {
    /// Container and prefix.
    pub location: Mutex<Option<(String, String)>>,
    pub percents: Mutex<Vec<f64>>,
    pub warnings: Mutex<Vec<String>>,
}

#[async_trait]
impl BackupControl for Control {
    async fn save_location(&self, container: &str, service_metadata: &str) -> Result<()> {
        *self.location.lock().unwrap() = Some((container.to_owned(), service_metadata.to_owned()));
        Ok(())
    }

    async fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }

    async fn progress(&self, backup_percent: f64) -> Result<()> {
        self.percents.lock().unwrap().push(backup_percent);
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Control {
    async fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }

    fn warn(&self, finding: &str) {
        self.warnings.lock().unwrap().push(finding.to_owned());
    }
}

/// A journal that remembers requests and counts bites.
#[derive(Default)]
pub struct Requests {
    lines: Mutex<Vec<String>>,
    bites: Mutex<u64>,
}

impl Requests {
    pub fn new() -> Arc<Requests> {
        Arc::default()
    }

    /// `host METHOD path status` of every request, in order of the answers.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn bites(&self) -> u64 {
        *self.bites.lock().unwrap()
    }
}

impl Journal for Requests {
    fn record(&self, host: &str, entry: Entry) {
        if let Entry::Request { method, path, status, .. } = entry {
            self.lines.lock().unwrap().push(format!("{host} {method} {path} {status}"));
        }
    }

    fn bite(&self, _: FaultId, _: &str, _: &str) {
        *self.bites.lock().unwrap() += 1;
    }
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
