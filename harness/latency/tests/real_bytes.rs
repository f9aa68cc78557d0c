//! Described content gives what real bytes give: the same requests, notes and times.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{Device, Result};
use clinker_latency::content::{Content, Volume};
use clinker_latency::{measure, measure_bytes};
use clinker_model::latency::{Cell, EXTENT, Operation};

/// Bytes in memory.
struct Memory(Mutex<Vec<u8>>);

#[async_trait]
impl Device for Memory {
    fn len(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(&self.0.lock().unwrap()[offset as usize..][..len]))
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.0.lock().unwrap()[offset as usize..][..data.len()].copy_from_slice(&data);
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// Every block another one: the high bits of a multiplicative counter.
fn unlike(len: u64) -> Vec<u8> {
    let words = (0..len / 8).map(|word: u64| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23));
    words.flat_map(u64::to_le_bytes).collect()
}

/// The extents in which a described volume has changed, changed in real bytes too.
async fn changed(cell: &Cell, content: &Arc<Content>, mut bytes: Vec<u8>) -> Vec<u8> {
    let (before, after) = (Volume::of(cell, content, false), Volume::of(cell, content, true));
    for offset in (0..cell.volume).step_by(EXTENT as usize) {
        let (old, new) =
            (before.read_at(offset, 1 << 16).await.unwrap(), after.read_at(offset, 1 << 16).await.unwrap());
        if old != new {
            bytes[offset as usize..][..EXTENT as usize].iter_mut().for_each(|byte| *byte ^= 0x55);
        }
    }
    bytes
}

#[tokio::test]
async fn real_bytes_give_the_same_requests_notes_and_times() {
    for operation in Operation::ALL {
        for (at_once, hash_rate) in [(1, 0), (7, 100_000_000), (4096, 0)] {
            let (volume, chunk, rtt_us) = (24 << 20, 1 << 20, 40_000);
            let cell = Cell { operation, volume, chunk, rtt_us, at_once, hash_rate, loss_ppm: 10, ..Cell::default() };
            let content = Content::new(chunk);
            let bytes = unlike(volume);
            let after = Memory(Mutex::new(changed(&cell, &content, bytes.clone()).await));
            let before = Memory(Mutex::new(bytes));
            let play = || {
                let real = measure_bytes(&cell, &before, &after).unwrap();
                (measure(&cell, &content).unwrap(), real)
            };
            // A runtime of its own, as it must not be within this one.
            let (described, real) = std::thread::scope(|scope| scope.spawn(play).join().unwrap());
            let name = format!("{cell:?}");
            assert_eq!(described.requests, real.requests, "{name}");
            assert_eq!(described.notes, real.notes, "{name}");
            assert_eq!(described.timeline, real.timeline, "{name}");
            assert_eq!(described.measured, real.measured, "{name}");
            assert!(!described.requests.is_empty() && described.measured.bytes > EXTENT, "{name}");
        }
    }
}
