//! A strict AMQP 0-9-1 broker that answers as RabbitMQ does. Start with [`BrokerFake`].
//!
//! [`connection`] is the handshake and the heartbeats, [`channel`] what methods do, [`state`] and [`delivery`] what the
//! broker holds. [`listener`] is a client: the consumer of notifications that a telemetry service would be.

mod channel;
mod connection;
mod delivery;
mod exchange;
mod frames;
pub mod listener;
mod queue;
mod refusal;
mod state;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use amq_protocol::frame::AMQPFrame;
use clinker_env::Env;
use clinker_model::{Entry, Fault, FaultId, FaultTarget, Journal, StoredObject};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::faults::FaultTable;
use state::State;

/// Who may log in, and where.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Name of the broker's host in the history.
    pub host: String,
    pub user: String,
    pub password: String,
    pub vhost: String,
}

/// The broker. What is durable of it outlives its process.
pub struct BrokerFake {
    config: BrokerConfig,
    journal: Arc<dyn Journal>,
    faults: FaultTable,
    state: Mutex<State>,
    connections: AtomicU64,
}

impl BrokerFake {
    pub fn new(config: BrokerConfig, journal: Arc<dyn Journal>) -> Arc<BrokerFake> {
        let state = Mutex::new(State::new(&config.vhost));
        Arc::new(BrokerFake { config, journal, faults: FaultTable::default(), state, connections: AtomicU64::new(0) })
    }

    /// The broker's process: begins with what is durable, and serves until it is dropped.
    ///
    /// # Errors
    /// The port cannot be listened on, or the listener fails.
    pub async fn serve(self: Arc<BrokerFake>, env: Env, port: u16) -> io::Result<()> {
        self.state().boot();
        let mut listener = env.net.listen(port).await?;
        let mut connections = JoinSet::new();
        loop {
            let stream = listener.accept().await?;
            while let Some(ended) = connections.try_join_next() {
                // A fake that panics has a bug; it must not pass for a server that drops connections.
                if let Err(error) = ended
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
            env.tasks.spawn_in(&mut connections, connection::converse(Arc::clone(&self), stream));
        }
    }

    /// Queues with their messages that wait, for tests.
    pub fn waiting(&self) -> Vec<(String, usize)> {
        self.state().queues.iter().map(|(name, queue)| (name.clone(), queue.ready.len())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }

    fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    fn vhost(&self) -> &str {
        &self.config.vhost
    }

    fn accepts(&self, user: &[u8], password: &[u8]) -> bool {
        if let Some(id) = self.faults.wrong_credentials() {
            self.bite(id, "a login was refused");
            return false;
        }
        user == self.config.user.as_bytes() && password == self.config.password.as_bytes()
    }

    fn pump_all(&self) {
        let mut state = self.state();
        let names: Vec<String> = state.queues.keys().cloned().collect();
        names.iter().for_each(|name| state.pump(name));
    }

    fn bite(&self, id: FaultId, what: &str) {
        self.journal.bite(id, &self.config.host, what);
    }

    fn is_silent(&self) -> bool {
        self.faults.on_request("", &[""]).silent.is_some()
    }

    /// Lets faults have their way with a frame; whether it is answered at all.
    async fn meets_fault(&self, frame: &AMQPFrame) -> bool {
        let AMQPFrame::Method(_, class) = frame else {
            return self.faults.on_request("", &[""]).silent.is_none_or(|id| {
                self.bite(id, "a frame was not answered");
                false
            });
        };
        let name = name(class.get_amqp_class_id(), class.get_amqp_method_id());
        let decision = self.faults.on_request(name, &[name]);
        if let Some(id) = decision.silent {
            self.bite(id, &format!("{name} was not answered"));
            return false;
        }
        for id in decision.slow {
            self.bite(id, &format!("{name} was answered late"));
        }
        if !decision.delay.is_zero() {
            sleep(decision.delay).await;
        }
        true
    }

    fn record_publish(&self, exchange: &str, key: &str, status: u16, bytes: usize) {
        let (method, path) = ("PUBLISH".to_owned(), format!("/{exchange}/{key}"));
        let entry = Entry::Request { method, path, status, request_bytes: bytes as u64, response_bytes: 0 };
        self.journal.record(&self.config.host, entry);
    }
}

/// A method by its ids, as the protocol's documents write it.
fn name(class: u16, method: u16) -> &'static str {
    match (class, method) {
        (10, 11) => "connection.start-ok",
        (10, 31) => "connection.tune-ok",
        (10, 40) => "connection.open",
        (10, 50) => "connection.close",
        (20, 10) => "channel.open",
        (20, 40) => "channel.close",
        (40, 10) => "exchange.declare",
        (50, 10) => "queue.declare",
        (50, 20) => "queue.bind",
        (60, 10) => "basic.qos",
        (60, 20) => "basic.consume",
        (60, 40) => "basic.publish",
        (60, 60) => "basic.deliver",
        (60, 80) => "basic.ack",
        (85, 10) => "confirm.select",
        _ => "a method",
    }
}

impl FaultTarget for BrokerFake {
    fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        match fault {
            Fault::Silent(_) | Fault::WrongCredentials(_) => {}
            Fault::Slow(slow) if slow.bytes_per_second == 0 => {}
            Fault::Slow(_) => return Err("apply fault `slow`: the broker has only a `delay`".to_owned()),
            other => {
                return Err(format!("apply fault `{}`: the broker has silent, slow, wrong_credentials", other.name()));
            }
        }
        self.faults.begin(id, fault)
    }

    fn end(&self, id: FaultId) {
        self.faults.end(id);
    }

    fn stored(&self) -> Vec<StoredObject> {
        Vec::new()
    }
}
