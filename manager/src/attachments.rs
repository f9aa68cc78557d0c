//! Attachments that outlive their operation: a detach that failed, or a process that ended, leaves a volume attached to
//! this host, and once the operation is closed no row leads there any more.

use std::sync::Arc;

use tokio::time::sleep;

use crate::Result;
use crate::db::Call;
use crate::model::BackupRow;
use crate::operation::Manager;
use crate::service::PAUSE;
use crate::volumes::{self, Attachment};

/// Detaches; what cannot be detached now is detached later.
pub(crate) async fn detach(manager: &Manager, attachment: &Attachment) -> Result<()> {
    let detached = volumes::detach(manager.volumes.as_ref(), attachment).await;
    if detached.is_err() {
        manager.attached.notify_one();
    }
    detached
}

/// Once at the start, and after each detach that failed: until nothing is attached here but for open operations.
pub(crate) async fn give_back(manager: Arc<Manager>) {
    loop {
        loop {
            match give_back_once(&manager).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!("volumes stay attached, asked for again in {} s: {error}", PAUSE.as_secs())
                }
            }
            sleep(PAUSE).await;
        }
        manager.attached.notified().await;
    }
}

/// Whether nothing is left.
async fn give_back_once(manager: &Manager) -> Result<bool> {
    let mut is_done = true;
    for attachment in volumes::attachments(manager.volumes.as_ref(), &manager.options.host).await? {
        let backup_id = attachment.backup_id.clone();
        let backup: BackupRow = manager.ask(Call::BackupGet { backup_id }).await?;
        let operation = attachment.purpose.operation();
        // Since it was listed, the next operation may have begun.
        if backup.open_events.contains(&operation) || manager.runs(operation, &attachment.backup_id) {
            is_done = false;
        } else {
            volumes::detach(manager.volumes.as_ref(), &attachment).await?;
        }
    }
    Ok(is_done)
}
