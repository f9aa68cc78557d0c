//! `delete_backup`: wait for whoever works on the backup, remove its objects, record the end.

use std::sync::Arc;

use clinker_drivers::RequestContext;

use crate::bus::Cast;
use crate::db::Call;
use crate::model::{BackupRow, BackupStatus, Operation};
use crate::operation::{Done, Manager, Prospect};
use crate::{Error, Kind, Result, encryption, temporary, workers};

pub(crate) async fn delete_backup(manager: &Arc<Manager>, cast: Cast) {
    let (context, backup_id) = (&cast.context.clone().into(), cast.backup_id.as_str());
    let Some(working_on_it) = manager.work_on(Operation::Delete, backup_id) else { return };
    if manager.take_resumed(backup_id) && !is_asked_for(manager, backup_id).await {
        tracing::warn!("the delete of backup {backup_id} that clean-up resumed was the one that is asked for");
        return;
    }
    let Some(begun) = manager.begin(Operation::Delete, &cast).await else { return };
    // A create that a force delete cancelled ends first and takes its own objects with it.
    manager.wait_for_others(backup_id).await;
    if workers::wait_for_neighbours(manager, backup_id).await {
        // One that went down has left its create open: told again, the database closes it.
        let Some(_) = manager.begin(Operation::Delete, &cast).await else { return };
    }
    let result = remove(manager, context, &begun.backup.id).await;
    manager.finish(Operation::Delete, backup_id, result.err().as_ref(), Done::default()).await;
    drop(working_on_it);
}

/// A delete that a restart interrupted; its start is out, and it has no caller's context any more.
pub(crate) async fn resume(manager: Arc<Manager>, backup: BackupRow) {
    let Some(working_on_it) = manager.work_on(Operation::Delete, &backup.id) else { return };
    manager.note_resumed(&backup.id);
    let result = match driver_for(&manager, &backup).await {
        Ok(()) => remove(&manager, &RequestContext::admin(), &backup.id).await,
        Err(error) => Err(error),
    };
    manager.finish(Operation::Delete, &backup.id, result.err().as_ref(), Done::default()).await;
    drop(working_on_it);
}

/// Whether the row still waits for a delete. A row that is gone does not.
async fn is_asked_for(manager: &Manager, backup_id: &str) -> bool {
    let status = manager.persist::<BackupStatus>(&Call::OpStatus { backup_id: backup_id.to_owned() }).await;
    match status {
        Ok(status) => status == BackupStatus::Deleting,
        // Whatever else is wrong, the delete itself will say so and close what it opens.
        Err(error) => error.kind != Kind::NotFound,
    }
}

/// Waits for the first working attempt (D2); a backup that was never stored needs none (D4).
async fn driver_for(manager: &Manager, backup: &BackupRow) -> Result<()> {
    if backup.service.is_some() && manager.driver_prospect().await == Prospect::Lost {
        let what = "the backup service's driver is not initialised";
        return Err(Error::new(Kind::ServiceDown, what).during("delete_backup"));
    }
    Ok(())
}

async fn remove(manager: &Manager, context: &RequestContext, backup_id: &str) -> Result<()> {
    // Read again: a create that ended meanwhile has recorded where its objects are.
    let backup: BackupRow = manager.ask(Call::BackupGet { backup_id: backup_id.to_owned() }).await?;
    // And whoever set another status while this waited wants the objects kept.
    if backup.status != BackupStatus::Deleting {
        return Err(Error::cancelled());
    }
    temporary::remove(manager, &backup).await?;
    if backup.service.is_none() {
        return Ok(());
    }
    let driver = manager.driver().ok_or_else(|| Error::new(Kind::ServiceDown, "the driver is not initialised"))?;
    let zone = &manager.options.storage_availability_zone;
    driver.delete_backup(context, &backup.for_driver(zone)).await.map_err(|error| error.during("delete_backup"))?;
    // Last: without its key the bytes are nothing.
    encryption::delete_of_backup(manager, context, &backup).await.map_err(|error| error.during("delete_backup"))
}
