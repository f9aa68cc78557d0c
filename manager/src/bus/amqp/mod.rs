//! The bus over AMQP 0-9-1, as oslo.messaging's rabbit driver uses it.
//!
//! [`url`] and the options say where the broker is, [`connection`] keeps one connection, [`topology`] declares what is
//! used, [`publisher`] and [`consumer`] are the two directions, [`message`] is what the bytes mean.

mod connection;
mod consumer;
mod frames;
mod message;
mod publisher;
mod topology;
mod url;

use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::Options;
use clinker_drivers::tls::{Tls, TlsOptions};
use clinker_env::Env;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use self::connection::Connection;
use self::consumer::{AmqpConsumer, Subscription};
use self::publisher::Publisher;
use self::url::Transport;
use super::{Bus, Cast, Consumer};
use crate::model::Stamp;
use crate::{Error, Kind, Result};

/// The RPC topic of backup managers.
pub const TOPIC: &str = "cinder-backup";
/// How long one exchange with the broker may take, connecting and declaring included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of the broker that the options name.
pub struct AmqpBus {
    env: Env,
    transport: Transport,
    tls: Tls,
    exchange: String,
    topics: Vec<String>,
    durable: bool,
    heartbeat: Duration,
    /// One connection for casts, one for notifications: neither waits for the other.
    casts: Mutex<Option<Publisher>>,
    notes: Mutex<Option<Publisher>>,
}

impl AmqpBus {
    /// # Errors
    /// `invalid_config`, naming the option that is wrong.
    pub fn new(env: Env, options: &Options) -> Result<AmqpBus> {
        let transport = Transport::of(options)?;
        let ca_file = transport.ca_file.clone();
        let tls = Tls::new(TlsOptions { verify: true, ca_file, ca_option: "ssl_ca_file" });
        Ok(AmqpBus {
            env,
            transport,
            tls,
            exchange: options.control_exchange.clone(),
            topics: options.topics.clone(),
            durable: options.amqp_durable_queues,
            heartbeat: Duration::from_secs(options.heartbeat_timeout_threshold),
            casts: Mutex::default(),
            notes: Mutex::default(),
        })
    }

    async fn connect(&self) -> Result<Connection> {
        Connection::open(&self.env, &self.tls, &self.transport, self.heartbeat).await
    }

    /// Publishes with the connection kept in `place`, or with a new one.
    async fn publish(&self, place: &Mutex<Option<Publisher>>, message: Message<'_>) -> Result<()> {
        let mut kept = place.lock().await;
        // Taken out while in use: a connection that failed or was given up half-way is not used again.
        let publisher = kept.take();
        let exchange = async {
            let mut publisher = match publisher {
                Some(publisher) => publisher,
                None => Publisher::over(self.connect().await?, &self.exchange, self.durable),
            };
            match &message {
                Message::Cast { key, body } => publisher.publish_to(key, body).await?,
                Message::Note { keys, body } => {
                    for key in keys {
                        publisher.publish_kept(key, body).await?;
                    }
                }
            }
            Ok::<_, Error>(publisher)
        };
        *kept = Some(in_time(exchange).await?);
        Ok(())
    }
}

enum Message<'a> {
    Cast { key: String, body: &'a [u8] },
    Note { keys: Vec<String>, body: &'a [u8] },
}

async fn in_time<T>(exchange: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(TIMEOUT, exchange).await {
        Ok(done) => done,
        Err(_) => Err(Error::transient(Kind::Timeout, format!("broker did not answer within {TIMEOUT:?}"))),
    }
}

#[async_trait]
impl Bus for AmqpBus {
    async fn cast(&self, host: &str, cast: &Cast) -> Result<()> {
        let now = Stamp(self.env.clock.now()).iso();
        let body = message::cast(cast, now.trim_end_matches("+00:00").to_owned())?;
        self.publish(&self.casts, Message::Cast { key: format!("{TOPIC}.{host}"), body: &body }).await
    }

    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>> {
        let unique = format!("{:016x}", self.env.rng.next_u64("amqp"));
        let subscription =
            Subscription { exchange: &self.exchange, topic: TOPIC, host, unique: &unique, durable: self.durable };
        let open = async { AmqpConsumer::open(self.connect().await?, subscription).await };
        Ok(Box::new(in_time(open).await?))
    }

    async fn notify(&self, message: &Value) -> Result<()> {
        let body = message::notification(message)?;
        let priority = message["priority"].as_str().unwrap_or("INFO").to_lowercase();
        let keys = self.topics.iter().map(|topic| format!("{topic}.{priority}")).collect();
        self.publish(&self.notes, Message::Note { keys, body: &body }).await
    }
}
