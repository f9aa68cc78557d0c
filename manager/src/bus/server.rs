//! The collector's side: durable queues per manager, and the place where notifications arrive.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use clinker_env::{BoxStream, Env};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::{CLAIM, Cast, IDLE_BEAT, Line, Said};
use crate::wire::Lines;
use crate::{Error, Kind, Result};

/// Where the collector listens.
pub const PORT: u16 = 5672;

/// Takes notifications in the order of their arrival.
pub trait Collector: Send + Sync {
    fn collected(&self, message: &Value);
}

/// What the collector holds; it outlives its process.
pub struct Exchange {
    queues: Mutex<BTreeMap<String, VecDeque<Cast>>>,
    /// By cast id: to whom it was delivered.
    claims: Mutex<BTreeMap<String, Claim>>,
    connections: AtomicU64,
    /// Something may be there for who waits: a cast has come, or one has come back.
    arrived: Notify,
    collector: Arc<dyn Collector>,
}

/// A cast that was delivered and not acknowledged: no other consumer of the queue gets it meanwhile.
struct Claim {
    consumer: String,
    connection: u64,
    since: Instant,
}

impl Exchange {
    pub fn new(collector: Arc<dyn Collector>) -> Exchange {
        Exchange {
            queues: Mutex::default(),
            claims: Mutex::default(),
            connections: AtomicU64::new(0),
            arrived: Notify::new(),
            collector,
        }
    }

    fn push(&self, host: String, cast: Cast) {
        let mut queues = self.queues.lock().expect("no panic while the lock is held");
        let queue = queues.entry(host).or_default();
        // Its sender repeats a cast whose answer was lost.
        if !queue.iter().any(|queued| queued.id == cast.id) {
            queue.push_back(cast);
        }
        drop(queues);
        self.arrived.notify_waiters();
    }

    /// The oldest cast that no other consumer has, which is this one's from now on.
    fn claim(&self, host: &str, consumer: &str, connection: u64) -> Option<Cast> {
        let queues = self.queues.lock().expect("no panic while the lock is held");
        let mut claims = self.claims.lock().expect("no panic while the lock is held");
        let is_free = |cast: &&Cast| {
            claims.get(&cast.id).is_none_or(|claim| claim.consumer == consumer || claim.since.elapsed() >= CLAIM)
        };
        let cast = queues.get(host)?.iter().find(is_free)?.clone();
        let claim = Claim { consumer: consumer.to_owned(), connection, since: Instant::now() };
        claims.insert(cast.id.clone(), claim);
        Some(cast)
    }

    /// A connection is gone: what it has not acknowledged is there for others.
    fn release(&self, connection: u64) {
        let mut claims = self.claims.lock().expect("no panic while the lock is held");
        claims.retain(|_, claim| claim.connection != connection);
        drop(claims);
        self.arrived.notify_waiters();
    }

    /// Removes a cast that was acknowledged, unless another connection has done so.
    fn pop(&self, host: &str, id: &str) {
        if let Some(queue) = self.queues.lock().expect("no panic while the lock is held").get_mut(host) {
            queue.retain(|cast| cast.id != id);
        }
        self.claims.lock().expect("no panic while the lock is held").remove(id);
    }
}

/// Serves the exchange until the host ends.
pub async fn serve(exchange: Arc<Exchange>, env: Env) -> Result<()> {
    let mut listener = env.net.listen(PORT).await.map_err(|error| {
        Error::new(Kind::Unreachable, format!("the collector cannot listen on port {PORT}")).with_source(error)
    })?;
    loop {
        match listener.accept().await {
            Ok(stream) => {
                env.tasks.spawn(converse(Arc::clone(&exchange), stream));
            }
            Err(error) => tracing::warn!("collector: accept failed: {}", error.kind()),
        }
    }
}

async fn converse(exchange: Arc<Exchange>, stream: BoxStream) {
    let mut lines = Lines::over(stream, "bus client");
    while let Ok(Some(line)) = lines.receive::<Line>().await {
        match line {
            Line::Cast { host, cast } => exchange.push(host, cast),
            Line::Notify { message } => exchange.collector.collected(&message),
            // The rest of this connection belongs to the consumer.
            Line::Consume { host, consumer } => {
                let connection = exchange.connections.fetch_add(1, Ordering::Relaxed);
                deliver(&exchange, lines, &host, &consumer, connection).await;
                return exchange.release(connection);
            }
            Line::Acknowledge => {}
        }
        if lines.send(&Said::Done).await.is_err() {
            return;
        }
    }
}

async fn deliver(exchange: &Exchange, mut lines: Lines, host: &str, consumer: &str, connection: u64) {
    loop {
        let arrived = exchange.arrived.notified();
        let Some(cast) = exchange.claim(host, consumer, connection) else {
            if timeout(IDLE_BEAT, arrived).await.is_err() && lines.send(&Said::Idle).await.is_err() {
                return;
            }
            continue;
        };
        let id = cast.id.clone();
        if lines.send(&Said::Deliver { cast }).await.is_err() {
            return;
        }
        match lines.receive::<Line>().await {
            Ok(Some(Line::Acknowledge)) => exchange.pop(host, &id),
            _ => return,
        }
    }
}
