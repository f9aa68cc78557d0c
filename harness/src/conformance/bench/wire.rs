//! A network that corrupts what the driver sends: one bit of an upload's body.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use clinker_env::{BoxStream, Listener, Net};
use clinker_model::{FaultId, Journal};
use clinker_world::SimJournal;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How far into a connection's traffic the bit is: deep in the body of a chunk, far from any request's head.
const DEPTH: u64 = 20_000;

/// What corrupts the connections of a bench, if anything.
#[derive(Clone)]
pub struct Corrupting {
    active: Arc<Mutex<Option<Strikes>>>,
    journal: Arc<SimJournal>,
}

/// The fault and how many bits it may still flip; none = any number.
type Strikes = (FaultId, Option<u64>);

impl Corrupting {
    pub fn new(journal: Arc<SimJournal>) -> Corrupting {
        Corrupting { active: Arc::default(), journal }
    }

    /// Flips a bit in so many bodies; 0 = in all.
    pub fn begin(&self, id: FaultId, times: u64) {
        *self.active.lock().expect("no panic while the lock is held") = Some((id, (times > 0).then_some(times)));
    }

    pub fn end(&self, id: FaultId) {
        let mut active = self.active.lock().expect("no panic while the lock is held");
        if active.is_some_and(|(active, _)| active == id) {
            *active = None;
        }
    }

    pub fn over(&self, inner: Arc<dyn Net>) -> Arc<dyn Net> {
        Arc::new(CorruptingNet { inner, corrupting: self.clone() })
    }

    /// Whether one more body is to be hit.
    fn may_strike(&self) -> bool {
        let active = self.active.lock().expect("no panic while the lock is held");
        active.is_some_and(|(_, left)| left != Some(0))
    }

    fn struck(&self) {
        let mut active = self.active.lock().expect("no panic while the lock is held");
        let Some((id, left)) = active.as_mut() else { return };
        if let Some(left) = left {
            *left -= 1;
        }
        self.journal.bite(*id, super::HOST, "a bit of an upload flipped");
    }

    fn is_active(&self) -> bool {
        self.active.lock().expect("no panic while the lock is held").is_some()
    }
}

struct CorruptingNet {
    inner: Arc<dyn Net>,
    corrupting: Corrupting,
}

#[async_trait]
impl Net for CorruptingNet {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        let inner = self.inner.connect(host, port).await?;
        Ok(Box::new(CorruptingStream { inner, run: 0, corrupting: self.corrupting.clone() }))
    }

    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        self.inner.listen(port).await
    }
}

struct CorruptingStream {
    inner: BoxStream,
    /// Bytes sent since something was received last: the body of one request.
    run: u64,
    corrupting: Corrupting,
}

impl AsyncRead for CorruptingStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.run = 0;
        }
        polled
    }
}

impl AsyncWrite for CorruptingStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let (start, end) = (self.run, self.run + data.len() as u64);
        let hit = self.corrupting.is_active() && (start..end).contains(&DEPTH);
        if !hit {
            let polled = Pin::new(&mut self.inner).poll_write(cx, data);
            if let Poll::Ready(Ok(sent)) = &polled {
                self.run += *sent as u64;
            }
            return polled;
        }
        // What lies before the bit goes first, so that the byte itself is sent once and in one piece.
        let at = usize::try_from(DEPTH - start).unwrap_or(0);
        if at > 0 {
            let polled = Pin::new(&mut self.inner).poll_write(cx, &data[..at]);
            if let Poll::Ready(Ok(sent)) = &polled {
                self.run += *sent as u64;
            }
            return polled;
        }
        let byte = if self.corrupting.may_strike() { data[0] ^ 1 } else { data[0] };
        let polled = Pin::new(&mut self.inner).poll_write(cx, &[byte]);
        if let Poll::Ready(Ok(1)) = &polled {
            self.run += 1;
            if byte != data[0] {
                self.corrupting.struck();
            }
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
