//! Every fault of the S3 fake bites what it should, and is counted; what a client gets wrong is refused.

#[path = "support/signing.rs"]
mod signing;
mod support;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clinker_env::Env;
use clinker_fakes::s3::Key;
use clinker_fakes::{S3Config, S3Fake};
use clinker_model::fault::{Cut, Full, HostTarget, Lag, Matching, Side, Slow, Status, Stored, Swap};
use clinker_model::{ByteSize, Fault, FaultTarget as _, Span};
use md5::{Digest as _, Md5};
use signing::Signer;
use support::{Memory, Reply, SetClock, send};
use tokio::time::{Instant, timeout};

const PORT: u16 = 8080;
const KEY: Signer = Signer { access: "key-1", secret: "secret-1", region: "us-east-1" };
const OTHER: Signer = Signer { access: "key-2", secret: "secret-2", region: "us-east-1" };

struct Bench {
    env: Env,
    clock: Arc<SetClock>,
    journal: Arc<Memory>,
    s3: Arc<S3Fake>,
}

/// The fake with the bucket `/vol`.
async fn bench() -> Bench {
    let (env, clock) = support::env();
    let journal = Arc::new(Memory::default());
    let keys = [(&KEY, "one"), (&OTHER, "two")].map(|(key, owner)| Key::new(key.access, key.secret, owner));
    let config = S3Config { keys: keys.to_vec(), list_page: 3, ..S3Config::default() };
    let s3 = S3Fake::new(config, journal.clone());
    env.tasks.spawn(s3.clone().serve(env.clone(), PORT));
    tokio::task::yield_now().await;
    let bench = Bench { env, clock, journal, s3 };
    assert_eq!(bench.status("PUT", "/vol").await, 200);
    bench
}

impl Bench {
    async fn ask(&self, method: &str, target: &str, body: &[u8]) -> Option<Reply> {
        KEY.ask(&self.env, PORT, (method, target), &[], body).await
    }

    async fn status(&self, method: &str, target: &str) -> u16 {
        self.ask(method, target, b"").await.unwrap().status
    }

    async fn put(&self, name: &str, body: &[u8]) -> u16 {
        self.ask("PUT", &format!("/vol/{name}"), body).await.unwrap().status
    }

    async fn get(&self, name: &str) -> Reply {
        self.ask("GET", &format!("/vol/{name}"), b"").await.unwrap()
    }

    /// The keys on a page, and the token of the next.
    async fn list(&self, query: &str) -> (Vec<String>, Option<String>) {
        let page = self.ask("GET", &format!("/vol?{query}"), b"").await.unwrap();
        assert_eq!(page.status, 200, "{}", page.text());
        let text = page.text();
        let of = |element: &str| -> Vec<String> {
            let start = format!("<{element}>");
            text.split(&start).skip(1).map(|part| part.split_once('<').unwrap().0.to_owned()).collect()
        };
        (of("Key"), of("NextContinuationToken").pop())
    }

    fn bites(&self) -> usize {
        self.journal.bites_of(0)
    }
}

fn host() -> HostTarget {
    HostTarget { host: "store".into() }
}

fn matching(method: &str, nth: u64, times: u64) -> Matching {
    Matching { method: method.into(), path: String::new(), nth, times }
}

fn stored(object: &str) -> Stored {
    Stored { backup: "b1".into(), object: object.into() }
}

#[track_caller]
fn check(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(reply.text().contains(&format!("<Code>{code}</Code>")), "{}", reply.text());
}

#[tokio::test(start_paused = true)]
async fn without_faults_nothing_bites() {
    let b = bench().await;
    let start = Instant::now();
    assert_eq!(b.put("b1-1", b"hello").await, 200);
    assert_eq!(b.get("b1-1").await.text(), "hello");
    assert_eq!(b.list("list-type=2&prefix=b1").await.0, ["b1-1"]);
    assert_eq!(b.s3.stored().len(), 1);
    for _ in 0..2 {
        assert_eq!(b.status("DELETE", "/vol/b1-1").await, 204);
    }
    assert!(b.s3.stored().is_empty());
    assert!(b.ask("GET", "/", b"").await.unwrap().text().contains("<Name>vol</Name>"));
    assert_eq!(start.elapsed(), Duration::ZERO, "a sound server takes no time");
    assert!(b.journal.bites.lock().unwrap().is_empty());
    assert_eq!(b.journal.requests()[1], ("PUT".to_owned(), "/vol/b1-1".to_owned(), 200));
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_after_signing_is_refused() {
    let b = bench().await;
    let now = b.env.clock.now();
    let signed = KEY.headers(now, "PUT", "/vol/b1-1", &[("Content-Type", "text/plain")], b"hello");
    let tampered = |name: &str, value: &str| -> Vec<(String, String)> {
        let mut headers: Vec<_> = signed.iter().filter(|header| header.0 != name).cloned().collect();
        headers.push((name.to_owned(), value.to_owned()));
        headers
    };
    let (hour_off, region) = (now - jiff::Span::new().hours(1), Signer { region: "eu-nowhere-9", ..KEY });
    type Tampered<'a> = (Vec<(String, String)>, &'a str, &'a [u8], u16, &'a str);
    let rows: Vec<Tampered> = vec![
        (signed.clone(), "/vol/b1-2", b"hello", 403, "SignatureDoesNotMatch"),
        (tampered("content-type", "text/html"), "/vol/b1-1", b"hello", 403, "SignatureDoesNotMatch"),
        (signed.clone(), "/vol/b1-1", b"HELLO", 400, "XAmzContentSHA256Mismatch"),
        (tampered("x-amz-meta-more", "unsigned"), "/vol/b1-1", b"hello", 403, "AccessDenied"),
        (tampered("x-amz-date", "yesterday"), "/vol/b1-1", b"hello", 403, "AccessDenied"),
        (tampered("x-amz-date", "20200101T000000Z"), "/vol/b1-1", b"hello", 400, "AuthorizationHeaderMalformed"),
        (tampered("authorization", "AWS4-HMAC-SHA256 what"), "/vol/b1-1", b"x", 400, "AuthorizationHeaderMalformed"),
        (KEY.headers(hour_off, "PUT", "/vol/b1-1", &[], b""), "/vol/b1-1", b"", 403, "RequestTimeTooSkewed"),
        (region.headers(now, "PUT", "/vol/b1-1", &[], b""), "/vol/b1-1", b"", 400, "AuthorizationHeaderMalformed"),
        (OTHER.headers(now, "PUT", "/vol/b1-1", &[], b""), "/vol/b1-1", b"", 403, "AccessDenied"),
        (OTHER.headers(now, "PUT", "/vol", &[], b""), "/vol", b"", 409, "BucketAlreadyExists"),
    ];
    for (headers, target, body, status, code) in rows {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        check(&send(&b.env, PORT, "PUT", target, &headers, body).await.unwrap(), status, code);
    }
    assert!(b.s3.stored().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_clock_may_be_a_quarter_of_an_hour_off() {
    let b = bench().await;
    for (minutes, expect) in [(-16, 403), (-15, 200), (15, 200), (16, 403)] {
        let headers = KEY.headers(b.env.clock.now() + jiff::Span::new().minutes(minutes), "HEAD", "/vol", &[], b"");
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(send(&b.env, PORT, "HEAD", "/vol", &headers, b"").await.unwrap().status, expect, "{minutes}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_with_a_customers_key_is_read_with_that_key_only() {
    let b = bench().await;
    let key = |byte: u8| {
        let (key, md5) = (STANDARD.encode([byte; 32]), STANDARD.encode(Md5::digest([byte; 32])));
        [("algorithm", "AES256".to_owned()), ("key", key), ("key-MD5", md5)]
            .map(|(name, value)| (format!("x-amz-server-side-encryption-customer-{name}"), value))
    };
    let ask = async |method: &str, headers: &[(String, String)]| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body: &[u8] = if method == "PUT" { b"hello" } else { b"" };
        KEY.ask(&b.env, PORT, (method, "/vol/b1-1"), &headers, body).await.unwrap()
    };
    let mut broken = key(1);
    broken[2].1 = STANDARD.encode(Md5::digest(b"another"));
    check(&ask("PUT", &broken).await, 400, "InvalidArgument");
    let put = ask("PUT", &key(1)).await;
    assert_eq!(put.status, 200);
    assert_ne!(put.header("etag").unwrap().trim_matches('"'), hex::encode(Md5::digest(b"hello")));
    let got = ask("GET", &key(1)).await;
    assert_eq!((got.status, got.text().as_str(), got.header("etag")), (200, "hello", put.header("etag")));
    check(&ask("GET", &key(2)).await, 403, "AccessDenied");
    check(&ask("GET", &[]).await, 400, "InvalidRequest");
}

#[tokio::test(start_paused = true)]
async fn a_listing_comes_in_pages_with_tokens() {
    let b = bench().await;
    for name in ["a1", "a2", "a3", "a4", "b1"] {
        b.put(name, b"x").await;
    }
    let (names, token) = b.list("list-type=2&prefix=a").await;
    assert_eq!(names, ["a1", "a2", "a3"]);
    let token = token.unwrap().replace('=', "%3D");
    assert_eq!(b.list(&format!("continuation-token={token}&list-type=2&prefix=a")).await, (vec!["a4".into()], None));
    assert_eq!(b.list("list-type=2&max-keys=1000&prefix=b").await, (vec!["b1".into()], None));
    assert_eq!(b.list("list-type=2&prefix=c").await, (vec![], None));
    assert_eq!(b.list("list-type=2&max-keys=1&prefix=a").await.0, ["a1"]);
}

/// boto3 asks for every listing so, and for checksums with every object: real Cinder could not restore from this fake.
#[tokio::test(start_paused = true)]
async fn what_boto3_adds_to_each_request_is_understood() {
    let b = bench().await;
    let name = "volume_1/2026/az_n%C3%B6va%2B%26-00001";
    assert_eq!(b.put(name, b"x").await, 200);
    let query = "encoding-type=url&list-type=2&prefix=volume_1%2F2026%2Faz_n%C3%B6";
    assert_eq!(b.list(query).await.0, [name]);
    let page = b.ask("GET", &format!("/vol?{query}"), b"").await.unwrap().text();
    let around = "<MaxKeys>3</MaxKeys><EncodingType>url</EncodingType><IsTruncated>";
    assert!(page.contains(around) && page.contains("<Prefix>volume_1/2026/az_n%C3%B6</Prefix>"), "{page}");
    let plain = b.ask("GET", "/vol?list-type=2", b"").await.unwrap().text();
    assert!(
        !plain.contains("EncodingType") && plain.contains("<Key>volume_1/2026/az_n\u{f6}va+&amp;-00001"),
        "{plain}"
    );

    let mode = [("x-amz-checksum-mode", "ENABLED")];
    for method in ["GET", "HEAD"] {
        let target = format!("/vol/{name}");
        let reply = KEY.ask(&b.env, PORT, (method, &target), &mode, b"").await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_is_refused_loudly() {
    let b = bench().await;
    b.put("o", b"x").await;
    for (method, target, expect) in [
        ("GET", "/vol", 501),
        ("GET", "/vol?delimiter=%2F&list-type=2", 501),
        ("GET", "/vol?list-type=2&perfix=b1", 400),
        ("GET", "/vol?encoding-type=base64&list-type=2", 400),
        ("GET", "/vol?list-type=2&max-keys=x", 400),
        ("GET", "/vol/o?uploadId=1", 501),
        ("POST", "/vol?delete=", 501),
        ("PATCH", "/vol/o", 405),
        ("PUT", "/Bad_Name", 400),
    ] {
        assert_eq!(b.status(method, target).await, expect, "{method} {target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_never_answers() {
    let b = bench().await;
    b.s3.begin(0, &Fault::Silent(host())).unwrap();
    assert!(timeout(Duration::from_secs(3600), b.ask("PUT", "/vol/b1-1", b"x")).await.is_err());
    assert_eq!(b.bites(), 1);
    assert!(b.s3.stored().is_empty());
    b.s3.end(0);
    assert_eq!(b.put("b1-1", b"x").await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_status_hits_the_requests_asked_for_and_has_a_document() {
    let b = bench().await;
    let status = Status {
        host: "store".into(),
        code: 503,
        retry_after: Some(7),
        beyond_per_second: 0,
        requests: matching("LIST", 1, 1),
    };
    b.s3.begin(0, &Fault::Status(status)).unwrap();
    assert_eq!(b.put("b1-1", b"x").await, 200);
    assert_eq!(b.get("b1-1").await.status, 200);
    let reply = b.ask("GET", "/vol?list-type=2", b"").await.unwrap();
    check(&reply, 503, "ServiceUnavailable");
    assert_eq!((reply.header("retry-after"), b.bites()), (Some("7"), 1));
    assert_eq!(b.list("list-type=2").await.0, ["b1-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_takes_its_time_both_ways() {
    let b = bench().await;
    let slow = Slow { host: "store".into(), delay: Span::secs(2), bytes_per_second: 100, requests: matching("", 1, 0) };
    b.s3.begin(0, &Fault::Slow(slow)).unwrap();
    let start = Instant::now();
    assert_eq!(b.put("b1-1", &[7; 1000]).await, 200);
    assert_eq!((start.elapsed(), b.bites()), (Duration::from_secs(12), 1));
}

#[tokio::test(start_paused = true)]
async fn bodies_are_cut_on_either_side() {
    let b = bench().await;
    b.put("b1-1", &[7; 1000]).await;
    let cut = |side, method: &str, after| {
        Fault::Cut(Cut { host: "store".into(), side, after: ByteSize(after), requests: matching(method, 1, 0) })
    };
    b.s3.begin(0, &cut(Side::Response, "GET", 400)).unwrap();
    let reply = b.get("b1-1").await;
    assert_eq!((reply.body.len(), reply.whole), (400, false));
    b.s3.begin(1, &cut(Side::Request, "PUT", 10)).unwrap();
    assert!(b.ask("PUT", "/vol/b1-2", &[7; 1000]).await.is_none());
    assert_eq!((b.bites(), b.journal.bites_of(1), b.s3.stored().len()), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_refused() {
    let b = bench().await;
    b.s3.begin(0, &Fault::WrongCredentials(host())).unwrap();
    check(&b.ask("GET", "/vol?list-type=2", b"").await.unwrap(), 403, "SignatureDoesNotMatch");
    assert_eq!(b.bites(), 1);
    b.s3.end(0);
    assert_eq!(b.status("HEAD", "/vol").await, 200);
}

async fn damaged(fault: Fault) -> Bench {
    let b = bench().await;
    b.put("b1-00001", b"abcdef").await;
    b.put("b1-00002", b"ghi").await;
    b.put("b2-00001", b"other").await;
    b.s3.begin(0, &fault).unwrap();
    assert_eq!(b.bites(), 0, "damage bites when it is seen");
    b
}

#[tokio::test(start_paused = true)]
async fn damaged_objects_bite_who_reads_or_looks_for_them() {
    let swap = Swap { backup: "b1".into(), object: "00001".into(), with: "00002".into() };
    for (fault, expect) in [
        // The middle byte `d` (0x64) becomes `e` (0x65).
        (Fault::Corrupt(stored("00001")), Some("abceef")),
        (Fault::Truncate(stored("00001")), Some("abc")),
        (Fault::Swap(swap), Some("ghi")),
        (Fault::Lose(stored("00001")), None),
    ] {
        let b = damaged(fault).await;
        let reply = b.get("b1-00001").await;
        match expect {
            Some(text) => assert_eq!(reply.text(), text),
            None => check(&reply, 404, "NoSuchKey"),
        }
        assert_eq!(b.bites(), 1);
        assert_eq!(b.get("b2-00001").await.text(), "other");
        assert_eq!(b.bites(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lagging_listing_shows_the_past() {
    let b = bench().await;
    for (time, name) in [("1000000", "a"), ("1000010", "b"), ("1000020", "c")] {
        b.clock.set_text(time);
        b.put(name, b"x").await;
    }
    b.s3.begin(0, &Fault::Lag(Lag { by: Span::secs(5) })).unwrap();
    assert_eq!(b.list("list-type=2").await.0, ["a", "b"]);
    assert_eq!(b.get("c").await.status, 200, "only listings lag");
    b.s3.end(0);
    assert_eq!((b.list("list-type=2").await.0.len(), b.bites()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_as_one_over_its_quota() {
    let b = bench().await;
    b.s3.begin(0, &Fault::Full(Full { after: ByteSize(5) })).unwrap();
    assert_eq!(b.put("b1-1", b"1234").await, 200);
    check(&b.ask("PUT", "/vol/b1-2", b"56").await.unwrap(), 400, "EntityTooLarge");
    assert_eq!((b.bites(), b.s3.stored().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_cannot_be_applied_says_why() {
    let b = bench().await;
    for (fault, expect) in [
        (Fault::Corrupt(stored("00001")), "\"…b1…00001\""),
        (Fault::RevokeTokens(host()), "`revoke_tokens`: an S3 server has none of that name"),
        (Fault::ReadOnly(host()), "read_only"),
    ] {
        let error = b.s3.begin(9, &fault).unwrap_err();
        assert!(error.contains(expect), "{error}");
    }
}
