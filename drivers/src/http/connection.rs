//! One connection: opening it, one exchange at a time, and noticing a server that has gone mute.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use clinker_env::{BoxStream, Env};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Method, Request, Response};
use crate::tls::Tls;
use crate::{Error, Kind, Result};

/// An open connection. Dropping it closes the stream at once, also in the middle of an exchange.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    traffic: Traffic,
    task: AbortHandle,
}

/// Why an exchange ended.
pub(super) struct Failed {
    pub error: Error,
    /// The connection broke and no byte of an answer had come.
    pub unanswered: bool,
}

impl Connection {
    pub(super) async fn open(env: &Env, tls: &Tls, request: &Request, limit: Duration) -> Result<Connection> {
        let Request { target, .. } = request;
        let stream = match timeout(limit, connect(env, tls, request)).await {
            Ok(connected) => connected?,
            Err(_) => return Err(mute(target, limit)),
        };
        let traffic = Traffic::default();
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

    /// Sends the request and reads the whole answer.
    pub(super) async fn exchange(&mut self, request: &Request, limit: Duration) -> Result<Response, Failed> {
        let target = request.target;
        let message = message(request).map_err(|error| Failed { error, unanswered: false })?;
        self.traffic.start();
        let mut work = pin!(send_and_read(&mut self.sender, message));
        loop {
            match timeout_at(self.traffic.last() + limit, work.as_mut()).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => {
                    return Err(Failed { error: broken(target, error), unanswered: self.traffic.read() == 0 });
                }
                Err(_) if self.traffic.last() + limit > Instant::now() => {}
                Err(_) => return Err(Failed { error: mute(target, limit), unanswered: false }),
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

async fn send_and_read(
    sender: &mut SendRequest<Full<Bytes>>,
    message: hyper::Request<Full<Bytes>>,
) -> hyper::Result<Response> {
    sender.ready().await?;
    let (head, body) = sender.send_request(message).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
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
struct Traffic(Arc<Mutex<Counts>>);

struct Counts {
    last: Instant,
    read: u64,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { last: Instant::now(), read: 0 }
    }
}

impl Traffic {
    fn start(&self) {
        *self.counts() = Counts::default();
    }

    fn last(&self) -> Instant {
        self.counts().last
    }

    fn read(&self) -> u64 {
        self.counts().read
    }

    fn moved(&self, read: usize) {
        let mut counts = self.counts();
        counts.last = Instant::now();
        counts.read += read as u64;
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().expect("no panic while locked")
    }
}

/// A stream that notes its traffic.
struct Watched {
    stream: BoxStream,
    traffic: Traffic,
}

impl Watched {
    fn wrote(&self, result: io::Result<usize>) -> Poll<io::Result<usize>> {
        if matches!(result, Ok(1..)) {
            self.traffic.moved(0);
        }
        Poll::Ready(result)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if read > 0 {
            self.traffic.moved(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
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
