//! The Swift store under test in front of a scripted server.

use std::sync::Arc;

use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::swift::SwiftStore;
use clinker_drivers::{Error, Options, RequestContext, Result};

pub use crate::script::{Script, Step, answer, capture, env, md5, reply, status};

pub const KEY: &str = "testing-key";
pub const TOKEN: &str = "AUTH_tk00000000000000000000000000000000";

pub const V1: &[(&str, &str)] = &[
    ("backup_swift_auth", "single_user"),
    ("backup_swift_auth_url", "http://swift:8080/auth/v1.0"),
    ("backup_swift_user", "test:tester"),
    ("backup_swift_key", KEY),
    ("backup_swift_container", "vb"),
    ("host", "backup-1"),
];

pub const PER_USER: &[(&str, &str)] =
    &[("backup_swift_url", "http://swift:8080/v1/AUTH_"), ("backup_swift_container", "vb"), ("host", "backup-1")];

pub fn options(sets: &[&[(&str, &str)]]) -> Options {
    let mut options = Options::default();
    for (name, value) in sets.iter().copied().flatten() {
        options.set(name, value).unwrap();
    }
    options
}

/// A store in front of a script. Later settings win.
pub fn store(sets: &[&[(&str, &str)]], steps: impl IntoIterator<Item = Step>) -> (SwiftStore, Arc<Script>) {
    let script = Script::new(steps);
    (SwiftStore::new(&options(sets), &env(&script)).unwrap(), script)
}

/// A v1 store whose script begins with a successful authentication.
pub fn authenticated(steps: impl IntoIterator<Item = Step>) -> (SwiftStore, Arc<Script>) {
    store(&[V1], std::iter::once(auth_ok()).chain(steps))
}

pub fn caller(token: Option<&str>) -> RequestContext {
    let token = token.map(clinker_drivers::Secret::new);
    RequestContext { project_id: "p1".into(), user_id: "u1".into(), token, ..RequestContext::default() }
}

pub async fn put(store: &SwiftStore, name: &str, body: &'static [u8]) -> Result<()> {
    store.put(&RequestContext::admin(), "vb", name, body.into(), md5(body)).await
}

pub async fn get(store: &SwiftStore, name: &str) -> Result<Vec<u8>> {
    store.get(&RequestContext::admin(), "vb", name).await.map(Vec::from)
}

/// The reason text of a failure; nothing secret may be in it.
#[track_caller]
pub fn reason<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error: Error = result.unwrap_err();
    let shown = format!("{error} {error:?}");
    for secret in [KEY, TOKEN, "caller-token", "backuppass", "gAAAAA"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error.to_string()
}

/// The answer to a v1 authentication.
pub fn auth_ok() -> Step {
    let headers = [("X-Storage-Url", "http://swift:8080/v1/AUTH_test"), ("X-Auth-Token", TOKEN)];
    Step::Reply(answer(200, &headers, b""))
}

/// The answer to a put of these bytes.
pub fn stored(body: &[u8]) -> Step {
    Step::Reply(answer(201, &[("Etag", &hex::encode(md5(body)))], b""))
}

/// The answer to a get of these bytes.
pub fn object(body: &[u8]) -> Step {
    Step::Reply(answer(200, &[("Etag", &hex::encode(md5(body)))], body))
}
