//! `restore_backup`: attach the target, let the driver write it, detach, record the end.

use std::sync::Arc;

use clinker_drivers::{RequestContext, RestoreControl};

use crate::bus::Cast;
use crate::db::Begun;
use crate::model::{BackupStatus, Operation, VolumeStatus};
use crate::operation::{Control, Manager};
use crate::volumes::{self, Attachment, Purpose};
use crate::{Error, Kind, Result, attachments};

pub(crate) async fn restore_backup(manager: &Arc<Manager>, cast: Cast) {
    let (context, backup_id) = (&cast.context.clone().into(), cast.backup_id.as_str());
    let Some(working_on_it) = manager.work_on(Operation::Restore, backup_id) else { return };
    let Some(begun) = manager.begin(Operation::Restore, &cast).await else { return };
    let result = run(manager, context, &begun).await;
    manager.finish(Operation::Restore, backup_id, result.err().as_ref(), 0).await;
    drop(working_on_it);
}

async fn run(manager: &Arc<Manager>, context: &RequestContext, begun: &Begun) -> Result<()> {
    let backup = &begun.backup;
    let volume = begun.volume.as_ref().ok_or_else(|| Error::new(Kind::InvalidVolume, "the volume is gone"))?;
    let control = Arc::new(Control {
        manager: Arc::clone(manager),
        backup_id: backup.id.clone(),
        wanted: BackupStatus::Restoring,
    });
    let _slot = manager.slot(|| control.still_wanted()).await?;
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
            let control: Arc<dyn RestoreControl> = control;
            driver.restore(context, &chain, device.as_ref(), is_new, control).await
        }
        Err(error) => Err(error),
    };
    let detached = attachments::detach(manager, &attachment).await;
    written.map_err(|error| error.during("restore"))?;
    detached
}
