//! The bus over AMQP 0-9-1, as oslo.messaging's rabbit driver uses it.
//!
//! [`url`] and the options say where the broker is, [`connection`] keeps one connection, [`topology`] declares what is
//! used, [`publisher`] and [`consumer`] are the two directions, [`replies`] waits for answers to calls, [`message`] and
//! [`answer`] are what the bytes mean.

mod answer;
mod connection;
mod consumer;
mod delivered;
mod frames;
mod message;
mod publisher;
mod replies;
mod topology;
mod url;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::Options;
use clinker_drivers::tls::{Tls, TlsOptions};
use clinker_env::Env;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::connection::Connection;
use self::consumer::{AmqpConsumer, Subscription};
use self::publisher::Publisher;
use self::replies::Replies;
use self::url::Transport;
use super::{Backoff, Bus, Cast, Consumer, ReplyTo};
use crate::model::Stamp;
use crate::{Error, Kind, Result};

/// The RPC topic of backup managers.
pub const TOPIC: &str = "cinder-backup";
/// How long one exchange with the broker may take, connecting and declaring included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of the broker that the options name.
pub struct AmqpBus {
    dialer: Arc<Dialer>,
    exchange: String,
    topics: Vec<String>,
    durable: bool,
    replies: Replies,
    /// One connection for requests and answers, one for notifications: neither waits for the other.
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
        let heartbeat = Duration::from_secs(options.heartbeat_timeout_threshold);
        let dialer = Arc::new(Dialer { env, transport, tls, heartbeat });
        Ok(AmqpBus {
            replies: Replies::new(Arc::clone(&dialer)),
            dialer,
            exchange: options.control_exchange.clone(),
            topics: options.topics.clone(),
            durable: options.amqp_durable_queues,
            casts: Mutex::default(),
            notes: Mutex::default(),
        })
    }

    /// Publishes with the connection kept in `place`, or with a new one.
    async fn publish(&self, place: &Mutex<Option<Publisher>>, message: Message<'_>) -> Result<()> {
        let mut kept = place.lock().await;
        // Taken out while in use: a connection that failed or was given up half-way is not used again.
        let publisher = kept.take();
        let exchange = async {
            let mut publisher = match publisher {
                Some(publisher) => publisher,
                None => Publisher::over(self.dialer.connect().await?, &self.exchange, self.durable),
            };
            match &message {
                Message::Request { host, body, expires } => {
                    publisher.publish_to(&format!("{TOPIC}.{host}"), body, *expires).await?;
                }
                Message::Answer { queue, body } => publisher.publish_straight(queue, body).await?,
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

    fn request(&self, cast: &Cast) -> Result<Vec<u8>> {
        let now = Stamp(self.dialer.env.clock.now()).iso();
        message::cast(cast, now.trim_end_matches("+00:00").to_owned())
    }

    /// Sends a call when the answer can come and the manager has a queue; until then `obstacle` says what is in the way.
    async fn send_call(&self, host: &str, body: &[u8], until: Instant, obstacle: &mut Option<String>) -> Result<()> {
        let mut backoff = Backoff::default();
        loop {
            self.replies.ready(obstacle).await;
            let request = Message::Request { host, body, expires: Some(until - Instant::now()) };
            match self.publish(&self.casts, request).await {
                Err(error) if error.retry => *obstacle = Some(error.what),
                sent => {
                    *obstacle = None;
                    return sent;
                }
            }
            sleep(backoff.failed()).await;
        }
    }
}

/// The way to the broker.
struct Dialer {
    env: Env,
    transport: Transport,
    tls: Tls,
    heartbeat: Duration,
}

impl Dialer {
    async fn connect(&self) -> Result<Connection> {
        Connection::open(&self.env, &self.tls, &self.transport, self.heartbeat).await
    }
}

enum Message<'a> {
    Request { host: &'a str, body: &'a [u8], expires: Option<Duration> },
    Answer { queue: &'a str, body: &'a [u8] },
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
        let body = self.request(cast)?;
        self.publish(&self.casts, Message::Request { host, body: &body, expires: None }).await
    }

    async fn call(&self, host: &str, call: &Cast, limit: Duration) -> Result<Value> {
        let reply_to = ReplyTo { queue: self.replies.queue.clone(), call: call.id.clone() };
        let body = self.request(&Cast { reply_to: Some(reply_to), ..call.clone() })?;
        let mut expected = self.replies.expect(&call.id);
        let mut obstacle = None;
        let until = Instant::now() + limit;
        let answered = timeout_at(until, async {
            self.send_call(host, &body, until, &mut obstacle).await?;
            expected.answer().await
        });
        if let Ok(answer) = answered.await {
            return answer;
        }
        let what = format!("{host} did not answer within {}s (option rpc_response_timeout)", limit.as_secs());
        let unsent = obstacle.map(|why| format!("; it was not asked: {why}")).unwrap_or_default();
        Err(Error::transient(Kind::Timeout, what + &unsent))
    }

    async fn reply(&self, to: &ReplyTo, answer: &Result<Value>) -> Result<()> {
        let unique = format!("{:032x}", self.dialer.env.rng.next_u64("amqp"));
        let body = answer::answer(to, answer, &unique)?;
        self.publish(&self.casts, Message::Answer { queue: &to.queue, body: &body }).await
    }

    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>> {
        let unique = format!("{:016x}", self.dialer.env.rng.next_u64("amqp"));
        let subscription =
            Subscription { exchange: &self.exchange, topic: TOPIC, host, unique: &unique, durable: self.durable };
        let open = async { AmqpConsumer::open(self.dialer.connect().await?, subscription).await };
        Ok(Box::new(in_time(open).await?))
    }

    async fn notify(&self, message: &Value) -> Result<()> {
        let body = message::notification(message)?;
        let priority = message["priority"].as_str().unwrap_or("INFO").to_lowercase();
        let keys = self.topics.iter().map(|topic| format!("{topic}.{priority}")).collect();
        self.publish(&self.notes, Message::Note { keys, body: &body }).await
    }
}
