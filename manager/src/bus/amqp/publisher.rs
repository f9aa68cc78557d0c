//! A connection that publishes: what it needs is declared once, each message is confirmed before the next.

use std::collections::BTreeSet;
use std::time::Duration;

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, basic};
use amq_protocol::types::FieldTable;

use super::connection::{CHANNEL, Connection};
use super::frames::{content, short};
use super::topology::{binding, confirms, lasting_queue, topic_exchange};
use crate::{Error, Kind, Result};

pub(super) struct Publisher {
    connection: Connection,
    exchange: String,
    durable: bool,
    /// Routing keys whose queue is declared and bound.
    declared: BTreeSet<String>,
    confirms: bool,
    published: u64,
}

/// Where a message goes.
struct Envelope<'a> {
    exchange: &'a str,
    key: &'a str,
    /// Whether to hear of it if it goes nowhere.
    mandatory: bool,
    expires: Option<Duration>,
}

impl Publisher {
    pub fn over(connection: Connection, exchange: &str, durable: bool) -> Publisher {
        let exchange = exchange.to_owned();
        Publisher { connection, exchange, durable, declared: BTreeSet::new(), confirms: false, published: 0 }
    }

    /// Publishes to the queue named like the key, which exists then: nothing is lost for want of a listener.
    pub async fn publish_kept(&mut self, key: &str, body: &[u8]) -> Result<()> {
        let mut methods = Vec::new();
        if !self.declared.contains(key) {
            methods.push(topic_exchange(&self.exchange, self.durable)?);
            methods.push(lasting_queue(key, self.durable)?);
            methods.push(binding(key, &self.exchange, key)?);
        }
        let (exchange, expires) = (self.exchange.clone(), None);
        self.publish(methods, Envelope { exchange: &exchange, key, mandatory: false, expires }, body).await?;
        self.declared.insert(key.to_owned());
        Ok(())
    }

    /// Publishes to whoever has bound the key; `not_found` if nobody has. Nobody is given it later than `expires` says.
    pub async fn publish_to(&mut self, key: &str, body: &[u8], expires: Option<Duration>) -> Result<()> {
        let exchange = self.exchange.clone();
        self.publish(Vec::new(), Envelope { exchange: &exchange, key, mandatory: true, expires }, body).await
    }

    /// Publishes to the queue of that name; `not_found` if there is none.
    pub async fn publish_straight(&mut self, queue: &str, body: &[u8]) -> Result<()> {
        let to = Envelope { exchange: "", key: queue, mandatory: true, expires: None };
        self.publish(Vec::new(), to, body).await
    }

    async fn publish(&mut self, mut methods: Vec<AMQPClass>, to: Envelope<'_>, body: &[u8]) -> Result<()> {
        if !self.confirms {
            methods.extend([topic_exchange(&self.exchange, self.durable)?, confirms()]);
        }
        if !methods.is_empty() {
            self.connection.ask(methods).await?;
            self.confirms = true;
        }
        let publish = basic::AMQPMethod::Publish(basic::Publish {
            exchange: short("the exchange", to.exchange)?,
            routing_key: short("the routing key", to.key)?,
            mandatory: to.mandatory,
            immediate: false,
        });
        // As oslo.messaging sends them; delivery mode 2 is persistent.
        let mut properties = basic::AMQPProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_headers(FieldTable::default())
            .with_delivery_mode(2)
            .with_priority(0);
        if let Some(expires) = to.expires {
            properties = properties.with_expiration(short("the expiration", expires.as_millis().to_string())?);
        }
        let frames = content(CHANNEL, AMQPClass::Basic(publish), properties, body, self.connection.frame_max);
        self.connection.send(&frames).await?;
        self.published += 1;
        self.confirmed().await
    }

    async fn confirmed(&mut self) -> Result<()> {
        let mut returned = false;
        loop {
            let AMQPFrame::Method(_, AMQPClass::Basic(said)) = self.connection.next().await? else { continue };
            match said {
                basic::AMQPMethod::Return(_) => returned = true,
                basic::AMQPMethod::Ack(ack) if ack.delivery_tag >= self.published && returned => {
                    return Err(Error::transient(Kind::NotFound, "broker has no queue for the message"));
                }
                basic::AMQPMethod::Ack(ack) if ack.delivery_tag >= self.published => return Ok(()),
                basic::AMQPMethod::Nack(_) => {
                    return Err(Error::transient(Kind::Internal, "broker could not take the message"));
                }
                _ => {}
            }
        }
    }
}
