//! Chains of backups: any link restores to its own point in time, whatever was edited, however small the volume.

mod support;

use std::sync::Arc;

use clinker_drivers::chunked::format;
use clinker_drivers::{Backup, BackupDriver, Kind};
use proptest::prelude::*;
use support::{
    BackupRecorder, MemoryDevice, MemoryStore, RestoreRecorder, context, driver, noise, options, restore_new,
    restore_over, row, run, store_backup,
};

const CHUNK: u64 = 4096;
const BLOCK: u64 = 512;

/// Backs up each state as an increment of the one before.
async fn store_chain(driver: &dyn BackupDriver, states: &[Vec<u8>]) -> Vec<Backup> {
    let mut chain: Vec<Backup> = Vec::new();
    for (link, state) in states.iter().enumerate() {
        let id = format!("backup-{link}");
        let stored = store_backup(driver, &id, chain.last(), state).await.unwrap();
        chain.push(stored);
    }
    chain
}

async fn check_every_link(driver: &dyn BackupDriver, states: &[Vec<u8>]) {
    let chain = store_chain(driver, states).await;
    for (link, state) in states.iter().enumerate() {
        assert!(restore_new(driver, &chain[..=link], state.len()).await.unwrap() == *state, "link {link}, new volume");
        assert!(restore_over(driver, &chain[..=link], state.len()).await.unwrap() == *state, "link {link}, old volume");
    }
}

/// The offsets and lengths of a backup's objects, from its metadata.
fn stored_ranges(store: &MemoryStore, backup: &Backup) -> Vec<(u64, u64)> {
    let name = format::metadata_name(backup.service_metadata.as_deref().unwrap());
    let objects = format::decode_metadata(&name, &store.object(&name)).unwrap();
    objects.iter().map(|object| (object.offset, object.length)).collect()
}

#[test]
fn volumes_of_every_awkward_size_restore() {
    run(async {
        for len in [1, BLOCK - 1, BLOCK, BLOCK + 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + BLOCK + 7] {
            let mut data = noise(len as usize, len);
            let before = data.clone();
            *data.last_mut().unwrap() ^= 1;
            let store = MemoryStore::shared(CHUNK, BLOCK);
            check_every_link(&driver(&store, &options("zlib")), &[before, data]).await;
        }
    });
}

/// Found by B-INC-005: a parent's objects that reach beyond the device made the whole chain unusable.
#[test]
fn a_volume_that_has_become_smaller_restores_to_its_own_size() {
    run(async {
        for len in [3 * CHUNK, 2 * CHUNK + BLOCK, 2 * CHUNK + 7, CHUNK - 1, 1] {
            let data = noise(4 * CHUNK as usize + 100, len);
            let smaller = data[..len as usize].to_vec();
            let mut edited = smaller.clone();
            *edited.first_mut().unwrap() ^= 1;
            let store = MemoryStore::shared(CHUNK, BLOCK);
            check_every_link(&driver(&store, &options("zlib")), &[data, smaller.clone(), smaller, edited]).await;
        }
    });
}

#[test]
fn an_increment_stores_one_object_per_run_of_changed_blocks_within_a_chunk() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let driver = driver(&store, &options("none"));
        let before = noise(2 * CHUNK as usize + 100, 1);
        let mut after = before.clone();
        // Blocks 1 and 2, block 5, blocks 7 and 8 across the border of the first two chunks, and the short last one.
        for at in [BLOCK, 2 * BLOCK, 5 * BLOCK, 7 * BLOCK, 8 * BLOCK, 16 * BLOCK] {
            after[at as usize] ^= 1;
        }
        let chain = store_chain(&driver, &[before, after.clone()]).await;
        let expected = [(512, 1024), (5 * 512, 512), (7 * 512, 512), (8 * 512, 512), (16 * 512, 100)];
        assert_eq!(stored_ranges(&store, &chain[1]), expected);
        assert_eq!(restore_new(&driver, &chain, after.len()).await.unwrap(), after);
    });
}

#[test]
fn an_increment_without_changes_has_no_data_objects() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let driver = driver(&store, &options("none"));
        let data = noise(10_000, 1);
        let full = store_backup(&driver, "full", None, &data).await.unwrap();
        let control = Arc::new(BackupRecorder::default());
        let device = MemoryDevice::new(data);
        let update = driver.backup(&context(), &row("same"), Some(&full), &device, control).await.unwrap();
        assert_eq!(update.object_count, 0);
        let of_increment: Vec<_> = store.names().into_iter().filter(|name| name.contains("same")).collect();
        let prefix = "volume_vol-1_20270304050605_same";
        assert_eq!(of_increment, [format!("{prefix}_metadata"), format!("{prefix}_sha256file")]);
    });
}

#[test]
fn zeros_of_an_increment_overwrite_the_parents_data_on_a_new_volume() {
    run(async {
        let piece = 1 << 20;
        let store = MemoryStore::shared(2 * piece as u64, BLOCK);
        let before = noise(2 * piece, 1);
        let mut after = before.clone();
        after[piece..].fill(0);
        check_every_link(&driver(&store, &options("none")), &[before, after]).await;
    });
}

#[test]
fn zero_pieces_are_left_out_on_a_new_volume_only() {
    run(async {
        let piece = 1u64 << 20;
        let store = MemoryStore::shared(4 * piece, BLOCK);
        let driver = driver(&store, &options("none"));
        let mut data = vec![0; 4 * piece as usize + 5];
        data[piece as usize] = 1;
        data[3 * piece as usize - 1] = 1;
        let chain = [store_backup(&driver, "full", None, &data).await.unwrap()];
        let written = async |volume_is_new| {
            let device = MemoryDevice::new(vec![0; data.len()]);
            let control = Arc::new(support::RestoreRecorder::default());
            driver.restore(&context(), &chain, &device, volume_is_new, control).await.unwrap();
            assert_eq!(device.data(), data);
            device.writes.lock().unwrap().clone()
        };
        assert_eq!(written(true).await, [(piece, 3 * piece)]);
        assert_eq!(written(false).await, [(0, 4 * piece), (4 * piece, 4 * piece + 5)]);
    });
}

#[test]
fn every_byte_is_written_once_and_what_is_overwritten_is_not_fetched() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let driver = driver(&store, &options("none"));
        let first = noise(4 * CHUNK as usize, 1);
        let (mut second, mut third) = (first.clone(), first.clone());
        // All of the second chunk, in two steps, and the middle of the third.
        second[CHUNK as usize..][..BLOCK as usize * 3].fill(1);
        second[2 * CHUNK as usize + BLOCK as usize..][..BLOCK as usize].fill(2);
        third.copy_from_slice(&second);
        third[CHUNK as usize..][..CHUNK as usize].fill(3);
        let chain = store_chain(&driver, &[first, second, third.clone()]).await;
        let before = store.asked("get").len();
        let device = MemoryDevice::new(vec![0xee; third.len()]);
        let control = Arc::new(RestoreRecorder::default());
        driver.restore(&context(), &chain, &device, false, control).await.unwrap();
        assert!(device.data() == third);
        let fetched: Vec<String> = store.asked("get")[before..]
            .iter()
            .filter(|name| name.ends_with(|last: char| last.is_ascii_digit()))
            .cloned()
            .collect();
        let whole =
            |link: usize, number: u32| format!("{}-{number:05}", chain[link].service_metadata.as_deref().unwrap());
        assert_eq!(fetched, [whole(0, 1), whole(0, 3), whole(0, 4), whole(1, 2), whole(2, 1)]);
        let mut writes = device.writes.lock().unwrap().clone();
        writes.sort_unstable();
        assert!(
            writes
                .iter()
                .map(|(start, _)| *start)
                .eq([0].into_iter().chain(writes.iter().map(|(_, end)| *end)).take(writes.len())),
            "{writes:?}"
        );
        assert_eq!(writes.last().map(|(_, end)| *end), Some(4 * CHUNK));
    });
}

#[test]
fn a_volume_that_shrank_restores_at_every_link() {
    run(async {
        for len in [CHUNK, CHUNK + 3, 2 * BLOCK, 2 * BLOCK + 3] {
            let store = MemoryStore::shared(CHUNK, BLOCK);
            let driver = driver(&store, &options("none"));
            let before = noise(2 * CHUNK as usize, 1);
            let mut after = before[..len as usize].to_vec();
            after[1] ^= 1;
            let chain = store_chain(&driver, &[before.clone(), after.clone()]).await;
            let restored = restore_over(&driver, &chain, before.len()).await.unwrap();
            assert_eq!(restored[..after.len()], after, "{len}");
        }
    });
}

#[test]
fn an_increment_that_cannot_build_on_its_parent_asks_for_a_full_backup_and_writes_nothing() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let data = noise(CHUNK as usize, 1);
        let full = store_backup(&driver(&store, &options("none")), "full", None, &data).await.unwrap();
        let names = store.names();
        let sha256file = "volume_vol-1_20270304050605_full_sha256file";
        let refuse = async |blocks: u64, size: u64, len: usize, kind, expected: &str| {
            let mut other = MemoryStore::new(CHUNK, blocks);
            names.iter().filter(|name| **name != sha256file || kind != Kind::NotFound).for_each(|name| {
                other.set(name, store.object(name));
            });
            other.failing.clear();
            let other = Arc::new(other);
            let before = other.names();
            let backup = Backup { size, ..row("increment") };
            let control = Arc::new(BackupRecorder::default());
            let device = MemoryDevice::new(noise(len, 2));
            let driver = driver(&other, &options("none"));
            let error = driver.backup(&context(), &backup, Some(&full), &device, control.clone()).await.unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert_eq!(
                error.to_string(),
                format!("{kind}: backup: parent backup full: {expected}; a full backup is needed")
            );
            assert_eq!(other.names(), before);
            assert_eq!(control.location(), None, "nothing was recorded");
            assert_eq!(other.asked("put_container"), Vec::<String>::new());
        };
        let len = data.len();
        refuse(1024, 1, len, Kind::InvalidBackup, "its hash block size is 512, now 1024 is set").await;
        refuse(512, 2, len, Kind::InvalidBackup, "volume vol-1 has grown since").await;
        refuse(512, 1, len + 1, Kind::InvalidBackup, "volume vol-1 has grown since").await;
        refuse(512, 1, len, Kind::NotFound, &format!("object {sha256file} is missing")).await;
    });
}

#[test]
fn what_cannot_be_backed_up_is_refused_before_any_request() {
    run(async {
        let refuse = async |chunk, block, len, kind, expected: &str| {
            let store = MemoryStore::shared(chunk, block);
            let control = Arc::new(BackupRecorder::default());
            let device = MemoryDevice::new(vec![0; len]);
            let driver = driver(&store, &options("none"));
            let error = driver.backup(&context(), &row("b"), None, &device, control.clone()).await.unwrap_err();
            assert_eq!((error.kind, error.to_string().as_str()), (kind, expected));
            assert_eq!((store.log(), control.location()), (Vec::new(), None));
        };
        let expected = "invalid_backup: backup: chunk size 4096 is not a multiple of the hash block size 1000";
        refuse(4096, 1000, 10, Kind::InvalidBackup, expected).await;
        refuse(4096, 512, 0, Kind::InvalidVolume, "invalid_volume: backup: volume vol-1 is empty").await;
    });
}

#[test]
fn more_than_99_999_objects_restore_in_the_order_of_the_metadata() {
    run(async {
        let store = MemoryStore::shared(1, 1);
        let driver = driver(&store, &options("none"));
        let data = noise(100_001, 1);
        let chain = [store_backup(&driver, "full", None, &data).await.unwrap()];
        assert!(store.names().iter().any(|name| name.ends_with("_full-100001")));
        assert!(restore_over(&driver, &chain, data.len()).await.unwrap() == data);
    });
}

/// A few edits: each fills a range with a byte.
fn edits() -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    proptest::collection::vec((0usize..20_000, 1usize..3_000, 0u8..3), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_link_of_any_chain_restores(
        len in 1usize..20_000,
        steps in proptest::collection::vec(edits(), 0..4),
        compression in proptest::sample::select(vec!["none", "zlib", "zstd", "bz2"]),
    ) {
        let mut states = vec![noise(len, 7)];
        for step in steps {
            let mut next = states.last().unwrap().clone();
            for (start, size, byte) in step {
                let start = start % len;
                next[start..len.min(start + size)].fill(byte);
            }
            states.push(next);
        }
        let store = MemoryStore::shared(CHUNK, BLOCK);
        run(check_every_link(&driver(&store, &options(compression)), &states));
    }
}
