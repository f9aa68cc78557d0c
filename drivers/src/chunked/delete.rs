//! Removing a backup: every object that bears its prefix, and proof that none is left.

use super::ChunkedDriver;
use crate::{Backup, Error, Kind, RequestContext, Result};

pub(super) async fn delete(driver: &ChunkedDriver, context: &RequestContext, backup: &Backup) -> Result<()> {
    // Without a recorded prefix nothing was stored, and an empty one would match every object of the container.
    let Ok((container, prefix)) = super::location(backup) else { return Ok(()) };
    let store = &driver.store;
    for name in store.list(context, container, prefix).await? {
        store.delete(context, container, &name).await?;
    }
    store.discard_partial(context, container, prefix).await?;
    match store.list(context, container, prefix).await?.first() {
        None => Ok(()),
        Some(name) => Err(Error::transient(Kind::Conflict, format!("object {name} is still there after its removal"))),
    }
}
