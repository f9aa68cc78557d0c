//! Volumes whose bytes are described: every chunk is one of a few buffers, and their digests are computed once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::digests::{Computed, Digests};
use clinker_drivers::{Device, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use clinker_model::latency::{Cell, EXTENT};

/// The buffers that volumes of one chunk size are made of.
pub struct Content {
    /// A chunk of a volume that has not changed.
    before: Bytes,
    /// By the number of extents that have: the chunk.
    after: Mutex<BTreeMap<u64, Bytes>>,
    known: Mutex<Known>,
    /// The objects of full backups, by the volume's length and the bytes per hash.
    pub(crate) parents: Mutex<BTreeMap<(u64, u64), Objects>>,
}

/// By their names.
pub(crate) type Objects = BTreeMap<String, Bytes>;

#[derive(Default)]
struct Known {
    sha256s: BTreeMap<(usize, usize, usize), Vec<[u8; 32]>>,
    md5s: BTreeMap<(usize, usize), [u8; 16]>,
}

impl Content {
    /// Bytes that do not compress, the same everywhere.
    pub fn new(chunk: u64) -> Arc<Content> {
        let mut bytes = vec![0; chunk as usize];
        ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut bytes);
        Arc::new(Content {
            before: bytes.into(),
            after: Mutex::default(),
            known: Mutex::default(),
            parents: Mutex::default(),
        })
    }

    /// A chunk of which so many extents have changed, evenly spread.
    fn after(&self, extents: u64) -> Bytes {
        if extents == 0 {
            return self.before.clone();
        }
        let mut after = self.after.lock().expect("no panic while the lock is held");
        let make = || {
            let mut bytes = self.before.to_vec();
            let slots = bytes.len() as u64 / EXTENT;
            for extent in 0..extents {
                let start = (extent * slots / extents * EXTENT) as usize;
                bytes[start..start + EXTENT as usize].iter_mut().for_each(|byte| *byte ^= 0xff);
            }
            Bytes::from(bytes)
        };
        after.entry(extents).or_insert_with(make).clone()
    }

    /// Whether these bytes are part of a buffer that stays.
    fn owns(&self, data: &Bytes) -> bool {
        let within =
            |buffer: &Bytes| buffer.as_ptr_range().start <= data.as_ptr() && data.as_ptr() < buffer.as_ptr_range().end;
        within(&self.before) || self.after.lock().expect("no panic while the lock is held").values().any(within)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("no panic while the lock is held")
    }
}

/// Digests of described bytes, looked up; of all others, computed.
pub struct Described(pub Arc<Content>);

impl Digests for Described {
    fn sha256s(&self, data: &Bytes, block: usize) -> Vec<[u8; 32]> {
        if !self.0.owns(data) {
            return Computed.sha256s(data, block);
        }
        let key = (data.as_ptr() as usize, data.len(), block);
        self.0.known().sha256s.entry(key).or_insert_with(|| Computed.sha256s(data, block)).clone()
    }

    fn md5(&self, data: &Bytes) -> [u8; 16] {
        if !self.0.owns(data) {
            return Computed.md5(data);
        }
        let key = (data.as_ptr() as usize, data.len());
        *self.0.known().md5s.entry(key).or_insert_with(|| Computed.md5(data))
    }
}

/// A volume of described bytes. What is written to it is counted, not kept.
pub struct Volume {
    pub content: Arc<Content>,
    pub len: u64,
    pub chunk: u64,
    /// Of the whole volume, evenly spread over its chunks.
    pub changed_extents: u64,
    /// Bytes that were written.
    pub written: Mutex<u64>,
}

impl Volume {
    pub fn of(cell: &Cell, content: &Arc<Content>, changed: bool) -> Volume {
        let changed_extents = if changed { cell.extents() } else { 0 };
        let (content, written) = (Arc::clone(content), Mutex::default());
        Volume { content, len: cell.volume, chunk: cell.chunk, changed_extents, written }
    }

    /// Extents that have changed in the chunks before this one.
    fn changed_before(&self, chunk: u64) -> u64 {
        let whole = self.len / self.chunk;
        (self.changed_extents * chunk.min(whole)).checked_div(whole).unwrap_or(0)
    }
}

#[async_trait]
impl Device for Volume {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let chunk = offset / self.chunk;
        let changed = self.changed_before(chunk + 1) - self.changed_before(chunk);
        let start = (offset % self.chunk) as usize;
        let data = self.content.after(changed);
        let end = (start + len).min(data.len()).min(start + (self.len - offset) as usize);
        Ok(data.slice(start..end))
    }

    async fn write_at(&self, _offset: u64, data: Bytes) -> Result<()> {
        *self.written.lock().expect("no panic while the lock is held") += data.len() as u64;
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_changed_volume_differs_in_one_hundredth_and_its_digests_are_those_of_its_bytes() {
        let cell = Cell { volume: 40 << 20, chunk: 1 << 20, ..Cell::default() };
        let content = Content::new(cell.chunk);
        let (before, after) = (Volume::of(&cell, &content, false), Volume::of(&cell, &content, true));
        let digests = Described(Arc::clone(&content));
        let mut different = 0;
        for chunk in 0..40 {
            let (old, new) = (
                before.read_at(chunk << 20, 1 << 20).await.unwrap(),
                after.read_at(chunk << 20, 1 << 20).await.unwrap(),
            );
            different +=
                old.chunks(EXTENT as usize).zip(new.chunks(EXTENT as usize)).filter(|(old, new)| old != new).count();
            assert_eq!(digests.sha256s(&new, 32 << 10), Computed.sha256s(&new, 32 << 10));
            assert_eq!(digests.md5(&new.slice(EXTENT as usize..)), Computed.md5(&new.slice(EXTENT as usize..)));
        }
        assert_eq!(different as u64, cell.extents());
    }
}
