//! Several requests on their way: the same events, objects and bytes at every concurrency; one failure ends it cleanly.

mod support;

use std::sync::Arc;

use clinker_drivers::{Backup, BackupDriver, Kind, Options, Result};
use proptest::prelude::*;
use support::store::Failing;
use support::{BackupRecorder, MemoryDevice, MemoryStore, RestoreRecorder, context, driver, noise, options, row, run};
use tokio::time::{Duration, Instant};

const CHUNK: u64 = 1000;
const BLOCK: u64 = 100;

fn at_once(compression: &str, most: u64) -> Options {
    Options { backup_max_inflight_chunks: most, backup_object_number_per_notification: 3, ..options(compression) }
}

/// A store whose answers come out of order.
fn scattered(seed: u64) -> MemoryStore {
    MemoryStore { scatter: Some(seed), ..MemoryStore::new(CHUNK, BLOCK) }
}

async fn back_up(
    driver: &dyn BackupDriver,
    id: &str,
    parent: Option<&Backup>,
    data: &[u8],
    control: &Arc<BackupRecorder>,
) -> Result<Backup> {
    let backup = Backup { parent_id: parent.map(|parent| parent.id.clone()), ..row(id) };
    let device = MemoryDevice::new(data.to_vec());
    driver.backup(&context(), &backup, parent, &device, control.clone()).await?;
    let (container, prefix) = control.location().expect("a stored backup has a location");
    Ok(Backup { container: Some(container), service_metadata: Some(prefix), ..backup })
}

/// What a full backup, an increment and a restore of both leave behind.
#[derive(Debug, PartialEq)]
struct Traces {
    objects: Vec<(String, Vec<u8>)>,
    percents: Vec<Vec<f64>>,
    restored: Vec<u8>,
    writes: Vec<(u64, u64)>,
}

async fn traces(seed: u64, most: u64, compression: &str, before: &[u8], after: &[u8]) -> Traces {
    let store = Arc::new(scattered(seed));
    let driver = driver(&store, &at_once(compression, most));
    let (first, second) = (Arc::new(BackupRecorder::default()), Arc::new(BackupRecorder::default()));
    let full = back_up(&driver, "full", None, before, &first).await.unwrap();
    let increment = back_up(&driver, "increment", Some(&full), after, &second).await.unwrap();
    let device = MemoryDevice::new(vec![0xee; after.len()]);
    let control = Arc::new(RestoreRecorder::default());
    driver.restore(&context(), &[full, increment], &device, false, control).await.unwrap();
    let objects = store.names().into_iter().map(|name| (name.clone(), store.object(&name).to_vec())).collect();
    let writes = device.writes.lock().unwrap().clone();
    Traces { objects, percents: vec![first.percents(), second.percents()], restored: device.data(), writes }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn events_objects_and_bytes_are_the_same_at_every_concurrency(
        most in 1_u64..=64,
        seed: u64,
        len in 1_usize..20_000,
        edits in proptest::collection::vec(0_usize..20_000, 0..8),
        packed: bool,
    ) {
        let before = noise(len, seed);
        let mut after = before.clone();
        for at in edits {
            after[at % len] ^= 0x55;
        }
        let compression = if packed { "zlib" } else { "none" };
        let in_turn = run(traces(seed, 1, compression, &before, &after));
        prop_assert_eq!(&in_turn.restored, &after);
        prop_assert_eq!(run(traces(seed, most, compression, &before, &after)), in_turn);
    }

    #[test]
    fn a_failure_or_a_cancel_leaves_nothing_behind(
        most in 1_u64..=64,
        seed: u64,
        at in 0_usize..22,
        takes_effect: bool,
        cancels: bool,
    ) {
        let mut store = scattered(seed);
        let mut control = BackupRecorder::default();
        if cancels {
            control.cancel_at = Some(at.min(19));
        } else {
            store.failing = vec![Failing { takes_effect, ..Failing::nth("put", at, Kind::Quota) }];
        }
        let (store, control) = (Arc::new(store), Arc::new(control));
        let failed = run(async {
            let driver = driver(&store, &at_once("none", most));
            back_up(&driver, "b1", None, &noise(20_000, seed), &control).await
        });
        let expected = if cancels { Kind::Cancelled } else { Kind::Quota };
        prop_assert_eq!(failed.unwrap_err().kind, expected);
        prop_assert_eq!(store.names(), Vec::<String>::new());
        prop_assert!(control.percents().iter().all(|percent| *percent < 100.0));
    }
}

#[test]
fn as_many_are_on_their_way_as_the_option_allows_and_no_more() {
    let most_under_way = |most| {
        run(async {
            let store = Arc::new(MemoryStore { put_takes: Duration::from_millis(20), ..scattered(1) });
            let driver = driver(&store, &at_once("none", most));
            let control = Arc::new(BackupRecorder::default());
            back_up(&driver, "b1", None, &noise(100_000, 1), &control).await.unwrap();
            store.under_way.lock().unwrap().1
        })
    };
    for most in [1, 2, 3, 16, 64] {
        assert_eq!(most_under_way(most), most as usize);
    }
}

#[test]
fn one_slow_put_holds_up_no_other_but_the_notes_wait_for_it() {
    run(async {
        let store = Arc::new(MemoryStore { slow: Some("-00002"), ..scattered(7) });
        let control = Arc::new(BackupRecorder::default());
        let begun = Instant::now();
        back_up(&driver(&store, &at_once("none", 4)), "b1", None, &noise(40_000, 1), &control).await.unwrap();
        // 39 of 25 ms on average, three at once, go by in the 10 s of the slow one; then the two documents.
        assert!(begun.elapsed() < Duration::from_millis(10_200), "{:?}", begun.elapsed());
        let (at, percent) = control.timed(begun)[0];
        assert_eq!((at, percent), (10, 7.5));
        let order = store.asked("put");
        assert!(order[39].ends_with("-00002"), "{order:?}");
    });
}

#[test]
fn what_is_on_its_way_at_a_failure_is_waited_for_before_it_is_removed() {
    run(async {
        let mut store = MemoryStore { slow: Some("-00002"), ..MemoryStore::new(CHUNK, BLOCK) };
        store.failing = vec![Failing::nth("put", 1, Kind::Quota)];
        let store = Arc::new(store);
        let control = Arc::new(BackupRecorder::default());
        let failed = back_up(&driver(&store, &at_once("none", 3)), "b1", None, &noise(9000, 1), &control).await;
        assert_eq!(failed.unwrap_err().kind, Kind::Quota);
        let log = store.log();
        let last_put = log.iter().rposition(|(verb, _)| *verb == "put").expect("there were puts");
        let first_delete = log.iter().position(|(verb, _)| *verb == "delete").expect("there were deletes");
        assert!(last_put < first_delete, "{log:?}");
        assert_eq!(store.names(), Vec::<String>::new());
    });
}
