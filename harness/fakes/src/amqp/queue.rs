//! Queues: messages in order, who takes them, and what a restart leaves of them.

use std::collections::VecDeque;
use std::sync::Arc;

use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::FieldTable;
use tokio::time::Instant;

/// A message as it was published.
pub(crate) struct Message {
    pub exchange: String,
    pub routing_key: String,
    pub properties: AMQPProperties,
    pub body: Vec<u8>,
    /// When it is dropped instead of delivered.
    pub expires: Option<Instant>,
}

impl Message {
    /// Whether a durable queue keeps it over a restart.
    fn is_persistent(&self) -> bool {
        *self.properties.delivery_mode() == Some(2)
    }
}

/// A message in a queue.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub message: Arc<Message>,
    /// Its place: a message that comes back goes where it was.
    pub place: u64,
    /// It was delivered before.
    pub redelivered: bool,
}

/// A consumer of a queue, by connection, channel and tag.
pub(crate) type ConsumerKey = (u64, u16, String);

pub(crate) struct Queue {
    pub durable: bool,
    /// The connection it belongs to alone, and dies with.
    pub exclusive: Option<u64>,
    pub auto_delete: bool,
    pub arguments: FieldTable,
    pub ready: VecDeque<Waiting>,
    pub consumers: VecDeque<ConsumerKey>,
    places: u64,
}

impl Queue {
    pub fn new(durable: bool, exclusive: Option<u64>, auto_delete: bool, arguments: FieldTable) -> Queue {
        let (ready, consumers) = (VecDeque::new(), VecDeque::new());
        Queue { durable, exclusive, auto_delete, arguments, ready, consumers, places: 0 }
    }

    pub fn push(&mut self, message: Arc<Message>) {
        self.places += 1;
        self.ready.push_back(Waiting { message, place: self.places, redelivered: false });
    }

    /// Drops what has expired, from the oldest on: one that has not keeps those behind it.
    pub fn expire(&mut self, now: Instant) {
        let gone = |waiting: &Waiting| waiting.message.expires.is_some_and(|at| at <= now);
        while self.ready.front().is_some_and(gone) {
            self.ready.pop_front();
        }
    }

    /// Takes back what was delivered and not acknowledged.
    pub fn requeue(&mut self, waiting: Waiting) {
        let at = self.ready.partition_point(|other| other.place < waiting.place);
        self.ready.insert(at, Waiting { redelivered: true, ..waiting });
    }

    /// What a restart of the broker leaves: of a durable queue, its persistent messages.
    pub fn restarted(&mut self) {
        self.consumers.clear();
        self.ready.retain(|waiting| waiting.message.is_persistent());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(mode: u8) -> Arc<Message> {
        let properties = AMQPProperties::default().with_delivery_mode(mode);
        Arc::new(Message {
            exchange: String::new(),
            routing_key: "q".to_owned(),
            properties,
            body: vec![mode],
            expires: None,
        })
    }

    fn queue() -> Queue {
        Queue::new(true, None, false, FieldTable::default())
    }

    #[test]
    fn what_comes_back_goes_where_it_was() {
        let mut queue = queue();
        for _ in 0..3 {
            queue.push(message(2));
        }
        let taken: Vec<Waiting> = queue.ready.drain(..2).collect();
        taken.into_iter().rev().for_each(|waiting| queue.requeue(waiting));
        let order: Vec<(u64, bool)> = queue.ready.iter().map(|waiting| (waiting.place, waiting.redelivered)).collect();
        assert_eq!(order, [(1, true), (2, true), (3, false)]);
    }

    #[test]
    fn a_restart_keeps_persistent_messages_only() {
        let mut queue = queue();
        queue.push(message(1));
        queue.push(message(2));
        queue.restarted();
        assert_eq!(queue.ready.iter().map(|waiting| waiting.message.body[0]).collect::<Vec<_>>(), [2]);
    }
}
