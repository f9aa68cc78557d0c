//! What a broker holds: exchanges, queues and open channels. Declarations and routing; [`super::delivery`] is the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use amq_protocol::protocol::{exchange, queue};
use amq_protocol::types::FieldTable;

use super::delivery::Channel;
use super::exchange::{Exchange, ExchangeKind};
use super::queue::{Message, Queue};
use super::refusal::Refusal;

/// One virtual host. Its durable part is the broker's disk.
pub(crate) struct State {
    pub vhost: String,
    pub exchanges: BTreeMap<String, Exchange>,
    pub queues: BTreeMap<String, Queue>,
    /// By connection and number.
    pub channels: BTreeMap<(u64, u16), Channel>,
    /// Names given to queues declared without one.
    named: u64,
}

impl State {
    pub fn new(vhost: &str) -> State {
        let mut exchanges = BTreeMap::new();
        for kind in [ExchangeKind::Direct, ExchangeKind::Fanout, ExchangeKind::Topic] {
            let own = Exchange {
                kind,
                durable: true,
                auto_delete: false,
                internal: false,
                arguments: FieldTable::default(),
                bindings: BTreeSet::new(),
            };
            exchanges.insert(format!("amq.{}", kind.word()), own);
        }
        let (queues, channels) = (BTreeMap::new(), BTreeMap::new());
        State { vhost: vhost.to_owned(), exchanges, queues, channels, named: 0 }
    }

    /// The broker's process starts: what is not durable is gone, what was delivered and not acknowledged is back.
    pub fn boot(&mut self) {
        for (_, channel) in std::mem::take(&mut self.channels) {
            for (_, delivery) in channel.unacknowledged {
                if let Some(queue) = self.queues.get_mut(&delivery.queue) {
                    queue.requeue(delivery.waiting);
                }
            }
        }
        self.queues.retain(|_, queue| queue.durable && queue.exclusive.is_none());
        self.queues.values_mut().for_each(Queue::restarted);
        self.exchanges.retain(|_, exchange| exchange.durable);
        self.drop_dangling();
    }

    fn drop_dangling(&mut self) {
        let State { exchanges, queues, .. } = self;
        for exchange in exchanges.values_mut() {
            exchange.bindings.retain(|(_, queue)| queues.contains_key(queue));
        }
    }

    pub fn declare_exchange(&mut self, asked: &exchange::Declare) -> Result<(), Refusal> {
        let (name, vhost) = (asked.exchange.as_str(), &self.vhost);
        if name.is_empty() {
            return Err(Refusal::access("operation not permitted on the default exchange".to_owned()));
        }
        let Some(known) = self.exchanges.get(name) else {
            if asked.passive {
                return Err(Refusal::not_found("exchange", name, vhost));
            }
            if name.starts_with("amq.") {
                let what = format!("exchange name '{name}' contains reserved prefix 'amq.*'");
                return Err(Refusal::access(what));
            }
            let kind = ExchangeKind::parse(asked.kind.as_str())
                .ok_or_else(|| Refusal::command(format!("unknown exchange type '{}'", asked.kind)))?;
            let made = Exchange {
                kind,
                durable: asked.durable,
                auto_delete: asked.auto_delete,
                internal: asked.internal,
                arguments: asked.arguments.clone(),
                bindings: BTreeSet::new(),
            };
            self.exchanges.insert(name.to_owned(), made);
            return Ok(());
        };
        if asked.passive {
            return Ok(());
        }
        let differs = |argument: &str, received: &str, current: &str| {
            Err(Refusal::inequivalent(argument, "exchange", name, vhost, received, current))
        };
        if asked.kind.as_str() != known.kind.word() {
            return differs("type", asked.kind.as_str(), known.kind.word());
        }
        let flags = [
            ("durable", asked.durable, known.durable),
            ("auto_delete", asked.auto_delete, known.auto_delete),
            ("internal", asked.internal, known.internal),
            ("arguments", true, asked.arguments == known.arguments),
        ];
        match flags.iter().find(|(_, received, current)| received != current) {
            Some((argument, received, current)) => differs(argument, &received.to_string(), &current.to_string()),
            None => Ok(()),
        }
    }

    /// The queue's name, its messages and its consumers.
    pub fn declare_queue(&mut self, conn: u64, asked: &queue::Declare) -> Result<(String, u32, u32), Refusal> {
        let mut name = asked.queue.as_str().to_owned();
        if name.is_empty() {
            self.named += 1;
            name = format!("amq.gen-{}", self.named);
        } else if name.starts_with("amq.") && !self.queues.contains_key(&name) && !asked.passive {
            return Err(Refusal::access(format!("queue name '{name}' contains reserved prefix 'amq.*'")));
        }
        if !self.queues.contains_key(&name) {
            if asked.passive {
                return Err(Refusal::not_found("queue", &name, &self.vhost));
            }
            let owner = asked.exclusive.then_some(conn);
            let made = Queue::new(asked.durable, owner, asked.auto_delete, asked.arguments.clone());
            self.queues.insert(name.clone(), made);
        } else if !asked.passive {
            self.same_queue(conn, &name, asked)?;
        }
        let queue = self.accessible(conn, &name)?;
        Ok((name, queue.ready.len() as u32, queue.consumers.len() as u32))
    }

    fn same_queue(&mut self, conn: u64, name: &str, asked: &queue::Declare) -> Result<(), Refusal> {
        let vhost = self.vhost.clone();
        let known = self.accessible(conn, name)?;
        if asked.exclusive != known.exclusive.is_some() {
            return Err(Refusal::locked(name, &vhost));
        }
        let flags = [
            ("durable", asked.durable, known.durable),
            ("auto_delete", asked.auto_delete, known.auto_delete),
            ("arguments", true, asked.arguments == known.arguments),
        ];
        match flags.iter().find(|(_, received, current)| received != current) {
            Some((argument, received, current)) => {
                let (received, current) = (received.to_string(), current.to_string());
                Err(Refusal::inequivalent(argument, "queue", name, &vhost, &received, &current))
            }
            None => Ok(()),
        }
    }

    /// A queue that this connection may use.
    pub fn accessible(&mut self, conn: u64, name: &str) -> Result<&mut Queue, Refusal> {
        let vhost = &self.vhost;
        match self.queues.get_mut(name) {
            None => Err(Refusal::not_found("queue", name, vhost)),
            Some(queue) if queue.exclusive.is_some_and(|owner| owner != conn) => Err(Refusal::locked(name, vhost)),
            Some(queue) => Ok(queue),
        }
    }

    pub fn bind(&mut self, conn: u64, asked: &queue::Bind) -> Result<(), Refusal> {
        let queue = asked.queue.as_str().to_owned();
        self.accessible(conn, &queue)?;
        self.exchange(asked.exchange.as_str())?.bindings.insert((asked.routing_key.as_str().to_owned(), queue));
        Ok(())
    }

    pub fn unbind(&mut self, conn: u64, asked: &queue::Unbind) -> Result<(), Refusal> {
        let queue = asked.queue.as_str().to_owned();
        self.accessible(conn, &queue)?;
        self.exchange(asked.exchange.as_str())?.bindings.remove(&(asked.routing_key.as_str().to_owned(), queue));
        Ok(())
    }

    fn exchange(&mut self, name: &str) -> Result<&mut Exchange, Refusal> {
        if name.is_empty() {
            return Err(Refusal::access("operation not permitted on the default exchange".to_owned()));
        }
        self.exchanges.get_mut(name).ok_or_else(|| Refusal::not_found("exchange", name, &self.vhost))
    }

    pub fn delete_exchange(&mut self, asked: &exchange::Delete) -> Result<(), Refusal> {
        let name = asked.exchange.as_str();
        let vhost = self.vhost.clone();
        let in_use = self.exchanges.get(name).is_some_and(|exchange| !exchange.bindings.is_empty());
        if asked.if_unused && in_use {
            return Err(Refusal::precondition(format!("exchange '{name}' in vhost '{vhost}' in use")));
        }
        self.exchanges.remove(name);
        Ok(())
    }

    /// How many messages went with it.
    pub fn delete_queue(&mut self, conn: u64, asked: &queue::Delete) -> Result<u32, Refusal> {
        let (name, vhost) = (asked.queue.as_str(), self.vhost.clone());
        if !self.queues.contains_key(name) {
            return Ok(0);
        }
        let queue = self.accessible(conn, name)?;
        let (messages, consumers) = (queue.ready.len() as u32, queue.consumers.len());
        if asked.if_unused && consumers > 0 {
            return Err(Refusal::precondition(format!("queue '{name}' in vhost '{vhost}' in use")));
        }
        if asked.if_empty && messages > 0 {
            return Err(Refusal::precondition(format!("queue '{name}' in vhost '{vhost}' not empty")));
        }
        self.remove_queue(name);
        Ok(messages)
    }

    /// Removes a queue; its consumers are told.
    pub fn remove_queue(&mut self, name: &str) {
        if let Some(queue) = self.queues.remove(name) {
            self.cancelled(&queue);
        }
        self.drop_dangling();
    }

    /// Puts a message where it belongs; returns whether it belongs anywhere.
    pub fn publish(&mut self, message: Message) -> Result<bool, Refusal> {
        let queues = if message.exchange.is_empty() {
            BTreeSet::from([message.routing_key.clone()])
        } else {
            let exchange = self.exchange(&message.exchange)?;
            if exchange.internal {
                let what = format!("cannot publish to internal exchange '{}'", message.exchange);
                return Err(Refusal::access(what));
            }
            exchange.route(&message.routing_key)
        };
        let message = Arc::new(message);
        let mut routed = false;
        for name in queues {
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.push(Arc::clone(&message));
                routed = true;
                self.pump(&name);
            }
        }
        Ok(routed)
    }
}
