//! Progress notes (D5): which percentages, when, and that nothing is sent after the end.

mod support;

use std::sync::Arc;

use clinker_drivers::chunked::decisions::EngineDecisions;
use clinker_drivers::{BackupDriver, Kind, Options, Result};
use proptest::prelude::*;
use support::store::Failing;
use support::{BackupRecorder, MemoryDevice, MemoryStore, context, driver, driver_with, noise, options, row, run};
use tokio::time::{Duration, Instant, sleep};

const CHUNK: u64 = 1000;
const BLOCK: u64 = 100;

fn every(chunks: u64) -> Options {
    Options { backup_object_number_per_notification: chunks, ..options("none") }
}

/// A store with a timer, whose puts take so many seconds.
fn timed_store(put_takes: u64) -> MemoryStore {
    let mut store = MemoryStore::new(CHUNK, BLOCK);
    store.geometry.progress_timer = true;
    store.put_takes = Duration::from_secs(put_takes);
    store
}

async fn back_up(driver: &dyn BackupDriver, len: usize, control: &Arc<BackupRecorder>) -> Result<()> {
    let device = MemoryDevice::new(noise(len, 1));
    driver.backup(&context(), &row("b1"), None, &device, control.clone()).await.map(drop)
}

#[test]
fn count_notes_follow_every_nth_chunk_but_the_last_and_100_ends() {
    run(async {
        let check = async |len: usize, n: u64, expected: &[f64]| {
            let store = MemoryStore::shared(CHUNK, BLOCK);
            let control = Arc::new(BackupRecorder::default());
            back_up(&driver(&store, &every(n)), len, &control).await.unwrap();
            assert_eq!(control.percents(), expected, "{len} bytes, every {n}");
        };
        check(3000, 1, &[33.33, 66.66, 100.0]).await;
        check(3001, 1, &[33.32, 66.64, 99.96, 100.0]).await;
        check(4000, 2, &[50.0, 100.0]).await;
        check(3000, 10, &[100.0]).await;
        check(1, 1, &[100.0]).await;
    });
}

#[test]
fn unchanged_chunks_count_too() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let driver = driver(&store, &every(1));
        let data = noise(4000, 1);
        let full = support::store_backup(&driver, "full", None, &data).await.unwrap();
        let control = Arc::new(BackupRecorder::default());
        let device = MemoryDevice::new(data);
        driver.backup(&context(), &row("b2"), Some(&full), &device, control.clone()).await.unwrap();
        assert_eq!(control.percents(), [25.0, 50.0, 75.0, 100.0]);
    });
}

#[test]
fn timer_notes_come_at_the_start_and_every_interval_while_unfinished() {
    run(async {
        // Five chunks of 100 s, then sha256file and metadata of 100 s each; the timer fires every 120 s.
        let store = Arc::new(timed_store(100));
        let control = Arc::new(BackupRecorder::default());
        let begun = Instant::now();
        back_up(&driver(&store, &every(10)), 5000, &control).await.unwrap();
        let expected = [(0, 0.0), (120, 20.0), (240, 40.0), (360, 60.0), (480, 80.0), (600, 99.99), (700, 100.0)];
        assert_eq!(control.timed(begun), expected);
        sleep(Duration::from_secs(1000)).await;
        assert_eq!(control.percents().len(), expected.len(), "nothing follows the last note");
    });
}

#[test]
fn at_one_instant_the_count_note_comes_before_the_timers() {
    run(async {
        // Chunks end every 60 s, so the second and fourth end just when the timer fires.
        let store = Arc::new(timed_store(60));
        let control = Arc::new(BackupRecorder::default());
        let begun = Instant::now();
        back_up(&driver(&store, &every(2)), 5000, &control).await.unwrap();
        let expected = [(0, 0.0), (120, 40.0), (120, 40.0), (240, 80.0), (240, 80.0), (360, 99.99), (420, 100.0)];
        assert_eq!(control.timed(begun), expected);
    });
}

#[test]
fn a_note_that_takes_longer_than_the_interval_delays_the_next_one_only() {
    run(async {
        let store = Arc::new(timed_store(100));
        let control = Arc::new(BackupRecorder { note_takes: Duration::from_secs(130), ..BackupRecorder::default() });
        let begun = Instant::now();
        back_up(&driver(&store, &every(10)), 5000, &control).await.unwrap();
        let percents = control.percents();
        assert!(percents.is_sorted() && percents.last() == Some(&100.0), "{:?}", control.timed(begun));
        assert_eq!(percents.iter().filter(|percent| **percent == 100.0).count(), 1);
    });
}

#[test]
fn without_the_timer_option_there_are_count_notes_only() {
    run(async {
        let mut store = timed_store(100);
        store.geometry.progress_timer = false;
        let control = Arc::new(BackupRecorder::default());
        back_up(&driver(&Arc::new(store), &every(2)), 5000, &control).await.unwrap();
        assert_eq!(control.percents(), [40.0, 80.0, 100.0]);
    });
}

#[test]
fn no_note_follows_a_failure_or_a_cancel() {
    run(async {
        let mut store = timed_store(100);
        store.failing = vec![Failing::nth("put", 2, Kind::Quota)];
        let failing = BackupRecorder::default();
        let cancelled = BackupRecorder { cancel_at: Some(2), ..BackupRecorder::default() };
        for (store, control) in [(store, failing), (timed_store(100), cancelled)] {
            let (store, control) = (Arc::new(store), Arc::new(control));
            back_up(&driver(&store, &every(1)), 5000, &control).await.unwrap_err();
            let notes = control.percents();
            assert!(!notes.contains(&100.0), "{notes:?}");
            sleep(Duration::from_secs(10_000)).await;
            assert_eq!(control.percents(), notes);
        }
    });
}

#[test]
fn a_dropped_backup_takes_its_timer_along() {
    run(async {
        let store = Arc::new(timed_store(100));
        let control = Arc::new(BackupRecorder::default());
        let driver = driver(&store, &every(10));
        let limit = Duration::from_secs(250);
        tokio::time::timeout(limit, back_up(&driver, 5000, &control)).await.expect_err("it takes longer");
        assert_eq!(control.percents(), [0.0, 20.0, 40.0]);
        sleep(Duration::from_secs(10_000)).await;
        assert_eq!(control.percents().len(), 3);
    });
}

#[test]
fn a_note_that_cannot_be_sent_fails_the_backup_which_leaves_nothing() {
    run(async {
        // Notes of a sound run: 0.0 of the timer, one per chunk but the last and one per 120 s, 100.0.
        for fail_note_at in 0..9 {
            let store = Arc::new(timed_store(100));
            let control = Arc::new(BackupRecorder { fail_note_at: Some(fail_note_at), ..BackupRecorder::default() });
            let error = back_up(&driver(&store, &every(1)), 5000, &control).await.unwrap_err();
            assert_eq!(error.to_string(), "unreachable: backup: database refused the note");
            assert_eq!(store.names(), Vec::<String>::new(), "note {fail_note_at}");
            assert!(!control.percents().contains(&100.0));
        }
    });
}

struct PercentByChunks;

impl EngineDecisions for PercentByChunks {
    fn percent(&self, _processed: u64, _device_len: u64, chunks_done: u64, chunks_total: u64) -> f64 {
        (chunks_done * 10_000 / chunks_total) as f64 / 100.0
    }
}

#[test]
fn a_mutant_that_counts_chunks_is_ahead_when_the_last_chunk_is_short() {
    run(async {
        let store = MemoryStore::shared(CHUNK, BLOCK);
        let control = Arc::new(BackupRecorder::default());
        let mutant = driver_with(&store, &every(1), Arc::new(PercentByChunks));
        back_up(&mutant, 1010, &control).await.unwrap();
        assert_eq!(control.percents(), [50.0, 100.0], "990 of 1010 bytes would be 99.0");
    });
}

struct TimerSurvives;

impl EngineDecisions for TimerSurvives {
    fn timer_stops_after_failure(&self) -> bool {
        false
    }
}

#[test]
fn a_mutant_whose_timer_survives_a_failure_goes_on_for_ever() {
    run(async {
        let mut store = timed_store(10);
        store.failing = vec![Failing::nth("put", 2, Kind::Quota)];
        let control = Arc::new(BackupRecorder::default());
        let mutant = driver_with(&Arc::new(store), &every(10), Arc::new(TimerSurvives));
        back_up(&mutant, 5000, &control).await.unwrap_err();
        sleep(Duration::from_secs(1210)).await;
        assert_eq!(control.percents().len(), 11);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn notes_never_go_back_and_100_comes_once_and_last(
        len in 1usize..20_000, n in 1u64..6, put_takes in 0u64..200, note_takes in 0u64..150, timer: bool,
    ) {
        run(async {
            let mut store = timed_store(put_takes);
            store.geometry.progress_timer = timer;
            let note_takes = Duration::from_secs(note_takes);
            let control = Arc::new(BackupRecorder { note_takes, ..BackupRecorder::default() });
            back_up(&driver(&Arc::new(store), &every(n)), len, &control).await.unwrap();
            let notes = control.percents();
            assert!(notes.is_sorted(), "{notes:?}");
            assert_eq!(notes.iter().position(|percent| *percent >= 100.0), Some(notes.len() - 1), "{notes:?}");
            assert_eq!(notes[0] == 0.0, timer);
            // Each count note is there: the share after every n-th chunk but the last.
            let chunks = (len as u64).div_ceil(CHUNK);
            for done in (1..chunks).filter(|done| done % n == 0) {
                let share = (done * CHUNK * 10_000 / len as u64) as f64 / 100.0;
                assert!(notes.contains(&share), "{share} in {notes:?}");
            }
        });
    }
}
