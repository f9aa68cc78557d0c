//! The kernel's sockets behind the wire.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tcp::{CLIENT, ConnId, Kernel, SERVER, Side};
use crate::hosts::HostId;
use crate::wire::{RawListener, RawStream, Wire, refusal};

/// All kernels, shared by the sockets. Only one host runs at a time, so the lock is never contended.
pub(super) struct Network(Mutex<Kernel>);

impl Network {
    pub(super) fn new(kernel: Kernel) -> Arc<Network> {
        Arc::new(Network(Mutex::new(kernel)))
    }

    pub(super) fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.0.lock().expect("no panic while the lock is held")
    }
}

/// The network as one host sees it.
pub(super) struct SimnetWire {
    pub(super) host: HostId,
    pub(super) network: Arc<Network>,
}

#[async_trait]
impl Wire for SimnetWire {
    async fn connect(&self, host: &str, port: u16) -> io::Result<RawStream> {
        let socket = {
            let mut kernel = self.network.kernel();
            let Some(server) = kernel.paths.host(host) else {
                return Err(io::Error::new(io::ErrorKind::NotFound, format!("no host is named {host}")));
            };
            let conn = kernel.connect(self.host, server, port);
            Socket { network: Arc::clone(&self.network), conn, side: CLIENT }
        };
        let conn = socket.conn;
        match poll_fn(|cx| self.network.kernel().poll_connected(conn, cx)).await {
            Ok(()) => Ok(socket.into_raw(host)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(refusal(host, port)),
            Err(error) => Err(io::Error::new(error.kind(), format!("no answer from {host}:{port}"))),
        }
    }

    async fn listen(&self, port: u16) -> io::Result<Box<dyn RawListener>> {
        let (port, number) = self.network.kernel().listen(self.host, port)?;
        Ok(Box::new(Listening { network: Arc::clone(&self.network), host: self.host, port, number }))
    }
}

/// One end of a connection, as an application holds it.
struct Socket {
    network: Arc<Network>,
    conn: ConnId,
    side: Side,
}

impl Socket {
    fn into_raw(self, peer: &str) -> RawStream {
        RawStream { key: self.conn.into(), stream: Box::new(self), peer: peer.to_owned() }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.network.kernel().poll_read(self.conn, self.side, cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.network.kernel().poll_write(self.conn, self.side, cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.network.kernel().shutdown(self.conn, self.side))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.network.kernel().close(self.conn, self.side);
    }
}

struct Listening {
    network: Arc<Network>,
    host: HostId,
    port: u16,
    number: u64,
}

#[async_trait]
impl RawListener for Listening {
    async fn accept(&mut self) -> io::Result<RawStream> {
        let (conn, client) = poll_fn(|cx| self.network.kernel().poll_accept(self.host, self.port, cx)).await;
        let peer = self.network.kernel().paths.name(client).to_string();
        Ok(Socket { network: Arc::clone(&self.network), conn, side: SERVER }.into_raw(&peer))
    }

    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.network.kernel().unlisten(self.host, self.port, self.number);
    }
}
