//! The port to the key manager: the keys of encrypted volumes, by id.
//!
//! Nothing here sees a key itself. Whoever wants a clone chooses its id and writes it down first: then no crash and no
//! lost answer leaves a key that nobody knows of.

use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::RequestContext;

use crate::{Error, Kind, Result};

/// How long the service waits for the key manager.
const TIMEOUT: Duration = Duration::from_secs(60);

#[async_trait]
pub trait Keys: Send + Sync {
    /// Makes key `clone_id` with the secret of `key_id`. Idempotent. An id that was deleted is never made again, so that
    /// a request on its way cannot undo a later delete.
    async fn clone_key(&self, context: &RequestContext, key_id: &str, clone_id: &str) -> Result<()>;

    /// `not_found` when there is no such key; nor will there be one.
    async fn delete_key(&self, context: &RequestContext, key_id: &str) -> Result<()>;
}

/// [`Keys::clone_key`] with the service's time-out.
pub(crate) async fn clone(keys: &dyn Keys, context: &RequestContext, key_id: &str, clone_id: &str) -> Result<()> {
    in_time("clone_key", keys.clone_key(context, key_id, clone_id)).await
}

/// [`Keys::delete_key`] with the service's time-out; a key that is not there is fine.
pub(crate) async fn delete(keys: &dyn Keys, context: &RequestContext, key_id: &str) -> Result<()> {
    match in_time("delete_key", keys.delete_key(context, key_id)).await {
        Err(error) if error.kind == Kind::NotFound => {
            tracing::warn!("key {key_id} was gone already");
            Ok(())
        }
        deleted => deleted,
    }
}

async fn in_time<T>(operation: &str, request: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(answer) => answer,
        Err(_) => {
            let what = format!("keymanager did not answer within {}s", TIMEOUT.as_secs());
            Err(Error::transient(Kind::Timeout, what))
        }
    }
    .map_err(|error| error.during(operation))
}
