//! Requests of the API whose outcome is unknown: each is either carried through or withdrawn for good.
//!
//! A database that answers too late, or a bus that does not, must leave no row that waits for a cast nobody sends.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::bus::{Bus, CallerContext, Cast, Method};
use crate::db::{Call, Db, Deleted, typed};
use crate::{Error, Kind, Result};

/// Pause after a try that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// A request: the key of its call in the database, and the cast that follows.
#[derive(Clone)]
pub(crate) struct Pending {
    pub key: String,
    /// Of the cast.
    pub id: String,
    pub context: CallerContext,
    pub method: Method,
}

impl Pending {
    /// What the database says to the call of that name.
    pub fn accepted(&self, name: &str, answer: Value) -> Result<Deleted> {
        match self.method {
            Method::DeleteBackup => typed(name, answer),
            _ => Ok(Deleted { backup: typed(name, answer)?, done: false }),
        }
    }

    /// Sends the cast, if one is due. The same however often it is sent.
    pub async fn cast(&self, bus: &dyn Bus, accepted: &Deleted) -> Result<()> {
        let Deleted { backup, done } = accepted;
        if *done {
            return Ok(());
        }
        let host =
            backup.host.as_deref().ok_or_else(|| Error::new(Kind::Internal, "a backup was accepted without a host"))?;
        let (id, backup_id) = (self.id.clone(), backup.id.clone());
        let cast = Cast { id, backup_id, context: self.context.clone(), method: self.method };
        bus.cast(host, &cast).await.map_err(|error| error.during("cast"))
    }
}

/// Requests whose caller has been told that their outcome is unknown.
#[derive(Default)]
pub(crate) struct Unsettled {
    waiting: Mutex<VecDeque<Pending>>,
    added: Notify,
}

impl Unsettled {
    pub fn add(&self, request: Pending) {
        self.waiting.lock().expect("no panic while the lock is held").push_back(request);
        self.added.notify_one();
    }

    /// Settles one after the other, for ever.
    pub async fn settle(&self, db: &dyn Db, bus: &dyn Bus) {
        loop {
            let next = self.waiting.lock().expect("no panic while the lock is held").pop_front();
            let Some(request) = next else {
                self.added.notified().await;
                continue;
            };
            while let Err(error) = settle(&request, db, bus).await {
                if !error.retry {
                    tracing::error!("a request of unknown outcome is given up: {error}");
                    break;
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// The call was applied: its cast goes out. It was not: it never will be.
async fn settle(request: &Pending, db: &dyn Db, bus: &dyn Bus) -> Result<()> {
    let call = Call::ApiWithdraw { withdrawn: request.key.clone() };
    let name = call.name();
    match db.call(call).await? {
        Value::Null => Ok(()),
        answer => request.cast(bus, &request.accepted(name, answer)?).await,
    }
}
