//! The keys of encrypted volumes and their backups. Every backup has a key of its own, and so has every restored volume.
//!
//! A row names a key before it is made and until it is gone; deleting needs the user's context, so what a crash leaves
//! stays named until the next request for that backup or volume.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clinker_drivers::{RequestContext, RestoreControl};

use crate::db::keys::KeyCall;
use crate::db::{Begun, Call};
use crate::metadata::{self, Restored};
use crate::model::{BackupRow, VolumeRow};
use crate::operation::{Control, Manager};
use crate::transitions::Case;
use crate::{Result, keys};

/// Clones the volume's key for the backup; `own` is its id from when it is written down.
pub(crate) async fn clone_for_backup(
    manager: &Manager,
    context: &RequestContext,
    begun: &Begun,
    own: &mut Option<String>,
) -> Result<()> {
    let Some(key_id) = begun.source.as_ref().and_then(|volume| volume.encryption_key_id.as_ref()) else {
        return Ok(());
    };
    let call = KeyCall::Save { backup_id: begun.backup.id.clone(), key_id: manager.env.rng.uuid() };
    let saved: String = manager.ask(Call::Keys(call)).await?;
    keys::clone(manager.keys.as_ref(), context, key_id, own.insert(saved)).await
}

/// A create has ended: its key goes if the row does not name it any more. Whoever took it out of the row may have been
/// too early for it.
pub(crate) async fn settle(
    manager: &Manager,
    context: &RequestContext,
    backup_id: &str,
    own: Option<String>,
    case: Option<Case>,
) {
    let Some(key_id) = own.filter(|_| case != Some(Case::CreateOk)) else { return };
    let row: Result<BackupRow> = manager.persist(&Call::BackupGet { backup_id: backup_id.to_owned() }).await;
    if row.is_ok_and(|row| row.encryption_key_id.as_ref() == Some(&key_id)) {
        return;
    }
    if let Err(error) = keys::delete(manager.keys.as_ref(), context, &key_id).await {
        tracing::error!("key {key_id} of backup {backup_id} stays: {error}");
    }
}

/// Deletes the backup's key and takes its id out of the row.
pub(crate) async fn delete_of_backup(manager: &Manager, context: &RequestContext, backup: &BackupRow) -> Result<()> {
    let Some(key_id) = backup.encryption_key_id.clone() else { return Ok(()) };
    keys::delete(manager.keys.as_ref(), context, &key_id).await?;
    manager.persist(&Call::Keys(KeyCall::Drop { backup_id: backup.id.clone(), key_id })).await
}

/// A restore that looks after the target's metadata and key.
pub(crate) struct Restoring {
    pub control: Control,
    pub context: RequestContext,
    pub backup: BackupRow,
    pub volume: VolumeRow,
    told: Mutex<Told>,
}

/// What the backup has told of the volume it was made of.
#[derive(Clone, Default)]
struct Told {
    restored: Option<Restored>,
    change: Option<Change>,
}

/// The target gets another key, or none.
#[derive(Clone)]
struct Change {
    new: Option<String>,
    /// The backup's key, if its row did not say.
    gleaned: Option<String>,
}

impl Restoring {
    pub fn new(control: Control, context: &RequestContext, backup: &BackupRow, volume: &VolumeRow) -> Restoring {
        let (context, backup, volume) = (context.clone(), backup.clone(), volume.clone());
        Restoring { control, context, backup, volume, told: Mutex::default() }
    }

    fn manager(&self) -> &Arc<Manager> {
        &self.control.manager
    }

    fn told(&self) -> Told {
        self.told.lock().expect("no panic while the lock is held").clone()
    }

    /// What goes on the volume at the end.
    pub fn restored(&self) -> Option<Restored> {
        self.told().restored
    }

    /// Deletes a key that the volume names as spare, and the name.
    async fn delete_spare(&self, key_id: String) -> Result<()> {
        keys::delete(self.manager().keys.as_ref(), &self.context, &key_id).await?;
        self.manager().persist(&Call::Keys(KeyCall::SpareDrop { volume_id: self.volume.id.clone(), key_id })).await
    }

    /// The key that the target is to have: a clone of the backup's, made and written down as spare.
    async fn clone_for_volume(&self, saved: &str) -> Result<Change> {
        let own = self.backup.encryption_key_id.clone();
        let call = KeyCall::SpareSave {
            backup_id: self.backup.id.clone(),
            volume_id: self.volume.id.clone(),
            key_id: self.manager().env.rng.uuid(),
        };
        let new: String = self.manager().ask(Call::Keys(call)).await?;
        let gleaned = own.is_none().then(|| saved.to_owned());
        let change = Change { new: Some(new.clone()), gleaned };
        self.told.lock().expect("no panic while the lock is held").change = Some(change.clone());
        keys::clone(self.manager().keys.as_ref(), &self.context, own.as_deref().unwrap_or(saved), &new).await?;
        Ok(change)
    }

    /// The bytes are on the volume: their key becomes its key, and the one before goes.
    pub async fn take_key(&self) -> Result<()> {
        let Some(Change { new, gleaned }) = self.told().change else { return Ok(()) };
        let call = KeyCall::Take {
            backup_id: self.backup.id.clone(),
            volume_id: self.volume.id.clone(),
            key_id: new,
            gleaned,
        };
        let taken: Result<Option<String>> = self.manager().persist(&Call::Keys(call)).await;
        let replaced = match taken {
            Ok(replaced) => replaced,
            Err(error) => {
                self.abandon_key().await;
                return Err(error);
            }
        };
        match replaced {
            Some(key_id) => self.delete_spare(key_id).await,
            None => Ok(()),
        }
    }

    /// The bytes are not on the volume: neither shall their key be. One that stays, stays named.
    pub async fn abandon_key(&self) {
        let Some(key_id) = self.told().change.and_then(|change| change.new) else { return };
        if let Err(error) = self.delete_spare(key_id).await {
            tracing::error!("a spare key of volume {} stays: {error}", self.volume.id);
        }
    }
}

#[async_trait]
impl RestoreControl for Restoring {
    async fn check_cancelled(&self) -> Result<()> {
        self.control.still_wanted().await
    }

    /// Nothing is written to a volume whose key cannot be had.
    async fn volume_meta(&self, volume_meta: Option<&str>) -> Result<()> {
        let restored = volume_meta.map(metadata::read).transpose()?;
        if let Some(restored) = &restored {
            restored.check(&self.volume)?;
        }
        if let Some(left) = self.volume.spare_key_id.clone() {
            self.delete_spare(left).await?;
        }
        let saved = restored.as_ref().and_then(|restored| restored.encryption_key_id.clone());
        let change = match saved {
            Some(saved) if saved != self.volume.encryption_key_id => match saved {
                Some(saved) => Some(self.clone_for_volume(&saved).await?),
                None => Some(Change { new: None, gleaned: None }),
            },
            _ => None,
        };
        *self.told.lock().expect("no panic while the lock is held") = Told { restored, change };
        Ok(())
    }

    fn warn(&self, finding: &str) {
        tracing::warn!("restore of backup {}: {finding}", self.backup.id);
    }
}
