//! A Swift proxy with tempauth (v1 auth) or with Keystone tokens, as one strict server.
//!
//! [`crate::disk`] holds what is stored, [`route`] reads the path, [`auth`] says who may, [`account`], [`container`],
//! [`listing`] and [`object`] do what is asked, [`crate::damage`] breaks stored objects, [`pages`] has the bodies of errors.
//! Where Swift would do something that no backup driver needs (delimiters, large-object manifests, copies), the answer
//! is 501, so that nothing is silently ignored.

mod account;
mod auth;
mod container;
mod info;
mod listing;
mod object;
mod pages;
mod route;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use clinker_env::{Env, Listener};
use clinker_model::fault::Status;
use clinker_model::{Fault, FaultId, FaultTarget, Journal, Points, StoredObject};

use crate::answer::Answer;
use crate::disk::Disk;
use crate::server::{self, Core, Protocol, Request};
use crate::stamp::{Stamp, http_date};
use crate::tokens::{TokenRegistry, random_hex};
use route::Route;

/// What a tempauth user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything in the own account.
    Owner,
    /// Nothing without an ACL, and the fake keeps none.
    Nothing,
    /// Everything in every account, quotas included.
    Reseller,
}

/// A user of v1 auth.
#[derive(Clone, Debug)]
pub struct V1User {
    /// `account:user`, as in `X-Auth-User`.
    pub user: String,
    pub key: String,
    /// The storage account, e.g. `AUTH_test`.
    pub account: String,
    pub access: Access,
}

impl V1User {
    /// A user who owns the account.
    pub fn owner(user: &str, key: &str, account: &str) -> V1User {
        V1User { user: user.into(), key: key.into(), account: account.into(), access: Access::Owner }
    }
}

/// How a Swift is set up. The defaults are upstream's.
#[derive(Clone, Debug)]
pub struct SwiftConfig {
    /// Name of its host in the history.
    pub host: String,
    /// Scheme, host and port of its own URLs, e.g. `http://swift:8080`; empty: as the client calls it, which is what a real
    /// server does.
    pub storage_url: String,
    /// Users of v1 auth.
    pub users: Vec<V1User>,
    /// URL of Keystone, e.g. `http://keystone:5000/v3`. With it there is no v1 auth.
    pub keystone_uri: Option<String>,
    /// Storage policies; the first is the default.
    pub policies: Vec<String>,
    /// Names a listing gives at most, and the largest `limit` (`container_listing_limit`).
    pub list_page: usize,
    /// Bytes of the largest object (`max_file_size`).
    pub object_bytes_max: u64,
    /// Life of a v1 token.
    pub token_life: Duration,
    /// For how long a token that was seen stays valid after its owner revoked it at Keystone (`token_cache_time`).
    pub token_cache: Duration,
    /// Silence of a client in the middle of a body after which it is given up (`client_timeout`).
    pub client_timeout: Duration,
}

impl Default for SwiftConfig {
    fn default() -> SwiftConfig {
        SwiftConfig {
            host: "swift".into(),
            storage_url: "http://swift:8080".into(),
            users: Vec::new(),
            keystone_uri: None,
            policies: vec!["Policy-0".into()],
            list_page: 10_000,
            object_bytes_max: 5_368_709_122,
            token_life: Duration::from_secs(86_400),
            token_cache: Duration::from_secs(300),
            client_timeout: Duration::from_secs(60),
        }
    }
}

/// The fake. What it stores outlives [`SwiftFake::serve`], as a disk outlives a process.
pub struct SwiftFake {
    core: Core,
    config: SwiftConfig,
    tokens: Arc<TokenRegistry>,
    disk: Mutex<Disk>,
}

impl SwiftFake {
    pub fn new(config: SwiftConfig, tokens: Arc<TokenRegistry>, journal: Arc<dyn Journal>) -> Arc<SwiftFake> {
        let core = Core::new(&config.host, journal);
        Arc::new(SwiftFake { core, config, tokens, disk: Mutex::default() })
    }

    /// Sets where its process can be made to end; once.
    pub fn set_points(&self, points: Arc<dyn Points>) {
        let _ = self.core.points.set(points);
    }

    /// The server process: listens on `port` of `env`'s host. Dropping the future ends it and its connections.
    pub async fn serve(self: Arc<Self>, env: Env, port: u16) -> io::Result<()> {
        let listener = env.net.listen(port).await?;
        self.serve_on(env, listener).await
    }

    /// As [`SwiftFake::serve`], on a listener that is open already.
    pub async fn serve_on(self: Arc<Self>, env: Env, listener: Box<dyn Listener>) -> io::Result<()> {
        server::serve(self, env, listener).await
    }

    /// The bytes of the first stored object whose name contains `part` and ends with `end`.
    pub fn object(&self, part: &str, end: &str) -> Option<bytes::Bytes> {
        self.disk().find(part, end).map(|(_, _, object)| object.data.clone())
    }

    /// Where accounts are: as configured, or where the client found this server.
    fn storage_url(&self, request: &Request) -> String {
        if self.config.storage_url.is_empty() {
            return format!("http://{}", request.header("host").unwrap_or_default());
        }
        self.config.storage_url.clone()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no panic while the lock is held")
    }
}

impl Protocol for SwiftFake {
    fn core(&self) -> &Core {
        &self.core
    }

    fn title_case(&self) -> bool {
        true
    }

    fn silence_max(&self) -> Duration {
        self.config.client_timeout
    }

    /// GET is split: `LIST` for containers, `GET` for objects only, so that the k-th GET is not an authentication.
    fn class(&self, request: &Request) -> &'static str {
        match (request.method.as_str(), Route::of(&request.path)) {
            ("GET", Route::Container(..)) => "LIST",
            ("GET", Route::Object(..)) => "GET",
            ("GET", _) => "",
            ("PUT", _) => "PUT",
            ("HEAD", _) => "HEAD",
            ("DELETE", _) => "DELETE",
            ("POST", _) => "POST",
            _ => "",
        }
    }

    /// A body above the limit is not read: it may never come.
    fn refuse_unread(&self, request: &Request) -> Option<Answer> {
        let length: u64 = request.header("content-length")?.parse().ok()?;
        let object = matches!(Route::of(&request.path), Route::Object(..));
        (object && length > self.config.object_bytes_max)
            .then(|| pages::text(413, "text/plain", "Your request is too large."))
    }

    fn answer(&self, env: &Env, request: &Request) -> Answer {
        self.dispatch(env, request).unwrap_or_else(|refusal| refusal)
    }

    fn status_answer(&self, request: &Request, status: &Status) -> Answer {
        let answer = pages::page(status.code);
        if status.code == 401 { self.challenged(answer, &auth::realm(&request.path)) } else { answer }
    }

    fn broken_off(&self) -> Answer {
        pages::page(499)
    }

    fn finish(&self, env: &Env, answer: Answer) -> Answer {
        let now = env.clock.now();
        let id = format!("tx{}-{:010x}", random_hex(env, 21), now.as_second());
        answer.header("X-Trans-Id", &id).header("X-Openstack-Request-Id", &id).header("Date", http_date(now))
    }
}

impl SwiftFake {
    fn dispatch(&self, env: &Env, request: &Request) -> Result<Answer, Answer> {
        let now = Stamp::now(env);
        let route = Route::of(&request.path);
        let method = request.method.as_str();
        match &route {
            Route::Health => return Ok(info::healthcheck(method)),
            Route::Info => return Ok(info::info(method, &self.config)),
            Route::Auth(version) if self.config.keystone_uri.is_none() => {
                return Ok(self.authenticate(env, request, version));
            }
            Route::NotText => return Err(pages::swob_text(412, "Invalid UTF8 or contains NULL")),
            Route::Unknown | Route::Auth(_) => return Err(pages::swob_text(412, "Bad URL")),
            Route::Account(account) | Route::Container(account, _) | Route::Object(account, _, _) => {
                self.authorize(env, request, account, &route)?;
            }
        }
        match &route {
            Route::Account(account) => self.account(now, request, account),
            Route::Container(account, name) => self.container(now, request, account, name),
            Route::Object(account, container, name) => self.object_request(now, request, account, container, name),
            _ => Err(pages::swob_text(412, "Bad URL")),
        }
    }
}

impl FaultTarget for SwiftFake {
    fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        match fault {
            Fault::WrongCredentials(_) if self.config.keystone_uri.is_some() => Err(format!(
                "apply fault `wrong_credentials`: {} takes Keystone's tokens; aim it at keystone",
                self.core.host
            )),
            Fault::RevokeTokens(_) => {
                self.tokens.revoke_all(id);
                Ok(())
            }
            Fault::ExpireTokens(expire) => {
                self.tokens.shorten(id, expire.after.0);
                Ok(())
            }
            Fault::Corrupt(_) | Fault::Truncate(_) | Fault::Lose(_) | Fault::Swap(_) => self.disk().damage(id, fault),
            Fault::Silent(_)
            | Fault::Slow(_)
            | Fault::Status(_)
            | Fault::Cut(_)
            | Fault::WrongCredentials(_)
            | Fault::Lag(_)
            | Fault::Full(_) => self.core.faults.begin(id, fault),
            other => Err(format!("apply fault `{}`: a Swift has none of that name", other.name())),
        }
    }

    fn end(&self, id: FaultId) {
        self.core.faults.end(id);
        self.tokens.unshorten(id);
    }

    fn stored(&self) -> Vec<StoredObject> {
        self.disk().ledger()
    }

    fn object_bytes(&self, container: &str, name: &str) -> Option<Vec<u8>> {
        self.disk().contents(container, name)
    }

    fn put_bytes(&self, container: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.disk().replace(container, name, bytes)
    }
}
