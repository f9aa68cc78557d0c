//! turmoil's TCP behind the wire.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ::turmoil::net::{TcpListener, TcpStream};
use async_trait::async_trait;
use clinker_env::Tasks;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::sockets::Sockets;
use crate::fabric::Fabric;
use crate::wire::{RawListener, RawStream, Wire, refusal};

pub(super) struct TurmoilWire {
    pub(super) host: Arc<str>,
    pub(super) sockets: Arc<Sockets>,
    pub(super) fabric: Arc<Fabric>,
}

#[async_trait]
impl Wire for TurmoilWire {
    async fn connect(&self, host: &str, port: u16) -> io::Result<RawStream> {
        let links = self.fabric.links();
        let stream = tokio::select! {
            biased;
            () = links.refused(&self.host, host) => {
                // The answer comes one round trip after the SYN, or after what made the peer refuse.
                links.bite_refusals(&self.host, host);
                tokio::time::sleep(2 * self.fabric.config().latency).await;
                return Err(refusal(host, port));
            }
            stream = TcpStream::connect((host, port)) => match stream {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(refusal(host, port)),
                stream => stream?,
            },
        };
        let key = key(stream.local_addr()?, stream.peer_addr()?);
        Ok(RawStream { stream: Box::new(self.sockets.open(&self.host, stream)), key, peer: host.to_owned() })
    }

    async fn listen(&self, port: u16) -> io::Result<Box<dyn RawListener>> {
        let bound = match TcpListener::bind(("0.0.0.0", port)).await {
            // A listener dropped just now unbinds when its task is dropped, which needs the scheduler once.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tokio::task::yield_now().await;
                TcpListener::bind(("0.0.0.0", port)).await
            }
            bound => bound,
        };
        let listener = bound.map_err(|error| io::Error::new(error.kind(), format!("port {port} is in use")))?;
        let port = listener.local_addr()?.port();
        let (send, accepted) = mpsc::unbounded_channel();
        let task = Tasks::LocalSet
            .spawn(accept_all(listener, Arc::clone(&self.host), Arc::clone(&self.sockets), send))
            .abort_handle();
        Ok(Box::new(Listening { accepted, task, port }))
    }
}

/// Completes every connection at once, as a kernel's backlog does: turmoil leaves a client waiting until it is accepted.
async fn accept_all(
    listener: TcpListener,
    host: Arc<str>,
    sockets: Arc<Sockets>,
    accepted: mpsc::UnboundedSender<io::Result<RawStream>>,
) {
    loop {
        let next = listener.accept().await.and_then(|(stream, peer)| {
            let key = key(peer, stream.local_addr()?);
            let name = ::turmoil::reverse_lookup(peer.ip()).unwrap_or_else(|| peer.ip().to_string());
            Ok(RawStream { stream: Box::new(sockets.open(&host, stream)), key, peer: name })
        });
        if accepted.send(next).is_err() {
            return;
        }
    }
}

/// Both ends of a connection know the client's and the server's address.
fn key(client: SocketAddr, server: SocketAddr) -> u128 {
    let half = |address: SocketAddr| {
        let ip = match address.ip() {
            IpAddr::V4(ip) => u32::from(ip),
            IpAddr::V6(_) => 0,
        };
        u128::from(ip) << 16 | u128::from(address.port())
    };
    half(client) << 48 | half(server)
}

struct Listening {
    accepted: mpsc::UnboundedReceiver<io::Result<RawStream>>,
    task: AbortHandle,
    port: u16,
}

#[async_trait]
impl RawListener for Listening {
    async fn accept(&mut self) -> io::Result<RawStream> {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "the listener has ended")),
        }
    }

    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}
