//! One end of a connection, with the trace, parking, resets and the bites of holds laid over the engine's stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use clinker_env::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use xxhash_rust::xxh3::xxh3_64;

use crate::links::Conn;
use crate::net::Place;
use crate::trace::Kind;
use crate::wire::RawStream;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Server,
}

pub(crate) struct SimStream {
    inner: BoxStream,
    key: u128,
    peer: String,
    end: End,
    conn: Arc<Conn>,
    closed: bool,
    place: Arc<Place>,
}

const READ: usize = 0;
const WRITE: usize = 1;

impl SimStream {
    pub(crate) fn open(raw: RawStream, end: End, place: &Arc<Place>) -> BoxStream {
        let RawStream { stream, key, peer } = raw;
        let (kind, server) = match end {
            End::Client => (Kind::Connected, peer.as_str()),
            End::Server => (Kind::Accept, place.gate.host()),
        };
        let conn = place.links.connection(key, server);
        place.journal.event(place.gate.host(), kind, conn.number, 0, xxh3_64(peer.as_bytes()));
        Box::new(SimStream { inner: stream, key, peer, end, conn, closed: false, place: Arc::clone(place) })
    }

    fn note(&self, kind: Kind, payload: &[u8]) {
        self.place.journal.event_of(self.place.gate.host(), kind, self.conn.number, payload);
    }

    /// What comes before every call: a parked process waits for its end, a reset connection is over.
    fn enter(&self, side: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.place.gate.is_parked() {
            return Poll::Pending;
        }
        if self.conn.is_reset() {
            return Poll::Ready(Err(self.broken(io::ErrorKind::ConnectionReset, "connection reset by")));
        }
        self.conn.wait(side + if self.end == End::Server { 2 } else { 0 }, cx.waker());
        Poll::Ready(Ok(()))
    }

    fn broken(&self, kind: io::ErrorKind, what: &str) -> io::Error {
        self.note(Kind::Broken, &[]);
        io::Error::new(kind, format!("{what} {}", self.peer))
    }
}

impl AsyncRead for SimStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.enter(READ, cx))?;
        let before = buf.filled().len();
        match ready!(Pin::new(&mut self.inner).poll_read(cx, buf)) {
            Ok(()) => {
                let read = &buf.filled()[before..];
                self.note(if read.is_empty() { Kind::Eof } else { Kind::Read }, read);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.broken(error.kind(), "connection broken by"))),
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.enter(WRITE, cx))?;
        match ready!(Pin::new(&mut self.inner).poll_write(cx, buf)) {
            Ok(written) => {
                self.note(Kind::Write, &buf[..written]);
                self.place.links.bite_holds(self.place.gate.host(), &self.peer, "a write to");
                Poll::Ready(Ok(written))
            }
            Err(error) => Poll::Ready(Err(self.broken(error.kind(), "connection broken by"))),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.enter(WRITE, cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.enter(WRITE, cx))?;
        if self.closed {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        self.closed = true;
        self.note(Kind::Close, &[]);
        Poll::Ready(result)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        // A dying process drops its streams in an order that means nothing; its crash is in the trace.
        if self.place.links.is_running(self.place.gate.host()) {
            self.note(Kind::Drop, &[]);
        }
        self.place.links.forget(self.key, &self.conn);
    }
}
