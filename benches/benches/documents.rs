//! The documents of a large backup: its metadata and its sha256file, written and read.
//!
//! `cargo bench -p clinker-benches --bench documents [-- metadata | sha256file]`. The metadata are of 1 TiB in chunks of
//! 50 MiB: 20,972 objects. The sha256file of as much would be 2.4 GB of text, 33.5 million hashes; that of 64 GiB is
//! measured in its place, a sixteenth of it.

use clinker_benches::{data, is_measured};
use clinker_drivers::Backup;
use clinker_drivers::chunked::format::{self, DataObject, HashList};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const TIB: u64 = 1 << 40;
const GIB: u64 = 1 << 30;
const CHUNK: u64 = 50 << 20;
const BLOCK: u64 = 32 << 10;
/// As Cinder names a volume's objects in Swift.
const PREFIX: &str =
    "volume_6f1d2c3b-4a59-4e68-8c7d-9e0fa1b2c3d4/20260101000000/az_nova_backup_0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3";

fn metadata(criterion: &mut Criterion) {
    let (name, volume) = if is_measured() { ("1TiB", TIB) } else { ("1GiB", GIB) };
    let (backup, objects) = (backup(), objects(volume));
    let text = format::encode_metadata(&backup, &objects);
    assert_eq!(format::decode_metadata(PREFIX, &text).expect("what was written can be read"), objects);
    let mut group = criterion.benchmark_group("metadata");
    group.sample_size(20).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(format!("write/{name}"), |bencher| {
        bencher.iter(|| format::encode_metadata(&backup, &objects));
    });
    group.bench_function(format!("read/{name}"), |bencher| bencher.iter(|| format::decode_metadata(PREFIX, &text)));
    group.finish();
}

fn sha256file(criterion: &mut Criterion) {
    let (name, volume) = if is_measured() { ("64GiB", 64 * GIB) } else { ("1GiB", GIB) };
    let (backup, hashes) = (backup(), hashes(volume));
    let text = format::encode_hash_list(&backup, &hashes);
    assert!(format::decode_hash_list(PREFIX, &text).is_ok_and(|read| read == hashes), "what was written can be read");
    let mut group = criterion.benchmark_group("sha256file");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(format!("write/{name}"), |bencher| {
        bencher.iter(|| format::encode_hash_list(&backup, &hashes));
    });
    group.bench_function(format!("read/{name}"), |bencher| bencher.iter(|| format::decode_hash_list(PREFIX, &text)));
    group.finish();
}

fn backup() -> Backup {
    Backup {
        id: "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3".to_owned(),
        volume_id: "6f1d2c3b-4a59-4e68-8c7d-9e0fa1b2c3d4".to_owned(),
        display_name: Some("nightly".to_owned()),
        ..Backup::default()
    }
}

/// Of a volume of so many bytes.
fn objects(volume: u64) -> Vec<DataObject> {
    let count = volume.div_ceil(CHUNK);
    let md5s = data::random(7, count as usize * 16);
    let object = |(index, md5): (u64, &[u8; 16])| DataObject {
        name: format::object_name(PREFIX, index + 1),
        offset: index * CHUNK,
        length: CHUNK.min(volume - index * CHUNK),
        compression: "zlib".to_owned(),
        md5: *md5,
    };
    (0..count).zip(md5s.as_chunks().0).map(object).collect()
}

fn hashes(volume: u64) -> HashList {
    let sha256s = data::random(9, (volume / BLOCK) as usize * 32);
    HashList { block: BLOCK, sha256s: sha256s.as_chunks().0.to_vec() }
}

criterion_group!(benches, metadata, sha256file);
criterion_main!(benches);
