//! `delete_backup`: wait for whoever works on the backup, remove its objects, record the end.

use std::sync::Arc;

use clinker_drivers::RequestContext;

use crate::db::Call;
use crate::model::{BackupRow, Operation};
use crate::operation::{Claim, Manager, Prospect};
use crate::{Error, Kind, Result};

pub(crate) async fn delete_backup(manager: &Arc<Manager>, context: &RequestContext, backup_id: &str) {
    let Some(_claim) = manager.claim(Operation::Delete, backup_id) else { return };
    let Some(begun) = manager.begin(Operation::Delete, backup_id, None).await else { return };
    // A create that a force delete cancelled ends first and takes its own objects with it.
    manager.wait_for_others(backup_id).await;
    let result = remove(manager, context, &begun.backup.id).await;
    manager.finish(Operation::Delete, backup_id, result.err().as_ref(), 0).await;
}

/// A delete that a restart interrupted; its start is out, and it has no caller's context any more.
pub(crate) async fn resume(manager: Arc<Manager>, backup: BackupRow, _claim: Claim) {
    let result = match (&backup.service, manager.driver_prospect().await) {
        (Some(_), Prospect::Lost) => {
            Err(Error::new(Kind::ServiceDown, "the backup service's driver is not initialised").during("delete_backup"))
        }
        _ => remove(&manager, &RequestContext::admin(), &backup.id).await,
    };
    manager.finish(Operation::Delete, &backup.id, result.err().as_ref(), 0).await;
}

async fn remove(manager: &Manager, context: &RequestContext, backup_id: &str) -> Result<()> {
    // Read again: a create that ended meanwhile has recorded where its objects are.
    let backup: BackupRow = manager.ask(Call::BackupGet { backup_id: backup_id.to_owned() }).await?;
    if backup.service.is_none() {
        return Ok(());
    }
    let driver = manager.driver().ok_or_else(|| Error::new(Kind::ServiceDown, "the driver is not initialised"))?;
    let zone = &manager.options.storage_availability_zone;
    driver.delete_backup(context, &backup.for_driver(zone)).await.map_err(|error| error.during("delete_backup"))
}
