//! Copies of volumes in use: a backup of one reads a temporary copy, so that it holds the bytes of one moment.
//!
//! The row names the copy before it is made and until it is gone, so that whoever takes over after a crash finds it.

use clinker_drivers::Result;

use crate::db::source::SourceCall;
use crate::db::{Begun, Call};
use crate::model::{BackupRow, VolumeStatus};
use crate::operation::Manager;
use crate::volumes::{self, Temporary, TemporaryKind};

/// The copy that a create needs, if its volume is in use. `backup_use_temp_snapshot` says of which kind.
pub(crate) fn needed(manager: &Manager, begun: &Begun) -> Option<Temporary> {
    let in_use = begun.volume.as_ref().is_some_and(|volume| volume.previous_status == Some(VolumeStatus::InUse));
    let snapshot = manager.options.backup_use_temp_snapshot;
    let kind = if snapshot { TemporaryKind::Snapshot } else { TemporaryKind::Volume };
    let volume_id = begun.backup.volume_id.clone();
    in_use.then(|| Temporary { id: manager.env.rng.uuid(), volume_id, kind })
}

pub(crate) async fn make(manager: &Manager, backup_id: &str, copy: &Temporary) -> Result<()> {
    let call = SourceCall::TemporarySave { backup_id: backup_id.to_owned(), copy: copy.clone() };
    manager.call(Call::Source(call)).await?;
    volumes::make(manager.volumes.as_ref(), copy).await
}

/// Removes the copy that the row names. One that cannot be removed stays named: start-up and delete try again.
pub(crate) async fn remove(manager: &Manager, backup: &BackupRow) -> Result<()> {
    let Some(copy) = backup.temporary() else { return Ok(()) };
    let removed = volumes::unmake(manager.volumes.as_ref(), &copy).await;
    if let Err(error) = &removed {
        tracing::error!("{} {} of backup {} stays: {error}", copy.kind.as_str(), copy.id, backup.id);
    }
    removed?;
    manager.persist(&Call::Source(SourceCall::TemporaryDrop { backup_id: backup.id.clone() })).await
}

/// As [`remove`], of the row as it is now; a failure is only logged.
pub(crate) async fn clear(manager: &Manager, backup_id: &str) {
    let row: Result<BackupRow> = manager.persist(&Call::BackupGet { backup_id: backup_id.to_owned() }).await;
    if let Ok(row) = row {
        // It has said so itself.
        let _ = remove(manager, &row).await;
    }
}
