//! The API's casts on their way to the bus, and its requests of unknown outcome.
//!
//! The database keeps a cast from the request on (`db/casts.rs`). Here is what only this process has: the callers'
//! tokens. A cast that another process finishes goes without one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::sleep;

use crate::Result;
use crate::bus::{Bus, CallerContext};
use crate::db::{Call, Db, Outgoing, Sender, ask};

/// Pause after a try that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The casts of one process of the API.
pub(crate) struct Casts {
    pub sender: Sender,
    /// Whether the database knows this process for the sender's newest.
    registered: AsyncMutex<bool>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    /// Callers of casts that are not with the bus yet, by cast id.
    callers: BTreeMap<String, CallerContext>,
    /// Casts that their requests are sending themselves.
    direct: BTreeSet<String>,
    /// Casts that the bus has, and of which the database does not know it.
    sent: Vec<String>,
    /// Keys of requests without an answer, each with the id of its cast.
    unsettled: VecDeque<(String, String)>,
    /// The database may hold casts that nobody is sending.
    look: bool,
}

impl Casts {
    pub fn new(sender: Sender) -> Casts {
        let state = State { look: true, ..State::default() };
        Casts { sender, registered: AsyncMutex::new(false), state: Mutex::new(state), wake: Notify::new() }
    }

    /// Tells the database that this process is the sender's newest: what others still have under way is void.
    pub async fn register(&self, db: &dyn Db) -> Result<()> {
        let mut registered = self.registered.lock().await;
        if !*registered {
            db.call(Call::ApiStarted { sender: self.sender.clone() }).await?;
            *registered = true;
        }
        Ok(())
    }

    /// The database took another process for the newest.
    pub async fn register_again(&self) {
        *self.registered.lock().await = false;
    }

    /// A request is about to be made.
    pub fn open(&self, id: &str, caller: CallerContext) {
        let mut state = self.state();
        state.direct.insert(id.to_owned());
        state.callers.insert(id.to_owned(), caller);
    }

    /// No cast follows.
    pub fn close(&self, id: &str) {
        let mut state = self.state();
        state.direct.remove(id);
        state.callers.remove(id);
    }

    /// Nobody knows whether a cast follows.
    pub fn settle_later(&self, key: &str, id: &str) {
        let mut state = self.state();
        state.direct.remove(id);
        state.unsettled.push_back((key.to_owned(), id.to_owned()));
        drop(state);
        self.wake.notify_one();
    }

    /// Sends the cast of a request that was just accepted; one that cannot be sent now is sent later.
    pub async fn send(&self, bus: &dyn Bus, outgoing: Outgoing) {
        let id = outgoing.cast.id.clone();
        let sent = bus.cast(&outgoing.host, &outgoing.cast).await;
        let mut state = self.state();
        state.direct.remove(&id);
        match sent {
            Ok(()) => {
                state.callers.remove(&id);
                state.sent.push(id);
            }
            Err(error) => {
                tracing::warn!("the cast for backup {} waits: {error}", outgoing.cast.backup_id);
                state.look = true;
            }
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Sends what waits, also what processes before this one have left, for ever.
    pub async fn deliver(&self, db: &dyn Db, bus: &dyn Bus) {
        loop {
            match self.advance(db, bus).await {
                Ok(true) => {}
                Ok(false) => self.wake.notified().await,
                Err(error) => {
                    tracing::warn!("casts wait: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Does one thing; false if there is nothing to do.
    async fn advance(&self, db: &dyn Db, bus: &dyn Bus) -> Result<bool> {
        self.register(db).await?;
        let (unsettled, ids) = {
            let state = self.state();
            (state.unsettled.front().cloned(), state.sent.clone())
        };
        if let Some((key, id)) = unsettled {
            self.settle(db, &key, &id).await?;
        } else if !ids.is_empty() {
            db.call(Call::CastsSent { ids: ids.clone() }).await?;
            self.state().sent.retain(|id| !ids.contains(id));
        } else if std::mem::take(&mut self.state().look) {
            self.send_left(db, bus).await.inspect_err(|_| self.state().look = true)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// A request without an answer was carried out, or it never will be.
    async fn settle(&self, db: &dyn Db, key: &str, id: &str) -> Result<()> {
        let known = db.call(Call::ApiWithdraw { withdrawn: key.to_owned() }).await;
        if let Err(error) = &known
            && error.retry
        {
            return known.map(|_| ());
        }
        let mut state = self.state();
        state.unsettled.pop_front();
        match known {
            Ok(Value::Null) => {
                state.callers.remove(id);
            }
            Ok(_) => state.look = true,
            Err(error) => tracing::error!("a request of unknown outcome is given up: {error}"),
        }
        Ok(())
    }

    async fn send_left(&self, db: &dyn Db, bus: &dyn Bus) -> Result<()> {
        let left: Vec<Outgoing> = ask(db, Call::CastsUnsent { host: self.sender.host.clone() }).await?;
        for mut outgoing in left {
            let id = outgoing.cast.id.clone();
            {
                let state = self.state();
                if state.direct.contains(&id) || state.sent.contains(&id) {
                    continue;
                }
                if let Some(caller) = state.callers.get(&id) {
                    outgoing.cast.context = caller.clone();
                }
            }
            bus.cast(&outgoing.host, &outgoing.cast).await.map_err(|error| error.during("cast"))?;
            let mut state = self.state();
            state.callers.remove(&id);
            state.sent.push(id);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }
}
