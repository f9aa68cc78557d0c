//! Mutants about encryption keys and volume metadata: they wrap the port to the key manager, or the database's.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clinker_drivers::{RequestContext, Result};
use clinker_manager::db::keys::KeyCall;
use clinker_manager::db::{Call, Db};
use clinker_manager::keys::Keys;
use serde_json::{Value, json};

use crate::run::{Parts, wrap};

/// A backup's key outlives it.
pub(super) fn key_not_deleted(parts: &mut Parts) {
    parts.keys = wrap(|inner| Arc::new(Hoarder(inner)));
}

struct Hoarder(Arc<dyn Keys>);

#[async_trait]
impl Keys for Hoarder {
    async fn clone_key(&self, context: &RequestContext, key_id: &str, clone_id: &str) -> Result<()> {
        self.0.clone_key(context, key_id, clone_id).await
    }
    async fn delete_key(&self, _: &RequestContext, _: &str) -> Result<()> {
        Ok(())
    }
}

/// The original until 2018: the backup names its volume's own key.
pub(super) fn key_shared(parts: &mut Parts) {
    parts.db = wrap(|inner| Arc::new(Bent { inner, bug: Bug::SharesKeys, noted: Mutex::default() }));
}

/// The key is made before anybody has written down which one.
pub(super) fn key_not_written_down(parts: &mut Parts) {
    parts.db = wrap(|inner| Arc::new(Bent { inner, bug: Bug::WritesDownNoKey, noted: Mutex::default() }));
}

/// The key's id is written down when the objects' place is, after the key is made.
pub(super) fn key_written_down_late(parts: &mut Parts) {
    parts.db = wrap(|inner| Arc::new(Bent { inner, bug: Bug::WritesDownLate, noted: Mutex::default() }));
}

/// A restore brings back bytes only.
pub(super) fn metadata_lost(parts: &mut Parts) {
    parts.db = wrap(|inner| Arc::new(Bent { inner, bug: Bug::LosesMetadata, noted: Mutex::default() }));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    SharesKeys,
    WritesDownNoKey,
    LosesMetadata,
    WritesDownLate,
}

enum Noted {
    VolumeKey(String),
    Later(Box<Call>),
}

struct Bent {
    inner: Arc<dyn Db>,
    bug: Bug,
    /// The key of the volume that was last backed up, or the call that is put off.
    noted: Mutex<Option<Noted>>,
}

impl Bent {
    fn note(&self, noted: Noted) {
        *self.noted.lock().expect("no panic while the lock is held") = Some(noted);
    }

    fn noted(&self) -> Option<Noted> {
        self.noted.lock().expect("no panic while the lock is held").take()
    }

    fn bend(&self, call: Call) -> Call {
        match (self.bug, call) {
            (Bug::SharesKeys, Call::Keys(KeyCall::Save { backup_id, key_id })) => {
                let Some(Noted::VolumeKey(volumes)) = self.noted() else {
                    return Call::Keys(KeyCall::Save { backup_id, key_id });
                };
                Call::Keys(KeyCall::Save { backup_id, key_id: volumes })
            }
            (Bug::LosesMetadata, Call::OpFinish(mut finish)) => {
                finish.restored = None;
                Call::OpFinish(finish)
            }
            (_, call) => call,
        }
    }
}

#[async_trait]
impl Db for Bent {
    fn new_key(&self) -> String {
        self.inner.new_key()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        match (self.bug, &call) {
            (Bug::WritesDownNoKey, Call::Keys(KeyCall::Save { key_id, .. })) => return Ok(json!(key_id)),
            (Bug::WritesDownLate, Call::Keys(KeyCall::Save { key_id, .. })) => {
                self.note(Noted::Later(Box::new(call.clone())));
                return Ok(json!(key_id));
            }
            (Bug::WritesDownLate, Call::OpSaveLocation { .. }) => {
                if let Some(Noted::Later(late)) = self.noted() {
                    self.inner.call(*late).await?;
                }
            }
            _ => {}
        }
        let answer = self.inner.call_as(key, self.bend(call)).await?;
        if let Some(key_id) = answer["source"]["encryption_key_id"].as_str() {
            self.note(Noted::VolumeKey(key_id.to_owned()));
        }
        Ok(answer)
    }
}
