//! `reset_status`: an administrator sets a backup's status; needs no working driver.

use crate::bus::Cast;
use crate::model::{BackupStatus, Operation};
use crate::operation::Manager;
use crate::{Result, temporary};

/// An error means that the database has not taken it: the cast is to be delivered again.
///
/// The cast's id is the key: one that is delivered again after it was carried out sets nothing.
pub(crate) async fn reset_status(manager: &Manager, cast: &Cast, status: BackupStatus) -> Result<()> {
    let call = manager.arrival(Operation::ResetStatus, cast, Some(status));
    let answer = manager.db.call_as(&cast.id, call).await;
    manager.published.notify_one();
    match answer {
        Err(error) if error.retry => Err(error),
        Err(error) => {
            tracing::error!("reset_status of backup {} cannot begin: {error}", cast.backup_id);
            Ok(())
        }
        Ok(_) => {
            // A create that runs here sees the new status and clears what it made itself.
            if status == BackupStatus::Error && !manager.runs(Operation::Create, &cast.backup_id) {
                temporary::clear(manager, &cast.backup_id).await;
            }
            Ok(())
        }
    }
}
