//! What is sent again, how often, and when.

use std::time::Duration;

use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::{Kind, RequestContext};
use tokio::time::Instant;

use crate::support::{S3, Step, answer, get, put, reason, refusal, reply, store, stored, usual};

/// Puts one object against a server that always answers `step`; the expected kind, and times of the puts.
async fn check(step: Step, code: u16, kind: Kind, expected: &[u64]) {
    let (store, script) = usual(vec![step; 8]);
    let error = put(&store, "o-1", b"x").await.unwrap_err();
    assert_eq!((error.kind, error.what.as_str()), (kind, format!("put of o-1: s3 answered {code}").as_str()));
    assert_eq!(error.retry, expected.len() > 1, "{code}");
    assert_eq!(script.times(), *expected, "{code}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_asked_again_with_doubling_waits() {
    // backup_s3_retry_max_attempts 3, mode legacy: waits of 2, 4 and 8 s.
    for code in [408, 429, 500, 502, 503, 504] {
        check(reply(code), code, Kind::Unreachable, &[0, 2, 6, 14]).await;
    }
    check(refusal(503, "SlowDown"), 503, Kind::Unreachable, &[0, 2, 6, 14]).await;
    check(refusal(400, "RequestTimeout"), 400, Kind::Unreachable, &[0, 2, 6, 14]).await;
    // What asks for fewer requests is to be asked again, whatever its status.
    check(refusal(400, "Throttling"), 400, Kind::Unreachable, &[0, 2, 6, 14]).await;
    check(refusal(403, "RequestLimitExceeded"), 403, Kind::Unreachable, &[0, 2, 6, 14]).await;
    check(refusal(409, "OperationAborted"), 409, Kind::Conflict, &[0, 2, 6, 14]).await;
}

#[tokio::test(start_paused = true)]
async fn a_definite_refusal_is_not_asked_again() {
    for (code, kind) in [
        (301, Kind::Internal),
        (400, Kind::Internal),
        (403, Kind::Auth),
        (404, Kind::NotFound),
        (409, Kind::Conflict),
        (412, Kind::Internal),
        (413, Kind::Quota),
        (507, Kind::Quota),
    ] {
        check(reply(code), code, kind, &[0]).await;
    }
    check(refusal(403, "QuotaExceeded"), 403, Kind::Quota, &[0]).await;
    check(refusal(400, "EntityTooLarge"), 400, Kind::Quota, &[0]).await;
    check(refusal(404, "NoSuchBucket"), 404, Kind::NotFound, &[0]).await;
}

#[tokio::test(start_paused = true)]
async fn every_verb_maps_its_statuses() {
    let context = RequestContext::admin();
    let (store, _) = usual([reply(403), reply(507), reply(413), reply(503), reply(409)]);
    assert_eq!(reason(store.get(&context, "vol", "o").await), "auth: get of o: s3 answered 403");
    assert_eq!(reason(store.delete(&context, "vol", "o").await), "quota: delete of o: s3 answered 507");
    assert_eq!(reason(store.list(&context, "vol", "o").await), "quota: list of o: s3 answered 413");
    // The retry after 503 meets the 409.
    let created = store.put_container(&context, "vol").await;
    assert_eq!(reason(created), "conflict: head of container vol: s3 answered 409");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_a_longer_wait_gets_it() {
    let busy = |seconds| Step::Reply(answer(503, &[("Retry-After", seconds)], b""));
    // 10 is longer than 2; 1 is shorter than 4, unless the client paces several at once; 1000 is cut to 64.
    for (at_once, expected) in [("1", [0, 10, 14, 78]), ("64", [0, 10, 11, 75])] {
        let sets = [("backup_max_inflight_chunks", at_once)];
        let (store, script) = store(&[S3, &sets], [busy("10"), busy("1"), busy("1000"), stored(b"x")]);
        put(&store, "o-1", b"x").await.unwrap();
        assert_eq!(script.times(), expected, "{at_once} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn the_number_is_an_option_and_five_requests_by_default() {
    for (sets, expected) in [
        (&[("backup_s3_retry_max_attempts", "1")][..], &[0, 2][..]),
        (&[("backup_s3_retry_max_attempts", "4")], &[0, 2, 6, 14, 30]),
    ] {
        let (store, script) = store(&[S3, sets], vec![reply(503); 8]);
        put(&store, "o-1", b"x").await.unwrap_err();
        assert_eq!(script.times(), expected);
    }
    assert_eq!(clinker_drivers::Options::default().backup_s3_retry_max_attempts, 4);
}

#[tokio::test(start_paused = true)]
async fn the_standard_mode_waits_a_random_share_of_at_most_twenty_seconds() {
    let sets = [("backup_s3_retry_mode", "standard"), ("backup_s3_retry_max_attempts", "8")];
    let (store, script) = store(&[S3, &sets], vec![reply(503); 9]);
    let start = Instant::now();
    put(&store, "o-1", b"x").await.unwrap_err();
    assert_eq!(script.times().len(), 9);
    let most = [1, 2, 4, 8, 16, 20, 20, 20].iter().sum();
    assert!(start.elapsed() > Duration::ZERO && start.elapsed() < Duration::from_secs(most), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn in_the_adaptive_mode_or_with_several_at_once_a_throttled_request_holds_up_the_others() {
    let busy = Step::Reply(answer(429, &[("Retry-After", "9")], b""));
    for (mode, at_once, waited) in [("adaptive", "1", 9), ("standard", "1", 0), ("standard", "2", 9)] {
        let sets = [
            ("backup_s3_retry_mode", mode),
            ("backup_s3_retry_max_attempts", "0"),
            ("backup_max_inflight_chunks", at_once),
        ];
        let (store, script) = store(&[S3, &sets], [busy.clone(), stored(b"x")]);
        put(&store, "o-1", b"x").await.unwrap_err();
        put(&store, "o-2", b"x").await.unwrap();
        assert_eq!(script.times(), [0, waited], "{mode}, {at_once} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_cut_short_is_read_again() {
    let whole = answer(200, &[], b"0123456789");
    let cut = Step::Last(whole[..whole.len() - 3].to_vec());
    let (store, script) = usual([cut.clone(), Step::Reply(whole)]);
    assert_eq!(get(&store, "o-1").await.unwrap(), b"0123456789");
    assert_eq!(script.times(), [0, 2]);

    let (store, script) = usual(vec![cut; 4]);
    assert_eq!(reason(get(&store, "o-1").await), "unreachable: get of o-1: s3 closed the connection");
    assert_eq!(script.times(), [0, 2, 6, 14]);
}
