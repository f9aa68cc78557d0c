//! Real TCP sockets.

use std::io;

use async_trait::async_trait;
use tokio::net::{TcpListener, TcpStream};

use crate::{BoxStream, Listener, Net};

pub(super) struct TcpNet;

#[async_trait]
impl Net for TcpNet {
    #[expect(clippy::disallowed_methods, reason = "this is the replacement the ban names")]
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the replacement the ban names")]
    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        // Loopback only: nothing here is meant to be reached from another machine.
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        Ok(Box::new(Listening { listener, port }))
    }
}

struct Listening {
    listener: TcpListener,
    port: u16,
}

#[async_trait]
impl Listener for Listening {
    async fn accept(&mut self) -> io::Result<BoxStream> {
        let (stream, _) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    fn port(&self) -> u16 {
        self.port
    }
}
