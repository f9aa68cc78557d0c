//! Signatures, and what refusals of them mean.

use clinker_drivers::RequestContext;
use clinker_drivers::chunked::store::ChunkStore;

use crate::log::Log;
use crate::support::{
    CUSTOMER_KEY, S3, SECRET, Step, answer, capture, list, put, reason, store, store_at, stored, usual,
};

/// The options of the recordings.
const RECORDED: &[(&str, &str)] =
    &[("backup_s3_endpoint_url", "http://127.0.0.1:18080"), ("backup_s3_store_bucket", "volumebackups")];

/// The recorded object's bytes.
fn body() -> &'static [u8] {
    let answer = capture(include_str!("../captures/s3/object-get-200.txt")).answer;
    Vec::leak(answer[answer.len() - 1050..].to_vec())
}

#[tokio::test(start_paused = true)]
async fn a_request_is_signed_as_recorded() {
    let recorded = capture(include_str!("../captures/s3/object-put-md5-200.txt"));
    let (store, script) = store_at("2026-11-21T18:59:54Z", &[S3, RECORDED], vec![Step::Reply(recorded.answer)]);
    let name = "volume_1/20260101000000/az_nova_backup_2-00001";
    let digest = crate::support::md5(body());
    store.put(&RequestContext::admin(), "volumebackups", name, body().into(), digest).await.unwrap();
    let seen = &script.seen()[0];
    assert_eq!(seen.line, format!("127.0.0.1:18080 {}", recorded.request_line));
    let value = |header: &str| header.split_once(": ").unwrap().1.to_owned();
    for header in &recorded.request_headers {
        let (name, _) = header.split_once(": ").unwrap();
        let sent = &seen.headers[&name.to_ascii_lowercase()];
        assert_eq!(*sent, value(header), "{name}");
    }
    assert_eq!(seen.body, body());
}

#[tokio::test(start_paused = true)]
async fn no_key_is_in_the_most_talkative_log() {
    let log = Log::default();
    // For every test of this binary: one that is only this thread's may miss what another thread was the first to log.
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let sets = [("backup_s3_sse_customer_key", CUSTOMER_KEY), ("backup_s3_sse_customer_algorithm", "AES256")];
    let (store, script) = store(&[S3, &sets], [stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap();
    let on_the_wire = script.seen()[0].headers["x-amz-server-side-encryption-customer-key"].clone();
    let text = log.text();
    assert!(text.contains("answered"), "{text}");
    for secret in [CUSTOMER_KEY, on_the_wire.as_str()] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_the_date_of_its_own_and_no_secret_on_the_wire() {
    let (store, script) = usual([crate::support::reply(503), stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap();
    for seen in script.seen() {
        let authorization = &seen.headers["authorization"];
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=test:tester/"), "{authorization}");
        assert!(!format!("{:?}", seen.headers).contains(&format!("{SECRET}/")));
        assert_eq!(seen.headers["x-amz-content-sha256"].len(), 64);
    }
}

/// Lists against one refusal.
async fn check(answer: Vec<u8>, expected: &str) {
    let (store, script) = usual([Step::Reply(answer)]);
    assert_eq!(reason(list(&store, "p").await), expected);
    assert_eq!(script.lines().len(), 1, "it is definite");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_apart_by_their_code() {
    let recorded = |text: &str| capture(text).answer;
    // The document quotes the whole request; nothing of it is in the reason.
    let quoting = b"<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>Signature=</CanonicalRequest></Error>";
    check(answer(403, &[], quoting), "auth: list of p: s3 answered 403").await;
    check(
        recorded(include_str!("../captures/s3/auth-clock-skew-403.txt")),
        "auth: list of p: s3 answered 403: the clocks of this host and of s3 differ too much",
    )
    .await;
    check(
        recorded(include_str!("../captures/s3/auth-wrong-region.txt")),
        "invalid_config: list of p: option backup_s3_region_name: s3 has no bucket in us-east-1, expected us-east-1",
    )
    .await;
    check(
        recorded(include_str!("../captures/s3/bucket-put-badname-400.txt")),
        "invalid_backup: list of p: s3 takes no bucket of that name",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_region_is_an_option() {
    let (store, script) = store(&[S3, &[("backup_s3_region_name", "eu-west-9")]], [stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap();
    assert!(script.seen()[0].headers["authorization"].contains("/eu-west-9/s3/aws4_request"));
}
