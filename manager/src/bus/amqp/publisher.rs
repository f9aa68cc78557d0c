//! A connection that publishes: what it needs is declared once, each message is confirmed before the next.

use std::collections::BTreeSet;

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, basic, confirm};
use amq_protocol::types::FieldTable;

use super::connection::{CHANNEL, Connection, out_of_turn};
use super::frames::{content, short};
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

impl Publisher {
    pub fn over(connection: Connection, exchange: &str, durable: bool) -> Publisher {
        let exchange = exchange.to_owned();
        Publisher { connection, exchange, durable, declared: BTreeSet::new(), confirms: false, published: 0 }
    }

    /// Publishes to the queue named like the key, which exists then: nothing is lost for want of a listener.
    pub async fn publish_kept(&mut self, key: &str, body: &[u8]) -> Result<()> {
        if !self.declared.contains(key) {
            self.connection.declare_exchange(&self.exchange, "topic", self.durable, false).await?;
            self.connection.declare_queue(key, self.durable, false).await?;
            self.connection.bind(key, &self.exchange, key).await?;
            self.declared.insert(key.to_owned());
        }
        self.publish(key, body, false).await
    }

    /// Publishes to whoever has bound the key; `not_found` if nobody has.
    pub async fn publish_to(&mut self, key: &str, body: &[u8]) -> Result<()> {
        self.publish(key, body, true).await
    }

    async fn publish(&mut self, key: &str, body: &[u8], mandatory: bool) -> Result<()> {
        if !self.confirms {
            self.connection.declare_exchange(&self.exchange, "topic", self.durable, false).await?;
            let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
            let AMQPClass::Confirm(_) = self.connection.ask(AMQPClass::Confirm(select)).await? else {
                return Err(out_of_turn());
            };
            self.confirms = true;
        }
        let publish = basic::AMQPMethod::Publish(basic::Publish {
            exchange: short("the exchange", &self.exchange)?,
            routing_key: short("the routing key", key)?,
            mandatory,
            immediate: false,
        });
        // As oslo.messaging sends them; delivery mode 2 is persistent.
        let properties = basic::AMQPProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_headers(FieldTable::default())
            .with_delivery_mode(2)
            .with_priority(0);
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
