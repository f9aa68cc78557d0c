//! Requests and answers of each operation on containers and objects.

use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::{Backup, RequestContext};
use serde_json::json;

use crate::support::{
    PER_USER, Step, V1, answer, auth_ok, authenticated, capture, get, object, put, reason, reply, status, store,
};

const DIGEST_X: &str = "9dd4e461268c8034f5c8564e155c67a6";
const DIGEST_Y: &str = "415290769594460e2e485922904f345d";

#[tokio::test(start_paused = true)]
async fn a_put_announces_its_digest_as_recorded() {
    let recorded = capture(include_str!("../captures/object-put-201.txt"));
    let body = Vec::leak(get_body());
    let (store, script) = authenticated([Step::Reply(recorded.answer)]);
    put(&store, "volume_1/20260101000000/az_nova_backup_2-00001", body).await.unwrap();
    let seen = &script.seen()[1];
    assert_eq!(seen.line, format!("swift:8080 {}", recorded.request_line));
    for header in recorded.request_headers.iter().filter(|header| !header.starts_with("Host")) {
        let (name, value) = header.split_once(": ").unwrap();
        assert_eq!(seen.headers[&name.to_ascii_lowercase()], value);
    }
    assert_eq!(seen.body, *body);
}

/// The recorded object's bytes.
fn get_body() -> Vec<u8> {
    let answer = capture(include_str!("../captures/object-get-200.txt")).answer;
    answer[answer.len() - 1050..].to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_recorded_object_is_read_and_removed() {
    let (store, _) = authenticated([
        Step::Reply(capture(include_str!("../captures/object-get-200.txt")).answer),
        Step::Reply(capture(include_str!("../captures/object-delete-204.txt")).answer),
        Step::Reply(capture(include_str!("../captures/object-delete-again-404.txt")).answer),
    ]);
    assert_eq!(get(&store, "o-1").await.unwrap(), get_body());
    let context = RequestContext::admin();
    store.delete(&context, "vb", "o-1").await.unwrap();
    // What is gone is removed.
    store.delete(&context, "vb", "o-1").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_put_is_done_only_when_the_digests_agree() {
    let expect = |stored: &str| format!("integrity: put of o-1: swift stored {stored}, sent was md5 {DIGEST_X}");
    for (etag, expected) in [
        (Some(DIGEST_X.to_owned()), None),
        (Some(format!("\"{}\"", DIGEST_X.to_uppercase())), None),
        (Some(DIGEST_Y.to_owned()), Some(expect(DIGEST_Y))),
        (None, Some(expect("no md5"))),
    ] {
        let headers: Vec<_> = etag.as_deref().map(|etag| ("Etag", etag)).into_iter().collect();
        let (store, script) = authenticated([Step::Reply(answer(201, &headers, b""))]);
        let got = put(&store, "o-1", b"x").await;
        assert_eq!(got.is_err().then(|| reason(got)), expected);
        assert_eq!(script.lines().len(), 2);
    }
    let refused = Step::Reply(capture(include_str!("../captures/object-put-bad-etag-422.txt")).answer);
    let (store, _) = authenticated([refused]);
    assert_eq!(reason(put(&store, "o-1", b"x").await), "integrity: put of o-1: swift answered 422");
}

#[tokio::test(start_paused = true)]
async fn an_object_damaged_on_its_way_is_read_once_more() {
    let damaged = Step::Reply(answer(200, &[("Etag", DIGEST_X)], b"y"));
    let (store, script) = authenticated([damaged.clone(), object(b"x")]);
    assert_eq!(get(&store, "o-1").await.unwrap(), b"x");
    assert_eq!(script.times(), [0; 3]);

    let (store, script) = authenticated([damaged.clone(), damaged.clone(), object(b"x")]);
    let error = get(&store, "o-1").await.unwrap_err();
    assert!(!error.retry);
    let expected = format!("get of o-1: received md5 {DIGEST_Y}, swift announced {DIGEST_X}");
    assert_eq!(error.what, expected);
    assert_eq!(script.lines().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_etag_that_is_no_digest_is_not_compared() {
    let (store, _) =
        authenticated([Step::Reply(answer(200, &[("Etag", "\"abc-2\"")], b"y")), Step::Reply(answer(200, &[], b"z"))]);
    assert_eq!(get(&store, "o-1").await.unwrap(), b"y");
    assert_eq!(get(&store, "o-2").await.unwrap(), b"z");
}

fn page(names: &[&str]) -> Step {
    let entries: Vec<_> = names.iter().map(|name| json!({ "name": name, "bytes": 1, "hash": DIGEST_X })).collect();
    Step::Reply(answer(200, &[], json!(entries).to_string().as_bytes()))
}

#[tokio::test(start_paused = true)]
async fn a_listing_goes_on_until_an_empty_page() {
    let (store, script) = authenticated([page(&["p/a-1", "p/a-2"]), page(&["p/a-3"]), page(&[])]);
    let names = store.list(&RequestContext::admin(), "v b", "p/a").await.unwrap();
    assert_eq!(names, ["p/a-1", "p/a-2", "p/a-3"]);
    assert_eq!(
        script.lines()[1..],
        [
            "GET /v1/AUTH_test/v%20b?format=json&prefix=p%2Fa",
            "GET /v1/AUTH_test/v%20b?format=json&prefix=p%2Fa&marker=p%2Fa-2",
            "GET /v1/AUTH_test/v%20b?format=json&prefix=p%2Fa&marker=p%2Fa-3",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn recorded_listings_are_understood() {
    let (store, _) = authenticated([
        Step::Reply(capture(include_str!("../captures/container-list-prefix-json.txt")).answer),
        Step::Reply(capture(include_str!("../captures/container-get-empty-json.txt")).answer),
        reply(204),
    ]);
    let prefix = "volume_1/20260101000000/az_nova_backup_2";
    let names = store.list(&RequestContext::admin(), "vb", prefix).await.unwrap();
    assert_eq!(names, [format!("{prefix}-00001"), format!("{prefix}-00002")]);
    assert!(store.list(&RequestContext::admin(), "vb", prefix).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_fails_is_never_an_empty_one() {
    let not_json = Step::Reply(answer(200, &[], b"p-1\np-2\n"));
    for (steps, expected) in [
        (vec![page(&["p-1"]), reply(403)], "auth: list of p: swift answered 403"),
        (vec![not_json], "internal: list of p: swift answered a list that is not JSON"),
        (vec![page(&["p-1", "q-1"])], "internal: list of p: swift listed a name without the prefix"),
        (vec![page(&["p-1"]), page(&["p-1"])], "internal: list of p: swift listed names out of order"),
    ] {
        let (store, _) = authenticated(steps);
        assert_eq!(reason(store.list(&RequestContext::admin(), "vb", "p").await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_not_there_lists_nothing_once_that_is_proved() {
    let (account, container) = ("HEAD /v1/AUTH_test", "HEAD /v1/AUTH_test/vb");
    let not_found = Err("not_found: list of p: swift answered 404");
    for (steps, expected, proof) in [
        (vec![reply(404), reply(204), reply(404)], Ok(()), vec![account, container]),
        // The container is there: the 404 was wrong.
        (vec![reply(404), reply(204), reply(204)], not_found, vec![account, container]),
        // Whoever answers knows no account.
        (vec![reply(404), reply(404)], Err("not_found: head of the account: swift answered 404"), vec![account]),
        // It vanished while it was listed.
        (vec![page(&["p-1"]), reply(404), reply(204), reply(404)], not_found, vec![account, container]),
    ] {
        let (store, script) = authenticated(steps);
        let got = store.list(&RequestContext::admin(), "vb", "p").await;
        match expected {
            Ok(()) => assert!(got.unwrap().is_empty()),
            Err(expected) => assert_eq!(reason(got), expected),
        }
        let lines = script.lines();
        assert_eq!(lines[lines.len() - proof.len()..], proof);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_container_is_created_with_the_policy() {
    let sets = [("backup_swift_create_storage_policy", "gold")];
    let steps = [
        auth_ok(),
        Step::Reply(capture(include_str!("../captures/container-head-404.txt")).answer),
        Step::Reply(capture(include_str!("../captures/container-put-201.txt")).answer),
        Step::Reply(capture(include_str!("../captures/container-head-204.txt")).answer),
    ];
    let (store, script) = store(&[V1, &sets], steps);
    store.put_container(&RequestContext::admin(), "vb").await.unwrap();
    store.put_container(&RequestContext::admin(), "vb").await.unwrap();
    let container = "/v1/AUTH_test/vb";
    let expected = [format!("HEAD {container}"), format!("PUT {container}"), format!("HEAD {container}")];
    assert_eq!(script.lines()[1..], expected);
    assert_eq!(script.seen()[2].headers["x-storage-policy"], "gold");
    assert_eq!(script.seen()[2].headers["content-length"], "0");
}

#[tokio::test(start_paused = true)]
async fn a_policy_the_server_does_not_know_is_a_wrong_option() {
    let expected = "option backup_swift_create_storage_policy: swift refused it for container vb";
    for (sets, expected) in [
        (&[("backup_swift_create_storage_policy", "nosuch")][..], format!("invalid_config: {expected}")),
        (&[], "internal: put of container vb: swift answered 400".to_owned()),
    ] {
        let (store, _) = store(&[V1, sets], [auth_ok(), reply(404), reply(400)]);
        assert_eq!(reason(store.put_container(&RequestContext::admin(), "vb").await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_container_is_an_error_where_none_may_be_created() {
    let sets = [("backup_create_containers", "false")];
    let (store, script) = store(&[V1, &sets], [auth_ok(), reply(404)]);
    assert_eq!(
        reason(store.put_container(&RequestContext::admin(), "vb").await),
        "not_found: container vb: not there, and option backup_create_containers is off"
    );
    assert_eq!(script.lines().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn names_are_percent_encoded_and_objects_keep_their_slashes() {
    let (store, script) = authenticated([Step::Reply(status(204))]);
    store.delete(&RequestContext::admin(), "a?b", "c d/é%#-1").await.unwrap();
    assert_eq!(script.lines()[1], "DELETE /v1/AUTH_test/a%3Fb/c%20d/%C3%A9%25%23-1");
}

#[tokio::test]
async fn a_backup_goes_to_the_container_it_asks_for() {
    let (store, _) = store(&[PER_USER], []);
    for (asked, expected) in [
        (None, Ok("vb")),
        (Some(""), Ok("vb")),
        (Some("mine"), Ok("mine")),
        (Some("a/b"), Err("invalid_backup: container a/b: a container's name has no slash")),
        (Some("../x"), Err("invalid_backup: container ../x: a container's name has no slash")),
        (Some(".."), Err("invalid_backup: container ..: a name that leaves the account")),
    ] {
        let backup = Backup { container: asked.map(str::to_owned), ..Backup::default() };
        match expected {
            Ok(name) => assert_eq!(store.container_for(&backup).unwrap(), name),
            Err(expected) => assert_eq!(reason(store.container_for(&backup)), expected),
        }
    }
}

#[tokio::test]
async fn the_prefix_names_volume_second_zone_and_backup() {
    let (store, _) = store(&[PER_USER], []);
    let backup =
        Backup { id: "b-2".into(), volume_id: "v-1".into(), availability_zone: "nova".into(), ..Backup::default() };
    let now = "2026-01-02T03:04:05.9Z".parse().unwrap();
    assert_eq!(store.object_prefix(&backup, now), "volume_v-1/20260102030405/az_nova_backup_b-2");
}

#[tokio::test]
async fn the_geometry_is_the_options() {
    let sets = [
        ("backup_swift_object_size", "65536"),
        ("backup_swift_block_size", "4096"),
        ("backup_swift_enable_progress_timer", "false"),
    ];
    let geometry = store(&[PER_USER, &sets], []).0.geometry();
    assert_eq!((geometry.chunk, geometry.block, geometry.progress_timer), (65536, 4096, false));
}
