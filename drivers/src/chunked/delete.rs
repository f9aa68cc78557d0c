//! Removing a backup: every object that bears its prefix, and proof that none is left.

use std::collections::BTreeSet;
use std::pin::pin;

use clinker_env::Work;
use futures_util::stream::{self, StreamExt as _};

use super::ChunkedDriver;
use super::{format, limits};
use crate::{Backup, Error, Kind, RequestContext, Result};

/// Objects that are asked for side by side at most.
const PROBES: u64 = 16;

pub(super) async fn delete(driver: &ChunkedDriver, context: &RequestContext, backup: &Backup) -> Result<()> {
    // Without a recorded prefix nothing was stored, and an empty one would match every object of the container.
    let Ok((container, prefix)) = super::location(backup) else { return Ok(()) };
    let store = &driver.store;
    let mut names: BTreeSet<String> = store.list(context, container, prefix).await?.into_iter().collect();
    names.extend(unlisted(driver, context, backup, (container, prefix), &names).await?);
    // From the last to the first, as they were not written: what a failure leaves has no mark of completeness.
    for name in names.iter().rev() {
        store.delete(context, container, name).await?;
    }
    store.discard_partial(context, container, prefix).await?;
    match store.list(context, container, prefix).await?.first() {
        None => Ok(()),
        Some(name) => Err(Error::transient(Kind::Conflict, format!("object {name} is still there after its removal"))),
    }
}

/// Names of objects that a listing may not show yet: it can lag behind, reading one object does not.
///
/// The metadata name them all. Without metadata (the backup was never finished) objects are asked for by number, until
/// as many in a row are not there as may have been on their way at once: a crash leaves no larger gap.
async fn unlisted(
    driver: &ChunkedDriver,
    context: &RequestContext,
    backup: &Backup,
    (container, prefix): (&str, &str),
    listed: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::from([format::sha256file_name(prefix)]);
    let metadata = format::metadata_name(prefix);
    match driver.document(context, backup, container, &metadata).await {
        Ok(body) => {
            names.insert(metadata.clone());
            let bytes = body.len() as u64;
            let job = move || format::decode_metadata(&metadata, &body);
            if let Ok(objects) = driver.env.compute(Work::Other, bytes, job).await {
                // Whatever a document says, only what bears the prefix is this backup's.
                names.extend(objects.into_iter().map(|object| object.name).filter(|name| name.starts_with(prefix)));
                return Ok(names);
            }
        }
        Err(error) if error.kind == Kind::NotFound => {}
        Err(error) if error.kind == Kind::Integrity => drop(names.insert(metadata)),
        Err(error) => return Err(error),
    }
    let at_once = driver.settings.inflight_max;
    let largest = limits::stored(driver.store.geometry().chunk);
    let is_there = |name: String| async move {
        if listed.contains(&name) {
            return Ok(Some(name));
        }
        match driver.store.get_at_most(context, container, &name, largest).await {
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) if error.kind != Kind::Integrity => Err(error),
            _ => Ok(Some(name)),
        }
    };
    let numbered = stream::iter(1..).map(|index| format::object_name(prefix, index));
    let side_by_side = usize::try_from(at_once.min(PROBES)).unwrap_or(1);
    let mut found = pin!(numbered.map(is_there).buffered(side_by_side));
    let mut missing = 0;
    while missing < at_once
        && let Some(name) = found.next().await
    {
        missing = if name?.is_some_and(|name| names.insert(name)) { 0 } else { missing + 1 };
    }
    Ok(names)
}
