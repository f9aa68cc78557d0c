//! `restore_backup`: attach the target, let the driver write it, detach, record the end.

use std::sync::Arc;

use clinker_drivers::{RequestContext, RestoreControl};

use crate::bus::Cast;
use crate::db::Begun;
use crate::encryption::Restoring;
use crate::metadata::Restored;
use crate::model::{BackupStatus, Operation, VolumeStatus};
use crate::operation::{Control, Done, Manager};
use crate::volumes::{self, Attachment, Purpose};
use crate::{Error, Kind, Result, attachments};

pub(crate) async fn restore_backup(manager: &Arc<Manager>, cast: Cast) {
    let (context, backup_id) = (&cast.context.clone().into(), cast.backup_id.as_str());
    let Some(working_on_it) = manager.work_on(Operation::Restore, backup_id) else { return };
    let Some(begun) = manager.begin(Operation::Restore, &cast).await else { return };
    let (error, restored) = match run(manager, context, &begun).await {
        Ok(restored) => (None, restored),
        Err(error) => (Some(error), None),
    };
    let done = Done { restored, ..Done::default() };
    manager.finish(Operation::Restore, backup_id, error.as_ref(), done).await;
    drop(working_on_it);
}

/// What goes on the volume besides the bytes.
async fn run(manager: &Arc<Manager>, context: &RequestContext, begun: &Begun) -> Result<Option<Restored>> {
    let backup = &begun.backup;
    let volume = begun.volume.as_ref().ok_or_else(|| Error::new(Kind::InvalidVolume, "the volume is gone"))?;
    let control =
        Control { manager: Arc::clone(manager), backup_id: backup.id.clone(), wanted: BackupStatus::Restoring };
    let _slot = manager.slot(|| control.still_wanted()).await?;
    let control = Arc::new(Restoring::new(control, context, backup, volume));
    let driver = manager.driver().ok_or_else(|| Error::new(Kind::ServiceDown, "the driver is not initialised"))?;
    let attachment = Attachment {
        volume_id: volume.id.clone(),
        backup_id: backup.id.clone(),
        host: manager.options.host.clone(),
        purpose: Purpose::Restore,
        copy_id: None,
    };
    let zone = &manager.options.storage_availability_zone;
    let chain: Vec<_> = begun.chain.iter().map(|link| link.for_driver(zone)).collect();
    let is_new = volume.status == VolumeStatus::Creating;
    let written = match volumes::attach(manager.volumes.as_ref(), &attachment).await {
        Ok(device) => {
            driver
                .restore(context, &chain, device.as_ref(), is_new, Arc::clone(&control) as Arc<dyn RestoreControl>)
                .await
        }
        Err(error) => Err(error),
    };
    let written = match written {
        Ok(()) => control.take_key().await,
        Err(error) => {
            control.abandon_key().await;
            Err(error)
        }
    };
    let detached = attachments::detach(manager, &attachment).await;
    written.map_err(|error| error.during("restore"))?;
    detached.map(|()| control.restored())
}
