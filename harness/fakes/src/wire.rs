//! Bodies and byte streams that can be slow and can be cut, below and around hyper.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use clinker_env::BoxStream;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// A paced body moves in pieces of at most this many bytes.
const PIECE_BYTES: usize = 16 << 10;

/// How a request body ended, if not well. Each carries the bytes that came through.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// By the fault.
    Cut(u64),
    /// The client went away, or broke the protocol.
    Disconnected(u64),
    /// The client fell silent.
    TimedOut(u64),
}

/// Reads a request body at `rate` bytes per second (0 = unlimited). With `cut`, at most that many bytes pass.
pub(crate) async fn read_body(
    mut body: Incoming,
    rate: u64,
    cut: Option<u64>,
    silence_max: Duration,
) -> Result<Bytes, Broken> {
    let mut data = BytesMut::new();
    let start = Instant::now();
    loop {
        let got = data.len() as u64;
        let frame = match timeout(silence_max, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Broken::Disconnected(got)),
            Ok(None) => break,
            Err(_) => return Err(Broken::TimedOut(got)),
        };
        let Ok(piece) = frame.into_data() else { continue };
        data.extend_from_slice(&piece);
        // No timer without need: even one that is due takes up to its grain of 1 ms.
        if rate > 0 {
            sleep_until(start + pace(data.len() as u64, rate)).await;
        }
        if let Some(after) = cut
            && data.len() as u64 > after
        {
            return Err(Broken::Cut(after));
        }
    }
    // A request without a body can only be cut as a whole.
    match cut {
        Some(0) if data.is_empty() => Err(Broken::Cut(0)),
        _ => Ok(data.freeze()),
    }
}

/// How long `bytes` take at `rate` bytes per second, which is not 0.
fn pace(bytes: u64, rate: u64) -> Duration {
    let ns = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(ns.try_into().unwrap_or(u64::MAX))
}

/// The body of an answer: slow if told so, and cut if told so.
pub(crate) struct AnswerBody {
    left: Bytes,
    /// The length that was promised, less what was sent.
    promised: u64,
    sent: u64,
    rate: u64,
    /// When the first piece was asked for.
    start: Option<Instant>,
    /// Runs until the next piece may go.
    wait: Option<Pin<Box<Sleep>>>,
    /// Set when nothing more follows though more was promised.
    cut: Option<Arc<AtomicBool>>,
}

impl AnswerBody {
    pub fn whole(data: Bytes, rate: u64) -> AnswerBody {
        AnswerBody { promised: data.len() as u64, left: data, sent: 0, rate, start: None, wait: None, cut: None }
    }

    /// Promises all of `data`, sends `after` bytes of it and then cuts the connection through `cut`.
    pub fn cut(data: Bytes, rate: u64, after: u64, cut: Arc<AtomicBool>) -> AnswerBody {
        let passed = usize::try_from(after).unwrap_or(usize::MAX).min(data.len());
        AnswerBody { left: data.slice(..passed), cut: Some(cut), ..AnswerBody::whole(data, rate) }
    }

    fn next_len(&self) -> usize {
        if self.rate == 0 { self.left.len() } else { self.left.len().min(PIECE_BYTES) }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.left.is_empty() {
            let Some(cut) = &this.cut else { return Poll::Ready(None) };
            // Nobody wakes this body again: hyper flushes after every poll, and the flush ends the connection.
            cut.store(true, Ordering::Relaxed);
            return Poll::Pending;
        }
        let len = this.next_len();
        if this.rate > 0 {
            let start = *this.start.get_or_insert_with(Instant::now);
            let due = start + pace(this.sent + len as u64, this.rate);
            let wait = this.wait.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(wait.as_mut().poll(cx));
            this.wait = None;
        }
        this.promised -= len as u64;
        this.sent += len as u64;
        Poll::Ready(Some(Ok(Frame::data(this.left.split_to(len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.promised == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

/// A connection that ends, once all that was written has left, when its flag is set.
pub(crate) struct CutStream {
    pub inner: BoxStream,
    pub cut: Arc<AtomicBool>,
}

impl AsyncRead for CutStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        if !self.cut.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut by a fault")))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
