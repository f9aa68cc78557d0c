//! Tokens: how they are got, renewed once, and never shown.

use std::sync::Arc;
use std::time::Duration;

use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::{Kind, RequestContext};
use clinker_env::Tasks;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::{
    PER_USER, Step, TOKEN, V1, answer, auth_ok, authenticated, caller, capture, put, reason, reply, store, stored,
};

const V3: &[(&str, &str)] = &[
    ("backup_swift_auth", "single_user"),
    ("backup_swift_auth_version", "3"),
    ("backup_swift_auth_url", "http://keystone:5000"),
    ("backup_swift_user", "backup"),
    ("backup_swift_key", "backuppass"),
    ("backup_swift_project", "backups"),
];

fn keystone_ok() -> Step {
    Step::Reply(capture(include_str!("../captures/ks-auth-201.txt")).answer)
}

#[tokio::test(start_paused = true)]
async fn v1_asks_with_user_and_key_as_recorded() {
    let recorded = capture(include_str!("../captures/auth-ok.txt"));
    let (store, script) =
        store(&[V1, &[("backup_swift_key", "testing")]], [Step::Reply(recorded.answer), stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap();
    let [auth, sent] = &script.seen()[..] else { panic!("two requests") };
    assert_eq!(auth.line, format!("swift:8080 {}", recorded.request_line));
    for header in recorded.request_headers.iter().filter(|header| !header.starts_with("Host")) {
        let (name, value) = header.split_once(": ").unwrap();
        assert_eq!(auth.headers[&name.to_ascii_lowercase()], value);
    }
    // The storage URL is where the answer says.
    assert_eq!(sent.line, "127.0.0.1:18080 PUT /v1/AUTH_test/vb/o-1");
    assert_eq!(sent.headers["x-auth-token"], TOKEN);
}

#[tokio::test(start_paused = true)]
async fn v3_sends_the_recorded_body_and_uses_the_catalog() {
    let recorded = capture(include_str!("../captures/ks-auth-201.txt"));
    let (store, script) = store(&[V3], [keystone_ok(), stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap();
    let [auth, sent] = &script.seen()[..] else { panic!("two requests") };
    assert_eq!(auth.line, format!("keystone:5000 {}", recorded.request_line));
    assert_eq!(auth.headers["content-type"], "application/json");
    let body: Value = serde_json::from_slice(&auth.body).unwrap();
    assert_eq!(body, serde_json::from_str::<Value>(&recorded.request_body).unwrap());
    assert_eq!(sent.line, "127.0.0.1:18180 PUT /v1/AUTH_6a79d4d0099f4f69a08447d444e0a717/vb/o-1");
    assert!(sent.headers["x-auth-token"].starts_with("gAAAAAxxx"));
}

#[tokio::test(start_paused = true)]
async fn v3_takes_project_and_domains_from_several_options() {
    for (sets, user, project) in [
        (
            &[("backup_swift_user_domain", "users"), ("backup_swift_project_domain", "projects")][..],
            ("backup", r#"{"name":"users"}"#),
            ("backups", r#"{"name":"projects"}"#),
        ),
        (
            &[("backup_swift_project", ""), ("backup_swift_tenant", "old")],
            ("backup", r#"{"id":"default"}"#),
            ("old", r#"{"id":"default"}"#),
        ),
        (
            &[("backup_swift_project", ""), ("backup_swift_user", "team:me")],
            ("me", r#"{"id":"default"}"#),
            ("team", r#"{"id":"default"}"#),
        ),
    ] {
        let (store, script) = store(&[V3, sets], [keystone_ok(), stored(b"x")]);
        put(&store, "o-1", b"x").await.unwrap();
        let body: Value = serde_json::from_slice(&script.seen()[0].body).unwrap();
        let asked = &body["auth"]["identity"]["password"]["user"];
        assert_eq!((asked["name"].as_str().unwrap(), asked["domain"].to_string().as_str()), user);
        let scope = &body["auth"]["scope"]["project"];
        assert_eq!((scope["name"].as_str().unwrap(), scope["domain"].to_string().as_str()), project);
    }
}

#[tokio::test(start_paused = true)]
async fn v3_appends_a_version_unless_the_url_has_one() {
    for (url, expected) in [
        ("http://keystone:5000", "POST /v3/auth/tokens"),
        ("http://keystone:5000/", "POST /v3/auth/tokens"),
        ("http://keystone:5000/v3", "POST /v3/auth/tokens"),
        ("http://keystone:5000/v3/", "POST /v3/auth/tokens"),
        ("http://keystone/identity", "POST /identity/v3/auth/tokens"),
        ("http://keystone/vault", "POST /vault/v3/auth/tokens"),
    ] {
        let (store, script) = store(&[V3, &[("backup_swift_auth_url", url)]], [keystone_ok(), stored(b"x")]);
        put(&store, "o-1", b"x").await.unwrap();
        assert_eq!(script.lines()[0], expected, "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_an_auth_error() {
    let wrong_key = Step::Reply(capture(include_str!("../captures/auth-wrong-key-401.txt")).answer);
    let (v1, script) = store(&[V1], [wrong_key]);
    assert_eq!(reason(put(&v1, "o-1", b"x").await), "auth: put of o-1: authentication: swift answered 401");
    assert_eq!(script.lines().len(), 1);

    let wrong_password = Step::Reply(capture(include_str!("../captures/ks-auth-wrong-password-401.txt")).answer);
    let (v3, _) = store(&[V3], [wrong_password]);
    assert_eq!(reason(put(&v3, "o-1", b"x").await), "auth: put of o-1: authentication: keystone answered 401");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_what_is_needed_makes_no_sense() {
    let url = ("X-Storage-Url", "http://swift:8080/v1/AUTH_test");
    for (version, step, expected) in [
        (V1, answer(200, &[url], b""), "internal: put of o-1: authentication: swift's answer has no X-Auth-Token"),
        (
            V1,
            answer(200, &[("X-Auth-Token", TOKEN)], b""),
            "internal: put of o-1: authentication: swift's answer has no X-Storage-Url",
        ),
        (V3, answer(201, &[], b"{}"), "internal: put of o-1: authentication: keystone's answer has no X-Subject-Token"),
        (
            V3,
            answer(201, &[("X-Subject-Token", TOKEN)], b"{}"),
            "internal: put of o-1: authentication: keystone's answer is not a token",
        ),
        (
            V3,
            capture(include_str!("../captures/ks-auth-nocatalog-201.txt")).answer,
            "invalid_config: put of o-1: option swift_catalog_info: the catalog has no publicURL of a service of type \
             object-store",
        ),
        (
            V1,
            answer(404, &[], b""),
            "invalid_config: put of o-1: authentication: swift answered 404: option backup_swift_auth_url names no \
             such path",
        ),
        (
            V1,
            answer(200, &[("X-Storage-Url", "ftp://swift/v1/a"), ("X-Auth-Token", TOKEN)], b""),
            "invalid_config: put of o-1: the object store's URL in the catalog or answer: not an http URL, \
             expected http://host[:port]/path",
        ),
    ] {
        let (store, _) = store(&[version], [Step::Reply(step)]);
        assert_eq!(reason(put(&store, "o-1", b"x").await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once_and_at_once() {
    let lost = Step::Reply(capture(include_str!("../captures/token-lost-401.txt")).answer);
    let (store, script) = authenticated([lost.clone(), auth_ok(), stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap();
    let put_line = "PUT /v1/AUTH_test/vb/o-1";
    assert_eq!(script.lines(), ["GET /auth/v1.0", put_line, "GET /auth/v1.0", put_line]);
    assert_eq!(script.times(), [0; 4]);

    let (store, script) = authenticated([lost.clone(), auth_ok(), lost]);
    assert_eq!(reason(put(&store, "o-1", b"x").await), "auth: put of o-1: swift answered 401");
    assert_eq!(script.lines().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_token_refused_to_many_requests_is_renewed_once() {
    // One put to authenticate; then three at the same time are refused on their own connections.
    let mut steps = vec![stored(b"x")];
    steps.extend(vec![reply(401); 3]);
    steps.push(auth_ok());
    steps.extend(vec![stored(b"x"); 3]);
    let (store, script) = authenticated(steps);
    put(&store, "o-0", b"x").await.unwrap();
    let store = Arc::new(store);
    let mut puts = tokio::task::JoinSet::new();
    for name in ["o-1", "o-2", "o-3"] {
        let store = store.clone();
        Tasks::Runtime.spawn_in(&mut puts, async move { put(&store, name, b"x").await });
    }
    for result in puts.join_all().await {
        result.unwrap();
    }
    assert_eq!(script.lines().iter().filter(|line| *line == "GET /auth/v1.0").count(), 2);
    assert_eq!(script.steps_left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_kept_between_operations() {
    let (store, script) = authenticated([stored(b"x"), stored(b"y")]);
    put(&store, "o-1", b"x").await.unwrap();
    put(&store, "o-2", b"y").await.unwrap();
    assert_eq!(script.lines().iter().filter(|line| *line == "GET /auth/v1.0").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn per_user_sends_the_callers_token_to_the_callers_account() {
    let (store, script) = store(&[PER_USER], [stored(b"x")]);
    let context = caller(Some("caller-token"));
    store.put(&context, "vb", "o-1", b"x"[..].into(), crate::support::md5(b"x")).await.unwrap();
    let seen = &script.seen()[0];
    assert_eq!(seen.line, "swift:8080 PUT /v1/AUTH_p1/vb/o-1");
    assert_eq!(seen.headers["x-auth-token"], "caller-token");
}

#[tokio::test(start_paused = true)]
async fn a_callers_token_cannot_be_renewed() {
    let (store, script) = store(&[PER_USER], [reply(401)]);
    let context = caller(Some("caller-token"));
    assert_eq!(reason(store.delete(&context, "vb", "o-1").await), "auth: delete of o-1: swift answered 401");
    assert_eq!(script.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn per_user_without_a_token_sends_nothing() {
    let (store, script) = store(&[PER_USER], []);
    for context in [caller(None), RequestContext::admin()] {
        assert_eq!(
            reason(store.get(&context, "vb", "o-1").await),
            "auth: get of o-1: the request has no token, and option backup_swift_auth is per_user"
        );
    }
    assert!(script.lines().is_empty());
}

/// Found by a reviewer: each waited for its own time-out, one after the other.
#[tokio::test(start_paused = true)]
async fn all_who_wait_for_a_mute_identity_service_hear_of_it_at_once() {
    let sets = [("backup_swift_retry_attempts", "0"), ("backup_swift_timeout", "60")];
    let (store, _script) = store(&[V1, &sets], vec![Step::HangConnect; 3]);
    let start = Instant::now();
    let (one, two, three) = tokio::join!(put(&store, "o-1", b"x"), put(&store, "o-2", b"x"), put(&store, "o-3", b"x"));
    for failed in [one, two, three] {
        assert_eq!(failed.unwrap_err().kind, Kind::Timeout);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    // It is asked again for the next.
    assert_eq!(put(&store, "o-4", b"x").await.unwrap_err().kind, Kind::Timeout);
    assert_eq!(start.elapsed(), Duration::from_secs(120));
}
