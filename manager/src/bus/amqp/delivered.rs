//! What the broker delivers on a connection, put together from its frames.

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, basic};

use super::connection::{CHANNEL, Connection};
use super::topology::subscription;
use crate::{Error, Kind, Result};

/// A connection that listens, and nothing else.
pub(super) struct Delivered {
    connection: Connection,
    incoming: Option<Incoming>,
}

struct Incoming {
    tag: u64,
    len: Option<u64>,
    body: Vec<u8>,
}

impl Delivered {
    /// Declares, then subscribes to the queues; messages come from here on.
    pub async fn from(mut connection: Connection, declared: Vec<AMQPClass>, queues: &[&str]) -> Result<Delivered> {
        connection.ask(declared).await?;
        let mut subscriptions = Vec::new();
        for queue in queues {
            subscriptions.push(AMQPFrame::Method(CHANNEL, subscription(queue)?));
        }
        connection.send(&subscriptions).await?;
        Ok(Delivered { connection, incoming: None })
    }

    /// The next message, with the tag that settles it. Giving it up half-way loses nothing.
    pub async fn next(&mut self) -> Result<(u64, Vec<u8>)> {
        loop {
            let frame = self.connection.next().await?;
            if let Some(whole) = self.take(frame)? {
                return Ok(whole);
            }
        }
    }

    pub async fn settle(&mut self, tag: u64) -> Result<()> {
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
