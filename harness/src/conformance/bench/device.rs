//! A volume's device in memory, which remembers what was written to it.

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{Device, Error, Kind, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// A device whose bytes and history of writes can be looked at.
pub struct Volume {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Offset and length of each write.
    writes: Vec<(u64, u64)>,
    flushes: u64,
    /// Bytes written since the last flush, and the most there ever were.
    unflushed: u64,
    unflushed_max: u64,
    reads: u64,
    /// Where the furthest read ended.
    read_end: u64,
    /// The read, counted from 1, that fails.
    failing_read: Option<u64>,
}

impl Volume {
    pub fn holding(bytes: Vec<u8>) -> Volume {
        Volume { state: Mutex::new(State { bytes, ..State::default() }) }
    }

    /// Random bytes of this seed: they do not compress.
    pub fn random(seed: u64, len: u64) -> Volume {
        Volume::holding(random(seed, len))
    }

    pub fn zeros(len: u64) -> Volume {
        Volume::holding(vec![0; usize::try_from(len).expect("volumes of cases are small")])
    }

    /// Lines of text, none twice: every compressor makes them smaller.
    pub fn text(len: u64) -> Volume {
        let lines = (0_u64..).map(|number| format!("line {number} of a log that compresses well\n"));
        let bytes = lines.flat_map(String::into_bytes);
        Volume::holding(bytes.take(usize::try_from(len).expect("volumes of cases are small")).collect())
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// Writes as the volume's user: no part of what is remembered.
    pub fn edit(&self, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).expect("volumes of cases are small");
        self.state().bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub fn resize(&self, len: u64) {
        self.state().bytes.resize(usize::try_from(len).expect("volumes of cases are small"), 0x5a);
    }

    /// What the driver wrote: offset and length of each write.
    pub fn writes(&self) -> Vec<(u64, u64)> {
        self.state().writes.clone()
    }

    pub fn flushes(&self) -> u64 {
        self.state().flushes
    }

    /// Bytes written since the last flush, and the most that there ever were between two.
    pub fn unflushed(&self) -> (u64, u64) {
        let state = self.state();
        (state.unflushed, state.unflushed_max)
    }

    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Where the furthest read ended.
    pub fn read_end(&self) -> u64 {
        self.state().read_end
    }

    /// Lets the `nth` read from now on fail.
    pub fn fail_read(&self, nth: u64) {
        let mut state = self.state();
        state.failing_read = Some(state.reads + nth);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }
}

/// `len` random bytes of this seed.
pub fn random(seed: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).expect("volumes of cases are small")];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

#[async_trait]
impl Device for Volume {
    fn len(&self) -> u64 {
        self.state().bytes.len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let mut state = self.state();
        state.reads += 1;
        if state.failing_read == Some(state.reads) {
            return Err(Error::new(Kind::Internal, "the volume could not be read"));
        }
        let end = state.bytes.len().min(usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(len));
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(end);
        state.read_end = state.read_end.max(end as u64);
        Ok(Bytes::copy_from_slice(&state.bytes[start..end]))
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let mut state = self.state();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(data.len());
        if end > state.bytes.len() {
            return Err(Error::new(Kind::InvalidVolume, format!("a write ends at {end}, beyond the volume")));
        }
        state.bytes[start..end].copy_from_slice(&data);
        state.writes.push((offset, data.len() as u64));
        state.unflushed += data.len() as u64;
        state.unflushed_max = state.unflushed_max.max(state.unflushed);
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        let mut state = self.state();
        state.flushes += 1;
        state.unflushed = 0;
        Ok(())
    }
}
