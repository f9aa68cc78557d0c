//! The clients' side of the bus.

use std::time::Duration;

use async_trait::async_trait;
use clinker_env::Env;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::server::PORT;
use super::{Bus, Cast, Consumer, IDLE_BEAT, Line, Said};
use crate::wire::Lines;
use crate::{Error, Kind, Result};

/// How long one exchange with the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the collector may be silent to a consumer: two beats are lost, the third is late.
const SILENCE: Duration = IDLE_BEAT.saturating_mul(3);

/// A client of the collector on host `host`.
pub struct BusClient {
    env: Env,
    host: String,
    /// Who consumes: a new connection takes over from one that it does not know to be dead.
    consumer: String,
    /// One connection for casts and notifications; they are answered one by one.
    lines: Mutex<Option<Lines>>,
}

impl BusClient {
    pub fn new(env: Env, host: &str) -> BusClient {
        BusClient { env, host: host.to_owned(), consumer: String::new(), lines: Mutex::new(None) }
    }

    /// The same as one of several consumers of a queue.
    pub fn consuming_as(self, consumer: &str) -> BusClient {
        BusClient { consumer: consumer.to_owned(), ..self }
    }

    async fn connect(&self) -> Result<Lines> {
        Lines::connect(&self.env, &self.host, PORT, "collector").await
    }

    async fn say(&self, line: Line) -> Result<()> {
        let mut kept = self.lines.lock().await;
        // Taken out while in use: a connection that failed or was given up half-way is not used again.
        let lines = kept.take();
        let exchange = async {
            let mut lines = match lines {
                Some(lines) => lines,
                None => self.connect().await?,
            };
            let said: Said = lines.ask(&line).await?;
            Ok::<_, Error>((lines, said))
        };
        match timeout(TIMEOUT, exchange).await {
            Ok(Ok((lines, Said::Done))) => {
                *kept = Some(lines);
                Ok(())
            }
            Ok(Ok((_, Said::Deliver { .. } | Said::Idle))) => {
                Err(Error::new(Kind::Internal, "collector answered out of turn"))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::transient(Kind::Timeout, "collector did not answer within 10s")),
        }
    }
}

#[async_trait]
impl Bus for BusClient {
    async fn cast(&self, host: &str, cast: &Cast) -> Result<()> {
        self.say(Line::Cast { host: host.to_owned(), cast: cast.clone() }).await
    }

    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>> {
        let open = async {
            let mut lines = self.connect().await?;
            lines.send(&Line::Consume { host: host.to_owned(), consumer: self.consumer.clone() }).await?;
            Ok::<_, Error>(lines)
        };
        match timeout(TIMEOUT, open).await {
            Ok(lines) => Ok(Box::new(Queue(lines?))),
            Err(_) => Err(Error::transient(Kind::Timeout, "collector did not answer within 10s")),
        }
    }

    async fn notify(&self, message: &Value) -> Result<()> {
        self.say(Line::Notify { message: message.clone() }).await
    }
}

struct Queue(Lines);

#[async_trait]
impl Consumer for Queue {
    async fn next(&mut self) -> Result<Cast> {
        loop {
            let Ok(said) = timeout(SILENCE, self.0.receive()).await else {
                return Err(Error::transient(Kind::Timeout, format!("collector said nothing for {SILENCE:?}")));
            };
            match said? {
                Some(Said::Deliver { cast }) => return Ok(cast),
                Some(Said::Idle) => {}
                Some(Said::Done) => return Err(Error::new(Kind::Internal, "collector answered out of turn")),
                None => return Err(Error::transient(Kind::Unreachable, "collector closed the connection")),
            }
        }
    }

    async fn acknowledge(&mut self) -> Result<()> {
        self.0.send(&Line::Acknowledge).await
    }
}
