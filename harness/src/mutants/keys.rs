//! Mutants about encryption keys and volume metadata: they wrap the port to the key manager, or the database's.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clinker_drivers::{RequestContext, Result};
use clinker_manager::db::keys::KeyCall;
use clinker_manager::db::{Call, Db};
use clinker_manager::keys::Keys;
use serde_json::{Value, json};

use crate::run::Parts;

/// A backup's key outlives it.
pub(super) fn key_not_deleted(parts: &mut Parts) {
    parts.keys = |inner| Arc::new(Hoarder(inner));
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
    parts.db = |inner| Arc::new(Bent { inner, bug: Bug::SharesKeys, volume_key: Mutex::default() });
}

/// The key is made before anybody has written down which one.
pub(super) fn key_not_written_down(parts: &mut Parts) {
    parts.db = |inner| Arc::new(Bent { inner, bug: Bug::WritesDownNoKey, volume_key: Mutex::default() });
}

/// A restore brings back bytes only.
pub(super) fn metadata_lost(parts: &mut Parts) {
    parts.db = |inner| Arc::new(Bent { inner, bug: Bug::LosesMetadata, volume_key: Mutex::default() });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    SharesKeys,
    WritesDownNoKey,
    LosesMetadata,
}

struct Bent {
    inner: Arc<dyn Db>,
    bug: Bug,
    /// Of the volume that was last backed up.
    volume_key: Mutex<Option<String>>,
}

impl Bent {
    fn bend(&self, call: Call) -> Call {
        match (self.bug, call) {
            (Bug::SharesKeys, Call::Keys(KeyCall::Save { backup_id, key_id })) => {
                let volumes = self.volume_key.lock().expect("no panic while the lock is held").clone();
                Call::Keys(KeyCall::Save { backup_id, key_id: volumes.unwrap_or(key_id) })
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
        if let (Bug::WritesDownNoKey, Call::Keys(KeyCall::Save { key_id, .. })) = (self.bug, &call) {
            return Ok(json!(key_id));
        }
        let answer = self.inner.call_as(key, self.bend(call)).await?;
        if let Some(key_id) = answer["source"]["encryption_key_id"].as_str() {
            *self.volume_key.lock().expect("no panic while the lock is held") = Some(key_id.to_owned());
        }
        Ok(answer)
    }
}
