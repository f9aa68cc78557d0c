//! Set-up: options that are missing or wrong, and what the check finds with few requests.

use clinker_drivers::chunked::store::ChunkStore;

use crate::support::{KEY, PER_USER, Step, V1, answer, auth_ok, object, reason, reply, store, stored};

const PROBE: &[u8] = b"written and removed by the set-up check\n";

#[track_caller]
fn check_options(sets: &[&[(&str, &str)]], expected: &str) {
    let (store, script) = store(sets, []);
    let got = match store.check_options() {
        Ok(()) => "ok".to_owned(),
        error => reason(error),
    };
    assert_eq!(got, expected);
    assert_eq!(script.connections(), 0);
}

#[tokio::test]
async fn the_option_that_is_missing_is_named() {
    check_options(&[V1], "ok");
    for option in ["backup_swift_user", "backup_swift_key", "backup_swift_auth_url"] {
        let expected = format!("invalid_config: option {option}: unset, but option backup_swift_auth is single_user");
        check_options(&[V1, &[(option, "")]], &expected);
    }
    check_options(
        &[V1, &[("backup_swift_auth_version", "3"), ("backup_swift_user", "me")]],
        "invalid_config: option backup_swift_project: unset, but option backup_swift_auth is single_user",
    );
    check_options(&[&[]], "ok");
}

#[tokio::test]
async fn an_option_that_cannot_work_is_named() {
    let url = "expected http://host[:port]/path";
    for (sets, option, value, expected) in [
        (
            V1,
            "backup_swift_auth_url",
            "ftp://swift/auth",
            format!("invalid_config: option backup_swift_auth_url: not an http URL, {url}"),
        ),
        (PER_USER, "backup_swift_url", "swift", format!("invalid_config: option backup_swift_url: not a URL, {url}")),
        (
            PER_USER,
            "swift_catalog_info",
            "object-store:publicURL",
            "invalid_config: option swift_catalog_info: found \"object-store:publicURL\", expected \
             type:name:endpoint_type"
                .to_owned(),
        ),
        (
            PER_USER,
            "swift_catalog_info",
            "object-store:swift:private",
            "invalid_config: option swift_catalog_info: found \"object-store:swift:private\", expected an \
             endpoint_type of publicURL, internalURL or adminURL"
                .to_owned(),
        ),
        (
            PER_USER,
            "backup_swift_container",
            "a/b",
            "invalid_config: option backup_swift_container: a container's name has no slash".to_owned(),
        ),
        (
            V1,
            "backup_swift_auth_version",
            "2",
            "unsupported: option backup_swift_auth_version: version 2 is not supported, use 1 or 3".to_owned(),
        ),
        (
            V1,
            "backup_swift_service_auth",
            "true",
            "unsupported: option backup_swift_service_auth: must be off".to_owned(),
        ),
    ] {
        check_options(&[sets, &[(option, value)]], &expected);
    }
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn without_tls_its_feature_is_named() {
    let wrong = |option: &str| {
        format!(
            "invalid_config: option {option}: TLS is not built in (cargo feature `tls` of clinker-drivers), \
             expected http://host[:port]/path"
        )
    };
    check_options(&[V1, &[("backup_swift_auth_url", "https://swift/auth")]], &wrong("backup_swift_auth_url"));
    check_options(&[PER_USER, &[("backup_swift_url", "https://swift/v1/AUTH_")]], &wrong("backup_swift_url"));
}

#[tokio::test(start_paused = true)]
async fn wrong_options_are_reported_by_every_operation() {
    let (store, _) = store(&[V1, &[("backup_swift_key", "")]], []);
    let expected = "invalid_config: option backup_swift_key: unset, but option backup_swift_auth is single_user";
    assert_eq!(reason(store.check_for_setup_error().await), expected);
    assert_eq!(reason(store.check_for_setup_error().await), expected);
}

/// The requests of a check and its outcome.
async fn check(sets: &[&[(&str, &str)]], steps: Vec<Step>, lines: &[&str], expected: &str) {
    let (store, script) = store(sets, steps);
    let got = match store.check_for_setup_error().await {
        Ok(()) => "ok".to_owned(),
        error => reason(error),
    };
    assert_eq!((script.lines(), got.as_str()), (lines.iter().map(|line| (*line).to_owned()).collect(), expected));
    assert_eq!(script.steps_left(), 0);
}

const AUTH: &str = "GET /auth/v1.0";
const HEAD: &str = "HEAD /v1/AUTH_test/vb";
const CREATE: &str = "PUT /v1/AUTH_test/vb";
const PUT: &str = "PUT /v1/AUTH_test/vb/.clinker-probe-backup-1";
const GET: &str = "GET /v1/AUTH_test/vb/.clinker-probe-backup-1";
const DELETE: &str = "DELETE /v1/AUTH_test/vb/.clinker-probe-backup-1";

#[tokio::test(start_paused = true)]
async fn single_user_writes_reads_and_removes_a_probe() {
    let steps = vec![auth_ok(), reply(204), stored(PROBE), object(PROBE), reply(204)];
    check(&[V1], steps, &[AUTH, HEAD, PUT, GET, DELETE], "ok").await;
    let steps = vec![auth_ok(), reply(404), reply(201), stored(PROBE), object(PROBE), reply(204)];
    check(&[V1], steps, &[AUTH, HEAD, CREATE, PUT, GET, DELETE], "ok").await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_sent_once_and_named() {
    let probe = ".clinker-probe-backup-1";
    check(&[V1], vec![Step::Refuse], &[], "unreachable: swift refused the connection").await;
    check(&[V1], vec![Step::Mute(Vec::new())], &[AUTH], "timeout: swift did not answer within 60s").await;
    check(&[V1], vec![reply(401)], &[AUTH], "auth: authentication: swift answered 401").await;
    check(&[V1], vec![reply(503)], &[AUTH], "unreachable: authentication: swift answered 503").await;
    check(&[V1], vec![auth_ok(), reply(503)], &[AUTH, HEAD], "unreachable: head of container vb: swift answered 503")
        .await;
    let refused = vec![auth_ok(), reply(204), reply(403)];
    check(&[V1], refused, &[AUTH, HEAD, PUT], &format!("auth: put of {probe}: swift answered 403")).await;
    // A token just got and refused is not renewed.
    let refused = vec![auth_ok(), reply(204), reply(401)];
    check(&[V1], refused, &[AUTH, HEAD, PUT], &format!("auth: put of {probe}: swift answered 401")).await;
    let full = vec![auth_ok(), reply(204), reply(507)];
    check(&[V1], full, &[AUTH, HEAD, PUT], &format!("quota: put of {probe}: swift answered 507")).await;
    check(
        &[V1],
        vec![auth_ok(), reply(204), stored(PROBE), object(b"other")],
        &[AUTH, HEAD, PUT, GET],
        &format!("integrity: get of {probe}: not the bytes that were put"),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_check_proves_the_credentials_anew() {
    let steps = [auth_ok(), reply(204), stored(PROBE), object(PROBE), reply(204), reply(401)];
    let (store, script) = store(&[V1], steps);
    store.check_for_setup_error().await.unwrap();
    assert_eq!(reason(store.check_for_setup_error().await), "auth: authentication: swift answered 401");
    assert_eq!(script.steps_left(), 0);
}

#[tokio::test(start_paused = true)]
async fn per_user_checks_only_that_the_server_answers() {
    let info = Step::Reply(answer(200, &[], b"{}"));
    let (store, script) = store(&[PER_USER], [info]);
    store.check_for_setup_error().await.unwrap();
    let seen = &script.seen()[0];
    assert_eq!(seen.line, "swift:8080 GET /info");
    assert!(!seen.headers.contains_key("x-auth-token"));

    check(&[PER_USER], vec![reply(503)], &["GET /info"], "unreachable: info: swift answered 503").await;
    check(&[PER_USER], vec![Step::Refuse], &[], "unreachable: swift refused the connection").await;
    check(&[], vec![], &[], "ok").await;
}

#[tokio::test]
async fn the_key_is_not_in_options_that_are_shown() {
    let options = crate::support::options(&[V1]);
    assert!(!format!("{options:?}").contains(KEY));
    assert_eq!(options.secrets(), [KEY]);
}
