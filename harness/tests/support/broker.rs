//! A strict broker in memory, and buses whose bytes are remembered.
#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "../../fakes/tests/support/mod.rs"]
mod memory;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use clinker_drivers::Options;
use clinker_env::{BoxStream, Env, Listener, Net, Tasks};
use clinker_fakes::{BrokerConfig, BrokerFake};
use clinker_manager::bus::amqp::AmqpBus;
use clinker_manager::bus::{CallerContext, Cast, Method};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Remembers what the client writes.
struct Tap {
    inner: Arc<dyn Net>,
    written: Arc<Mutex<Vec<u8>>>,
}

#[async_trait]
impl Net for Tap {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        let inner = self.inner.connect(host, port).await?;
        Ok(Box::new(Tapped { inner, written: Arc::clone(&self.written) }))
    }

    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        self.inner.listen(port).await
    }
}

struct Tapped {
    inner: BoxStream,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Tapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.written.lock().unwrap().extend(data);
        Pin::new(&mut self.inner).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

pub struct World {
    pub env: Env,
    pub broker: Arc<BrokerFake>,
    pub written: Arc<Mutex<Vec<u8>>>,
}

pub async fn world() -> World {
    let (mut env, _) = memory::env();
    let config = BrokerConfig {
        host: "broker".into(),
        user: "cinder".into(),
        password: "open-sesame".into(),
        vhost: "/".into(),
    };
    let broker = BrokerFake::new(config, Arc::new(memory::Memory::default()));
    let serve = broker.clone().serve(env.clone(), 5672);
    Tasks::Runtime.spawn(async move { drop(serve.await) });
    let written = Arc::default();
    env.net = Arc::new(Tap { inner: env.net, written: Arc::clone(&written) });
    // It listens from its first turn on.
    tokio::task::yield_now().await;
    World { env, broker, written }
}

impl World {
    pub fn bus(&self, more: &[(&str, &str)]) -> AmqpBus {
        let mut options = Options::default();
        options.set("transport_url", "rabbit://cinder:open-sesame@broker:5672//").unwrap();
        for (name, value) in more {
            options.set(name, value).unwrap();
        }
        AmqpBus::new(self.env.clone(), &options).unwrap()
    }

    /// Frames written, as kind and payload.
    pub fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        let written = self.written.lock().unwrap();
        let mut rest = written.strip_prefix(b"AMQP\0\0\x09\x01").expect("the protocol's header comes first");
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let len = u32::from_be_bytes(rest[3..7].try_into().unwrap()) as usize;
            assert_eq!(rest[7 + len], 0xce, "a frame's end");
            frames.push((rest[0], rest[7..7 + len].to_vec()));
            rest = &rest[8 + len..];
        }
        frames
    }
}

pub fn cast(id: &str, method: Method) -> Cast {
    let context = CallerContext {
        user_id: "user".into(),
        project_id: "project".into(),
        token: Some("gAAAA-token".into()),
        catalog: Vec::new(),
    };
    Cast { id: id.into(), backup_id: "b-1".into(), context, method, reply_to: None }
}
