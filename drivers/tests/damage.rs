//! Damaged stores: whatever is changed, cut, swapped, added or lost is found, and the object is named.

mod support;

use std::sync::Arc;

use clinker_drivers::chunked::decisions::EngineDecisions;
use clinker_drivers::chunked::format::{HashList, encode_hash_list};
use clinker_drivers::{Backup, BackupDriver, Error, Kind};
use proptest::prelude::*;
use support::{
    MemoryDevice, MemoryStore, RestoreRecorder, context, driver, driver_with, noise, options, restore_new,
    restore_over, run, store_backup,
};

const CHUNK: u64 = 4096;
const BLOCK: u64 = 512;
const COMPRESSIONS: [&str; 4] = ["none", "zlib", "bz2", "zstd"];
const FULL: &str = "volume_vol-1_20270304050605_full";
const INCREMENT: &str = "volume_vol-1_20270304050605_increment";

/// Three chunks and a tail, compressible in part, and an increment that overwrites some of it.
async fn chain(store: &Arc<MemoryStore>, compression: &str) -> (Vec<Backup>, Vec<u8>) {
    let driver = driver(store, &options(compression));
    let mut data = noise(3 * CHUNK as usize + 700, 3);
    data[..6000].fill(b'a');
    let full = store_backup(&driver, "full", None, &data).await.unwrap();
    data[1000..1600].fill(b'b');
    data[9000] ^= 1;
    let increment = store_backup(&driver, "increment", Some(&full), &data).await.unwrap();
    (vec![full, increment], data)
}

async fn restore_error(store: &Arc<MemoryStore>, chain: &[Backup], len: usize) -> Error {
    let device = MemoryDevice::new(vec![0xee; len]);
    let control = Arc::new(RestoreRecorder::default());
    let driver = driver(store, &options("none"));
    driver.restore(&context(), chain, &device, false, control).await.expect_err("the damage is found")
}

#[test]
fn a_flipped_bit_in_any_data_object_is_found_and_named_unless_it_means_nothing() {
    run(async {
        for compression in COMPRESSIONS {
            let store = MemoryStore::shared(CHUNK, BLOCK);
            let (chain, data) = chain(&store, compression).await;
            let objects: Vec<String> = store.names().into_iter().filter(|name| name.contains("-0000")).collect();
            assert!(objects.len() > 5, "{objects:?}");
            for name in objects {
                let sound = store.object(&name);
                for at in (0..sound.len()).step_by(1 + sound.len() / 37) {
                    let mut damaged = sound.to_vec();
                    damaged[at] ^= 0x10;
                    store.set(&name, damaged);
                    match restore_over(&driver(&store, &options("none")), &chain, data.len()).await {
                        Err(error) => {
                            let (reason, expected) = (error.to_string(), format!("integrity: restore: object {name} "));
                            assert!(reason.starts_with(&expected), "byte {at}: {reason}");
                        }
                        // Some bits of a compressed stream mean nothing, such as its padding.
                        Ok(restored) => assert!(compression != "none" && restored == data, "{name}, byte {at}"),
                    }
                }
                store.set(&name, sound);
            }
            assert_eq!(restore_over(&driver(&store, &options("none")), &chain, data.len()).await.unwrap(), data);
        }
    });
}

#[test]
fn a_cut_or_lengthened_object_is_found_and_named() {
    run(async {
        for compression in COMPRESSIONS {
            let store = MemoryStore::shared(CHUNK, BLOCK);
            let (chain, data) = chain(&store, compression).await;
            let name = format!("{FULL}-00003");
            let sound = store.object(&name);
            let longer = [&sound[..], b"x"].concat();
            for damaged in [&sound[..0], &sound[..1], &sound[..sound.len() - 1], &longer[..]] {
                store.set(&name, damaged.to_vec());
                let error = restore_error(&store, &chain, data.len()).await;
                assert_eq!(error.kind, Kind::Integrity, "{error}");
                assert!(error.what.starts_with(&format!("object {name} ")), "{error}");
            }
        }
    });
}

#[test]
fn swapped_objects_of_equal_length_are_found() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let (chain, data) = chain(&store, "none").await;
        let (second, third) = (format!("{FULL}-00002"), format!("{FULL}-00003"));
        let (a, b) = (store.object(&second), store.object(&third));
        store.set(&second, b);
        store.set(&third, a);
        let error = restore_error(&store, &chain, data.len()).await;
        let expected = format!("integrity: restore: object {second} does not hold what was backed up");
        assert_eq!(error.to_string(), expected);
    });
}

/// What no object holds whole is read back from the volume a block at a time: a list with one block of all the volume
/// had it read into memory at once.
#[test]
fn a_block_longer_than_any_object_is_refused() {
    run(async {
        let store = MemoryStore::shared(1 << 20, BLOCK);
        let driver = driver(&store, &options("none"));
        let data = noise(3 << 20, 5);
        let chain = [store_backup(&driver, "full", None, &data).await.unwrap()];
        let list = HashList { block: 1 << 40, sha256s: vec![[7; 32]] };
        store.set(&format!("{FULL}_sha256file"), encode_hash_list(&chain[0], &list));
        let error = restore_error(&store, &chain, data.len()).await;
        let what = format!(
            "object {FULL}_sha256file: chunk_size is {}, but no object of the chain holds as much",
            1_u64 << 40
        );
        assert_eq!((error.kind, error.what), (Kind::InvalidBackup, what));
    });
}

#[test]
fn bad_data_never_reach_the_volume() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let (chain, data) = chain(&store, "none").await;
        store.set(&format!("{FULL}-00002"), vec![0x55; CHUNK as usize]);
        let device = MemoryDevice::new(vec![0xee; data.len()]);
        let control = Arc::new(RestoreRecorder::default());
        let driver = driver(&store, &options("none"));
        driver.restore(&context(), &chain, &device, false, control).await.unwrap_err();
        let writes = device.writes.lock().unwrap();
        assert!(!writes.is_empty() && writes.iter().all(|(_, end)| *end <= CHUNK), "{writes:?}");
    });
}

#[test]
fn a_wrong_hash_list_is_named_when_the_objects_are_sound() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let (chain, data) = chain(&store, "zlib").await;
        let name = format!("{INCREMENT}_sha256file");
        let text = String::from_utf8(store.object(&name).to_vec()).unwrap();
        let first = text.split('"').find(|part| part.len() == 64).unwrap();
        store.set(&name, text.replacen(first, &"0".repeat(64), 1));
        let error = restore_error(&store, &chain, data.len()).await;
        let expected = format!("integrity: restore: object {name} does not match the restored volume at block 0");
        assert_eq!(error.to_string(), expected);
    });
}

#[test]
fn a_chain_without_one_of_its_links_is_found() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let (chain, data) = chain(&store, "none").await;
        let error = restore_error(&store, &chain[1..], data.len()).await;
        assert_eq!(error.kind, Kind::Integrity, "{error}");
        assert!(error.what.starts_with(&format!("object {INCREMENT}_sha256file ")), "{error}");
    });
}

#[test]
fn lost_and_added_objects_are_refused_before_the_first_write() {
    run(async {
        let refuse = async |change: &dyn Fn(&MemoryStore), expected: &str| {
            let store = MemoryStore::shared(CHUNK, BLOCK);
            let (chain, data) = chain(&store, "none").await;
            change(&store);
            let device = MemoryDevice::new(vec![0; data.len()]);
            let control = Arc::new(RestoreRecorder::default());
            let driver = driver(&store, &options("none"));
            let error = driver.restore(&context(), &chain, &device, false, control.clone()).await.unwrap_err();
            assert_eq!(error.to_string(), format!("invalid_backup: restore: object {expected}"));
            assert_eq!((device.writes.lock().unwrap().len(), control.asked()), (0, 0));
        };
        let lost = format!("{FULL}-00002");
        refuse(&|store| store.remove(&lost), &format!("{lost}: named in the metadata but missing in the store")).await;
        let lost = format!("{INCREMENT}-00001");
        refuse(&|store| store.remove(&lost), &format!("{lost}: named in the metadata but missing in the store")).await;
        let added = format!("{FULL}-00009");
        refuse(&|store| store.set(&added, "x"), &format!("{added}: in the store but not named in the metadata")).await;
        let metadata = format!("{FULL}_metadata");
        let expected = format!("{metadata} is missing: backup full is incomplete");
        refuse(&|store| store.remove(&metadata), &expected).await;
        let old = store_text(&metadata).await.replace("1.0.0", "9.0.0");
        let expected = format!("{metadata}: version \"9.0.0\" cannot be read, only 1.0.0");
        refuse(&|store| store.set(&metadata, old.clone()), &expected).await;
        let odd = store_text(&metadata).await.replace("\"none\"", "\"lzma\"");
        let expected = format!("{FULL}-00001: unknown compression algorithm \"lzma\"");
        refuse(&|store| store.set(&metadata, odd.clone()), &expected).await;
    });
}

async fn store_text(name: &str) -> String {
    let store = MemoryStore::shared(CHUNK, BLOCK);
    chain(&store, "none").await;
    String::from_utf8(store.object(name).to_vec()).unwrap()
}

#[test]
fn without_hash_list_the_restore_warns_and_checks_md5() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let (chain, data) = chain(&store, "zlib").await;
        let list = format!("{INCREMENT}_sha256file");
        store.remove(&list);
        let device = MemoryDevice::new(vec![0; data.len()]);
        let control = Arc::new(RestoreRecorder::default());
        let driver = driver(&store, &options("none"));
        driver.restore(&context(), &chain, &device, true, control.clone()).await.unwrap();
        assert_eq!(device.data(), data);
        assert_eq!(control.warnings(), [format!("object {list} is missing: only md5 is checked")]);

        let damaged = format!("{FULL}-00004");
        let mut body = store.object(&damaged).to_vec();
        body[0] ^= 1;
        store.set(&damaged, body);
        let error = restore_error(&store, &chain, data.len()).await;
        let expected = format!("integrity: restore: object {damaged} does not hold what was backed up");
        assert_eq!(error.to_string(), expected);
    });
}

#[test]
fn a_target_that_is_too_small_is_refused_before_the_first_write() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let (chain, data) = chain(&store, "none").await;
        let error = restore_error(&store, &chain, data.len() - 1).await;
        assert_eq!(
            error.to_string(),
            format!(
                "invalid_volume: restore: volume of {} bytes is too small for object {FULL}-00004, which ends at byte {}",
                data.len() - 1,
                data.len()
            )
        );
        let driver = driver(&store, &options("none"));
        let larger = restore_new(&driver, &chain, data.len() + 5000).await.unwrap();
        assert_eq!(larger[..data.len()], data);
        assert!(larger[data.len()..].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn overlapping_objects_are_read_back_and_accepted_when_the_volume_is_right() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let driver = driver(&store, &options("none"));
        let data = noise(CHUNK as usize, 3);
        let full = store_backup(&driver, "full", None, &data).await.unwrap();
        // A second object over the middle of two blocks, as no backup of ours writes it, with the same bytes.
        let (name, extra) = (format!("{FULL}_metadata"), format!("{FULL}-00002"));
        let entry = |byte: u8| {
            let body = if byte == 0 { data[300..800].to_vec() } else { vec![byte; 500] };
            let md5 = hex::encode(<md5::Md5 as md5::Digest>::digest(&body));
            store.set(&extra, body);
            format!(
                "{{\"{extra}\": {{\"compression\": \"none\", \"length\": 500, \"md5\": \"{md5}\", \"offset\": 300}}}}"
            )
        };
        let sound = String::from_utf8(store.object(&name).to_vec()).unwrap();
        let with = |entry: String| sound.replacen("\n  ],", &format!(",\n{entry}\n  ],"), 1);
        store.set(&name, with(entry(0)));
        assert_eq!(restore_over(&driver, std::slice::from_ref(&full), data.len()).await.unwrap(), data);
        store.set(&name, with(entry(1)));
        let error = restore_error(&store, &[full], data.len()).await;
        assert_eq!(
            error.to_string(),
            format!("integrity: restore: object {FULL}_sha256file does not match the restored volume at block 0")
        );
    });
}

#[test]
fn a_restore_is_cancelled_before_the_object_at_which_it_is_asked() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let (chain, data) = chain(&store, "none").await;
        let driver = driver(&store, &options("none"));
        let fetched = || store.asked("get").iter().filter(|name| name.contains("-0")).count();
        for cancel_at in 0..6 {
            let (before, device) = (fetched(), MemoryDevice::new(vec![0; data.len()]));
            let control = Arc::new(RestoreRecorder { cancel_at: Some(cancel_at), ..RestoreRecorder::default() });
            let error = driver.restore(&context(), &chain, &device, false, control).await.unwrap_err();
            assert_eq!(error.to_string(), "cancelled");
            assert_eq!(fetched() - before, cancel_at);
            assert_eq!(device.writes.lock().unwrap().is_empty(), cancel_at == 0);
        }
    });
}

struct AcceptsEverything;

impl EngineDecisions for AcceptsEverything {
    fn digest_accepted(&self, _expected: &[u8], _actual: &[u8]) -> bool {
        true
    }
}

#[test]
fn a_mutant_that_skips_the_integrity_check_restores_wrong_bytes() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let (chain, data) = chain(&store, "none").await;
        store.set(&format!("{FULL}-00002"), vec![0x55; CHUNK as usize]);
        let mutant = driver_with(&store, &options("none"), Arc::new(AcceptsEverything));
        assert_ne!(restore_over(&mutant, &chain, data.len()).await.unwrap(), data);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_documents_never_panic_nor_restore_wrong_bytes(
        sha256file: bool, of_full: bool, at in 0usize..4000, new in proptest::collection::vec(any::<u8>(), 0..6),
    ) {
        run(async {
            let store = MemoryStore::shared(CHUNK, BLOCK);
            let (chain, data) = chain(&store, "none").await;
            let prefix = if of_full { FULL } else { INCREMENT };
            let name = format!("{prefix}_{}", if sha256file { "sha256file" } else { "metadata" });
            let mut body = store.object(&name).to_vec();
            let at = at % body.len();
            body.splice(at..body.len().min(at + new.len() / 2), new);
            store.set(&name, body);
            let device = MemoryDevice::new(vec![0; data.len()]);
            let control = Arc::new(RestoreRecorder::default());
            let driver = driver(&store, &options("none"));
            if driver.restore(&context(), &chain, &device, false, control).await.is_ok() {
                assert!(device.data() == data, "a restore that succeeds is right");
            }
        });
    }
}
