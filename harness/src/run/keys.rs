//! The key manager: which keys live, and the port through which backup hosts clone and delete them.
//!
//! It is strict: a request needs a user, a clone an id that never was another key, and what is deleted stays so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clinker_drivers::{Error, Kind, RequestContext, Result};
use clinker_env::{BoxStream, Env};
use clinker_manager::keys::Keys;
use clinker_manager::wire::Lines;
use clinker_model::fault::When;
use clinker_model::{Entry, Journal};
use clinker_world::{Gate, SimJournal};
use serde::{Deserialize, Serialize};

/// Where it listens.
const PORT: u16 = 9311;
/// Its host.
pub(super) const HOST: &str = "keymanager";

/// All keys; they outlive every process.
pub(super) struct Vault {
    journal: Arc<SimJournal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By id, the id of the key whose secret it has.
    living: BTreeMap<String, String>,
    /// Ids that cannot be made any more.
    deleted: BTreeSet<String>,
}

impl Vault {
    pub fn new(given: BTreeSet<String>, journal: Arc<SimJournal>) -> Vault {
        let vault = Vault { journal, state: Mutex::default() };
        for key_id in given {
            vault.record(&key_id, "given");
            vault.state.lock().expect("no panic while the lock is held").living.insert(key_id.clone(), key_id);
        }
        vault
    }

    /// Records every key that lives at the end.
    pub fn record_final(&self) {
        let living = self.state.lock().expect("no panic while the lock is held").living.clone();
        living.keys().for_each(|key_id| self.record(key_id, "living"));
    }

    fn record(&self, key_id: &str, what: &str) {
        self.journal.record(HOST, Entry::Key { key_id: key_id.to_owned(), what: what.to_owned() });
    }

    fn carry_out(&self, request: &Request) -> Answer {
        if request.user_id.is_empty() {
            return Answer::Refused(Kind::Auth, "keymanager wants a user's context".to_owned());
        }
        match &request.order {
            Order::Clone { key_id, clone_id } => self.clone(key_id, clone_id),
            Order::Delete { key_id } => self.delete(key_id),
        }
    }

    fn clone(&self, key_id: &str, clone_id: &str) -> Answer {
        let mut state = self.state.lock().expect("no panic while the lock is held");
        let Some(secret) = state.living.get(key_id).cloned() else {
            return Answer::Refused(Kind::NotFound, format!("key {key_id}"));
        };
        if state.deleted.contains(clone_id) {
            return Answer::Refused(Kind::Conflict, format!("key {clone_id} was deleted"));
        }
        match state.living.get(clone_id) {
            Some(other) if *other == secret => return Answer::Done,
            Some(_) => return Answer::Refused(Kind::Conflict, format!("key {clone_id} is another key")),
            None => drop(state.living.insert(clone_id.to_owned(), secret)),
        }
        drop(state);
        self.record(clone_id, "made");
        Answer::Done
    }

    fn delete(&self, key_id: &str) -> Answer {
        let mut state = self.state.lock().expect("no panic while the lock is held");
        state.deleted.insert(key_id.to_owned());
        let was_there = state.living.remove(key_id).is_some();
        drop(state);
        if !was_there {
            return Answer::Refused(Kind::NotFound, format!("key {key_id}"));
        }
        self.record(key_id, "deleted");
        Answer::Done
    }

    /// The process of the key manager's host. Its points are those of the port: each order being carried out.
    pub async fn serve(self: Arc<Self>, env: Env, gate: Gate) -> std::io::Result<()> {
        let mut listener = env.net.listen(PORT).await?;
        loop {
            let stream = listener.accept().await?;
            env.tasks.spawn(Arc::clone(&self).answer(stream, gate.clone()));
        }
    }

    async fn answer(self: Arc<Self>, stream: BoxStream, gate: Gate) {
        let mut lines = Lines::over(stream, "key client");
        while let Ok(Some(request)) = lines.receive::<Request>().await {
            let point = request.order.point();
            gate.pass(point, When::Before).await;
            let answer = self.carry_out(&request);
            gate.pass(point, When::After).await;
            if lines.send(&answer).await.is_err() {
                return;
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Request {
    user_id: String,
    order: Order,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Clone { key_id: String, clone_id: String },
    Delete { key_id: String },
}

impl Order {
    fn point(&self) -> &'static str {
        match self {
            Order::Clone { .. } => "keys.clone",
            Order::Delete { .. } => "keys.delete",
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done,
    Refused(Kind, String),
}

/// The manager's port to the key manager. Points `keys.clone` and `keys.delete`.
pub(super) struct KeyClient {
    pub env: Env,
    pub gate: Gate,
}

impl KeyClient {
    async fn ask(&self, context: &RequestContext, order: Order) -> Result<()> {
        let point = order.point();
        self.gate.pass(point, When::Before).await;
        let answer = self.send(&Request { user_id: context.user_id.clone(), order }).await;
        self.gate.pass(point, When::After).await;
        answer
    }

    async fn send(&self, request: &Request) -> Result<()> {
        let mut lines = Lines::connect(&self.env, HOST, PORT, HOST).await?;
        match lines.ask(request).await? {
            Answer::Done => Ok(()),
            Answer::Refused(kind, why) => Err(Error::new(kind, why)),
        }
    }
}

#[async_trait]
impl Keys for KeyClient {
    async fn clone_key(&self, context: &RequestContext, key_id: &str, clone_id: &str) -> Result<()> {
        self.ask(context, Order::Clone { key_id: key_id.to_owned(), clone_id: clone_id.to_owned() }).await
    }

    async fn delete_key(&self, context: &RequestContext, key_id: &str) -> Result<()> {
        self.ask(context, Order::Delete { key_id: key_id.to_owned() }).await
    }
}
