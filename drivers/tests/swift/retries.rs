//! What is sent again, how often, and when.

use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::{Kind, RequestContext};

use crate::support::{Step, V1, answer, auth_ok, authenticated, get, put, reason, reply, status, store, stored};

/// Puts one object against a server that always answers `code`; the expected kind, and times of the puts.
async fn check(code: u16, kind: Kind, expected: &[u64]) {
    let (store, script) = authenticated(vec![reply(code); 8]);
    let error = put(&store, "o-1", b"x").await.unwrap_err();
    assert_eq!((error.kind, error.what.as_str()), (kind, format!("put of o-1: swift answered {code}").as_str()));
    assert_eq!(error.retry, expected.len() > 1, "{code}");
    // The first request is the authentication.
    assert_eq!(script.times()[1..], *expected, "{code}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_asked_four_times_with_doubling_waits() {
    // backup_swift_retry_attempts 3, backup_swift_retry_backoff 2: waits of 2, 4 and 8 s.
    for code in [408, 429, 498, 499, 500, 502, 503, 504] {
        check(code, Kind::Unreachable, &[0, 2, 6, 14]).await;
    }
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
        (422, Kind::Integrity),
        (507, Kind::Quota),
    ] {
        check(code, kind, &[0]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_verb_maps_its_statuses() {
    let context = RequestContext::admin();
    let (store, _) = authenticated([reply(403), reply(507), reply(413), reply(503), reply(409)]);
    assert_eq!(reason(store.get(&context, "vb", "o").await), "auth: get of o: swift answered 403");
    assert_eq!(reason(store.delete(&context, "vb", "o").await), "quota: delete of o: swift answered 507");
    assert_eq!(reason(store.list(&context, "vb", "o").await), "quota: list of o: swift answered 413");
    // The retry after 503 meets the 409.
    let created = store.put_container(&context, "vb").await;
    assert_eq!(reason(created), "conflict: head of container vb: swift answered 409");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_a_longer_wait_gets_it() {
    let busy = |seconds| Step::Reply(answer(503, &[("Retry-After", seconds)], b""));
    // 10 is longer than 2; 1 is shorter than 4, unless the client paces several at once; 1000 is cut to 64.
    for (at_once, expected) in [("1", [0, 10, 14, 78]), ("64", [0, 10, 11, 75])] {
        let sets = [("backup_max_inflight_chunks", at_once)];
        let (store, script) = store(&[V1, &sets], [auth_ok(), busy("10"), busy("1"), busy("1000"), stored(b"x")]);
        put(&store, "o-1", b"x").await.unwrap();
        assert_eq!(script.times()[1..], expected, "{at_once} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn the_options_set_number_and_waits() {
    let sets = [("backup_swift_retry_attempts", "1"), ("backup_swift_retry_backoff", "5")];
    let mut steps = vec![crate::support::auth_ok()];
    steps.extend(vec![reply(503); 4]);
    let (store, script) = store(&[V1, &sets], steps);
    put(&store, "o-1", b"x").await.unwrap_err();
    assert_eq!(script.times()[1..], [0, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_body_cut_short_is_read_again() {
    let whole = answer(200, &[], b"0123456789");
    let cut = Step::Last(whole[..whole.len() - 3].to_vec());
    let (store, script) = authenticated([cut.clone(), Step::Reply(whole)]);
    assert_eq!(get(&store, "o-1").await.unwrap(), b"0123456789");
    assert_eq!(script.times()[1..], [0, 2]);

    let (store, script) = authenticated(vec![cut; 4]);
    assert_eq!(reason(get(&store, "o-1").await), "unreachable: get of o-1: swift closed the connection");
    assert_eq!(script.times()[1..], [0, 2, 6, 14]);
}

#[tokio::test(start_paused = true)]
async fn authentication_is_retried_for_a_data_operation() {
    let (store, script) =
        store(&[V1], [Step::Refuse, Step::Last(status(503)), crate::support::auth_ok(), stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap();
    assert_eq!(script.lines(), ["GET /auth/v1.0", "GET /auth/v1.0", "PUT /v1/AUTH_test/vb/o-1"]);
    assert_eq!(script.times(), [2, 6, 6]);
}
