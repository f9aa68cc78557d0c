//! Mutants that nobody notices until a process ends: each base of the crash matrix is green under them, its plays are not.

use std::sync::Arc;

use async_trait::async_trait;
use clinker_drivers::Result;
use clinker_manager::db::{Call, Db};
use clinker_manager::transitions::{Case, Outcome, VolumeChange};
use serde_json::{Value, json};

use super::decisions::Altered;
use super::{files, keys};
use crate::matrix::Victim;
use crate::run::{Parts, wrap};

/// A planted bug with the column of the matrix that must notice it.
pub struct CrashMutant {
    pub name: &'static str,
    /// What the service does wrong.
    pub about: &'static str,
    /// As [`crate::matrix::Base::name`].
    pub base: &'static str,
    pub driver: &'static str,
    pub victim: Victim,
    pub power: bool,
    plant: fn(&mut Parts),
}

impl CrashMutant {
    /// The service's parts with the bug in them.
    pub fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        (self.plant)(&mut parts);
        parts
    }
}

/// Every mutant of the matrix.
pub static CRASH_MUTANTS: &[CrashMutant] = &[
    CrashMutant {
        name: "key-written-down-late",
        about: "a backup's key is made before its row names it",
        base: "create-encrypted",
        driver: "swift",
        victim: Victim::Manager,
        power: false,
        plant: keys::key_written_down_late,
    },
    CrashMutant {
        name: "rename-without-sync",
        about: "files get their names before their contents are on the disk",
        base: "create",
        driver: "posix",
        victim: Victim::Manager,
        power: true,
        plant: files::rename_without_sync,
    },
    CrashMutant {
        name: "clean-up-forgets",
        about: "a service that starts closes nothing of what the one before it left open",
        base: "restore",
        driver: "swift",
        victim: Victim::Manager,
        power: false,
        plant: |parts| parts.db = wrap(|inner| Arc::new(Forgets { inner, what: "cleanup_list" })),
    },
    CrashMutant {
        name: "failed-create-keeps-its-volume",
        about: "a create that a crash ends leaves its volume backing-up",
        base: "create",
        driver: "swift",
        victim: Victim::Manager,
        power: false,
        plant: |parts| {
            parts.transitions = Arc::new(Altered(|case, outcome| match case {
                Case::CreateFailed => Outcome { volume: VolumeChange::Unchanged, ..outcome },
                _ => outcome,
            }));
        },
    },
    CrashMutant {
        name: "casts-forgotten",
        about: "a process of the API that starts sends nothing of what the one before it had accepted",
        base: "delete",
        driver: "swift",
        victim: Victim::Api,
        power: false,
        plant: |parts| parts.db = wrap(|inner| Arc::new(Forgets { inner, what: "casts_unsent" })),
    },
    CrashMutant {
        name: "events-forgotten",
        about: "a publisher takes events for delivered before it sends them",
        base: "create",
        driver: "swift",
        victim: Victim::Manager,
        power: false,
        plant: |parts| parts.db = wrap(|inner| Arc::new(DeliveredTooEarly(inner))),
    },
];

/// A list that is read is empty.
struct Forgets {
    inner: Arc<dyn Db>,
    what: &'static str,
}

#[async_trait]
impl Db for Forgets {
    fn new_key(&self) -> String {
        self.inner.new_key()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        let forgotten = call.name() == self.what;
        let answer = self.inner.call_as(key, call).await?;
        Ok(if forgotten { json!([]) } else { answer })
    }
}

/// What is fetched counts as delivered.
struct DeliveredTooEarly(Arc<dyn Db>);

#[async_trait]
impl Db for DeliveredTooEarly {
    fn new_key(&self) -> String {
        self.0.new_key()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        let publisher = match &call {
            Call::OutboxFetch { publisher_id, .. } => Some(publisher_id.clone()),
            _ => None,
        };
        let answer = self.0.call_as(key, call).await?;
        let last = answer.as_array().and_then(|rows| rows.last()).and_then(|row| row["seq"].as_u64());
        if let (Some(publisher_id), Some(up_to)) = (publisher, last) {
            self.0.call(Call::OutboxDelivered { publisher_id, up_to }).await?;
        }
        Ok(answer)
    }
}
