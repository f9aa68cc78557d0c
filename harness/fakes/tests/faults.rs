//! Every fault bites what it should, and is counted; without faults nothing bites.

mod support;

use std::sync::Arc;
use std::time::Duration;

use clinker_env::Env;
use clinker_fakes::keystone::{Project, Region, User};
use clinker_fakes::swift::V1User;
use clinker_fakes::{KeystoneConfig, KeystoneFake, SwiftConfig, SwiftFake, TokenRegistry};
use clinker_model::fault::{Cut, ExpireTokens, Full, HostTarget, Lag, Matching, Side, Slow, Status, Stored, Swap};
use clinker_model::{ByteSize, Fault, FaultTarget, Span};
use support::{Memory, Reply, SetClock, send};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

const SWIFT: u16 = 8080;
const KEYSTONE: u16 = 5000;
const C: &str = "/v1/AUTH_p1/vb";

/// Both fakes with one container and a valid token.
struct Bench {
    env: Env,
    clock: Arc<SetClock>,
    journal: Arc<Memory>,
    swift: Arc<SwiftFake>,
    keystone: Arc<KeystoneFake>,
    token: String,
}

async fn bench() -> Bench {
    let (env, clock) = support::env();
    let journal = Arc::new(Memory::default());
    let tokens = TokenRegistry::new(journal.clone());
    let config = SwiftConfig { users: vec![V1User::owner("p1:backup", "secret", "AUTH_p1")], ..SwiftConfig::default() };
    let swift = SwiftFake::new(config, tokens.clone(), journal.clone());
    let config = KeystoneConfig {
        users: vec![User::member("u1", "backup", "secret", "p1")],
        projects: vec![Project { id: "p1".into(), name: "backups".into() }],
        regions: vec![Region::new("RegionOne", "http://swift:8080"), Region::new("RegionTwo", "http://swift2:8080")],
        ..KeystoneConfig::default()
    };
    let keystone = KeystoneFake::new(config, tokens.clone(), journal.clone());
    env.tasks.spawn(swift.clone().serve(env.clone(), SWIFT));
    env.tasks.spawn(keystone.clone().serve(env.clone(), KEYSTONE));
    tokio::task::yield_now().await;
    let token = tokens.issue(&env, "p1", "u1");
    let bench = Bench { env, clock, journal, swift, keystone, token };
    assert_eq!(bench.ask("PUT", C, b"").await.unwrap().status, 201);
    bench
}

impl Bench {
    async fn ask(&self, method: &str, target: &str, body: &[u8]) -> Option<Reply> {
        send(&self.env, SWIFT, method, target, &[("X-Auth-Token", &self.token)], body).await
    }

    async fn status(&self, method: &str, target: &str) -> u16 {
        self.ask(method, target, b"").await.unwrap().status
    }

    async fn put(&self, name: &str, body: &[u8]) -> u16 {
        self.ask("PUT", &format!("{C}/{name}"), body).await.unwrap().status
    }

    async fn get(&self, name: &str) -> Reply {
        self.ask("GET", &format!("{C}/{name}"), b"").await.unwrap()
    }

    async fn authenticate(&self) -> Reply {
        let headers = [("X-Auth-User", "p1:backup"), ("X-Auth-Key", "secret")];
        send(&self.env, SWIFT, "GET", "/auth/v1.0", &headers, b"").await.unwrap()
    }

    async fn password(&self) -> Reply {
        let body = br#"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "backup",
            "domain": {"name": "Default"}, "password": "secret"}}}, "scope": {"project": {"id": "p1"}}}}"#;
        let headers = [("Content-Type", "application/json")];
        send(&self.env, KEYSTONE, "POST", "/v3/auth/tokens", &headers, body).await.unwrap()
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

#[tokio::test(start_paused = true)]
async fn without_faults_nothing_bites() {
    let b = bench().await;
    let start = Instant::now();
    assert_eq!(b.authenticate().await.status, 200);
    assert_eq!(b.password().await.status, 201);
    assert_eq!(b.put("b1-1", b"hello").await, 201);
    assert_eq!(b.get("b1-1").await.text(), "hello");
    assert_eq!(b.status("GET", &format!("{C}?format=json&prefix=b1")).await, 200);
    assert_eq!(b.swift.stored().len(), 1);
    assert_eq!(b.status("DELETE", &format!("{C}/b1-1")).await, 204);
    assert!(b.swift.stored().is_empty());
    assert_eq!(start.elapsed(), Duration::ZERO, "a sound server takes no time");
    assert!(b.journal.bites.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_request_is_recorded_and_every_issued_token_is_a_secret() {
    let b = bench().await;
    let v1 = b.authenticate().await;
    let v3 = b.password().await;
    let again = b.authenticate().await;
    assert_eq!(v1.header("x-auth-token"), again.header("x-auth-token"), "v1 hands a live token out again");
    let tokens = [&b.token, v1.header("x-auth-token").unwrap(), v3.header("x-subject-token").unwrap()];
    assert_eq!(b.journal.secrets(), tokens);
    let expect =
        [("PUT", C, 201), ("GET", "/auth/v1.0", 200), ("POST", "/v3/auth/tokens", 201), ("GET", "/auth/v1.0", 200)];
    let got = b.journal.requests();
    let got: Vec<_> = got.iter().map(|(method, path, status)| (method.as_str(), path.as_str(), *status)).collect();
    assert_eq!(got, expect);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_never_answers() {
    let b = bench().await;
    b.swift.begin(0, &Fault::Silent(host())).unwrap();
    let path = format!("{C}/b1-1");
    assert!(timeout(Duration::from_secs(3600), b.ask("PUT", &path, b"x")).await.is_err());
    assert_eq!(b.bites(), 1);
    assert_eq!(b.journal.requests().last().unwrap().2, 0);
    assert!(b.swift.stored().is_empty());
    b.swift.end(0);
    assert_eq!(b.put("b1-1", b"x").await, 201);
    assert_eq!(b.bites(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_status_hits_the_requests_asked_for_and_no_others() {
    let b = bench().await;
    let status = Status {
        host: "store".into(),
        code: 503,
        retry_after: Some(7),
        beyond_per_second: 0,
        requests: matching("PUT", 2, 1),
    };
    b.swift.begin(0, &Fault::Status(status)).unwrap();
    assert_eq!(b.put("b1-1", b"x").await, 201);
    let reply = b.ask("PUT", &format!("{C}/b1-2"), b"x").await.unwrap();
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("7")));
    assert!(reply.text().contains("currently unavailable"));
    assert_eq!(b.put("b1-3", b"x").await, 201);
    assert_eq!((b.bites(), b.swift.stored().len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn list_means_containers_and_get_means_objects() {
    let b = bench().await;
    b.put("b1-1", b"x").await;
    for (id, method, code) in [(0, "LIST", 500), (1, "GET", 502)] {
        let status = Status {
            host: "store".into(),
            code,
            retry_after: None,
            beyond_per_second: 0,
            requests: matching(method, 1, 0),
        };
        b.swift.begin(id, &Fault::Status(status)).unwrap();
    }
    assert_eq!(b.authenticate().await.status, 200);
    assert_eq!(b.status("GET", "/v1/AUTH_p1").await, 200);
    assert_eq!(b.status("GET", C).await, 500);
    assert_eq!(b.get("b1-1").await.status, 502);
    assert_eq!((b.bites(), b.journal.bites_of(1)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_takes_its_time_both_ways() {
    let b = bench().await;
    let slow = Slow { host: "store".into(), delay: Span::secs(2), bytes_per_second: 100, requests: matching("", 1, 0) };
    b.swift.begin(0, &Fault::Slow(slow)).unwrap();
    let start = Instant::now();
    assert_eq!(b.put("b1-1", &[7; 1000]).await, 201);
    // 1000 bytes at 100 a second, and 2 s of delay; timers have a grain of 1 ms.
    assert_eq!(start.elapsed().as_secs(), 12);
    let start = Instant::now();
    assert_eq!(b.get("b1-1").await.body, [7; 1000]);
    assert_eq!(start.elapsed().as_secs(), 12);
    assert_eq!(b.bites(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_cut_before_it_takes_effect() {
    let b = bench().await;
    let cut = Cut { host: "store".into(), side: Side::Request, after: ByteSize(10), requests: matching("PUT", 1, 0) };
    b.swift.begin(0, &Fault::Cut(cut)).unwrap();
    assert!(b.ask("PUT", &format!("{C}/b1-1"), &[7; 100_000]).await.is_none());
    assert_eq!((b.bites(), b.swift.stored().len()), (1, 0));
    assert_eq!(b.put("b1-2", &[7; 10]).await, 201);
    assert_eq!(b.bites(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_cut_after_the_bytes_that_may_pass() {
    let b = bench().await;
    b.put("b1-1", &[7; 200_000]).await;
    for after in [0, 1000, 150_000] {
        let requests = matching("GET", 1, 0);
        let cut = Cut { host: "store".into(), side: Side::Response, after: ByteSize(after), requests };
        b.swift.begin(0, &Fault::Cut(cut)).unwrap();
        let reply = b.get("b1-1").await;
        assert_eq!((reply.header("content-length"), reply.whole), (Some("200000"), false));
        assert_eq!(reply.body.len() as u64, after);
    }
    assert_eq!(b.bites(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_an_upload_can_be_lost_though_the_object_is_stored() {
    let b = bench().await;
    let cut = Cut { host: "store".into(), side: Side::Response, after: ByteSize(0), requests: matching("PUT", 1, 0) };
    b.swift.begin(0, &Fault::Cut(cut)).unwrap();
    assert!(b.ask("PUT", &format!("{C}/b1-1"), b"x").await.is_none());
    assert_eq!((b.bites(), b.swift.stored().len()), (1, 1));
    assert_eq!(b.journal.requests().last().unwrap().2, 0);
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_refused_by_both_servers() {
    let b = bench().await;
    b.swift.begin(0, &Fault::WrongCredentials(host())).unwrap();
    b.keystone.begin(1, &Fault::WrongCredentials(host())).unwrap();
    let reply = b.authenticate().await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Swift realm=\"p1\"")));
    assert_eq!(b.password().await.status, 401);
    assert_eq!((b.bites(), b.journal.bites_of(1)), (1, 1));
    b.swift.end(0);
    assert_eq!(b.authenticate().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn revoked_tokens_stop_working_and_new_ones_work() {
    let mut b = bench().await;
    b.keystone.begin(0, &Fault::RevokeTokens(host())).unwrap();
    assert_eq!(b.status("HEAD", C).await, 401);
    assert_eq!(b.bites(), 1);
    b.keystone.end(0);
    assert_eq!(b.status("HEAD", C).await, 401);
    b.token = b.password().await.header("x-subject-token").unwrap().to_owned();
    assert_eq!(b.status("HEAD", C).await, 204);
    assert_eq!(b.bites(), 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_issued_under_the_fault_expire_early() {
    let mut b = bench().await;
    b.clock.set_text("1000000");
    let before = b.authenticate().await.header("x-auth-token").unwrap().to_owned();
    b.swift.begin(0, &Fault::ExpireTokens(ExpireTokens { host: "store".into(), after: Span::secs(5) })).unwrap();
    let v1 = b.authenticate().await;
    assert_eq!(v1.header("x-auth-token-expires"), Some("5"));
    let v3 = b.password().await;
    assert!(v3.text().contains("1970-01-12T13:46:45"), "{}", v3.text());
    for token in [v1.header("x-auth-token"), v3.header("x-subject-token")] {
        token.unwrap().clone_into(&mut b.token);
        b.clock.set_text("1000004.9");
        assert_eq!(b.status("HEAD", C).await, 204);
        b.clock.set_text("1000005");
        assert_eq!(b.status("HEAD", C).await, 401);
    }
    assert_eq!(b.bites(), 2);
    b.token = before;
    assert_eq!(b.status("HEAD", C).await, 204);
    b.swift.end(0);
    assert_eq!(b.authenticate().await.header("x-auth-token-expires"), Some("86395"));
}

async fn damaged(fault: Fault) -> Bench {
    let b = bench().await;
    b.put("b1-00001", b"abcdef").await;
    b.put("b1-00002", b"ghi").await;
    b.put("b2-00001", b"other").await;
    b.swift.begin(0, &fault).unwrap();
    assert_eq!(b.bites(), 0, "damage bites when it is seen");
    b
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_object_has_one_bit_flipped_and_its_own_etag() {
    let b = damaged(Fault::Corrupt(stored("00001"))).await;
    let reply = b.get("b1-00001").await;
    // The middle byte `d` (0x64) becomes `e` (0x65).
    assert_eq!(reply.text(), "abceef");
    let list = b.ask("GET", &format!("{C}?format=json&prefix=b1-00001"), b"").await.unwrap().text();
    assert!(list.contains(reply.header("etag").unwrap()), "{list}");
    assert_eq!(b.bites(), 2);
    assert_eq!(b.get("b2-00001").await.text(), "other");
    b.put("b1-00001", b"abcdef").await;
    b.get("b1-00001").await;
    assert_eq!(b.bites(), 2, "an overwritten object is sound again");
}

#[tokio::test(start_paused = true)]
async fn a_truncated_object_has_lost_its_second_half() {
    let b = damaged(Fault::Truncate(stored("00001"))).await;
    assert_eq!(b.get("b1-00001").await.text(), "abc");
    assert_eq!(b.bites(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_object_bites_who_looks_for_it() {
    let b = damaged(Fault::Lose(stored("00002"))).await;
    assert_eq!(b.get("b1-00001").await.status, 200);
    assert_eq!(b.bites(), 0);
    assert_eq!(b.get("b1-00002").await.status, 404);
    let list = b.ask("GET", &format!("{C}?prefix=b1"), b"").await.unwrap().text();
    assert_eq!(list, "b1-00001\n");
    assert_eq!(b.status("DELETE", &format!("{C}/b1-00002")).await, 404);
    assert_eq!(b.bites(), 3);
}

#[tokio::test(start_paused = true)]
async fn swapped_objects_have_each_others_contents() {
    let swap = Swap { backup: "b1".into(), object: "00001".into(), with: "00002".into() };
    let b = damaged(Fault::Swap(swap)).await;
    assert_eq!(b.get("b1-00001").await.text(), "ghi");
    assert_eq!(b.get("b1-00002").await.text(), "abcdef");
    assert_eq!(b.bites(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_listing_shows_the_past() {
    let b = bench().await;
    for (time, name) in [("1000000", "a"), ("1000010", "b"), ("1000020", "c")] {
        b.clock.set_text(time);
        b.put(name, b"x").await;
    }
    b.status("DELETE", &format!("{C}/a")).await;
    b.swift.begin(0, &Fault::Lag(Lag { by: Span::secs(5) })).unwrap();
    let list = async || b.ask("GET", C, b"").await.unwrap().text();
    assert_eq!(list().await, "a\nb\n");
    assert_eq!(b.bites(), 1);
    assert_eq!(b.get("c").await.status, 200, "only listings lag");
    b.clock.set_text("1000025");
    assert_eq!(list().await, "b\nc\n");
    assert_eq!(b.bites(), 1, "a listing that has caught up is no bite");
    b.swift.end(0);
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_what_no_longer_fits() {
    let b = bench().await;
    b.swift.begin(0, &Fault::Full(Full { after: ByteSize(5) })).unwrap();
    assert_eq!(b.put("b1-1", b"1234").await, 201);
    let reply = b.ask("PUT", &format!("{C}/b1-2"), b"56").await.unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (413, "Upload exceeds quota."));
    assert_eq!((b.bites(), b.swift.stored().len()), (1, 1));
    b.swift.end(0);
    assert_eq!(b.put("b1-2", b"56").await, 201);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_cannot_be_applied_says_why() {
    let b = bench().await;
    let check = |target: &dyn FaultTarget, fault: Fault, expect: &str| {
        let error = target.begin(9, &fault).unwrap_err();
        assert!(error.contains(expect), "{error}");
    };
    check(&*b.swift, Fault::Corrupt(stored("00001")), "\"…b1…00001\"");
    check(&*b.swift, Fault::Lose(stored("00001")), "\"…b1…00001\"");
    check(&*b.swift, Fault::ReadOnly(host()), "read_only");
    check(&*b.keystone, Fault::Lag(Lag { by: Span::secs(1) }), "lag");
    b.put("b1-00001", b"").await;
    check(&*b.swift, Fault::Corrupt(stored("00001")), "empty");
}

#[tokio::test(start_paused = true)]
async fn a_crash_ends_connections_and_keeps_the_objects() {
    let (env, _) = support::env();
    let b = Bench { env, ..bench().await };
    let server = b.env.tasks.spawn(b.swift.clone().serve(b.env.clone(), SWIFT));
    tokio::task::yield_now().await;
    assert_eq!(b.put("b1-1", b"x").await, 201);
    let mut open = b.env.net.connect("swift", SWIFT).await.unwrap();
    for _ in 0..2 {
        open.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert_eq!(support::read_reply(&mut open, "GET").await.unwrap().status, 200);
    }
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    assert!(support::read_head(&mut open).await.is_none());
    b.env.tasks.spawn(b.swift.clone().serve(b.env.clone(), SWIFT));
    tokio::task::yield_now().await;
    assert_eq!(b.get("b1-1").await.text(), "x");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_off_leaves_nothing_behind() {
    let b = bench().await;
    let mut stream = b.env.net.connect("swift", SWIFT).await.unwrap();
    let head =
        format!("PUT {C}/b1-1 HTTP/1.1\r\nHost: h\r\nX-Auth-Token: {}\r\nContent-Length: 10\r\n\r\n12345", b.token);
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(b.swift.stored().is_empty());
    assert_eq!(b.journal.requests().last().unwrap().2, 499);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_is_refused_loudly() {
    let b = bench().await;
    b.put("o", b"x").await;
    for (method, target, expect) in [
        ("GET", "?delimiter=/", 501),
        ("GET", "?perfix=b1", 400),
        ("GET", "?limit=x", 400),
        ("GET", "?format=xml", 501),
        ("GET", "/o?multipart-manifest=get", 501),
        ("COPY", "/o", 405),
    ] {
        assert_eq!(b.status(method, &format!("{C}{target}")).await, expect, "{method} {target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_comes_in_pages() {
    let b = bench().await;
    for name in ["a1", "a2", "a3", "b1"] {
        b.put(name, b"x").await;
    }
    for (query, expect) in [
        ("?prefix=a&limit=2", "a1\na2\n"),
        ("?prefix=a&limit=2&marker=a2", "a3\n"),
        ("?prefix=a&marker=a3", ""),
        ("?end_marker=a2", "a1\n"),
    ] {
        assert_eq!(b.ask("GET", &format!("{C}{query}"), b"").await.unwrap().text(), expect, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn both_catalogs_name_every_region() {
    let b = bench().await;
    let v3 = b.password().await.text();
    for url in ["http://swift:8080/v1/AUTH_p1", "http://swift2:8080/v1/AUTH_p1"] {
        assert_eq!(v3.matches(url).count(), 3, "{v3}");
    }
    let config =
        KeystoneConfig { regions: vec![Region::new("RegionOne", "http://swift:8080")], ..KeystoneConfig::default() };
    let v2 = config.catalog_v2("p1");
    assert_eq!(v2[1]["type"], "object-store");
    assert_eq!(v2[1]["endpoints"][0]["publicURL"], "http://swift:8080/v1/AUTH_p1");
}

/// The same fake on a real socket.
#[tokio::test]
async fn a_fake_serves_real_tcp() {
    let env = clinker_env::real::env();
    let journal = Arc::new(Memory::default());
    let swift = SwiftFake::new(SwiftConfig::default(), TokenRegistry::new(journal.clone()), journal);
    let listener = env.net.listen(0).await.unwrap();
    let port = listener.port();
    let server = env.tasks.spawn(swift.serve_on(env.clone(), listener));
    let reply = send(&env, port, "GET", "/healthcheck", &[], b"").await.unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "OK"));
    server.abort();
}

/// hyper answers this by itself, as HTTP/1.1 where the real proxy says HTTP/1.0; all else is alike.
#[tokio::test(start_paused = true)]
async fn a_length_that_is_no_number_is_a_bad_request() {
    let b = bench().await;
    let mut stream = b.env.net.connect("swift", SWIFT).await.unwrap();
    let head = format!("PUT {C}/o HTTP/1.1\r\nHost: h\r\nContent-Length: abc\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = support::read_reply(&mut stream, "PUT").await.unwrap();
    assert_eq!((reply.status, reply.header("connection"), reply.body.len()), (400, Some("close"), 0));
}
