//! One connection: opening it, one exchange at a time, and noticing a server that has gone mute.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use clinker_env::{BoxStream, Env};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::patience::{Heard, Patience};
use super::turns::{Turn, Turns};
use super::{BodyLimit, Method, Request, Response};
use crate::tls::Tls;
use crate::{Error, Kind, Result};

/// An open connection. Dropping it closes the stream at once, also in the middle of an exchange.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    traffic: Traffic,
    task: AbortHandle,
}

/// Of a refusal so much is read: its reason is told at the beginning, if at all.
const REFUSAL_MAX: u64 = 1 << 20;
/// Memory reserved for an answer because of what its head announces; longer ones prove that they are coming.
const RESERVE_MAX: u64 = 1 << 20;
/// How much more than has come is reserved at once, up to what the head announces.
const GROWTH: u64 = 15;

/// An answer, as far as it was read.
pub(super) struct Answer {
    pub response: Response,
    /// Whether that was to its end: if not, the connection is of no further use.
    pub whole: bool,
}

/// Why an exchange ended.
pub(super) struct Failed {
    pub error: Error,
    /// The connection broke and no byte of an answer had come.
    pub unanswered: bool,
}

impl Connection {
    pub(super) async fn open(env: &Env, tls: &Tls, request: &Request, patience: &Patience) -> Result<Connection> {
        let Request { target, .. } = request;
        let begun = Instant::now();
        let mut connecting = pin!(connect(env, tls, request));
        let stream = loop {
            match timeout_at(patience.ends_at(begun), connecting.as_mut()).await {
                Ok(connected) => break connected?,
                Err(_) if patience.ends_at(begun) > Instant::now() => {}
                Err(_) => return Err(mute(target, patience.limit)),
            }
        };
        let traffic = Traffic { heard: patience.heard.clone(), ..Traffic::default() };
        let io = TokioIo::new(Watched { stream, traffic: traffic.clone() });
        let (sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .handshake(io)
            .await
            .map_err(|error| broken(target, error))?;
        // Its error, if any, reaches the exchange in flight as well.
        let task = env.tasks.spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Connection { sender, traffic, task })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends the request, a large body when it is its turn, and reads the whole answer, but for refusals beyond all sense.
    pub(super) async fn exchange(
        &mut self,
        request: &Request,
        patience: &Patience,
        turns: &Turns,
    ) -> Result<Answer, Failed> {
        let target = request.target;
        let message = message(request).map_err(|error| Failed { error, unanswered: false })?;
        let Some(turn) = request.stop.unless(turns.take(request.body.len())).await else {
            return Err(Failed { error: request.not_wanted(), unanswered: false });
        };
        self.traffic.start(turn);
        let mut work = pin!(send_and_read(&mut self.sender, message, request.answer));
        loop {
            let mute_at = patience.ends_at(self.traffic.last());
            let wake_at = self.traffic.turn_ends_at().map_or(mute_at, |at| at.min(mute_at));
            match timeout_at(wake_at, work.as_mut()).await {
                Ok(Ok(Some(answer))) => {
                    self.traffic.end_turn();
                    return Ok(answer);
                }
                Ok(Ok(None)) => return Err(Failed { error: too_long(target, request.answer), unanswered: false }),
                Ok(Err(error)) => {
                    return Err(Failed { error: broken(target, error), unanswered: self.traffic.read() == 0 });
                }
                Err(_) if self.traffic.turn_ends_at().is_some_and(|at| at <= Instant::now()) => self.traffic.end_turn(),
                Err(_) if patience.ends_at(self.traffic.last()) > Instant::now() => {}
                Err(_) => return Err(Failed { error: mute(target, patience.limit), unanswered: false }),
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(env: &Env, tls: &Tls, request: &Request) -> Result<BoxStream> {
    let Request { target, url, .. } = request;
    let stream = env.net.connect(url.host(), url.port()).await.map_err(|error| no_connection(target, error))?;
    if url.is_tls() { tls.wrap(env, target, url.host(), stream).await } else { Ok(stream) }
}

/// None if a success has a longer body than it may have.
async fn send_and_read(
    sender: &mut SendRequest<Full<Bytes>>,
    message: hyper::Request<Full<Bytes>>,
    limit: BodyLimit,
) -> hyper::Result<Option<Answer>> {
    sender.ready().await?;
    let (head, body) = sender.send_request(message).await?.into_parts();
    let success = head.status.is_success();
    let (body, whole) = read(body, if success { limit.max } else { REFUSAL_MAX }).await?;
    if success && !whole {
        return Ok(None);
    }
    let response = Response { status: head.status.as_u16(), headers: head.headers, body };
    Ok(Some(Answer { response, whole }))
}

/// At most `max` bytes of a body, and whether that is all of it.
async fn read(mut body: Incoming, max: u64) -> hyper::Result<(Bytes, bool)> {
    let announced = body.size_hint().exact();
    if announced.is_some_and(|len| len > max) {
        return Ok((Bytes::new(), false));
    }
    let mut held = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let have = held.len() as u64;
        if data.len() as u64 > max - have {
            return Ok((held.into(), false));
        }
        if held.capacity() - held.len() < data.len()
            && let Some(announced) = announced
        {
            let more = (announced - have).min(RESERVE_MAX.max(have.saturating_mul(GROWTH)));
            held.reserve_exact(usize::try_from(more).unwrap_or(usize::MAX).max(data.len()));
        }
        held.extend_from_slice(&data);
    }
    Ok((held.into(), true))
}

fn too_long(target: &str, limit: BodyLimit) -> Error {
    let what = format!("{target} answered with more than the {} bytes that make sense", limit.max);
    Error::new(limit.kind, what)
}

fn message(request: &Request) -> Result<hyper::Request<Full<Bytes>>> {
    let mut message = hyper::Request::new(Full::new(request.body.clone()));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = request
        .url
        .path()
        .parse()
        .map_err(|_| Error::new(Kind::Internal, format!("{}: a path that HTTP cannot carry", request.target)))?;
    let headers = message.headers_mut();
    *headers = request.headers.clone();
    headers.insert(HOST, HeaderValue::from_str(&request.url.authority()).expect("checked when the URL was read"));
    headers.insert(USER_AGENT, HeaderValue::from_static("clinker"));
    if matches!(request.method, Method::PUT | Method::POST) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    }
    Ok(message)
}

fn no_connection(target: &str, error: io::Error) -> Error {
    let what = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{target} refused the connection"),
        io::ErrorKind::ConnectionReset => format!("{target} closed the connection"),
        _ => format!("{target} could not be reached"),
    };
    Error::transient(Kind::Unreachable, what).with_source(error)
}

fn broken(target: &str, error: hyper::Error) -> Error {
    if error.is_parse() {
        return Error::transient(Kind::Internal, format!("{target} sent an answer that is not HTTP"))
            .with_source(error);
    }
    Error::transient(Kind::Unreachable, format!("{target} closed the connection")).with_source(error)
}

fn mute(target: &str, limit: Duration) -> Error {
    Error::transient(Kind::Timeout, format!("{target} did not answer within {limit:?}"))
}

/// When bytes last moved, and how many came in since the exchange began.
#[derive(Clone, Default)]
struct Traffic {
    counts: Arc<Mutex<Counts>>,
    heard: Option<Heard>,
}

struct Counts {
    last: Instant,
    read: u64,
    /// As long as the body is being sent in its turn.
    turn: Option<Turn>,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { last: Instant::now(), read: 0, turn: None }
    }
}

impl Traffic {
    fn start(&self, turn: Option<Turn>) {
        *self.counts() = Counts { turn, ..Counts::default() };
    }

    fn turn_ends_at(&self) -> Option<Instant> {
        self.counts().turn.as_ref()?.ends_at()
    }

    fn end_turn(&self) {
        self.counts().turn = None;
    }

    fn last(&self) -> Instant {
        self.counts().last
    }

    fn read(&self) -> u64 {
        self.counts().read
    }

    fn received(&self, bytes: usize) {
        if let Some(heard) = &self.heard {
            heard.now();
        }
        let mut counts = self.counts();
        counts.last = Instant::now();
        counts.read += bytes as u64;
    }

    fn sent(&self, bytes: usize) {
        let mut counts = self.counts();
        let now = Instant::now();
        counts.last = now;
        if counts.turn.as_mut().is_some_and(|turn| !turn.wrote(bytes as u64, now)) {
            counts.turn = None;
        }
    }

    fn stands_still(&self) {
        if let Some(turn) = &mut self.counts().turn {
            turn.stands_still(Instant::now());
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().expect("no panic while locked")
    }
}

/// A stream that notes its traffic.
struct Watched {
    stream: BoxStream,
    traffic: Traffic,
}

impl Watched {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(bytes)) if bytes > 0 => self.traffic.sent(bytes),
            Poll::Pending => self.traffic.stands_still(),
            Poll::Ready(_) => {}
        }
        result
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if read > 0 {
            self.traffic.received(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
