//! Connections that are refused, hang, go mute or break; and their reuse.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Step, V1, answer, auth_ok, authenticated, get, put, reason, status, store, stored};

const ONE_ATTEMPT: &[(&str, &str)] = &[("backup_swift_retry_attempts", "0")];

/// One attempt of a put that meets `steps`: reason and seconds it took.
async fn check(steps: Vec<Step>, body: &'static [u8], expected: &str, seconds: u64) {
    let (store, _) = store(&[V1, ONE_ATTEMPT], steps);
    let start = Instant::now();
    assert_eq!(reason(put(&store, "o-1", body).await), expected);
    assert_eq!(start.elapsed().as_secs(), seconds);
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_told_at_once() {
    check(vec![Step::Refuse], b"x", "unreachable: put of o-1: swift refused the connection", 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_an_answer_is_given_up() {
    let expected = "timeout: put of o-1: swift did not answer within 60s";
    check(vec![Step::HangConnect], b"x", expected, 60).await;
    check(vec![Step::Mute(Vec::new())], b"x", expected, 60).await;
    check(vec![auth_ok(), Step::Mute(Vec::new())], b"x", expected, 60).await;
    check(vec![auth_ok(), Step::Mute(answer(201, &[], b"abc")[..30].to_vec())], b"x", expected, 60).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_read_is_given_up() {
    static LARGE: [u8; 100_000] = [7; 100_000];
    // Closing after the answer makes the put open a connection of its own.
    let Step::Reply(auth) = auth_ok() else { unreachable!("auth_ok is a reply") };
    let expected = "timeout: put of o-1: swift did not answer within 60s";
    check(vec![Step::Last(auth), Step::Deaf], &LARGE, expected, 60).await;
}

#[tokio::test(start_paused = true)]
async fn every_attempt_waits_for_a_mute_server() {
    let (store, script) = authenticated(vec![Step::Mute(Vec::new()); 4]);
    let start = Instant::now();
    put(&store, "o-1", b"x").await.unwrap_err();
    // 4 × 60 s of silence and waits of 2, 4, 8 s.
    assert_eq!(start.elapsed().as_secs(), 254);
    assert_eq!(script.times()[1..], [0, 62, 126, 194]);
}

#[tokio::test(start_paused = true)]
async fn the_time_out_is_an_option() {
    let sets = [("backup_swift_timeout", "7")];
    let (store, _) = store(&[V1, ONE_ATTEMPT, &sets], [auth_ok(), Step::Mute(Vec::new())]);
    let error = reason(put(&store, "o-1", b"x").await);
    assert_eq!(error, "timeout: put of o-1: swift did not answer within 7s");
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_is_waited_for_as_long_as_bytes_come() {
    let body = answer(200, &[], &[b'x'; 100]);
    let (store, _) = authenticated([Step::Drip(body, 20, 59)]);
    let start = Instant::now();
    assert_eq!(get(&store, "o-1").await.unwrap(), [b'x'; 100]);
    // 39 bytes of head and 100 of body: 7 pieces, more than twice the time-out in all.
    assert!(start.elapsed() >= Duration::from_secs(7 * 59));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_http_is_no_answer() {
    check(
        vec![auth_ok(), Step::Last(b"220 smtp ready\r\n\r\n".to_vec())],
        b"x",
        "internal: put of o-1: swift sent an answer that is not HTTP",
        0,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_one_request_after_another() {
    let (store, script) = authenticated([stored(b"x"), stored(b"y"), stored(b"z")]);
    put(&store, "o-1", b"x").await.unwrap();
    put(&store, "o-2", b"y").await.unwrap();
    put(&store, "o-3", b"z").await.unwrap();
    assert_eq!(script.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_breaks_before_an_answer_is_replaced_once() {
    // The server reads the put on the old connection and closes without a word.
    let (store, script) = authenticated([Step::Last(Vec::new()), stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap();
    let seen: Vec<_> = script.seen().iter().map(|seen| (seen.connection, seen.at)).collect();
    // No wait of the retry table: it is the same attempt.
    assert_eq!(seen, [(1, 0), (1, 0), (2, 0)]);

    check(
        vec![auth_ok(), Step::Last(Vec::new()), Step::Last(Vec::new())],
        b"x",
        "unreachable: put of o-1: swift closed the connection",
        0,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_broke_within_an_answer_is_not_replaced_silently() {
    let cut = answer(200, &[], b"0123456789")[..20].to_vec();
    check(vec![auth_ok(), Step::Last(cut)], b"x", "unreachable: put of o-1: swift closed the connection", 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_by_the_server_is_not_used_again() {
    let (store, script) = authenticated([Step::Last(status(404)), stored(b"x")]);
    get(&store, "o-1").await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(1)).await;
    put(&store, "o-1", b"x").await.unwrap();
    let connections: Vec<_> = script.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1, 1, 2]);
    assert_eq!(script.steps_left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_put_does_not_leave_its_connection_to_the_next_request() {
    let (store, script) = authenticated([Step::Reply(status(413)), stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap_err();
    put(&store, "o-2", b"x").await.unwrap();
    assert_eq!(script.connections(), 2);
}
