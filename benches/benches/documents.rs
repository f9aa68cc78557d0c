//! The documents of a large backup: its metadata and its sha256file, written and read.
//!
//! `cargo bench -p clinker-benches --bench documents [-- metadata | sha256file]`. The metadata are of 1 TiB in chunks of
//! 50 MiB: 20,972 objects. The sha256file of as much, 33.5 million hashes and 2.4 GB of text, is written in pieces, chunk by
//! chunk, as a backup does it. It is read in one piece, which would take some 5 GB of memory: of that of 64 GiB.

#[path = "common/large.rs"]
mod large;

use std::hint::black_box;
use std::time::Duration;

use clinker_benches::is_measured;
use clinker_drivers::chunked::format::{self, HASH_TEXT, HashListText};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use large::{BLOCK, CHUNK, PREFIX, backup, hashes, objects};

const TIB: u64 = 1 << 40;
const GIB: u64 = 1 << 30;
/// Bytes of text that are stored at once.
const PIECE: u64 = 8 << 20;

fn metadata(criterion: &mut Criterion) {
    let (name, volume) = if is_measured() { ("1TiB", TIB) } else { ("1GiB", GIB) };
    let (backup, objects) = (backup(), objects(volume));
    let text = format::encode_metadata(&backup, &objects);
    assert_eq!(format::decode_metadata(PREFIX, &text).expect("what was written can be read"), objects);
    let mut group = criterion.benchmark_group("metadata");
    group.sampling_mode(SamplingMode::Flat).sample_size(20).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(format!("write/{name}"), |bencher| {
        bencher.iter(|| format::encode_metadata(&backup, &objects));
    });
    group.bench_function(format!("read/{name}"), |bencher| bencher.iter(|| format::decode_metadata(PREFIX, &text)));
    group.finish();
}

fn sha256file(criterion: &mut Criterion) {
    let (long, volume) = if is_measured() { ("1TiB", TIB) } else { ("1GiB", GIB) };
    let (short, hashes) = if is_measured() { ("64GiB", hashes(64 * GIB)) } else { ("1GiB", hashes(GIB)) };
    let text = format::encode_hash_list(&backup(), &hashes);
    assert!(format::decode_hash_list(PREFIX, &text).is_ok_and(|read| read == hashes), "what was written can be read");
    let mut group = criterion.benchmark_group("sha256file");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(10));
    let chunk = &hashes.sha256s[..(CHUNK / BLOCK) as usize];
    group.throughput(Throughput::Bytes(volume / BLOCK * HASH_TEXT));
    group.bench_function(format!("write/{long}"), |bencher| bencher.iter(|| in_pieces(chunk, volume / CHUNK)));
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(format!("read/{short}"), |bencher| bencher.iter(|| format::decode_hash_list(PREFIX, &text)));
    group.finish();
}

/// The sha256file of so many chunks that have all the same hashes; its length.
fn in_pieces(chunk: &[[u8; 32]], chunks: u64) -> usize {
    let mut text = HashListText::begin(&backup(), BLOCK, 0);
    let mut written = 0;
    for _ in 0..chunks {
        text.push(chunk);
        if text.untaken() >= PIECE {
            written += black_box(text.take()).len();
        }
    }
    written + black_box(text.finish()).len()
}

criterion_group!(benches, metadata, sha256file);
criterion_main!(benches);
