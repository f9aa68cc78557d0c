//! Exchanges and queues, declared as oslo.messaging declares them.

use amq_protocol::protocol::{AMQPClass, basic, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::connection::{Connection, out_of_turn};
use super::frames::short;
use crate::Result;

/// Milliseconds that a fan-out queue outlives its consumer (`rabbit_transient_queues_ttl`).
const TRANSIENT_MS: i32 = 1_800_000;

impl Connection {
    pub async fn declare_exchange(&mut self, name: &str, kind: &str, durable: bool, auto_delete: bool) -> Result<()> {
        let declare = exchange::Declare {
            exchange: short("the exchange", name)?,
            kind: short("the exchange's type", kind)?,
            passive: false,
            durable,
            auto_delete,
            internal: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        match self.ask(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare))).await? {
            AMQPClass::Exchange(exchange::AMQPMethod::DeclareOk(_)) => Ok(()),
            _ => Err(out_of_turn()),
        }
    }

    /// A queue that outlives its consumers, or with `transient` one that is its consumer's own.
    pub async fn declare_queue(&mut self, name: &str, durable: bool, transient: bool) -> Result<()> {
        let mut arguments = FieldTable::default();
        if transient {
            arguments.insert("x-expires".into(), AMQPValue::LongInt(TRANSIENT_MS));
        }
        let declare = queue::Declare {
            queue: short("the queue", name)?,
            passive: false,
            durable,
            exclusive: false,
            auto_delete: transient,
            nowait: false,
            arguments,
        };
        match self.ask(AMQPClass::Queue(queue::AMQPMethod::Declare(declare))).await? {
            AMQPClass::Queue(queue::AMQPMethod::DeclareOk(_)) => Ok(()),
            _ => Err(out_of_turn()),
        }
    }

    pub async fn bind(&mut self, queue: &str, exchange: &str, routing_key: &str) -> Result<()> {
        let bind = queue::Bind {
            queue: short("the queue", queue)?,
            exchange: short("the exchange", exchange)?,
            routing_key: short("the routing key", routing_key)?,
            nowait: false,
            arguments: FieldTable::default(),
        };
        match self.ask(AMQPClass::Queue(queue::AMQPMethod::Bind(bind))).await? {
            AMQPClass::Queue(queue::AMQPMethod::BindOk(_)) => Ok(()),
            _ => Err(out_of_turn()),
        }
    }

    /// One message at a time: only the oldest of a queue can come twice.
    pub async fn one_at_a_time(&mut self) -> Result<()> {
        let qos = basic::Qos { prefetch_count: 1, global: false };
        match self.ask(AMQPClass::Basic(basic::AMQPMethod::Qos(qos))).await? {
            AMQPClass::Basic(basic::AMQPMethod::QosOk(_)) => Ok(()),
            _ => Err(out_of_turn()),
        }
    }

    /// Subscribes; messages come from here on, so that nothing may be asked after it.
    pub async fn consume(&mut self, queue: &str) -> Result<()> {
        let consume = basic::Consume {
            queue: short("the queue", queue)?,
            consumer_tag: short("the queue", queue)?,
            no_local: false,
            no_ack: false,
            exclusive: false,
            nowait: true,
            arguments: FieldTable::default(),
        };
        let consume = AMQPClass::Basic(basic::AMQPMethod::Consume(consume));
        self.send(&[amq_protocol::frame::AMQPFrame::Method(super::connection::CHANNEL, consume)]).await
    }
}
