//! The collector's side: durable queues per manager, and the place where notifications arrive.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use clinker_env::{BoxStream, Env};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Cast, IDLE_BEAT, Line, Said};
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
    arrived: Notify,
    collector: Arc<dyn Collector>,
}

impl Exchange {
    pub fn new(collector: Arc<dyn Collector>) -> Exchange {
        Exchange { queues: Mutex::default(), arrived: Notify::new(), collector }
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

    fn front(&self, host: &str) -> Option<Cast> {
        self.queues.lock().expect("no panic while the lock is held").get(host)?.front().cloned()
    }

    /// Removes a cast that was acknowledged, unless another connection has done so.
    fn pop(&self, host: &str, id: &str) {
        if let Some(queue) = self.queues.lock().expect("no panic while the lock is held").get_mut(host) {
            queue.pop_front_if(|cast| cast.id == id);
        }
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
            Line::Consume { host } => return deliver(&exchange, lines, &host).await,
            Line::Acknowledge => {}
        }
        if lines.send(&Said::Done).await.is_err() {
            return;
        }
    }
}

async fn deliver(exchange: &Exchange, mut lines: Lines, host: &str) {
    loop {
        let arrived = exchange.arrived.notified();
        let Some(cast) = exchange.front(host) else {
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
