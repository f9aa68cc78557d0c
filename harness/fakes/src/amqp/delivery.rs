//! Delivery: consumers with their prefetch, acknowledgements, and what comes back when a consumer goes.

use std::collections::BTreeMap;

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, basic};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::frames::{content, method};
use super::queue::{ConsumerKey, Queue, Waiting};
use super::refusal::Refusal;
use super::state::State;

/// An open channel.
pub(crate) struct Channel {
    /// Frames on their way to the client.
    pub out: UnboundedSender<Vec<AMQPFrame>>,
    pub unacknowledged: BTreeMap<u64, Delivery>,
    consumers: BTreeMap<String, Consumer>,
    /// Messages that a consumer made from now on may have at once; 0 = any number.
    prefetch: u16,
    delivered: u64,
}

/// A message that was delivered and is not acknowledged.
pub(crate) struct Delivery {
    pub queue: String,
    pub waiting: Waiting,
    /// None after `basic.get`.
    consumer: Option<String>,
}

struct Consumer {
    queue: String,
    no_ack: bool,
    exclusive: bool,
    prefetch: u16,
    unacknowledged: u16,
}

impl Channel {
    pub fn new(out: UnboundedSender<Vec<AMQPFrame>>) -> Channel {
        let (unacknowledged, consumers) = (BTreeMap::new(), BTreeMap::new());
        Channel { out, unacknowledged, consumers, prefetch: 0, delivered: 0 }
    }

    /// To a client that is gone nothing needs to be said.
    fn say(&self, frames: Vec<AMQPFrame>) {
        let _ = self.out.send(frames);
    }
}

impl State {
    fn channel(&mut self, at: (u64, u16)) -> &mut Channel {
        self.channels.get_mut(&at).expect("methods are taken on open channels only")
    }

    pub fn set_prefetch(&mut self, at: (u64, u16), count: u16) {
        self.channel(at).prefetch = count;
    }

    /// Starts a consumer; `asked.consumer_tag` is its name. Deliveries begin with [`State::pump`].
    pub fn consume(&mut self, at: (u64, u16), asked: &basic::Consume, tag: &str) -> Result<(), Refusal> {
        let (name, vhost) = (asked.queue.as_str(), self.vhost.clone());
        if self.channel(at).consumers.contains_key(tag) {
            return Err(Refusal::not_allowed(format!("attempt to reuse consumer tag '{tag}'")));
        }
        let others: Vec<ConsumerKey> = self.accessible(at.0, name)?.consumers.iter().cloned().collect();
        let exclusive = |(conn, channel, tag): &ConsumerKey| {
            let channel = self.channels.get(&(*conn, *channel));
            channel.and_then(|channel| channel.consumers.get(tag)).is_some_and(|consumer| consumer.exclusive)
        };
        if (asked.exclusive && !others.is_empty()) || others.iter().any(exclusive) {
            return Err(Refusal::access(format!("queue '{name}' in vhost '{vhost}' in exclusive use")));
        }
        let channel = self.channel(at);
        let consumer = Consumer {
            queue: name.to_owned(),
            no_ack: asked.no_ack,
            exclusive: asked.exclusive,
            prefetch: channel.prefetch,
            unacknowledged: 0,
        };
        channel.consumers.insert(tag.to_owned(), consumer);
        self.accessible(at.0, name)?.consumers.push_back((at.0, at.1, tag.to_owned()));
        Ok(())
    }

    /// Ends a consumer; what it has not acknowledged stays with its channel.
    pub fn cancel(&mut self, at: (u64, u16), tag: &str) {
        let Some(consumer) = self.channel(at).consumers.remove(tag) else { return };
        let key = (at.0, at.1, tag.to_owned());
        let Some(queue) = self.queues.get_mut(&consumer.queue) else { return };
        queue.consumers.retain(|other| *other != key);
        if queue.auto_delete && queue.consumers.is_empty() {
            self.remove_queue(&consumer.queue);
        }
    }

    /// A queue is gone: its consumers hear of it.
    pub fn cancelled(&mut self, queue: &Queue) {
        for (conn, number, tag) in &queue.consumers {
            let Some(channel) = self.channels.get_mut(&(*conn, *number)) else { continue };
            channel.consumers.remove(tag);
            let cancel = basic::Cancel { consumer_tag: tag.as_str().into(), nowait: true };
            channel.say(vec![method(*number, AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)))]);
        }
    }

    /// Delivers what waits to the consumers that have room, in turn.
    pub fn pump(&mut self, name: &str) {
        let State { queues, channels, .. } = self;
        let Some(queue) = queues.get_mut(name) else { return };
        queue.expire(Instant::now());
        while !queue.ready.is_empty() {
            let room = |(conn, number, tag): &ConsumerKey| {
                let consumer = channels.get(&(*conn, *number)).and_then(|channel| channel.consumers.get(tag));
                consumer.is_some_and(|consumer| consumer.prefetch == 0 || consumer.unacknowledged < consumer.prefetch)
            };
            let Some(turn) = queue.consumers.iter().position(room) else { return };
            let key = queue.consumers.remove(turn).expect("it was found there");
            queue.consumers.push_back(key.clone());
            let (conn, number, tag) = key;
            let channel = channels.get_mut(&(conn, number)).expect("it has room");
            let waiting = queue.ready.pop_front().expect("it is not empty");
            deliver(channel, number, &tag, name, waiting);
        }
    }

    /// Takes one message out of a queue, for `basic.get`; with it how many are left.
    pub fn get(&mut self, at: (u64, u16), name: &str, no_ack: bool) -> Result<Option<(u64, Waiting, u32)>, Refusal> {
        let queue = self.accessible(at.0, name)?;
        queue.expire(Instant::now());
        let Some(waiting) = queue.ready.pop_front() else { return Ok(None) };
        let left = queue.ready.len() as u32;
        let channel = self.channel(at);
        channel.delivered += 1;
        if !no_ack {
            let delivery = Delivery { queue: name.to_owned(), waiting: waiting.clone(), consumer: None };
            channel.unacknowledged.insert(channel.delivered, delivery);
        }
        Ok(Some((channel.delivered, waiting, left)))
    }

    /// Settles a delivery, with `multiple` all up to it; `requeue` puts them back instead of removing them.
    pub fn settle(&mut self, at: (u64, u16), tag: u64, multiple: bool, requeue: bool) -> Result<(), Refusal> {
        let channel = self.channel(at);
        let tags: Vec<u64> = if multiple {
            let last = if tag == 0 { u64::MAX } else { tag };
            channel.unacknowledged.range(..=last).map(|(tag, _)| *tag).collect()
        } else {
            channel.unacknowledged.contains_key(&tag).then_some(tag).into_iter().collect()
        };
        if tags.is_empty() && !(multiple && tag == 0) {
            return Err(Refusal::precondition(format!("unknown delivery tag {tag}")));
        }
        let settled: Vec<Delivery> = tags.iter().filter_map(|tag| channel.unacknowledged.remove(tag)).collect();
        for Delivery { consumer, .. } in &settled {
            if let Some(consumer) = consumer.as_ref().and_then(|tag| channel.consumers.get_mut(tag)) {
                consumer.unacknowledged -= 1;
            }
        }
        self.come_back(settled, requeue);
        Ok(())
    }

    fn come_back(&mut self, deliveries: Vec<Delivery>, requeue: bool) {
        let mut touched: Vec<String> = deliveries.iter().map(|delivery| delivery.queue.clone()).collect();
        if requeue {
            for Delivery { queue, waiting, .. } in deliveries {
                if let Some(queue) = self.queues.get_mut(&queue) {
                    queue.requeue(waiting);
                }
            }
        }
        touched.sort();
        touched.dedup();
        touched.iter().for_each(|name| self.pump(name));
    }

    /// A channel ends: its consumers go, what they have not acknowledged comes back.
    pub fn close_channel(&mut self, at: (u64, u16)) {
        let Some(channel) = self.channels.get(&at) else { return };
        let tags: Vec<String> = channel.consumers.keys().cloned().collect();
        // Taken back before a queue may go with its last consumer, and before anybody else is served.
        let held = std::mem::take(&mut self.channel(at).unacknowledged);
        tags.iter().for_each(|tag| self.cancel(at, tag));
        self.channels.remove(&at);
        self.come_back(held.into_values().collect(), true);
    }

    /// A connection ends.
    pub fn close_connection(&mut self, conn: u64) {
        let open: Vec<(u64, u16)> = self.channels.range((conn, 0)..=(conn, u16::MAX)).map(|(at, _)| *at).collect();
        open.into_iter().for_each(|at| self.close_channel(at));
        let own = self.queues.iter().filter(|(_, queue)| queue.exclusive == Some(conn));
        let own: Vec<String> = own.map(|(name, _)| name.clone()).collect();
        own.iter().for_each(|name| self.remove_queue(name));
    }
}

fn deliver(channel: &mut Channel, number: u16, tag: &str, queue: &str, waiting: Waiting) {
    channel.delivered += 1;
    let consumer = channel.consumers.get_mut(tag).expect("it has room");
    let carrier = basic::AMQPMethod::Deliver(basic::Deliver {
        consumer_tag: tag.into(),
        delivery_tag: channel.delivered,
        redelivered: waiting.redelivered,
        exchange: waiting.message.exchange.as_str().into(),
        routing_key: waiting.message.routing_key.as_str().into(),
    });
    let frames = content(number, carrier, &waiting.message.properties, &waiting.message.body);
    if !consumer.no_ack {
        consumer.unacknowledged += 1;
        let delivery = Delivery { queue: queue.to_owned(), waiting, consumer: Some(tag.to_owned()) };
        channel.unacknowledged.insert(channel.delivered, delivery);
    }
    channel.say(frames);
}
