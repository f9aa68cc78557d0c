//! An S3 server as one strict server: Swift's s3api or Ceph's RGW, as recorded.
//!
//! [`crate::disk`] holds what is stored, [`route`] reads the path, [`auth`] verifies signatures, [`bucket`],
//! [`listing`] and [`object`] do what is asked, [`digest`] checks what a body claims to be, [`pages`] writes errors in
//! the server's words. Where S3 would do something that no backup driver needs (multipart uploads, copies, versions),
//! the answer is 501, so that nothing is silently ignored.

mod auth;
mod bucket;
mod digest;
mod encryption;
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
use crate::tokens::random_hex;
use pages::Refusal;
use route::Route;

/// Which server's words and headers the answers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Swift's s3api middleware, the closest to AWS.
    S3api,
    /// Ceph's RGW.
    Rgw,
}

/// A key that may sign requests.
#[derive(Clone, Debug)]
pub struct Key {
    pub access: String,
    pub secret: String,
    /// Whose buckets it may use.
    pub owner: String,
}

impl Key {
    pub fn new(access: &str, secret: &str, owner: &str) -> Key {
        Key { access: access.into(), secret: secret.into(), owner: owner.into() }
    }
}

/// How an S3 server is set up. The defaults are upstream's.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// Name of its host in the history.
    pub host: String,
    pub flavour: Flavour,
    pub keys: Vec<Key>,
    /// The one region it is in. RGW does not look at the one in a signature.
    pub region: String,
    /// Names a page gives at most.
    pub list_page: usize,
    /// Bytes of the largest object.
    pub object_bytes_max: u64,
    /// How much the date of a request may differ from the server's.
    pub clock_skew_max: Duration,
    /// Silence of a client in the middle of a body after which it is given up.
    pub client_timeout: Duration,
}

impl Default for S3Config {
    fn default() -> S3Config {
        S3Config {
            host: "s3".into(),
            flavour: Flavour::S3api,
            keys: Vec::new(),
            region: "us-east-1".into(),
            list_page: 1000,
            object_bytes_max: 5 << 30,
            clock_skew_max: Duration::from_secs(900),
            client_timeout: Duration::from_secs(60),
        }
    }
}

/// The fake. What it stores outlives [`S3Fake::serve`], as a disk outlives a process.
pub struct S3Fake {
    core: Core,
    config: S3Config,
    /// One account, for bucket names are the whole server's.
    disk: Mutex<Disk>,
}

/// The account of [`Disk`] that holds all buckets.
const ALL: &str = "";

impl S3Fake {
    pub fn new(config: S3Config, journal: Arc<dyn Journal>) -> Arc<S3Fake> {
        let core = Core::new(&config.host, journal);
        Arc::new(S3Fake { core, config, disk: Mutex::default() })
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

    /// As [`S3Fake::serve`], on a listener that is open already.
    pub async fn serve_on(self: Arc<Self>, env: Env, listener: Box<dyn Listener>) -> io::Result<()> {
        server::serve(self, env, listener).await
    }

    /// The bytes of the first stored object whose name contains `part` and ends with `end`.
    pub fn object(&self, part: &str, end: &str) -> Option<bytes::Bytes> {
        self.disk().find(part, end).map(|(_, _, object)| object.data.clone())
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no panic while the lock is held")
    }

    fn is_rgw(&self) -> bool {
        self.config.flavour == Flavour::Rgw
    }

    /// A success without a body.
    fn done(&self, status: u16) -> Answer {
        if self.is_rgw() { Answer::bare(status) } else { Answer::new(status, "text/html; charset=UTF-8") }
    }

    /// An answer for the refusal of a request.
    fn refuse(&self, request: &Request, refusal: Refusal) -> Answer {
        let mut answer = refusal.render(self.config.flavour);
        // RGW gives the length of the document that a HEAD does not get.
        if self.is_rgw() && request.method == "HEAD" {
            answer.head_length = pages::rendered_length(&answer);
        }
        answer
    }

    fn dispatch(&self, env: &Env, request: &Request) -> Result<Answer, Refusal> {
        let now = Stamp::now(env);
        let route = Route::of(&request.path);
        if matches!(route, Route::NotText) {
            return Err(Refusal::new(400, "InvalidURI"));
        }
        let known = ["GET", "HEAD", "PUT", "DELETE", "POST"];
        if self.is_rgw() && !known.contains(&request.method.as_str()) {
            return Err(Refusal::new(405, "MethodNotAllowed"));
        }
        let owner = self.authenticate(env, request, &route)?;
        self.act(now, request, &route, &owner).map_err(|refusal| refusal.in_bucket(route.bucket()))
    }

    fn act(&self, now: Stamp, request: &Request, route: &Route, owner: &str) -> Result<Answer, Refusal> {
        if !matches!(request.method.as_str(), "GET" | "HEAD" | "PUT" | "DELETE" | "POST") {
            let resource = if matches!(route, Route::Object(..)) { "OBJECT" } else { "BUCKET" };
            return Err(Refusal::new(405, "MethodNotAllowed")
                .also("Method", request.method.as_str())
                .also("ResourceType", resource));
        }
        match route {
            Route::Service => self.service(request, owner),
            Route::Bucket(name) => self.bucket(now, request, name, owner),
            Route::Object(bucket, key) => self.object_request(now, request, bucket, key, owner),
            Route::NotText => Err(Refusal::new(400, "InvalidURI")),
        }
    }
}

impl Protocol for S3Fake {
    fn core(&self) -> &Core {
        &self.core
    }

    fn title_case(&self) -> bool {
        true
    }

    fn silence_max(&self) -> Duration {
        self.config.client_timeout
    }

    /// GET is split: `LIST` for buckets, `GET` for objects only.
    fn class(&self, request: &Request) -> &'static str {
        match (request.method.as_str(), Route::of(&request.path)) {
            ("GET", Route::Bucket(_)) => "LIST",
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
        let route = Route::of(&request.path);
        (matches!(route, Route::Object(..)) && length > self.config.object_bytes_max)
            .then(|| self.refuse(request, Refusal::new(400, "EntityTooLarge").in_bucket(route.bucket())))
    }

    fn answer(&self, env: &Env, request: &Request) -> Answer {
        self.dispatch(env, request).unwrap_or_else(|refusal| self.refuse(request, refusal))
    }

    fn status_answer(&self, request: &Request, status: &Status) -> Answer {
        let route = Route::of(&request.path);
        let refusal = Refusal::of_status(status.code, matches!(route, Route::Object(..)));
        self.refuse(request, refusal.in_bucket(route.bucket()))
    }

    fn broken_off(&self) -> Answer {
        Refusal::new(400, "IncompleteBody").render(self.config.flavour)
    }

    fn finish(&self, env: &Env, answer: Answer) -> Answer {
        let now = env.clock.now();
        let id = format!("tx{}-{:010x}", random_hex(env, 21), now.as_second());
        if self.is_rgw() {
            let id = format!("{id}{}", pages::RGW_TAIL);
            let answer = pages::with_id(answer, &id);
            return answer
                .header("x-amz-request-id", id)
                .header("Date", http_date(now))
                .header("Connection", "Keep-Alive");
        }
        let by_swift = pages::is_swifts_own(&answer);
        let mut answer = pages::with_id(answer, &id);
        if !by_swift {
            answer = answer.header("x-amz-id-2", &id).header("x-amz-request-id", &id);
        }
        answer.header("X-Trans-Id", &id).header("X-Openstack-Request-Id", &id).header("Date", http_date(now))
    }
}

impl FaultTarget for S3Fake {
    fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        match fault {
            Fault::Corrupt(_) | Fault::Truncate(_) | Fault::Lose(_) | Fault::Swap(_) => self.disk().damage(id, fault),
            Fault::Silent(_)
            | Fault::Slow(_)
            | Fault::Status(_)
            | Fault::Cut(_)
            | Fault::WrongCredentials(_)
            | Fault::Lag(_)
            | Fault::Full(_) => self.core.faults.begin(id, fault),
            other => Err(format!("apply fault `{}`: an S3 server has none of that name", other.name())),
        }
    }

    fn end(&self, id: FaultId) {
        self.core.faults.end(id);
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
