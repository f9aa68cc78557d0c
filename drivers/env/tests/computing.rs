//! Computing, randomness and time of the real environment.

use clinker_env::{Work, real};

#[tokio::test]
async fn a_job_runs_away_from_the_event_loop_and_gives_its_result() {
    let env = real::env();
    let here = std::thread::current().id();
    let there = env.compute(Work::Hash, 0, || std::thread::current().id()).await;
    assert_ne!(here, there);
}

#[tokio::test]
async fn ids_are_random_uuids_of_version_4() {
    let rng = real::env().rng;
    let (first, second) = (rng.uuid(), rng.uuid());
    assert_ne!(first, second);
    for id in [first, second] {
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(&id[14..15], "4", "{id}");
        assert!("89ab".contains(&id[19..20]), "{id}");
    }
}

#[tokio::test]
async fn the_clock_is_past_the_day_it_was_written() {
    assert!(real::env().clock.now() > "2026-01-01T00:00:00Z".parse().unwrap());
}
