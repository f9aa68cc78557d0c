//! Helpers of the driver tests: a volume and a store in memory, and controls that record what they are told.
#![allow(dead_code, reason = "each test program uses its own part")]

pub mod control;
pub mod faulty;
pub mod store;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::ChunkedDriver;
use clinker_drivers::chunked::decisions::{EngineDecisions, Production};
use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::{Backup, BackupDriver, Device, Error, Kind, Options, RequestContext, Result};
use clinker_env::{Clock, Cpu, Env, Work};
use jiff::Timestamp;

pub use control::{BackupRecorder, RestoreRecorder};
pub use store::MemoryStore;

pub const CREATED_AT: &str = "2027-03-04T05:06:05Z";

/// A volume in memory that remembers the start and end of every write.
pub struct MemoryDevice {
    data: Mutex<Vec<u8>>,
    pub writes: Mutex<Vec<(u64, u64)>>,
}

impl MemoryDevice {
    pub fn new(data: Vec<u8>) -> MemoryDevice {
        MemoryDevice { data: Mutex::new(data), writes: Mutex::default() }
    }

    pub fn data(&self) -> Vec<u8> {
        self.data.lock().unwrap().clone()
    }
}

#[async_trait]
impl Device for MemoryDevice {
    fn len(&self) -> u64 {
        self.data.lock().unwrap().len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let data = self.data.lock().unwrap();
        let start = data.len().min(offset as usize);
        Ok(Bytes::copy_from_slice(&data[start..data.len().min(start + len)]))
    }

    async fn write_at(&self, offset: u64, new: Bytes) -> Result<()> {
        let mut data = self.data.lock().unwrap();
        let range = offset as usize..offset as usize + new.len();
        let Some(target) = data.get_mut(range) else {
            return Err(Error::new(Kind::InvalidVolume, "write beyond the end"));
        };
        target.copy_from_slice(&new);
        self.writes.lock().unwrap().push((offset, offset + new.len() as u64));
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        CREATED_AT.parse().unwrap()
    }
}

struct InlineCpu;

#[async_trait]
impl Cpu for InlineCpu {
    async fn run(&self, _work: Work, _bytes: u64, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

/// The real environment but for a fixed clock and computing in place.
pub fn env() -> Env {
    Env { clock: Arc::new(FixedClock), cpu: Arc::new(InlineCpu), ..clinker_env::real::env() }
}

/// Options with which requests go strictly in turn.
pub fn options(compression: &str) -> Options {
    Options { backup_compression_algorithm: compression.into(), backup_max_inflight_chunks: 1, ..Options::default() }
}

pub fn driver(store: &Arc<MemoryStore>, options: &Options) -> ChunkedDriver {
    driver_with(store, options, Arc::new(Production))
}

pub fn driver_with(store: &Arc<MemoryStore>, options: &Options, decisions: Arc<dyn EngineDecisions>) -> ChunkedDriver {
    let store: Arc<dyn ChunkStore> = Arc::clone(store) as _;
    ChunkedDriver::new(store, env(), options, decisions)
}

pub fn context() -> RequestContext {
    RequestContext::admin()
}

/// A row as the service makes it before the driver runs.
pub fn row(id: &str) -> Backup {
    Backup {
        id: id.into(),
        volume_id: "vol-1".into(),
        size: 1,
        created_at: CREATED_AT.parse().unwrap(),
        availability_zone: "nova".into(),
        ..Backup::default()
    }
}

/// Backs `data` up as `id`; the row as the service would have it afterwards.
pub async fn store_backup(driver: &dyn BackupDriver, id: &str, parent: Option<&Backup>, data: &[u8]) -> Result<Backup> {
    let control = Arc::new(BackupRecorder::default());
    let backup = Backup { parent_id: parent.map(|parent| parent.id.clone()), ..row(id) };
    let device = MemoryDevice::new(data.to_vec());
    driver.backup(&context(), &backup, parent, &device, control.clone()).await?;
    let (container, prefix) = control.location().expect("a stored backup has a location");
    Ok(Backup { container: Some(container), service_metadata: Some(prefix), ..backup })
}

/// Restores the chain onto a new volume of `len` zero bytes; its bytes.
pub async fn restore_new(driver: &dyn BackupDriver, chain: &[Backup], len: usize) -> Result<Vec<u8>> {
    let device = MemoryDevice::new(vec![0; len]);
    let control = Arc::new(RestoreRecorder::default());
    driver.restore(&context(), chain, &device, true, control).await?;
    Ok(device.data())
}

/// Restores the chain over a volume of `len` bytes that holds other data; its bytes.
pub async fn restore_over(driver: &dyn BackupDriver, chain: &[Backup], len: usize) -> Result<Vec<u8>> {
    let device = MemoryDevice::new(vec![0xee; len]);
    let control = Arc::new(RestoreRecorder::default());
    driver.restore(&context(), chain, &device, false, control).await?;
    Ok(device.data())
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

/// Runs a test's future on a runtime of its own, with time that jumps.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(future)
}
