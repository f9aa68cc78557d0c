//! Calls about encryption keys: which row names which key. A key is named before it is made and until it is gone.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sqlite::{Tx, to_json};
use crate::model::{BackupStatus, VolumeRow};
use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum KeyCall {
    /// Before a backup's key is made. Refused with `cancelled` when the backup is not to be made any more. → the id that
    /// the row names: the one it had, or this one
    Save { backup_id: String, key_id: String },
    /// After it was deleted.
    Drop { backup_id: String, key_id: String },
    /// Before the key of a restore's target is made. Refused with `cancelled` when the restore is not wanted any more.
    /// → its id
    SpareSave { backup_id: String, volume_id: String, key_id: String },
    /// The target's key becomes this one; the one it had becomes its spare. → that one. Refused as above.
    Take {
        backup_id: String,
        volume_id: String,
        key_id: Option<String>,
        /// The backup's key, unless its row has one or another row has this one.
        gleaned: Option<String>,
    },
    /// After the spare key was deleted.
    SpareDrop { volume_id: String, key_id: String },
}

impl KeyCall {
    pub(super) fn name(&self) -> &'static str {
        match self {
            KeyCall::Save { .. } => "key_save",
            KeyCall::Drop { .. } => "key_drop",
            KeyCall::SpareSave { .. } => "spare_key_save",
            KeyCall::Take { .. } => "key_take",
            KeyCall::SpareDrop { .. } => "spare_key_drop",
        }
    }
}

impl Tx<'_> {
    pub(super) fn keys(&mut self, call: KeyCall) -> Result<Value> {
        match call {
            KeyCall::Save { backup_id, key_id } => {
                let mut backup = self.backup(&backup_id)?;
                if backup.status != BackupStatus::Creating {
                    return Err(Error::cancelled());
                }
                let named = backup.encryption_key_id.get_or_insert(key_id).clone();
                self.save_backup(&mut backup)?;
                to_json(named)
            }
            KeyCall::Drop { backup_id, key_id } => {
                let mut backup = self.backup(&backup_id)?;
                if backup.encryption_key_id.as_ref() == Some(&key_id) {
                    backup.encryption_key_id = None;
                    self.save_backup(&mut backup)?;
                }
                Ok(Value::Null)
            }
            KeyCall::SpareSave { backup_id, volume_id, key_id } => {
                let mut volume = self.target(&backup_id, &volume_id)?;
                volume.spare_key_id = Some(key_id.clone());
                self.save_volume(&volume)?;
                to_json(key_id)
            }
            KeyCall::Take { backup_id, volume_id, key_id, gleaned } => {
                let mut volume = self.target(&backup_id, &volume_id)?;
                volume.spare_key_id = std::mem::replace(&mut volume.encryption_key_id, key_id);
                self.save_volume(&volume)?;
                self.glean(&backup_id, gleaned)?;
                to_json(volume.spare_key_id)
            }
            KeyCall::SpareDrop { volume_id, key_id } => {
                let mut volume = self.volume(&volume_id)?;
                if volume.spare_key_id.as_ref() == Some(&key_id) {
                    volume.spare_key_id = None;
                    self.save_volume(&volume)?;
                }
                Ok(Value::Null)
            }
        }
    }

    /// The volume that the backup is being restored to.
    fn target(&self, backup_id: &str, volume_id: &str) -> Result<VolumeRow> {
        let backup = self.backup(backup_id)?;
        let wanted = backup.status == BackupStatus::Restoring;
        if !wanted || backup.restore_volume_id.as_deref() != Some(volume_id) {
            return Err(Error::cancelled());
        }
        self.volume(volume_id)
    }

    /// A backup that does not say which key is its own: the one in its metadata is, unless that is somebody else's.
    fn glean(&mut self, backup_id: &str, gleaned: Option<String>) -> Result<()> {
        let mut backup = self.backup(backup_id)?;
        let Some(key_id) = gleaned.filter(|_| backup.encryption_key_id.is_none()) else { return Ok(()) };
        if self.key_owner(&key_id)?.is_some() {
            return Ok(());
        }
        backup.encryption_key_id = Some(key_id);
        self.save_backup(&mut backup)
    }

    /// The backup or volume that names a key.
    pub(super) fn key_owner(&self, key_id: &str) -> Result<Option<String>> {
        let query = "SELECT 'backup ' || id AS owner FROM backups WHERE encryption_key_id = ?1 AND deleted = 0
                     UNION ALL SELECT 'volume ' || id FROM volumes WHERE encryption_key_id = ?1 OR spare_key_id = ?1";
        let found = self.select(query, [key_id])?;
        Ok(found.first().and_then(|row| row["owner"].as_str()).map(str::to_owned))
    }
}
