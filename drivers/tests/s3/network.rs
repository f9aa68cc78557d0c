//! Connections that are refused, hang or go mute; and their reuse. (The client is Swift's: `tests/swift/network.rs`.)

use tokio::time::Instant;

use crate::support::{S3, Step, answer, put, reason, status, store, stored, usual};

const ONE_ATTEMPT: &[(&str, &str)] = &[("backup_s3_retry_max_attempts", "0")];

/// One attempt of a put that meets `steps`: reason and milliseconds it took.
async fn check(sets: &[(&str, &str)], steps: Vec<Step>, body: &'static [u8], expected: &str, ms: u128) {
    let (store, _) = store(&[S3, ONE_ATTEMPT, sets], steps);
    let start = Instant::now();
    assert_eq!(reason(put(&store, "o-1", body).await), expected);
    assert_eq!(start.elapsed().as_millis(), ms);
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_told_at_once() {
    check(&[], vec![Step::Refuse], b"x", "unreachable: put of o-1: s3 refused the connection", 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_an_answer_is_given_up() {
    static LARGE: [u8; 100_000] = [7; 100_000];
    let expected = "timeout: put of o-1: s3 did not answer within 60s";
    check(&[], vec![Step::HangConnect], b"x", expected, 60_000).await;
    check(&[], vec![Step::Mute(Vec::new())], b"x", expected, 60_000).await;
    check(&[], vec![Step::Mute(answer(200, &[], b"abc")[..30].to_vec())], b"x", expected, 60_000).await;
    check(&[], vec![Step::Deaf], &LARGE, expected, 60_000).await;
}

#[tokio::test(start_paused = true)]
async fn the_time_out_is_an_option_with_fractions() {
    let expected = "timeout: put of o-1: s3 did not answer within 2.5s";
    check(&[("backup_s3_timeout", "2.5")], vec![Step::Mute(Vec::new())], b"x", expected, 2_500).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_http_is_no_answer() {
    let smtp = vec![Step::Last(b"220 smtp ready\r\n\r\n".to_vec())];
    check(&[], smtp, b"x", "internal: put of o-1: s3 sent an answer that is not HTTP", 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_one_request_after_another() {
    let (store, script) = usual([stored(b"x"), stored(b"y")]);
    put(&store, "o-1", b"x").await.unwrap();
    put(&store, "o-2", b"y").await.unwrap();
    assert_eq!(script.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn as_many_idle_connections_are_kept_as_the_option_says() {
    // With several requests on their way at once so many are kept at least.
    for (kept, at_once, expected) in [("1", "1", 3), ("2", "1", 2), ("1", "2", 2)] {
        let sets = [("backup_s3_max_pool_connections", kept), ("backup_max_inflight_chunks", at_once)];
        let (store, script) = store(&[S3, &sets], vec![stored(b"x"); 4]);
        for _ in 0..2 {
            let (one, other) = tokio::join!(put(&store, "o-1", b"x"), put(&store, "o-2", b"x"));
            one.and(other).unwrap();
        }
        assert_eq!(script.connections(), expected, "{kept}, {at_once} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_put_does_not_leave_its_connection_to_the_next_request() {
    let (store, script) = usual([Step::Reply(status(413)), stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap_err();
    put(&store, "o-2", b"x").await.unwrap();
    assert_eq!(script.connections(), 2);
}
