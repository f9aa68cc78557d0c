//! The documents of a large backup: its metadata and its sha256file, written and read.
//!
//! `cargo bench -p clinker-benches --bench documents [-- metadata | sha256file]`. The metadata are of 1 TiB in chunks of
//! 50 MiB: 20,972 objects. The sha256file of as much, 33.5 million hashes, is 2.4 GB of text and takes some 12 GB of memory
//! to write; that of 64 GiB is measured in its place, a sixteenth of it.

#[path = "common/large.rs"]
mod large;

use std::time::Duration;

use clinker_benches::is_measured;
use clinker_drivers::chunked::format;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use large::PREFIX;

const TIB: u64 = 1 << 40;
const GIB: u64 = 1 << 30;

fn metadata(criterion: &mut Criterion) {
    let (name, volume) = if is_measured() { ("1TiB", TIB) } else { ("1GiB", GIB) };
    let (backup, objects) = (large::backup(), large::objects(volume));
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
    let (name, volume) = if is_measured() { ("64GiB", 64 * GIB) } else { ("1GiB", GIB) };
    let (backup, hashes) = (large::backup(), large::hashes(volume));
    let text = format::encode_hash_list(&backup, &hashes);
    assert!(format::decode_hash_list(PREFIX, &text).is_ok_and(|read| read == hashes), "what was written can be read");
    let mut group = criterion.benchmark_group("sha256file");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(format!("write/{name}"), |bencher| {
        bencher.iter(|| format::encode_hash_list(&backup, &hashes));
    });
    group.bench_function(format!("read/{name}"), |bencher| bencher.iter(|| format::decode_hash_list(PREFIX, &text)));
    group.finish();
}

criterion_group!(benches, metadata, sha256file);
criterion_main!(benches);
