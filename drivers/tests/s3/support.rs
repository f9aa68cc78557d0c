//! The S3 store under test in front of a scripted server.

use std::sync::Arc;

use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::s3::S3Store;
use clinker_drivers::{Error, Options, RequestContext, Result};
use clinker_env::{Clock, Env};
use jiff::Timestamp;

pub use crate::script::{Script, Step, answer, capture, env, md5, reply, status};

pub const SECRET: &str = "testing";
pub const CUSTOMER_KEY: &str = "0123456789abcdef0123456789abcdef";

pub const S3: &[(&str, &str)] = &[
    ("backup_s3_endpoint_url", "http://s3:8080"),
    ("backup_s3_store_access_key", "test:tester"),
    ("backup_s3_store_secret_key", SECRET),
    ("backup_s3_store_bucket", "vol"),
    ("backup_s3_retry_max_attempts", "3"),
    ("host", "backup-1"),
];

pub fn options(sets: &[&[(&str, &str)]]) -> Options {
    let mut options = Options::default();
    for (name, value) in sets.iter().copied().flatten() {
        options.set(name, value).unwrap();
    }
    options
}

/// A store in front of a script. Later settings win.
pub fn store(sets: &[&[(&str, &str)]], steps: impl IntoIterator<Item = Step>) -> (S3Store, Arc<Script>) {
    let script = Script::new(steps);
    (S3Store::new(&options(sets), &env(&script)).unwrap(), script)
}

/// A store with the usual options.
pub fn usual(steps: impl IntoIterator<Item = Step>) -> (S3Store, Arc<Script>) {
    store(&[S3], steps)
}

struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A store on a host whose clock stands.
pub fn store_at(now: &str, sets: &[&[(&str, &str)]], steps: Vec<Step>) -> (S3Store, Arc<Script>) {
    let script = Script::new(steps);
    let env = Env { clock: Arc::new(Fixed(now.parse().unwrap())), ..env(&script) };
    (S3Store::new(&options(sets), &env).unwrap(), script)
}

pub async fn put(store: &S3Store, name: &str, body: &'static [u8]) -> Result<()> {
    store.put(&RequestContext::admin(), "vol", name, body.into(), md5(body)).await
}

pub async fn get(store: &S3Store, name: &str) -> Result<Vec<u8>> {
    store.get(&RequestContext::admin(), "vol", name).await.map(Vec::from)
}

pub async fn list(store: &S3Store, prefix: &str) -> Result<Vec<String>> {
    store.list(&RequestContext::admin(), "vol", prefix).await
}

/// The reason text of a failure; nothing secret may be in it.
#[track_caller]
pub fn reason<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error: Error = result.unwrap_err();
    let shown = format!("{error} {error:?}");
    for secret in ["wJalrXUtnFEMI", CUSTOMER_KEY, "Signature="] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error.to_string()
}

fn quoted(body: &[u8]) -> String {
    format!("\"{}\"", hex::encode(md5(body)))
}

/// The answer to a put of these bytes.
pub fn stored(body: &[u8]) -> Step {
    Step::Reply(answer(200, &[("ETag", &quoted(body))], b""))
}

/// The answer to a get of these bytes.
pub fn object(body: &[u8]) -> Step {
    Step::Reply(answer(200, &[("ETag", &quoted(body))], body))
}

/// An error document.
pub fn refusal(status: u16, code: &str) -> Step {
    let document =
        format!("<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>{code}</Code><Message>m</Message></Error>");
    Step::Reply(answer(status, &[], document.as_bytes()))
}

/// A page of a listing.
pub fn page(names: &[&str], next: Option<&str>) -> Step {
    let contents: String = names.iter().map(|name| format!("<Contents><Key>{name}</Key></Contents>")).collect();
    let token = next.map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>")).unwrap_or_default();
    let document = format!(
        "<ListBucketResult><Name>vol</Name>{token}<IsTruncated>{}</IsTruncated>{contents}</ListBucketResult>",
        next.is_some()
    );
    Step::Reply(answer(200, &[], document.as_bytes()))
}
