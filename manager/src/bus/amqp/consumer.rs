//! A manager's queue at the broker.

use async_trait::async_trait;

use super::super::{Cast, Consumer};
use super::connection::Connection;
use super::delivered::Delivered;
use super::message::read_cast;
use super::topology::{binding, fanout_exchange, lasting_queue, one_at_a_time, passing_queue, topic_exchange};
use crate::Result;

/// What an RPC server listens on (`reference/04` §4.6).
pub(super) struct Subscription<'a> {
    pub exchange: &'a str,
    pub topic: &'a str,
    pub host: &'a str,
    /// Makes the fan-out queue this process's own.
    pub unique: &'a str,
    pub durable: bool,
}

pub(super) struct AmqpConsumer {
    delivered: Delivered,
    /// Tag of the cast that was given out last.
    given: Option<u64>,
}

impl AmqpConsumer {
    pub async fn open(connection: Connection, to: Subscription<'_>) -> Result<AmqpConsumer> {
        let Subscription { exchange, topic, host, unique, durable } = to;
        let (own, fanout) = (format!("{topic}.{host}"), format!("{topic}_fanout"));
        let fanout_queue = format!("{fanout}_{unique}");
        let mut methods = vec![topic_exchange(exchange, durable)?];
        for queue in [topic, &own] {
            methods.extend([lasting_queue(queue, durable)?, binding(queue, exchange, queue)?]);
        }
        methods.extend([fanout_exchange(&fanout)?, passing_queue(&fanout_queue)?]);
        methods.extend([binding(&fanout_queue, &fanout, topic)?, one_at_a_time()]);
        let delivered = Delivered::from(connection, methods, &[topic, &own, &fanout_queue]).await?;
        Ok(AmqpConsumer { delivered, given: None })
    }
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn next(&mut self) -> Result<Cast> {
        loop {
            let (tag, body) = self.delivered.next().await?;
            match read_cast(&body) {
                Ok(cast) => {
                    self.given = Some(tag);
                    return Ok(cast);
                }
                // Delivered again it would be the same: it is dropped, as oslo.messaging does.
                Err(error) => {
                    tracing::error!("a message in the request queue is dropped: {error}");
                    self.delivered.settle(tag).await?;
                }
            }
        }
    }

    async fn acknowledge(&mut self) -> Result<()> {
        match self.given.take() {
            Some(tag) => self.delivered.settle(tag).await,
            None => Ok(()),
        }
    }
}
