//! Exchanges and queues, declared as oslo.messaging declares them: the methods, to be asked all at once.

use amq_protocol::protocol::{AMQPClass, basic, confirm, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::frames::short;
use crate::Result;

/// Milliseconds that a fan-out or reply queue outlives its consumer (`rabbit_transient_queues_ttl`).
const TRANSIENT_MS: i32 = 1_800_000;

/// The exchange that requests and notifications go through.
pub(super) fn topic_exchange(name: &str, durable: bool) -> Result<AMQPClass> {
    exchange_of(name, "topic", durable, false)
}

/// An exchange whose messages go to everybody who listens, and which goes with the last of them.
pub(super) fn fanout_exchange(name: &str) -> Result<AMQPClass> {
    exchange_of(name, "fanout", false, true)
}

fn exchange_of(name: &str, kind: &str, durable: bool, auto_delete: bool) -> Result<AMQPClass> {
    Ok(AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
        exchange: short("the exchange", name)?,
        kind: short("the exchange's type", kind)?,
        passive: false,
        durable,
        auto_delete,
        internal: false,
        nowait: false,
        arguments: FieldTable::default(),
    })))
}

/// A queue that outlives its consumers.
pub(super) fn lasting_queue(name: &str, durable: bool) -> Result<AMQPClass> {
    queue_of(name, durable, false, FieldTable::default())
}

/// A queue that is its consumer's own, and goes with it.
pub(super) fn passing_queue(name: &str) -> Result<AMQPClass> {
    queue_of(name, false, true, expiring())
}

/// A queue for the answers to a process's calls, which it finds again after its connection broke. The default exchange
/// serves it: nothing is bound.
pub(super) fn reply_queue(name: &str) -> Result<AMQPClass> {
    queue_of(name, false, false, expiring())
}

fn expiring() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(TRANSIENT_MS));
    arguments
}

fn queue_of(name: &str, durable: bool, auto_delete: bool, arguments: FieldTable) -> Result<AMQPClass> {
    Ok(AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: short("the queue", name)?,
        passive: false,
        durable,
        exclusive: false,
        auto_delete,
        nowait: false,
        arguments,
    })))
}

pub(super) fn binding(queue: &str, exchange: &str, routing_key: &str) -> Result<AMQPClass> {
    Ok(AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
        queue: short("the queue", queue)?,
        exchange: short("the exchange", exchange)?,
        routing_key: short("the routing key", routing_key)?,
        nowait: false,
        arguments: FieldTable::default(),
    })))
}

/// Every message published from here on is confirmed.
pub(super) fn confirms() -> AMQPClass {
    AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait: false }))
}

/// One message at a time from each queue: only the oldest of a queue can come twice.
pub(super) fn one_at_a_time() -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos { prefetch_count: 1, global: false }))
}

/// Subscribes, without an answer: messages come from here on, so that nothing may be asked after it.
pub(super) fn subscription(queue: &str) -> Result<AMQPClass> {
    Ok(AMQPClass::Basic(basic::AMQPMethod::Consume(basic::Consume {
        queue: short("the queue", queue)?,
        consumer_tag: short("the queue", queue)?,
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: true,
        arguments: FieldTable::default(),
    })))
}
