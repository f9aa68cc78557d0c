//! Nothing stays behind (D7): failed and cancelled backups remove their objects, deletes end only when all is gone.

mod support;

use std::sync::Arc;

use clinker_drivers::chunked::decisions::{EngineDecisions, MetadataAt};
use clinker_drivers::{Backup, BackupDriver, Error, Kind};
use support::store::{CONTAINER, Failing};
use support::{
    BackupRecorder, MemoryDevice, MemoryStore, context, driver, driver_with, noise, options, row, run, store_backup,
};

const CHUNK: u64 = 1024;
const BLOCK: u64 = 256;
const CHUNKS: usize = 5;
/// Data objects, sha256file, metadata.
const PUTS: usize = CHUNKS + 2;
const PREFIX: &str = "volume_vol-1_20270304050605_b1";

fn data() -> Vec<u8> {
    noise((CHUNKS - 1) * CHUNK as usize + 10, 1)
}

fn failing_store(failing: Vec<Failing>) -> Arc<MemoryStore> {
    let mut store = MemoryStore::new(CHUNK, BLOCK);
    store.failing = failing;
    Arc::new(store)
}

async fn failed_backup(store: &Arc<MemoryStore>, control: BackupRecorder) -> Error {
    let driver = driver(store, &options("none"));
    let device = MemoryDevice::new(data());
    driver.backup(&context(), &row("b1"), None, &device, Arc::new(control)).await.expect_err("it fails")
}

fn stored(container: Option<&str>, prefix: Option<&str>) -> Backup {
    Backup { container: container.map(str::to_owned), service_metadata: prefix.map(str::to_owned), ..row("b1") }
}

#[test]
fn objects_are_put_in_order_with_the_metadata_last() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let control = Arc::new(BackupRecorder::default());
        let device = MemoryDevice::new(data());
        let driver = driver(&store, &options("none"));
        let update = driver.backup(&context(), &row("b1"), None, &device, control.clone()).await.unwrap();
        assert_eq!(update.object_count, CHUNKS as u64);
        let mut expected: Vec<String> = (1..=CHUNKS).map(|index| format!("{PREFIX}-{index:05}")).collect();
        expected.extend([format!("{PREFIX}_sha256file"), format!("{PREFIX}_metadata")]);
        assert_eq!(store.asked("put"), expected);
        assert_eq!(control.location(), Some((CONTAINER.to_owned(), PREFIX.to_owned())));
        assert_eq!(control.asked(), CHUNKS, "a cancel is asked for before each chunk");
    });
}

#[test]
fn a_put_that_fails_at_any_point_leaves_nothing() {
    run(async {
        for takes_effect in [false, true] {
            for index in 0..PUTS {
                let put = Failing { takes_effect, ..Failing::nth("put", index, Kind::Unreachable) };
                let store = failing_store(vec![put]);
                let error = failed_backup(&store, BackupRecorder::default()).await;
                let name = &store.asked("put")[index];
                assert_eq!(error.to_string(), format!("unreachable: backup: store failed put {name}"));
                assert_eq!(store.names(), Vec::<String>::new(), "put {index} failed");
                assert_eq!(store.asked("delete").len(), index + 1, "one pass over what was begun");
            }
        }
    });
}

#[test]
fn a_cancel_before_any_chunk_leaves_nothing() {
    run(async {
        for cancel_at in 0..CHUNKS {
            let store = MemoryStore::shared(CHUNK, BLOCK);
            let control = BackupRecorder { cancel_at: Some(cancel_at), ..BackupRecorder::default() };
            let error = failed_backup(&store, control).await;
            assert_eq!(error.to_string(), "cancelled");
            assert_eq!((store.asked("put").len(), store.names()), (cancel_at, Vec::new()));
        }
    });
}

#[test]
fn clean_up_stops_at_the_first_unreachable_answer_and_keeps_the_first_error() {
    run(async {
        for kind in [Kind::Unreachable, Kind::Timeout] {
            let store = failing_store(vec![Failing::nth("put", 3, Kind::Quota), Failing::nth("delete", 1, kind)]);
            let error = failed_backup(&store, BackupRecorder::default()).await;
            assert_eq!(error.kind, Kind::Quota);
            // The fourth object was removed, the third could not be.
            assert_eq!(store.asked("delete").len(), 2);
            assert_eq!(store.names().len(), 3);
        }
    });
}

#[test]
fn clean_up_goes_on_after_a_refusal() {
    run(async {
        let store = failing_store(vec![Failing::nth("put", 3, Kind::Quota), Failing::nth("delete", 1, Kind::Conflict)]);
        failed_backup(&store, BackupRecorder::default()).await;
        assert_eq!(store.asked("delete").len(), 4);
        assert_eq!(store.names(), [format!("{PREFIX}-00003")]);
    });
}

#[test]
fn a_container_that_cannot_be_made_ends_the_backup_before_the_first_object() {
    run(async {
        let store = failing_store(vec![Failing::nth("put_container", 0, Kind::Auth)]);
        let error = failed_backup(&store, BackupRecorder::default()).await;
        assert_eq!(error.to_string(), format!("auth: put_container: store failed put_container {CONTAINER}"));
        assert_eq!(store.log().len(), 1);
    });
}

#[test]
fn a_delete_removes_every_object_of_its_own_backup_and_can_be_repeated() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let driver = driver(&store, &options("none"));
        let first = store_backup(&driver, "b1", None, &data()).await.unwrap();
        store_backup(&driver, "other", None, &data()).await.unwrap();
        for _ in 0..3 {
            driver.delete_backup(&context(), &first).await.unwrap();
            assert_eq!(store.names().len(), PUTS);
            assert!(store.names().iter().all(|name| name.contains("other")));
        }
    });
}

#[test]
fn a_backup_without_recorded_location_is_deleted_without_a_request() {
    run(async {
        for (container, prefix) in [(None, None), (Some("c"), None), (None, Some("p")), (Some("c"), Some(""))] {
            let store = MemoryStore::shared(CHUNK, BLOCK);
            store.set("somebody else's", "data");
            driver(&store, &options("none")).delete_backup(&context(), &stored(container, prefix)).await.unwrap();
            assert_eq!(store.log(), Vec::new());
        }
    });
}

#[test]
fn a_delete_that_cannot_list_or_remove_fails_and_succeeds_when_repeated() {
    run(async {
        for failing in [Failing::nth("list", 0, Kind::Unreachable), Failing::nth("delete", 2, Kind::Timeout)] {
            let store = failing_store(vec![failing]);
            let driver = driver(&store, &options("none"));
            let backup = store_backup(&driver, "b1", None, &data()).await.unwrap();
            let error = driver.delete_backup(&context(), &backup).await.unwrap_err();
            assert_eq!((error.kind, error.operation.as_str()), (failing.kind, "delete_backup"));
            driver.delete_backup(&context(), &backup).await.unwrap();
            assert_eq!(store.names(), Vec::<String>::new());
        }
    });
}

#[test]
fn a_delete_never_reports_success_over_leftovers() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let driver = driver(&store, &options("none"));
        let backup = store_backup(&driver, "b1", None, &data()).await.unwrap();
        store.keep_deleted.lock().unwrap().push(format!("{PREFIX}-00002"));
        let error = driver.delete_backup(&context(), &backup).await.unwrap_err();
        let expected = format!("conflict: delete_backup: object {PREFIX}-00002 is still there after its removal");
        assert_eq!((error.to_string(), error.retry), (expected, true));
    });
}

#[test]
fn a_delete_finds_what_a_lagging_listing_does_not_show() {
    run(async {
        let check = async |gone: &[&str], unlisted: &[&str]| {
            let store = MemoryStore::shared(CHUNK, BLOCK);
            let driver = driver(&store, &options("none"));
            let backup = store_backup(&driver, "b1", None, &data()).await.unwrap();
            store_backup(&driver, "other", None, &data()).await.unwrap();
            gone.iter().for_each(|suffix| store.remove(&format!("{PREFIX}{suffix}")));
            store.unlisted.lock().unwrap().extend(unlisted.iter().map(|suffix| format!("{PREFIX}{suffix}")));
            driver.delete_backup(&context(), &backup).await.unwrap();
            let left: Vec<String> = store.names().into_iter().filter(|name| !name.contains("other")).collect();
            assert_eq!(left, Vec::<String>::new(), "gone {gone:?}, unlisted {unlisted:?}");
            assert_eq!(store.names().len(), PUTS);
        };
        let all = ["-00001", "-00002", "-00003", "-00004", "-00005", "_sha256file", "_metadata"];
        check(&[], &all).await;
        check(&[], &["-00003"]).await;
        check(&["_metadata"], &all).await;
        check(&["_metadata", "_sha256file", "-00005"], &all).await;
        check(&["_metadata", "_sha256file", "-00005"], &["-00004"]).await;
        check(&all, &[]).await;
    });
}

#[test]
fn a_delete_trusts_no_metadata_that_name_another_backup() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let driver = driver(&store, &options("none"));
        let first = store_backup(&driver, "b1", None, &data()).await.unwrap();
        store_backup(&driver, "other", None, &data()).await.unwrap();
        let of_other = PREFIX.replace("b1", "other");
        store.set(&format!("{PREFIX}_metadata"), store.object(&format!("{of_other}_metadata")));
        driver.delete_backup(&context(), &first).await.unwrap();
        assert_eq!(store.names().len(), PUTS);
    });
}

struct MetadataFirst;

impl EngineDecisions for MetadataFirst {
    fn metadata_at(&self) -> MetadataAt {
        MetadataAt::BeforeChunks
    }
}

#[test]
fn a_mutant_that_writes_metadata_first_leaves_what_looks_complete() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let mutant = driver_with(&store, &options("none"), Arc::new(MetadataFirst));
        store_backup(&mutant, "b1", None, &data()).await.unwrap();
        let puts = store.asked("put");
        assert_eq!((puts.len(), &puts[0]), (PUTS + 1, &format!("{PREFIX}_metadata")));
        assert_eq!(puts.last(), puts.first());
    });
}

struct CountsOneMore;

impl EngineDecisions for CountsOneMore {
    fn object_count(&self, data_objects: u64) -> u64 {
        data_objects + 1
    }
}

struct LabelsAllZlib;

impl EngineDecisions for LabelsAllZlib {
    fn compression_tag<'a>(&self, configured: &'a str, _stored_raw: bool) -> &'a str {
        configured
    }
}

#[test]
fn mutants_miscount_and_mislabel() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let mutant = driver_with(&store, &options("none"), Arc::new(CountsOneMore));
        let device = MemoryDevice::new(data());
        let control = Arc::new(BackupRecorder::default());
        let update = mutant.backup(&context(), &row("b1"), None, &device, control).await.unwrap();
        assert_eq!(update.object_count, CHUNKS as u64 + 1);

        let store = MemoryStore::shared(CHUNK, BLOCK);
        let mutant = driver_with(&store, &options("zlib"), Arc::new(LabelsAllZlib));
        let chain = [store_backup(&mutant, "b1", None, &data()).await.unwrap()];
        let error = support::restore_new(&mutant, &chain, data().len()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("integrity: restore: object {PREFIX}-00001 is not a whole zlib stream"));
    });
}
