//! All open sockets of a world, so that a crash closes a host's in order of their opening.
//!
//! tokio drops the tasks of a runtime in an order that depends on task numbers, which count through the whole process.
//! Each dropped stream sends a segment, so without this the peers of a crashed host would see its end in an order that
//! differs from run to run.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use ::turmoil::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Default)]
pub(super) struct Sockets(Mutex<State>);

#[derive(Default)]
struct State {
    /// Host and stream by order of opening.
    open: BTreeMap<u64, (Arc<str>, Arc<Slot>)>,
    last: u64,
    /// The host that is being killed.
    dying: Option<String>,
}

/// Where a stream lies until its socket or its host goes.
struct Slot(Mutex<Option<TcpStream>>);

pub(super) struct Socket {
    slot: Arc<Slot>,
    number: u64,
    host: Arc<str>,
    sockets: Arc<Sockets>,
}

impl Sockets {
    pub(super) fn open(self: &Arc<Self>, host: &Arc<str>, stream: TcpStream) -> Socket {
        let slot = Arc::new(Slot(Mutex::new(Some(stream))));
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        state.open.insert(number, (Arc::clone(host), Arc::clone(&slot)));
        Socket { slot, number, host: Arc::clone(host), sockets: Arc::clone(self) }
    }

    /// While `kill` runs, the first socket of `host` that is dropped takes all others with it, in order. (Only there does
    /// turmoil let streams of the host send.)
    pub(super) fn while_dying(&self, host: &str, kill: impl FnOnce()) {
        self.state().dying = Some(host.to_owned());
        kill();
        self.state().dying = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the lock is held")
    }

    fn close(&self, socket: &Socket) {
        let mut state = self.state();
        let closing: Vec<u64> = if state.dying.as_deref() == Some(&*socket.host) {
            state.open.iter().filter(|(_, (host, _))| *host == socket.host).map(|(number, _)| *number).collect()
        } else {
            vec![socket.number]
        };
        let closing: Vec<_> = closing.iter().filter_map(|number| state.open.remove(number)).collect();
        drop(state);
        for (_, slot) in closing {
            drop(slot.stream().take());
        }
    }
}

impl Slot {
    fn stream(&self) -> MutexGuard<'_, Option<TcpStream>> {
        self.0.lock().expect("no panic while the lock is held")
    }
}

impl Socket {
    fn with<T>(&self, call: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &mut *self.slot.stream() {
            Some(stream) => call(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.sockets.close(self);
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}
