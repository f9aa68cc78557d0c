//! Chunks and objects that are too long for the memory: they become the same backup as whole ones, and are judged alike.

mod support;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::ChunkedDriver;
use clinker_drivers::chunked::decisions::Production;
use clinker_drivers::chunked::format;
use clinker_drivers::chunked::pieces::Sizes;
use clinker_drivers::posix::PosixStore;
use clinker_drivers::{Backup, BackupDriver, Device, Error, Kind, Options, Result};
use clinker_env::Env;
use proptest::prelude::*;
use support::faulty::faulty;
use support::{
    BackupRecorder, MemoryDevice, RestoreRecorder, context, env, noise, restore_new, restore_over, row, run,
    store_backup,
};
use tempfile::TempDir;

const CHUNK: u64 = 4096;
const BLOCK: u64 = 512;
const COMPRESSIONS: [&str; 4] = ["none", "zlib", "bz2", "zstd"];
const WHOLE: Sizes = Sizes { whole_max: u64::MAX, piece: 1 << 20 };

/// Everything in pieces of so many bytes, also the sha256file.
fn pieces(piece: u64) -> Sizes {
    Sizes { whole_max: 0, piece }
}

fn driver_in(env: Env, repository: &Path, compression: &str, sizes: Sizes) -> ChunkedDriver {
    driver_with(env, repository, support::options(compression), sizes)
}

fn driver_with(env: Env, repository: &Path, options: Options, sizes: Sizes) -> ChunkedDriver {
    let options = Options {
        backup_posix_path: repository.to_str().unwrap().into(),
        backup_container: Some("backups".into()),
        backup_file_size: CHUNK,
        backup_sha_block_size_bytes: BLOCK,
        ..options
    };
    let store = Arc::new(PosixStore::new(&options, &env));
    ChunkedDriver::new(store, env, &options, Arc::new(Production)).with_sizes(sizes)
}

fn driver(repository: &TempDir, compression: &str, sizes: Sizes) -> ChunkedDriver {
    driver_in(env(), repository.path(), compression, sizes)
}

fn files(repository: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(repository.path().join("backups")) else { return BTreeMap::new() };
    let read =
        |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    entries.map(|entry| read(entry.unwrap())).collect()
}

fn objects(repository: &TempDir, backup: &Backup) -> Vec<format::DataObject> {
    let name = format::metadata_name(backup.service_metadata.as_deref().unwrap());
    format::decode_metadata(&name, &files(repository)[&name]).unwrap()
}

async fn store_chain(driver: &dyn BackupDriver, states: &[Vec<u8>]) -> Vec<Backup> {
    let mut chain: Vec<Backup> = Vec::new();
    for (link, state) in states.iter().enumerate() {
        let stored = store_backup(driver, &format!("backup-{link}"), chain.last(), state).await.unwrap();
        chain.push(stored);
    }
    chain
}

/// A volume's states: text, zeros and noise, then edits of single blocks and long runs.
fn states(len: usize, edits: &[(usize, usize, u8)]) -> Vec<Vec<u8>> {
    let mut data = noise(len, 5);
    data.iter_mut().take(len / 3).for_each(|byte| *byte = b'a' + *byte % 4);
    data.iter_mut().skip(len / 2).take(len / 5).for_each(|byte| *byte = 0);
    let mut states = vec![data.clone()];
    for (at, edit_len, byte) in edits {
        let start = at % len;
        data[start..len.min(start + edit_len)].fill(*byte);
        states.push(data.clone());
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn backups_in_pieces_are_those_of_whole_chunks(
        len in 1usize..20_000,
        edits in proptest::collection::vec((0usize..20_000, 1usize..9000, any::<u8>()), 0..4),
        piece in 1u64..3000,
        compression in 0usize..4,
    ) {
        run(async {
            let states = states(len, &edits);
            let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let whole = driver(&one, COMPRESSIONS[compression], WHOLE);
            let in_pieces = driver(&other, COMPRESSIONS[compression], pieces(piece));
            let chain = store_chain(&whole, &states).await;
            let same = store_chain(&in_pieces, &states).await;
            let (expected, found) = (files(&one), files(&other));
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            for name in expected.keys().filter(|name| compression == 0 || name.ends_with("_sha256file")) {
                assert!(found[name] == expected[name], "{name}");
            }
            for (backup, same) in chain.iter().zip(&same) {
                // Streams of pieces may be a little longer or shorter, so that a short object stays raw or not.
                let places = |repository, backup| {
                    let place = |object: format::DataObject| (object.name, object.offset, object.length, object.md5);
                    objects(repository, backup).into_iter().map(place).collect::<Vec<_>>()
                };
                assert_eq!(places(&other, same), places(&one, backup));
            }
            for (link, state) in states.iter().enumerate() {
                for (from, by) in [(&other, pieces(piece)), (&other, WHOLE), (&one, pieces(piece))] {
                    let driver = driver(from, "none", by);
                    assert!(restore_new(&driver, &chain[..=link], len).await.unwrap() == *state, "new, {link}");
                    assert!(restore_over(&driver, &chain[..=link], len).await.unwrap() == *state, "old, {link}");
                }
            }
        });
    }
}

#[test]
fn data_that_do_not_shrink_are_stored_raw() {
    run(async {
        for compression in &COMPRESSIONS[1..] {
            let repository = tempfile::tempdir().unwrap();
            let driver = driver(&repository, compression, pieces(1000));
            let backup = store_backup(&driver, "b", None, &noise(3 * CHUNK as usize, 1)).await.unwrap();
            let tags: Vec<String> =
                objects(&repository, &backup).into_iter().map(|object| object.compression).collect();
            assert_eq!(tags, ["none"; 3], "{compression}");
            let text = store_backup(&driver, "t", None, &vec![b'a'; 2 * CHUNK as usize]).await.unwrap();
            let tags: Vec<String> = objects(&repository, &text).into_iter().map(|object| object.compression).collect();
            assert_eq!(tags, [*compression; 2]);
        }
    });
}

/// Gives other bytes from the second reading of a place on.
struct Changing {
    inner: MemoryDevice,
    reads: AtomicUsize,
}

#[async_trait]
impl Device for Changing {
    fn len(&self) -> u64 {
        self.inner.len()
    }
    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let read = self.inner.read_at(offset, len).await?;
        let pieces = (CHUNK as usize).div_ceil(len.max(1));
        let before = self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(if before < pieces { read } else { Bytes::from(vec![7; read.len()]) })
    }
    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.inner.write_at(offset, data).await
    }
    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_volume_that_changes_before_it_is_stored_raw_is_refused() {
    run(async {
        let repository = tempfile::tempdir().unwrap();
        let driver = driver(&repository, "zlib", pieces(1024));
        let device = Changing { inner: MemoryDevice::new(noise(CHUNK as usize, 1)), reads: AtomicUsize::new(0) };
        let control = Arc::new(BackupRecorder::default());
        let error = driver.backup(&context(), &row("b"), None, &device, control).await.expect_err("it changed");
        let expected = "invalid_volume: backup: volume vol-1 changed between offsets 0 and 4096 while it was read";
        assert_eq!(error.to_string(), expected);
        assert_eq!(files(&repository).len(), 0);
    });
}

#[test]
fn a_write_that_fails_anywhere_leaves_nothing() {
    run(async {
        for operation in ["create", "write_at", "sync_all", "rename"] {
            for path in ["-00001", "-00002", "_sha256file", "_metadata"] {
                for compression in ["none", "zlib"] {
                    let repository = tempfile::tempdir().unwrap();
                    let env = faulty(operation, io::ErrorKind::StorageFull, path);
                    let driver = driver_in(env, repository.path(), compression, pieces(1000));
                    let mut data = noise(2 * CHUNK as usize, 1);
                    data[..3000].fill(b'a');
                    let error = store_backup(&driver, "b", None, &data).await.expect_err("the disk is full");
                    assert_eq!(error.kind, Kind::Quota, "{operation} {path}: {error}");
                    assert!(error.what.contains(path), "{operation} {path}: {error}");
                    assert_eq!(files(&repository).into_keys().collect::<Vec<_>>(), [""; 0], "{operation} {path}");
                }
            }
        }
    });
}

/// Found by a review: puts beside the one that failed were let go of.
#[test]
fn a_put_that_fails_beside_others_leaves_nothing_of_them() {
    run(async {
        let repository = tempfile::tempdir().unwrap();
        let mut data = noise(2 * CHUNK as usize, 1);
        let full = store_backup(&driver(&repository, "none", pieces(CHUNK)), "full", None, &data).await.unwrap();
        let before = files(&repository);
        (0..data.len()).step_by(2 * BLOCK as usize).for_each(|at| data[at] ^= 1);
        for operation in ["create", "write_at", "sync_all", "rename"] {
            for path in ["more-00001", "more-00002", "more-00003"] {
                let env = faulty(operation, io::ErrorKind::StorageFull, path);
                let options = Options { backup_max_inflight_chunks: 64, ..support::options("none") };
                let driver = driver_with(env, repository.path(), options, pieces(CHUNK));
                let error = store_backup(&driver, "more", Some(&full), &data).await.expect_err("the disk is full");
                assert_eq!(error.kind, Kind::Quota, "{operation} {path}: {error}");
                assert_eq!(files(&repository), before, "{operation} {path}");
            }
        }
    });
}

#[test]
fn a_cancel_between_pieces_leaves_nothing() {
    run(async {
        for cancel_at in 0..10 {
            let repository = tempfile::tempdir().unwrap();
            let driver = driver(&repository, "none", pieces(1024));
            let device = MemoryDevice::new(noise(2 * CHUNK as usize + 700, 1));
            let control = Arc::new(BackupRecorder { cancel_at: Some(cancel_at), ..BackupRecorder::default() });
            let outcome = driver.backup(&context(), &row("b"), None, &device, control.clone()).await;
            // Nine pieces: the tenth question is never asked.
            assert_eq!(outcome.is_err(), cancel_at < 9, "{cancel_at}: asked {}", control.asked());
            assert_eq!(files(&repository).is_empty(), cancel_at < 9, "{cancel_at}");
        }
    });
}

/// What a restore of the chain in pieces says, and where it wrote before.
async fn refused(repository: &TempDir, chain: &[Backup], len: usize) -> (Error, Vec<(u64, u64)>) {
    let device = MemoryDevice::new(vec![0xee; len]);
    let driver = driver(repository, "none", pieces(1024));
    let control = Arc::new(RestoreRecorder::default());
    let error = driver.restore(&context(), chain, &device, false, control).await.expect_err("the damage is found");
    let writes = device.writes.lock().unwrap().clone();
    (error, writes)
}

#[test]
fn damage_is_found_before_it_is_written() {
    run(async {
        for compression in COMPRESSIONS {
            let repository = tempfile::tempdir().unwrap();
            let states = states(2 * CHUNK as usize + 100, &[(700, 600, b'x')]);
            let chain = store_chain(&driver(&repository, compression, pieces(1024)), &states).await;
            let place = |name: &str| repository.path().join("backups").join(name);
            for object in chain.iter().flat_map(|backup| objects(&repository, backup)) {
                let sound = std::fs::read(place(&object.name)).unwrap();
                let mut flipped = sound.clone();
                // The last byte belongs to the checksum of most streams, and to the data of what is raw.
                *flipped.last_mut().unwrap() ^= 0xff;
                let longer = [&sound[..], b"x"].concat();
                let much_longer = [&sound[..], &[7; 5000]].concat();
                for damaged in [&flipped[..], &longer, &much_longer, &sound[..sound.len() - 1], b""] {
                    std::fs::write(place(&object.name), damaged).unwrap();
                    let (error, writes) = refused(&repository, &chain, states[0].len()).await;
                    let expected = format!("integrity: restore: object {} ", object.name);
                    assert!(error.to_string().starts_with(&expected), "{compression}: {error}");
                    // Of the damaged piece nothing is on the volume.
                    let last = object.end() - 1;
                    assert!(writes.iter().all(|(start, end)| !(*start..*end).contains(&last)), "{writes:?}");
                }
                std::fs::write(place(&object.name), sound).unwrap();
            }
        }
    });
}

/// Found by B-INT-007: the objects after it had been written before it was looked at.
#[test]
fn an_object_that_only_claims_to_be_long_is_refused_before_anything_is_written() {
    run(async {
        let repository = tempfile::tempdir().unwrap();
        let states = states(3 * CHUNK as usize, &[]);
        let by = Sizes { whole_max: 2 * CHUNK, piece: 1024 };
        let chain = store_chain(&driver(&repository, "none", by), &states).await;
        let mut objects = objects(&repository, &chain[0]);
        objects[0].length = 1 << 40;
        let name = format::metadata_name(chain[0].service_metadata.as_deref().unwrap());
        let path = repository.path().join("backups").join(&name);
        std::fs::write(path, format::encode_metadata(&row("backup-0"), &objects)).unwrap();
        let device = MemoryDevice::new(vec![0xee; states[0].len()]);
        let control = Arc::new(RestoreRecorder::default());
        let driver = driver(&repository, "none", by);
        let error = driver.restore(&context(), &chain, &device, false, control).await.expect_err("it is shorter");
        let expected = format!("object {} holds {CHUNK} bytes, its metadata name {}", objects[0].name, 1u64 << 40);
        assert_eq!(error.to_string(), format!("integrity: restore: {expected}"));
        assert_eq!(*device.writes.lock().unwrap(), []);
    });
}

#[test]
fn a_bad_list_is_told_from_a_bad_object() {
    run(async {
        let repository = tempfile::tempdir().unwrap();
        let states = states(CHUNK as usize, &[]);
        let chain = store_chain(&driver(&repository, "zlib", pieces(1024)), &states).await;
        let name = format::sha256file_name(chain[0].service_metadata.as_deref().unwrap());
        let path = repository.path().join("backups").join(&name);
        let mut list = format::decode_hash_list(&name, &std::fs::read(&path).unwrap()).unwrap();
        list.sha256s[5][0] ^= 1;
        std::fs::write(&path, format::encode_hash_list(&row("backup-0"), &list)).unwrap();
        let (error, _) = refused(&repository, &chain, states[0].len()).await;
        let expected = format!("integrity: restore: object {name} does not match the restored volume at block 5");
        assert_eq!(error.to_string(), expected);
        // Without a list the md5 of the whole object judges, before anything is written.
        std::fs::remove_file(&path).unwrap();
        let object = objects(&repository, &chain[0]).remove(0);
        let place = repository.path().join("backups").join(&object.name);
        let other = noise(CHUNK as usize, 77);
        let packed = clinker_drivers::chunked::compress::Algorithm::named("zlib")
            .unwrap()
            .pack(&[&other[..10], &vec![0; 4086]].concat());
        std::fs::write(place, packed.unwrap()).unwrap();
        let (error, writes) = refused(&repository, &chain, states[0].len()).await;
        assert_eq!(
            error.to_string(),
            format!("integrity: restore: object {} does not hold what was backed up", object.name)
        );
        assert_eq!(writes, []);
    });
}
