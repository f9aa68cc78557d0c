//! Mutants of outcomes: one row of the table of section 5 each, most of them as the original has it. And of what a start
//! cleans up, what a restore writes, and what a notification carries.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{Device, Result};
use clinker_manager::db::{Call, Db};
use clinker_manager::model::{BackupStatus, VolumeStatus};
use clinker_manager::notify::Terminal;
use clinker_manager::transitions::{Case, Outcome, VolumeChange};
use clinker_manager::volumes::{Attachment, Temporary, Volumes};
use serde_json::Value;

use super::decisions::Altered;
use super::{Mutant, generic};
use crate::run::{Parts, wrap};

/// A mutant of `swift` in a scenario.
const fn mutant(
    name: &'static str,
    about: &'static str,
    scenario: &'static str,
    checker: &'static str,
    plant: fn(&mut Parts),
) -> Mutant {
    Mutant { name, about, scenario, driver: "swift", checker, plant }
}

fn altered(parts: &mut Parts, change: fn(Case, Outcome) -> Outcome) {
    parts.transitions = Arc::new(Altered(change));
}

/// Substitutes some fields of the outcome of one case.
macro_rules! outcome {
    ($case:ident, $($field:ident: $value:expr),+) => {
        |parts| altered(parts, |case, outcome| match case {
            Case::$case => Outcome { $($field: $value,)+ ..outcome },
            _ => outcome,
        })
    };
}

pub(super) static OUTCOMES: &[Mutant] = &[
    mutant(
        "late-create-errors-the-backup",
        "a create that finds its backup in another status puts it in error",
        "create/backup-set-available",
        "expectations",
        outcome!(CreateBackupNotCreating, backup: Some(BackupStatus::Error)),
    ),
    mutant(
        "late-restore-errors-the-backup",
        "a restore that finds its backup in another status puts it in error",
        "restore/backup-set-available",
        "expectations",
        outcome!(RestoreBackupNotRestoring, backup: Some(BackupStatus::Error)),
    ),
    mutant(
        "late-delete-errors-the-backup",
        "a delete that finds its backup in another status puts it in error",
        "delete/backup-moved-on",
        "expectations",
        outcome!(DeleteBackupNotDeleting, backup: Some(BackupStatus::Error)),
    ),
    mutant(
        "wrong-status-told-as-end",
        "a create that finds its volume in another status is announced as ended",
        "create/volume-moved-on",
        "events",
        outcome!(CreateVolumeNotBackingUp, terminal: Terminal::End),
    ),
    mutant(
        "failed-create-not-on-the-volume",
        "a volume whose backup failed looks as if it had succeeded",
        "create/fails-at-chunk-5",
        "volumes",
        outcome!(CreateFailed, volume: VolumeChange::AfterBackup { previous_status: VolumeStatus::BackingUp }),
    ),
    mutant(
        "refused-restore-errors-the-target",
        "a restore that cannot begin leaves its target error_restoring",
        "restore/of-another-driver",
        "expectations",
        outcome!(RestoreNotWorking, volume: VolumeChange::AfterRestore {
            restoring: VolumeStatus::ErrorRestoring,
            creating: VolumeStatus::Error
        }),
    ),
    mutant(
        "failed-restore-errors-the-backup",
        "a backup whose restore failed is in error itself",
        "restore/attach-refused",
        "rows",
        outcome!(RestoreFailed, backup: Some(BackupStatus::Error)),
    ),
    mutant(
        "failed-restore-told-as-end",
        "a failed restore is announced as ended",
        "integrity/bit-flip",
        "restored_bytes",
        outcome!(RestoreFailed, terminal: Terminal::End),
    ),
    mutant(
        "cancelled-restore-told-as-end",
        "a cancelled restore is announced as ended",
        "cancel/reset-restore-to-error",
        "events",
        outcome!(RestoreCancelled, terminal: Terminal::End),
    ),
    mutant(
        "failed-delete-is-error",
        "a backup whose delete failed is in error, as if its create had",
        "delete/of-another-driver",
        "rows",
        outcome!(DeleteFailed, backup: Some(BackupStatus::Error)),
    ),
    mutant(
        "failed-delete-told-as-end",
        "a failed delete is announced as ended",
        "delete/of-another-driver",
        "events",
        outcome!(DeleteFailed, terminal: Terminal::End),
    ),
    mutant(
        "reset-told-as-error",
        "a reset that was carried out is announced as failed",
        "cancel/reset-idle",
        "events",
        outcome!(ResetOk, terminal: Terminal::Error),
    ),
    mutant(
        "clean-up-looks-at-one",
        "a service that starts closes one of the operations that were left open",
        "restart/clean-up-without-volume-service",
        "operations",
        |parts| parts.db = wrap(|inner| Arc::new(LooksAtOne(inner))),
    ),
    mutant(
        "end-of-the-target-not-written",
        "a restore leaves out the last bytes of the volume",
        "restore/other-volume",
        "restored_bytes",
        |parts| parts.volumes = wrap(|inner| Arc::new(Shortened(inner))),
    ),
    mutant(
        "errors-told-as-info",
        "error events have the priority of all others",
        "create/fails-at-chunk-5",
        "delivery",
        |parts| generic::notifications_altered(parts, as_info),
    ),
];

/// The list of what to clean up has its first entry only.
struct LooksAtOne(Arc<dyn Db>);

#[async_trait]
impl Db for LooksAtOne {
    fn new_key(&self) -> String {
        self.0.new_key()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        let is_list = matches!(call, Call::CleanupList { .. });
        let mut answer = self.0.call_as(key, call).await?;
        if let Some(rows) = answer.as_array_mut().filter(|_| is_list) {
            rows.truncate(1);
        }
        Ok(answer)
    }
}

/// Devices whose last bytes are never written.
struct Shortened(Arc<dyn Volumes>);

#[async_trait]
impl Volumes for Shortened {
    async fn attach(&self, attachment: &Attachment) -> Result<Arc<dyn Device>> {
        Ok(Arc::new(ShortDevice(self.0.attach(attachment).await?)))
    }

    async fn detach(&self, attachment: &Attachment) -> Result<()> {
        self.0.detach(attachment).await
    }

    async fn attachments(&self, host: &str) -> Result<Vec<Attachment>> {
        self.0.attachments(host).await
    }

    async fn create_temporary(&self, copy: &Temporary) -> Result<()> {
        self.0.create_temporary(copy).await
    }

    async fn delete_temporary(&self, copy: &Temporary) -> Result<()> {
        self.0.delete_temporary(copy).await
    }
}

struct ShortDevice(Arc<dyn Device>);

#[async_trait]
impl Device for ShortDevice {
    fn len(&self) -> u64 {
        self.0.len()
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.0.read_at(offset, len).await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        if offset + data.len() as u64 == self.len() { Ok(()) } else { self.0.write_at(offset, data).await }
    }

    async fn flush(&self) -> Result<()> {
        self.0.flush().await
    }
}

/// A notification with the priority INFO.
fn as_info(message: &Value) -> Value {
    let mut message = message.clone();
    message["priority"] = "INFO".into();
    message
}
