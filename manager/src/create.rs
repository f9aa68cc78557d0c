//! `create_backup`: attach, let the driver store the volume, detach, record the end.

use std::sync::Arc;

use clinker_drivers::driver::BackupUpdate;
use clinker_drivers::{Backup, BackupControl, RequestContext};

use crate::bus::Cast;
use crate::db::{Begun, Call};
use crate::model::{BackupRow, BackupStatus, Operation};
use crate::operation::{Control, Done, Manager};
use crate::transitions::Case;
use crate::volumes::{self, Attachment, Purpose};
use crate::{Error, Kind, Result, attachments, encryption, metadata, temporary};

pub(crate) async fn create_backup(manager: &Arc<Manager>, cast: Cast) {
    let (context, backup_id) = (&cast.context.clone().into(), cast.backup_id.as_str());
    // Registered before the start is out: whoever sees it can wait for the end.
    let Some(working_on_it) = manager.work_on(Operation::Create, backup_id) else { return };
    let Some(begun) = manager.begin(Operation::Create, &cast).await else { return };
    let mut key = None;
    let result = run(manager, context, &begun, &mut key).await;
    let done = Done { object_count: result.as_ref().map_or(0, |update| update.object_count), ..Done::default() };
    let case = manager.finish(Operation::Create, backup_id, result.as_ref().err(), done).await;
    if result.is_ok() && is_nobodys(manager, backup_id, case).await {
        remove_objects(manager, context, backup_id).await;
    }
    encryption::settle(manager, context, backup_id, key, case).await;
    drop(working_on_it);
}

/// Whether what a create has stored is to go (D7): its backup's status changed after the last look.
async fn is_nobodys(manager: &Manager, backup_id: &str, case: Option<Case>) -> bool {
    if case.is_some() {
        // After a force delete the delete waits here to remove it.
        return case == Some(Case::CreateStatusChanged);
    }
    // Closed by a delete on another host, which may be past its removal.
    use BackupStatus::{Deleted, Deleting, ErrorDeleting};
    let row: Result<BackupRow> = manager.persist(&Call::BackupGet { backup_id: backup_id.to_owned() }).await;
    row.is_ok_and(|row| matches!(row.status, Deleting | Deleted | ErrorDeleting))
}

/// `key` is the id of the backup's own key, once that is written down.
async fn run(
    manager: &Arc<Manager>,
    context: &RequestContext,
    begun: &Begun,
    key: &mut Option<String>,
) -> Result<BackupUpdate> {
    let backup = &begun.backup;
    let control = Arc::new(Control {
        manager: Arc::clone(manager),
        backup_id: backup.id.clone(),
        wanted: BackupStatus::Creating,
    });
    let _slot = manager.slot(|| control.still_wanted()).await?;
    encryption::clone_for_backup(manager, context, begun, key).await.map_err(|error| error.during("backup"))?;
    let Some(copy) = temporary::needed(manager, begun) else {
        return store(manager, context, begun, control, backup.snapshot_id.clone()).await;
    };
    let stored = match temporary::make(manager, &backup.id, &copy).await {
        Ok(()) => store(manager, context, begun, control, Some(copy.id)).await,
        Err(error) => Err(error.during("backup")),
    };
    // On every path: a copy whose making failed on the way back may be there.
    temporary::clear(manager, &backup.id).await;
    stored
}

/// Stores the volume, or the snapshot or copy that stands for it.
async fn store(
    manager: &Arc<Manager>,
    context: &RequestContext,
    begun: &Begun,
    control: Arc<Control>,
    copy_id: Option<String>,
) -> Result<BackupUpdate> {
    let backup = &begun.backup;
    let driver = manager.driver().ok_or_else(|| Error::new(Kind::ServiceDown, "the driver is not initialised"))?;
    let attachment = Attachment {
        volume_id: backup.volume_id.clone(),
        backup_id: backup.id.clone(),
        host: manager.options.host.clone(),
        purpose: Purpose::Backup,
        copy_id,
    };
    let zone = &manager.options.storage_availability_zone;
    let parent = begun.chain.iter().rev().nth(1).map(|parent| parent.for_driver(zone));
    let version = manager.options.backup_metadata_version;
    let volume_meta = begun.source.as_ref().map(|volume| metadata::write(volume, version));
    let stored = Backup { volume_meta, ..backup.for_driver(zone) };
    let stored = match volumes::attach(manager.volumes.as_ref(), &attachment).await {
        Ok(device) => {
            let control: Arc<dyn BackupControl> = control;
            driver.backup(context, &stored, parent.as_ref(), device.as_ref(), control).await
        }
        Err(error) => Err(error),
    };
    // Detached on every path: an attach that failed on the way back may have happened.
    let detached = attachments::detach(manager, &attachment).await;
    let update = stored.map_err(|error| error.during("backup"))?;
    if let Err(error) = detached {
        // The goal was not reached: what was stored must not stay (D7).
        remove_objects(manager, context, &backup.id).await;
        return Err(error);
    }
    Ok(update)
}

async fn remove_objects(manager: &Manager, context: &RequestContext, backup_id: &str) {
    let removed = async {
        let row: BackupRow = manager.persist(&Call::BackupGet { backup_id: backup_id.to_owned() }).await?;
        let driver = manager.driver().ok_or_else(|| Error::new(Kind::ServiceDown, "the driver is not initialised"))?;
        driver.delete_backup(context, &row.for_driver(&manager.options.storage_availability_zone)).await
    };
    if let Err(error) = removed.await {
        tracing::warn!("objects of backup {backup_id} stay until it is deleted: {error}");
    }
}
