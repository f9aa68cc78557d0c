//! A manager's queue at the broker.

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, basic};
use async_trait::async_trait;

use super::super::{Cast, Consumer};
use super::connection::{CHANNEL, Connection};
use super::message::read_cast;
use super::topology::{
    binding, fanout_exchange, lasting_queue, one_at_a_time, passing_queue, subscription, topic_exchange,
};
use crate::{Error, Kind, Result};

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
    connection: Connection,
    incoming: Option<Incoming>,
    /// Tag of the cast that was given out last.
    given: Option<u64>,
}

struct Incoming {
    tag: u64,
    len: Option<u64>,
    body: Vec<u8>,
}

impl AmqpConsumer {
    pub async fn open(mut connection: Connection, to: Subscription<'_>) -> Result<AmqpConsumer> {
        let Subscription { exchange, topic, host, unique, durable } = to;
        let (own, fanout) = (format!("{topic}.{host}"), format!("{topic}_fanout"));
        let fanout_queue = format!("{fanout}_{unique}");
        let mut methods = vec![topic_exchange(exchange, durable)?];
        for queue in [topic, &own] {
            methods.extend([lasting_queue(queue, durable)?, binding(queue, exchange, queue)?]);
        }
        methods.extend([fanout_exchange(&fanout)?, passing_queue(&fanout_queue)?]);
        methods.extend([binding(&fanout_queue, &fanout, topic)?, one_at_a_time()]);
        connection.ask(methods).await?;
        let mut subscriptions = Vec::new();
        for queue in [topic, &own, &fanout_queue] {
            subscriptions.push(AMQPFrame::Method(CHANNEL, subscription(queue)?));
        }
        connection.send(&subscriptions).await?;
        Ok(AmqpConsumer { connection, incoming: None, given: None })
    }

    async fn settle(&mut self, tag: u64) -> Result<()> {
        let ack = basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple: false });
        self.connection.send(&[AMQPFrame::Method(CHANNEL, AMQPClass::Basic(ack))]).await
    }

    /// Takes in a frame; returns the message that it completes.
    fn take(&mut self, frame: AMQPFrame) -> Result<Option<(u64, Vec<u8>)>> {
        match frame {
            AMQPFrame::Method(_, AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver))) => {
                self.incoming = Some(Incoming { tag: deliver.delivery_tag, len: None, body: Vec::new() });
            }
            AMQPFrame::Method(_, AMQPClass::Basic(basic::AMQPMethod::Cancel(_))) => {
                return Err(Error::transient(Kind::NotFound, "broker has removed the queue"));
            }
            AMQPFrame::Header(_, header) => {
                if let Some(incoming) = &mut self.incoming {
                    incoming.len = Some(header.body_size);
                }
            }
            AMQPFrame::Body(_, piece) => {
                if let Some(incoming) = &mut self.incoming {
                    incoming.body.extend(piece);
                }
            }
            _ => {}
        }
        let whole = |incoming: &mut Incoming| incoming.len.is_some_and(|len| incoming.body.len() as u64 >= len);
        Ok(self.incoming.take_if(whole).map(|incoming| (incoming.tag, incoming.body)))
    }
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn next(&mut self) -> Result<Cast> {
        loop {
            let frame = self.connection.next().await?;
            let Some((tag, body)) = self.take(frame)? else { continue };
            match read_cast(&body) {
                Ok(cast) => {
                    self.given = Some(tag);
                    return Ok(cast);
                }
                // Delivered again it would be the same: it is dropped, as oslo.messaging does.
                Err(error) => {
                    tracing::error!("a message in the request queue is dropped: {error}");
                    self.settle(tag).await?;
                }
            }
        }
    }

    async fn acknowledge(&mut self) -> Result<()> {
        match self.given.take() {
            Some(tag) => self.settle(tag).await,
            None => Ok(()),
        }
    }
}
