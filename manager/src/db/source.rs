//! Calls about what a backup is made of besides its volume: snapshots, and temporary copies of volumes in use.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CreateRequest;
use super::sqlite::{Tx, to_json};
use crate::model::{BackupRow, BackupStatus, SnapshotRow, SnapshotStatus};
use crate::transitions::VolumeChange;
use crate::volumes::{Temporary, TemporaryKind};
use crate::{Error, Kind, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum SourceCall {
    SnapshotCreate {
        snapshot: SnapshotRow,
    },
    /// → `SnapshotRow`
    SnapshotGet {
        snapshot_id: String,
    },
    /// An administrator's edit by hand.
    SnapshotSetStatus {
        snapshot_id: String,
        status: SnapshotStatus,
    },
    /// Before the copy is made. Refused with `cancelled` when the backup is not to be made any more.
    TemporarySave {
        backup_id: String,
        copy: Temporary,
    },
    /// After it was removed.
    TemporaryDrop {
        backup_id: String,
    },
}

impl SourceCall {
    pub(super) fn name(&self) -> &'static str {
        match self {
            SourceCall::SnapshotCreate { .. } => "snapshot_create",
            SourceCall::SnapshotGet { .. } => "snapshot_get",
            SourceCall::SnapshotSetStatus { .. } => "snapshot_set_status",
            SourceCall::TemporarySave { .. } => "temporary_save",
            SourceCall::TemporaryDrop { .. } => "temporary_drop",
        }
    }
}

impl Tx<'_> {
    pub(super) fn source(&mut self, call: SourceCall) -> Result<Value> {
        match call {
            SourceCall::SnapshotCreate { mut snapshot } => {
                snapshot.created_at = self.wall;
                self.save("snapshots", &snapshot.id.clone(), &snapshot).map(|()| Value::Null)
            }
            SourceCall::SnapshotGet { snapshot_id } => to_json(self.snapshot(&snapshot_id)?),
            SourceCall::SnapshotSetStatus { snapshot_id, status } => {
                let mut snapshot = self.snapshot(&snapshot_id)?;
                snapshot.status = status;
                self.save("snapshots", &snapshot_id, &snapshot).map(|()| Value::Null)
            }
            SourceCall::TemporarySave { backup_id, copy } => {
                let mut backup = self.backup(&backup_id)?;
                if backup.status != BackupStatus::Creating {
                    return Err(Error::cancelled());
                }
                match copy.kind {
                    TemporaryKind::Snapshot => backup.temp_snapshot_id = Some(copy.id),
                    TemporaryKind::Volume => backup.temp_volume_id = Some(copy.id),
                }
                self.save_backup(&mut backup).map(|()| Value::Null)
            }
            SourceCall::TemporaryDrop { backup_id } => {
                let mut backup = self.backup(&backup_id)?;
                (backup.temp_snapshot_id, backup.temp_volume_id) = (None, None);
                self.save_backup(&mut backup).map(|()| Value::Null)
            }
        }
    }

    pub(super) fn snapshot(&self, id: &str) -> Result<SnapshotRow> {
        self.load("snapshots", id)?.ok_or_else(|| Error::new(Kind::NotFound, format!("snapshot {id}")))
    }

    /// The snapshot that a create names: the volume's, and free.
    pub(super) fn source_snapshot(&self, request: &CreateRequest) -> Result<Option<SnapshotRow>> {
        let Some(id) = &request.snapshot_id else { return Ok(None) };
        let snapshot = self.snapshot(id)?;
        let refused = |what: String| Err(Error::new(Kind::InvalidVolume, what));
        if snapshot.volume_id != request.volume_id {
            return refused(format!("snapshot {id} is of another volume"));
        }
        if snapshot.status != SnapshotStatus::Available {
            return refused(format!("snapshot is {}, expected available", snapshot.status));
        }
        Ok(Some(snapshot))
    }

    pub(super) fn seize_snapshot(&mut self, mut snapshot: SnapshotRow) -> Result<()> {
        snapshot.status = SnapshotStatus::BackingUp;
        self.save("snapshots", &snapshot.id.clone(), &snapshot)
    }

    /// The status of the backup's source, if that is a snapshot and still there.
    pub(super) fn snapshot_status(&self, backup: &BackupRow) -> Result<Option<SnapshotStatus>> {
        let Some(id) = &backup.snapshot_id else { return Ok(None) };
        Ok(self.load::<SnapshotRow>("snapshots", id)?.map(|snapshot| snapshot.status))
    }

    /// A snapshot source becomes available in every case that would give back a volume; its volume is left alone.
    pub(super) fn release_snapshot(&mut self, backup: &BackupRow, change: VolumeChange) -> Result<()> {
        if change == VolumeChange::Unchanged {
            return Ok(());
        }
        let Some(id) = &backup.snapshot_id else { return Ok(()) };
        let Some(mut snapshot) = self.load::<SnapshotRow>("snapshots", id)? else { return Ok(()) };
        if snapshot.status == SnapshotStatus::BackingUp {
            snapshot.status = SnapshotStatus::Available;
            self.save("snapshots", id, &snapshot)?;
        }
        Ok(())
    }
}
