//! Set-up: options that are missing or wrong, and what the check finds with few requests.

use clinker_drivers::chunked::store::ChunkStore;

use crate::support::{CUSTOMER_KEY, S3, Step, capture, object, options, reason, refusal, reply, store, stored};

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
    check_options(&[S3], "ok");
    for option in ["backup_s3_endpoint_url", "backup_s3_store_access_key", "backup_s3_store_secret_key"] {
        check_options(&[S3, &[(option, "")]], &format!("invalid_config: option {option}: unset"));
    }
}

#[tokio::test]
async fn an_option_that_cannot_work_is_named() {
    let key = ("backup_s3_sse_customer_key", CUSTOMER_KEY);
    for (sets, expected) in [
        (
            &[("backup_s3_endpoint_url", "s3:8080")][..],
            "invalid_config: option backup_s3_endpoint_url: not a URL, expected http://host[:port]/path",
        ),
        (
            &[("backup_s3_endpoint_url", "http://s3:8080/?a=b")],
            "invalid_config: option backup_s3_endpoint_url: has a query, expected http://host[:port]/path",
        ),
        (
            &[("backup_s3_region_name", "eu west")],
            "invalid_config: option backup_s3_region_name: not the name of a region",
        ),
        (
            &[("backup_s3_region_name", "eu/west")],
            "invalid_config: option backup_s3_region_name: not the name of a region",
        ),
        (
            &[("backup_s3_store_access_key", "a\nb")],
            "invalid_config: option backup_s3_store_access_key: has characters that a signature cannot carry",
        ),
        (&[("backup_s3_timeout", "1e-300")], "invalid_config: option backup_s3_timeout: not a length of time"),
        (
            &[("backup_s3_store_bucket", "a/b")],
            "invalid_config: option backup_s3_store_bucket: a container's name has no slash",
        ),
        (&[("backup_s3_http_proxy", "http://proxy:3128")], "unsupported: option backup_s3_http_proxy: must be empty"),
        (&[("backup_s3_https_proxy", "http://proxy:3128")], "unsupported: option backup_s3_https_proxy: must be empty"),
        (
            &[("backup_s3_sse_customer_key", "short"), ("backup_s3_sse_customer_algorithm", "AES256")],
            "invalid_config: option backup_s3_sse_customer_key: has 5 bytes, expected 32 characters",
        ),
        (
            &[key, ("backup_s3_sse_customer_algorithm", "DES")],
            "invalid_config: option backup_s3_sse_customer_algorithm: expected AES256",
        ),
        // With only one of the two the original goes on without encryption.
        (&[key], "ok"),
    ] {
        check_options(&[S3, sets], expected);
    }
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn without_tls_its_feature_is_named() {
    check_options(
        &[S3, &[("backup_s3_endpoint_url", "https://s3")]],
        "invalid_config: option backup_s3_endpoint_url: TLS is not built in (cargo feature `tls` of clinker-drivers), \
         expected http://host[:port]/path",
    );
}

#[test]
fn a_value_out_of_bounds_is_refused() {
    for (option, value, expected) in [
        ("backup_s3_timeout", "0", "found \"0\", expected a number above 0"),
        ("backup_s3_timeout", "inf", "found \"inf\", expected a number above 0"),
        ("backup_s3_retry_mode", "eager", "found \"eager\", expected one of legacy, standard, adaptive"),
    ] {
        let error = options(&[S3]).set(option, value).unwrap_err();
        assert_eq!(error.what, format!("option {option}: {expected}"));
    }
    let mut long = options(&[S3]);
    long.set("backup_s3_timeout", "1e300").unwrap();
    assert!(long.validate().unwrap_err().what.starts_with("option backup_s3_timeout: found"));
}

#[tokio::test(start_paused = true)]
async fn wrong_options_are_reported_by_every_operation() {
    let (store, _) = store(&[S3, &[("backup_s3_store_secret_key", "")]], []);
    let expected = "invalid_config: option backup_s3_store_secret_key: unset";
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

const HEAD: &str = "HEAD /vol";
const WHY: &str = "GET /vol?list-type=2&max-keys=1";
const CREATE: &str = "PUT /vol";
const PUT: &str = "PUT /vol/.clinker-probe-backup-1";
const GET: &str = "GET /vol/.clinker-probe-backup-1";
const DELETE: &str = "DELETE /vol/.clinker-probe-backup-1";

#[tokio::test(start_paused = true)]
async fn a_time_out_beyond_all_clocks_is_none() {
    // Services refuse it before; whoever uses the store alone must not see it panic.
    let sets = [("backup_s3_timeout", "1e19")];
    check(&[S3, &sets], vec![reply(200), stored(PROBE), object(PROBE), reply(204)], &[HEAD, PUT, GET, DELETE], "ok")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_written_read_and_removed() {
    let steps = vec![reply(200), stored(PROBE), object(PROBE), reply(204)];
    check(&[S3], steps, &[HEAD, PUT, GET, DELETE], "ok").await;
    let steps = vec![reply(404), reply(200), stored(PROBE), object(PROBE), reply(204)];
    check(&[S3], steps, &[HEAD, CREATE, PUT, GET, DELETE], "ok").await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_sent_once_and_named() {
    let (head, probe) = ("head of container vol", ".clinker-probe-backup-1");
    check(&[S3], vec![Step::Refuse], &[], &format!("unreachable: {head}: s3 refused the connection")).await;
    let mute = vec![Step::Mute(Vec::new())];
    check(&[S3], mute, &[HEAD], &format!("timeout: {head}: s3 did not answer within 60s")).await;
    check(&[S3], vec![reply(503)], &[HEAD], &format!("unreachable: {head}: s3 answered 503")).await;
    let refused = vec![reply(200), reply(403)];
    check(&[S3], refused, &[HEAD, PUT], &format!("auth: put of {probe}: s3 answered 403")).await;
    let full = vec![reply(200), refusal(403, "QuotaExceeded")];
    check(&[S3], full, &[HEAD, PUT], &format!("quota: put of {probe}: s3 answered 403")).await;
    check(
        &[S3],
        vec![reply(200), stored(PROBE), object(b"other")],
        &[HEAD, PUT, GET],
        &format!("integrity: get of {probe}: not the bytes that were put"),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn why_a_head_is_refused_is_asked_once() {
    let region = Step::Reply(capture(include_str!("../captures/s3/auth-wrong-region.txt")).answer);
    let sets = [("backup_s3_region_name", "eu-nowhere-9")];
    check(
        &[S3, &sets],
        vec![reply(400), region],
        &[HEAD, WHY],
        "invalid_config: head of container vol: option backup_s3_region_name: s3 has no bucket in eu-nowhere-9, \
         expected us-east-1",
    )
    .await;
    let skewed = Step::Reply(capture(include_str!("../captures/s3/auth-clock-skew-403.txt")).answer);
    check(
        &[S3],
        vec![reply(403), skewed],
        &[HEAD, WHY],
        "auth: head of container vol: s3 answered 403: the clocks of this host and of s3 differ too much",
    )
    .await;
    // An answer that is no reason leaves the first one.
    for step in [reply(503), crate::support::page(&[], None)] {
        let expected = "auth: head of container vol: s3 answered 403";
        check(&[S3], vec![reply(403), step], &[HEAD, WHY], expected).await;
    }
}

#[tokio::test]
async fn the_keys_are_not_in_options_that_are_shown() {
    let sets = [("backup_s3_store_secret_key", "hush-hush"), ("backup_s3_sse_customer_key", CUSTOMER_KEY)];
    let options = options(&[S3, &sets]);
    let shown = format!("{options:?}");
    assert!(!shown.contains("hush-hush") && !shown.contains(CUSTOMER_KEY));
    assert_eq!(options.secrets(), ["hush-hush", CUSTOMER_KEY]);
}
