//! The chunk engine beside its bytes: documents, changed blocks, what of a chain is still to be seen.

use std::ops::Range;

use clinker_benches::data;
use clinker_drivers::chunked::format;
use clinker_drivers::fuzzing;

use super::large::{self, PREFIX};
use super::measured;

const GIB: u64 = 1 << 30;
/// Blocks of a volume, and of how many one has changed.
const BLOCKS: usize = 100_000;
const CHANGED: usize = 100;

/// Of 100 GiB: 2,048 objects.
pub fn metadata_write() {
    let (backup, objects) = (large::backup(), large::objects(100 * GIB));
    measured(|| format::encode_metadata(&backup, &objects));
}

pub fn metadata_read() {
    let objects = large::objects(100 * GIB);
    let text = format::encode_metadata(&large::backup(), &objects);
    assert_eq!(measured(|| format::decode_metadata(PREFIX, &text)).expect("it is sound"), objects);
}

/// Of 1 GiB: 32,768 hashes.
pub fn sha256file_write() {
    let (backup, hashes) = (large::backup(), large::hashes(GIB));
    measured(|| format::encode_hash_list(&backup, &hashes));
}

pub fn sha256file_read() {
    let hashes = large::hashes(GIB);
    let text = format::encode_hash_list(&large::backup(), &hashes);
    assert!(measured(|| format::decode_hash_list(PREFIX, &text)).expect("it is sound") == hashes);
}

pub fn changed_runs() {
    let parent = data::random(9, BLOCKS * 32).as_chunks::<32>().0.to_vec();
    let mut now = parent.clone();
    now.iter_mut().step_by(CHANGED).for_each(|hash| hash[31] ^= 1);
    assert_eq!(measured(|| fuzzing::changed_runs(&now, &parent)).len(), BLOCKS / CHANGED);
}

/// A full backup in chunks, and ten increments of scattered blocks.
pub fn coverage() {
    const CHUNK: u64 = 1600;
    let (places, lengths) = (data::random(5, 10_000 * 8), data::random(6, 10_000));
    let scattered = places.as_chunks().0.iter().zip(lengths).map(|(place, length)| {
        let start = u64::from_le_bytes(*place) % (BLOCKS as u64 - 256);
        start..start + 1 + u64::from(length) % 8
    });
    let full = (0..BLOCKS as u64).step_by(CHUNK as usize).map(|start| start..start + CHUNK);
    let writes: Vec<Range<u64>> = full.chain(scattered).collect();
    assert_eq!(measured(|| fuzzing::visible(&writes)).len(), writes.len());
}
