//! One HTTP client for every driver: HTTP/1.1 over [`clinker_env::Net`], time-outs on everything, reuse.
//!
//! The client knows no store: drivers build requests and judge statuses. What to send again and when is in [`retry`].
//! What drivers of object stores share is in [`call`] (one request, and what its status means) and [`objects`] (which
//! requests make up an operation).

pub(crate) mod call;
mod connection;
pub(crate) mod objects;
mod patience;
pub mod retry;
mod throttle;
mod turns;
mod url;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use clinker_env::Env;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

pub use crate::tls::TlsOptions;
pub use hyper::Method;
pub use retry::{Failure, RetryPolicy};
pub use url::Url;

use crate::tls::Tls;
use crate::{Error, Kind, Result, Stop};
use connection::{Answer, Connection};
use patience::{Heard, Patience};
use throttle::Throttle;
use turns::Turns;

/// Idle connections kept per server, unless told otherwise.
const IDLE_MAX: usize = 8;
/// A longer time-out is none, and could not be added to a point in time.
const TIMEOUT_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Longer than any list or token: a page of ten thousand names, each with 1,600 bytes of its own and what is told of it.
const ANSWER_MAX: u64 = 16 << 20;

/// How long the body of a successful answer may be. What is longer is not held in memory: it is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit {
    /// Bytes.
    pub max: u64,
    /// What a longer one is.
    pub kind: Kind,
}

/// Idle connections by server.
type Idle = BTreeMap<(bool, String, u16), Vec<Connection>>;

/// A request with its whole body. Answers are read whole, too, within a limit.
#[derive(Clone)]
pub struct Request {
    /// What error texts call the server, e.g. `swift`.
    pub target: &'static str,
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether it waits while the server has refused others of its kind with 429 or 503.
    pub heeds_throttling: bool,
    pub answer: BodyLimit,
    /// Not to be begun once it is set.
    pub stop: Stop,
    /// How often it was given up because no answer came.
    pub timeouts: u64,
}

impl Request {
    /// Its answer is a document, of 16 MiB at most.
    pub fn new(target: &'static str, method: Method, url: Url) -> Request {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let answer = BodyLimit { max: ANSWER_MAX, kind: Kind::Internal };
        Request {
            target,
            method,
            url,
            headers,
            body,
            heeds_throttling: false,
            answer,
            stop: Stop::default(),
            timeouts: 0,
        }
    }

    /// Adds a header. A value that no header can carry is `invalid_config`; the text does not show it.
    pub fn header(mut self, name: &'static str, value: &str) -> Result<Request> {
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| Error::new(Kind::InvalidConfig, format!("{name}: has characters that HTTP cannot carry")))?;
        self.headers.insert(HeaderName::from_bytes(name.as_bytes()).expect("names are ours"), value);
        Ok(self)
    }

    pub fn body(mut self, body: Bytes) -> Request {
        self.body = body;
        self
    }

    fn not_wanted(&self) -> Error {
        Error::new(Kind::Cancelled, format!("{} was not asked: its answer is not wanted any more", self.target))
    }

    fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }
}

/// An answer, read to the end of its body; of a refusal, the first MiB of it.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the server has not waited for the end of the request: 408, Swift's 499, S3's code.
    fn gave_up_waiting(&self) -> bool {
        const S3: &[u8] = b"<Code>RequestTimeout</Code>";
        let said = || self.body.windows(S3.len()).any(|part| part == S3);
        matches!(self.status, 408 | 499) || (self.status == 400 && said())
    }

    /// How long the server asks to wait. The form with a date is not understood: it would need a common clock.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
    }
}

/// Sends requests and keeps connections for the next ones. Shared by reference between operations.
pub struct HttpClient {
    env: Env,
    timeout: Duration,
    tls: Tls,
    idle_max: usize,
    /// Requests that one operation has on its way at most.
    at_once: u64,
    idle: Mutex<Idle>,
    turns: Turns,
    throttle: Throttle,
    heard: Heard,
}

impl HttpClient {
    /// `timeout` bounds the connect, and the time without a byte moving in either direction while a request is in
    /// flight. It is no total limit: a slow server is waited for, a mute one is given up.
    pub fn new(env: &Env, timeout: Duration) -> HttpClient {
        let tls = Tls::new(TlsOptions::default());
        let timeout = timeout.min(TIMEOUT_MAX);
        let (turns, throttle) = (Turns::new(Instant::now()), Throttle::default());
        let (env, idle) = (env.clone(), Mutex::default());
        let heard = Heard::default();
        HttpClient { env, timeout, tls, idle_max: IDLE_MAX, at_once: 1, idle, turns, throttle, heard }
    }

    /// How certificates of `https` servers are checked; by the system's authorities otherwise.
    pub fn with_tls(self, options: TlsOptions) -> HttpClient {
        HttpClient { tls: Tls::new(options), ..self }
    }

    /// Keeps at most so many idle connections per server.
    pub fn with_idle_max(self, idle_max: u64) -> HttpClient {
        HttpClient { idle_max: usize::try_from(idle_max).unwrap_or(usize::MAX), ..self }
    }

    /// Operations have at most so many requests on their way: so many idle connections at least are kept, and a server that
    /// asks for fewer gets fewer.
    pub fn with_at_once(self, at_once: u64) -> HttpClient {
        let idle = usize::try_from(at_once).unwrap_or(usize::MAX);
        HttpClient { idle_max: self.idle_max.max(if at_once > 1 { idle } else { 0 }), at_once, ..self }
    }

    /// Sends the request once and reads the whole answer, whatever its status.
    ///
    /// A success with a longer body than [`Request::answer`] allows is an error of the kind that is named there.
    /// Fails with `unreachable` or `timeout`, both transient, in texts of the form `swift refused the connection`. A
    /// connection that was idle may have been closed by the server meanwhile: if it breaks before the first byte of
    /// an answer, an idempotent request goes out once more on a fresh one; others always take a fresh one.
    pub async fn request(&self, request: &Request) -> Result<Response> {
        if !request.heeds_throttling || self.at_once == 1 {
            return self.send(request).await;
        }
        let Some(pass) = request.stop.unless(self.throttle.enter(request.timeouts)).await else {
            return Err(request.not_wanted());
        };
        let outcome = self.send(request).await;
        match &outcome {
            Ok(response) if matches!(response.status, 429 | 503) => pass.refused(response.retry_after()),
            // The server has waited for a body that did not come through behind others.
            Ok(response) if response.gave_up_waiting() => pass.refused(None),
            Ok(_) => pass.answered(),
            // Too much was on its way for the link.
            Err(error) if error.kind == Kind::Timeout => pass.refused(None),
            Err(_) => {}
        }
        outcome
    }

    async fn send(&self, request: &Request) -> Result<Response> {
        if request.is_idempotent()
            && let Some(mut connection) = self.take_idle(&request.url)
        {
            match connection.exchange(request, &self.patience(), &self.turns).await {
                Err(failed) if failed.unanswered => {
                    tracing::debug!(server = request.target, "an idle connection had been closed: using a fresh one");
                }
                outcome => return self.keep(request, connection, outcome),
            }
        }
        let mut connection = Connection::open(&self.env, &self.tls, request, &self.patience()).await?;
        let outcome = connection.exchange(request, &self.patience(), &self.turns).await;
        self.keep(request, connection, outcome)
    }

    /// With several requests on their way, what is heard on one connection tells that the server lives, and that another's
    /// bytes may still be behind it on the link.
    fn patience(&self) -> Patience {
        Patience { limit: self.timeout, heard: (self.at_once > 1).then(|| self.heard.clone()) }
    }

    /// Whether requests like the refused one wait here until the server may be asked again.
    pub(crate) fn paces(&self, request: &Request, refusal: &Response) -> bool {
        let asks_to_wait = matches!(refusal.status, 429 | 503) && refusal.retry_after().is_some();
        request.heeds_throttling && self.at_once > 1 && asks_to_wait
    }

    fn take_idle(&self, url: &Url) -> Option<Connection> {
        let mut idle = self.idle.lock().expect("no panic while locked");
        let connections = idle.get_mut(&url.server())?;
        while let Some(connection) = connections.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(
        &self,
        request: &Request,
        connection: Connection,
        outcome: Result<Answer, connection::Failed>,
    ) -> Result<Response> {
        let Answer { response, whole } = outcome.map_err(|failed| failed.error)?;
        // A refusal may come before the body is sent; what is left of it would hold up the next request.
        if whole && (request.body.is_empty() || response.is_success()) && !connection.is_closed() {
            let mut idle = self.idle.lock().expect("no panic while locked");
            let connections = idle.entry(request.url.server()).or_default();
            if connections.len() < self.idle_max {
                connections.push(connection);
            }
        }
        Ok(response)
    }
}
