//! Sockets of 127.0.0.1 behind the wire: which real port stands for which port of which host.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::net::{TcpListener, TcpSocket};

use crate::fabric::Fabric;
use crate::wire::{RawListener, RawStream, Wire, refusal};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The ports of all hosts of a world.
pub(super) struct Ports {
    state: Mutex<State>,
    /// A port that is bound and not listened on: the kernel refuses whoever connects to it, and nobody else gets it.
    closed: TcpSocket,
}

#[derive(Default)]
struct State {
    /// Real ports by host and the port that the host knows.
    listening: BTreeMap<(Arc<str>, u16), u16>,
    /// Who connected from a real port last.
    clients: BTreeMap<u16, Arc<str>>,
}

impl Ports {
    pub(super) fn new() -> io::Result<Ports> {
        let closed = TcpSocket::new_v4()?;
        closed.bind(ANY_PORT)?;
        Ok(Ports { state: Mutex::default(), closed })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }

    /// Where to connect to for a port of a host.
    fn address(&self, host: &str, port: u16) -> io::Result<SocketAddr> {
        match self.state().listening.get(&(Arc::from(host), port)) {
            Some(real) => Ok(SocketAddr::new(ANY_PORT.ip(), *real)),
            None => self.closed.local_addr(),
        }
    }
}

/// The network as one host sees it.
pub(super) struct RealWire {
    pub(super) host: Arc<str>,
    pub(super) ports: Arc<Ports>,
    pub(super) fabric: Arc<Fabric>,
}

#[async_trait]
impl Wire for RealWire {
    async fn connect(&self, host: &str, port: u16) -> io::Result<RawStream> {
        let links = self.fabric.links();
        let address = if links.is_refusing(host) {
            links.bite_refusals(&self.host, host);
            self.ports.closed.local_addr()?
        } else {
            self.ports.address(host, port)?
        };
        let socket = TcpSocket::new_v4()?;
        // Bound before it connects, so that the server knows whose port it is, however soon it accepts.
        socket.bind(ANY_PORT)?;
        let own = socket.local_addr()?.port();
        self.ports.state().clients.insert(own, Arc::clone(&self.host));
        match socket.connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                Ok(RawStream { stream: Box::new(stream), key: key(own, address.port()), peer: host.to_owned() })
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(refusal(host, port)),
            Err(error) => Err(io::Error::new(error.kind(), format!("no connection to {host}:{port}"))),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this engine is of real sockets")]
    async fn listen(&self, port: u16) -> io::Result<Box<dyn RawListener>> {
        let listener = TcpListener::bind(ANY_PORT).await?;
        let real = listener.local_addr()?.port();
        let port = if port == 0 { real } else { port };
        let mut state = self.ports.state();
        let known = (Arc::clone(&self.host), port);
        if state.listening.contains_key(&known) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("port {port} is in use")));
        }
        state.listening.insert(known, real);
        drop(state);
        Ok(Box::new(Listening { listener, host: Arc::clone(&self.host), port, real, ports: Arc::clone(&self.ports) }))
    }
}

/// Both ends of a connection know the client's and the server's port.
fn key(client: u16, server: u16) -> u128 {
    u128::from(client) << 16 | u128::from(server)
}

struct Listening {
    listener: TcpListener,
    host: Arc<str>,
    port: u16,
    real: u16,
    ports: Arc<Ports>,
}

#[async_trait]
impl RawListener for Listening {
    async fn accept(&mut self) -> io::Result<RawStream> {
        loop {
            let (stream, client) = self.listener.accept().await?;
            // Somebody else on this machine may have tried the port.
            let Some(peer) = self.ports.state().clients.get(&client.port()).map(|name| name.to_string()) else {
                continue;
            };
            stream.set_nodelay(true)?;
            return Ok(RawStream { stream: Box::new(stream), key: key(client.port(), self.real), peer });
        }
    }

    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.ports.state().listening.remove(&(Arc::clone(&self.host), self.port));
    }
}
