//! What an engine's network gives: plain connections. Faults, crash points and the trace are laid over it in `net`.

use std::io;

use async_trait::async_trait;
use clinker_env::BoxStream;

/// A connection as the engine makes it.
pub(crate) struct RawStream {
    pub(crate) stream: BoxStream,
    /// The same number at both ends, and of no other open connection.
    pub(crate) key: u128,
    /// The host at the other end.
    pub(crate) peer: String,
}

/// The engine's network as one host sees it.
#[async_trait]
pub(crate) trait Wire: Send + Sync {
    /// Refused when the host refuses, its process is gone or nothing listens on the port; waits while the link is held.
    /// The host is known.
    async fn connect(&self, host: &str, port: u16) -> io::Result<RawStream>;
    async fn listen(&self, port: u16) -> io::Result<Box<dyn RawListener>>;
}

/// A listening socket. Connections are completed also while nobody calls `accept`, as a kernel does.
#[async_trait]
pub(crate) trait RawListener: Send {
    async fn accept(&mut self) -> io::Result<RawStream>;
    fn port(&self) -> u16;
}

/// The error of a connect that a host has refused.
pub(crate) fn refusal(host: &str, port: u16) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, format!("connection refused by {host}:{port}"))
}
