//! One request from accept to answer: the part that all HTTP fakes share, and where faults are carried out.

use std::future::pending;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use clinker_env::{BoxStream, Env, Listener};
use clinker_model::fault::{Status, When};
use clinker_model::{Entry, FaultId, Journal, Points};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::answer::Answer;
use crate::faults::{Decision, FaultTable};
use crate::wire::{AnswerBody, Broken, CutStream, read_body};

/// What every fake has.
pub(crate) struct Core {
    /// Name of its host in the history.
    pub host: String,
    pub journal: Arc<dyn Journal>,
    pub faults: FaultTable,
    /// Where its process can be made to end.
    pub points: OnceLock<Arc<dyn Points>>,
}

impl Core {
    pub fn new(host: &str, journal: Arc<dyn Journal>) -> Core {
        Core { host: host.to_owned(), journal, faults: FaultTable::default(), points: OnceLock::new() }
    }

    async fn pass(&self, point: &str, when: When) {
        if let Some(points) = self.points.get() {
            points.pass(point, when).await;
        }
    }

    pub fn bite(&self, fault: FaultId, what: &str) {
        self.journal.bite(fault, &self.host, what);
    }
}

/// A request, read to its end.
pub(crate) struct Request {
    pub method: Method,
    /// As sent, percent-encoded.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    /// A header's value; one that is not visible ASCII counts as absent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Path and query, as sent.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    pub fn chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }
}

/// What tells one fake from another.
pub(crate) trait Protocol: Send + Sync + 'static {
    fn core(&self) -> &Core;

    /// Whether header names go out as `X-Like-This`.
    fn title_case(&self) -> bool;

    /// For how long a client may keep silent in the middle of a body.
    fn silence_max(&self) -> Duration;

    /// The method as [`clinker_model::fault::Matching`] means it.
    fn class(&self, request: &Request) -> &'static str;

    /// The answer to a request whose body is not worth reading.
    fn refuse_unread(&self, request: &Request) -> Option<Answer>;

    /// Does what is asked.
    fn answer(&self, env: &Env, request: &Request) -> Answer;

    /// The answer with a status that a fault demands.
    fn status_answer(&self, request: &Request, status: &Status) -> Answer;

    /// The answer to a client that broke off in its body.
    fn broken_off(&self) -> Answer;

    /// Adds what every answer carries: dates and request ids.
    fn finish(&self, env: &Env, answer: Answer) -> Answer;
}

/// The connection ends without (the rest of) an answer.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection dropped by a fault")
    }
}

impl std::error::Error for Dropped {}

/// Accepts and serves until the listener fails or the future is dropped; connections end with it.
pub(crate) async fn serve<P: Protocol>(fake: Arc<P>, env: Env, mut listener: Box<dyn Listener>) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let stream = listener.accept().await?;
        while let Some(ended) = connections.try_join_next() {
            // A fake that panics has a bug; it must not pass for a server that drops connections.
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        env.tasks.spawn_in(&mut connections, connection(Arc::clone(&fake), env.clone(), stream));
    }
}

async fn connection<P: Protocol>(fake: Arc<P>, env: Env, inner: BoxStream) {
    let cut = Arc::new(AtomicBool::new(false));
    let stream = CutStream { inner, cut: Arc::clone(&cut) };
    let title_case = fake.title_case();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (fake, env, cut) = (Arc::clone(&fake), env.clone(), Arc::clone(&cut));
        async move { exchange(&*fake, &env, request, cut).await }
    });
    let mut http = http1::Builder::new();
    http.auto_date_header(false).title_case_headers(title_case);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection of a fake ended");
    }
}

/// One request and its answer, with the faults that hit them.
async fn exchange<P: Protocol>(
    fake: &P,
    env: &Env,
    request: hyper::Request<Incoming>,
    cut: Arc<AtomicBool>,
) -> Result<Response<AnswerBody>, Dropped> {
    let (head, body) = request.into_parts();
    let mut request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body: Bytes::new(),
    };
    let decision = decide(fake, &request);
    let answer = match fake.refuse_unread(&request) {
        Some(answer) if decision.silent.is_none() && decision.cut_request.is_none() => answer,
        _ => {
            let cut_after = decision.cut_request.map(|(_, after)| after);
            match read_body(body, decision.bytes_per_second, cut_after, fake.silence_max()).await {
                Ok(body) => request.body = body,
                Err(Broken::Cut(passed)) => return Err(drop_request(fake, &request, &decision, passed)),
                Err(Broken::Disconnected(got) | Broken::TimedOut(got)) => {
                    let answer = fake.finish(env, fake.broken_off());
                    record(fake, &request, answer.status, got, answer.body.len() as u64);
                    return Ok(respond(answer, &request.method, |body| AnswerBody::whole(body, 0)));
                }
            }
            act(fake, env, &request, &decision).await
        }
    };
    let answer = fake.finish(env, answer);
    send(fake, &request, answer, &decision, cut).await
}

fn decide<P: Protocol>(fake: &P, request: &Request) -> Decision {
    let target = request.target();
    let decoded = percent_decode_str(&target).decode_utf8_lossy();
    let decision = fake.core().faults.on_request(fake.class(request), &[&target, &decoded]);
    for &id in &decision.slow {
        fake.core().bite(id, &format!("{} {target} slowed down", request.method));
    }
    decision
}

/// The answer by status fault or by the protocol; none ever if the server is silent.
async fn act<P: Protocol>(fake: &P, env: &Env, request: &Request, decision: &Decision) -> Answer {
    if let Some(id) = decision.silent {
        fake.core().bite(id, &format!("{} {} not answered", request.method, request.target()));
        record(fake, request, 0, request.body.len() as u64, 0);
        // Swallowed for good, also when the fault ends: a client learns of it by its own time-out only.
        return pending().await;
    }
    if let Some((id, status)) = &decision.status {
        fake.core().bite(*id, &format!("{} {} answered {}", request.method, request.target(), status.code));
        let answer = fake.status_answer(request, status);
        return match status.retry_after {
            Some(seconds) => answer.header("Retry-After", seconds),
            None => answer,
        };
    }
    let point = match fake.class(request) {
        "" => "http.other".to_owned(),
        class => format!("http.{}", class.to_ascii_lowercase()),
    };
    fake.core().pass(&point, When::Before).await;
    let answer = fake.answer(env, request);
    fake.core().pass(&point, When::After).await;
    answer
}

fn drop_request<P: Protocol>(fake: &P, request: &Request, decision: &Decision, passed: u64) -> Dropped {
    if let Some((id, _)) = decision.cut_request {
        fake.core().bite(id, &format!("{} {} cut after {passed} bytes", request.method, request.target()));
    }
    record(fake, request, 0, passed, 0);
    Dropped
}

/// Puts the answer on the wire, late, slow or cut as decided.
///
/// The request has taken effect by now: a client that gives up meanwhile, or never sees the answer, has changed the
/// store all the same.
async fn send<P: Protocol>(
    fake: &P,
    request: &Request,
    answer: Answer,
    decision: &Decision,
    cut: Arc<AtomicBool>,
) -> Result<Response<AnswerBody>, Dropped> {
    let len = if request.method == Method::HEAD { 0 } else { answer.body.len() as u64 };
    // A cut applies to a body that has more bytes than may pass; an answer without body is cut as a whole.
    let hit = decision.cut_response.filter(|&(_, after)| len > after || (len == 0 && after == 0));
    let (status, sent) = hit.map_or((answer.status, len), |(_, after)| (0, after));
    record(fake, request, status, request.body.len() as u64, sent);
    if !decision.delay.is_zero() {
        sleep(decision.delay).await;
    }
    let rate = decision.bytes_per_second;
    match hit {
        None => Ok(respond(answer, &request.method, |body| AnswerBody::whole(body, rate))),
        Some((id, after)) => {
            fake.core().bite(id, &format!("answer to {} {} cut after {after} bytes", request.method, request.target()));
            if len == 0 {
                return Err(Dropped);
            }
            Ok(respond(answer, &request.method, |body| AnswerBody::cut(body, rate, after, cut)))
        }
    }
}

fn record<P: Protocol>(fake: &P, request: &Request, status: u16, request_bytes: u64, response_bytes: u64) {
    let Core { host, journal, .. } = fake.core();
    let (method, path) = (request.method.to_string(), request.target());
    journal.record(host, Entry::Request { method, path, status, request_bytes, response_bytes });
}

fn respond(answer: Answer, method: &Method, body: impl FnOnce(Bytes) -> AnswerBody) -> Response<AnswerBody> {
    let Answer { status, reason, headers, body: data, head_length } = answer;
    let data = if method == Method::HEAD { Bytes::new() } else { data };
    let length = if method == Method::HEAD { head_length } else { data.len() as u64 };
    let mut response = Response::new(body(data));
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("fakes answer with three-digit statuses");
    if let Some(reason) = reason {
        response.extensions_mut().insert(ReasonPhrase::from_static(reason.as_bytes()));
    }
    for (name, value) in headers {
        // Names and values come from this crate, or from a request that hyper has accepted.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert(hyper::header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}
