//! `reset_status`: an administrator sets a backup's status; needs no working driver.

use crate::Result;
use crate::db::{Begin, Begun, Call};
use crate::model::{BackupStatus, Operation};
use crate::operation::Manager;

/// An error means that the database has not taken it: the cast is to be delivered again.
pub(crate) async fn reset_status(manager: &Manager, backup_id: &str, status: BackupStatus) -> Result<()> {
    let begin = Begin {
        operation: Operation::ResetStatus,
        backup_id: backup_id.to_owned(),
        host: manager.options.host.clone(),
        driver: manager.class_path.to_owned(),
        availability_zone: manager.options.storage_availability_zone.clone(),
        working: manager.is_working(),
        status: Some(status),
    };
    manager.ask::<Begun>(Call::OpBegin(begin)).await.map(|_| ())
}
