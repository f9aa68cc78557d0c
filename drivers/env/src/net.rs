//! Byte streams between hosts. The seam is cut here, below HTTP, so that resets and half-written bodies are faults too.

use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connected, ordered byte stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub type BoxStream = Box<dyn Stream>;

/// The network as one host sees it.
#[async_trait]
pub trait Net: Send + Sync {
    /// Resolves `host` and connects. May wait for ever: the caller sets the time-out.
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream>;
    /// Listens on `port` on this host; 0 picks a free one.
    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>>;
}

/// An open listening socket.
#[async_trait]
pub trait Listener: Send {
    async fn accept(&mut self) -> io::Result<BoxStream>;
    /// The port listened on.
    fn port(&self) -> u16;
}
