//! Mutants of several services: where requests go, and what the workers of one host leave to each other.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use clinker_env::{BoxStream, Env, Listener, Net};
use clinker_manager::db::server::PORT as DATABASE;
use clinker_manager::db::{ServiceView, Share};
use clinker_manager::lifecycle::Lifecycle;
use clinker_manager::placement::{self, Need, Placement};
use clinker_manager::state::ServiceState;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::run::{Parts, wrap_env};

/// Makes a placement whose one decision is wrong.
macro_rules! placement_bug {
    ($(#[$doc:meta])* $name:ident, |$worker:ident, $need:ident| $takes:expr) => {
        $(#[$doc])*
        pub(super) fn $name(parts: &mut Parts) {
            struct Bug;
            impl Placement for Bug {
                fn takes(&self, $worker: &ServiceView, $need: &Need) -> bool {
                    $takes
                }
            }
            parts.placement = Arc::new(Bug);
        }
    };
}

placement_bug!(
    /// The original's scheduler: what a host once reported counts for ever.
    dead_hosts_are_chosen,
    |worker, need| {
        let alive = ServiceView { state: ServiceState::Up, ..worker.clone() };
        placement::Production.takes(&alive, need)
    }
);

placement_bug!(zones_are_ignored, |worker, need| placement::Production
    .takes(worker, &Need { zone: None, ..need.clone() }));

placement_bug!(
    /// The original chooses any host of the zone, whoever reaches the store.
    bound_stores_are_ignored,
    |worker, need| placement::Production.takes(worker, &Need { host: None, ..need.clone() })
);

/// The original: whichever worker gets a request fails it if its own driver is not initialised.
pub(super) fn idle_worker_takes_requests(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn defers(&self, _services: &[ServiceView], _host: &str, _worker: u32) -> bool {
            false
        }
    }
    parts.lifecycle = Arc::new(Bug);
}

/// The original until 2026: the limit of operations at once is read and has no effect.
pub(super) fn slots_are_not_counted(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn slots(&self, _configured: usize) -> usize {
            0
        }
    }
    parts.lifecycle = Arc::new(Bug);
}

/// The original until 2018: every process cleans up all of its host's operations.
pub(super) fn clean_up_takes_the_neighbours_work(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn cleans_up(&self, share: Share) -> Share {
            Share { workers: 1, ..share }
        }
    }
    parts.lifecycle = Arc::new(Bug);
}

/// A client that asks the database again under a new key.
pub(super) fn repeated_under_new_keys(parts: &mut Parts) {
    parts.env =
        wrap_env(|env| Env { net: Arc::new(Rekeying { inner: Arc::clone(&env.net), asked: Arc::default() }), ..env });
}

struct Rekeying {
    inner: Arc<dyn Net>,
    asked: Arc<AtomicU8>,
}

#[async_trait]
impl Net for Rekeying {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        let inner = self.inner.connect(host, port).await?;
        if port != DATABASE {
            return Ok(inner);
        }
        Ok(Box::new(RekeyingStream { inner, asked: Arc::clone(&self.asked) }))
    }
    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        self.inner.listen(port).await
    }
}

struct RekeyingStream {
    inner: BoxStream,
    asked: Arc<AtomicU8>,
}

impl AsyncRead for RekeyingStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for RekeyingStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        const KEY: &[u8] = b"{\"key\":\"";
        let mut line = data.to_vec();
        if let Some(key) = line.strip_prefix(KEY).map(|rest| rest.len().min(3)) {
            let asked = format!("{:03}", self.asked.fetch_add(1, Ordering::Relaxed));
            line[KEY.len()..KEY.len() + key].copy_from_slice(&asked.as_bytes()[..key]);
        }
        Pin::new(&mut self.inner).poll_write(cx, &line)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
