//! Start-up clean-up: what the process before this one left unfinished. One bad backup does not stop the others.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::db::{Call, Cleaned, Share};
use crate::model::{BackupRow, Operation};
use crate::operation::Manager;
use crate::volumes::{Attachment, Purpose};
use crate::{Result, attachments, delete, temporary, workers};

/// Runs before requests are taken. Deletes are resumed in tasks of their own, or, without
/// `backup_service_inithost_offload`, one after the other before any request.
pub(crate) async fn run(manager: &Arc<Manager>, tasks: &mut JoinSet<()>) {
    let host = manager.options.host.clone();
    let listed = manager.insist(&Call::CleanupList { host, share: share(manager) }).await;
    let ids: Vec<String> = serde_json::from_value(listed).unwrap_or_default();
    let mut deletes = Vec::new();
    for id in ids {
        match one(manager, &id).await {
            Ok(Some(backup)) if manager.options.backup_service_inithost_offload => {
                manager.env.tasks.spawn_in(tasks, delete::resume(Arc::clone(manager), backup));
            }
            Ok(Some(backup)) => deletes.push(backup),
            Ok(None) => {}
            Err(error) => tracing::error!("clean-up of backup {id} failed: {error}"),
        }
    }
    manager.env.tasks.spawn_in(tasks, attachments::give_back(Arc::clone(manager)));
    for backup in deletes {
        delete::resume(Arc::clone(manager), backup).await;
    }
}

/// The backup, if its delete is to be resumed.
async fn one(manager: &Manager, id: &str) -> Result<Option<BackupRow>> {
    let before: BackupRow = manager.persist(&Call::BackupGet { backup_id: id.to_owned() }).await?;
    let (host, share) = (manager.options.host.clone(), share(manager));
    let own = own_work(manager, id).await?;
    for attachment in attached_before(&before, &manager.options.host, &own) {
        if let Err(error) = attachments::detach(manager, &attachment).await {
            tracing::error!("clean-up of backup {id}: volume {} stays attached: {error}", attachment.volume_id);
        }
    }
    if own.contains(&Operation::Create)
        && let Err(error) = temporary::remove(manager, &before).await
    {
        tracing::error!("clean-up of backup {id}: its temporary copy stays: {error}");
    }
    let call = Call::CleanupOne { backup_id: id.to_owned(), host, share };
    let cleaned: Cleaned = manager.persist(&call).await?;
    Ok(cleaned.resume_delete.then_some(cleaned.backup))
}

fn share(manager: &Manager) -> Share {
    manager.lifecycle.cleans_up(workers::share(manager))
}

/// Which operations of the backup were this worker's.
async fn own_work(manager: &Manager, id: &str) -> Result<Vec<Operation>> {
    let (host, share) = (manager.options.host.clone(), share(manager));
    if share.is_whole() {
        return Ok(vec![Operation::Create, Operation::Restore, Operation::Delete]);
    }
    manager.persist(&Call::WorkOf { backup_id: id.to_owned(), host, share }).await
}

/// What the process before may have attached for the backup.
fn attached_before(backup: &BackupRow, host: &str, own: &[Operation]) -> Vec<Attachment> {
    let attached = |volume_id: &String, purpose| Attachment {
        volume_id: volume_id.clone(),
        backup_id: backup.id.clone(),
        host: host.to_owned(),
        purpose,
        copy_id: None,
    };
    let copy_id = backup.temporary().map(|copy| copy.id).or(backup.snapshot_id.clone());
    let source = Attachment { copy_id, ..attached(&backup.volume_id, Purpose::Backup) };
    let target = backup.restore_volume_id.as_ref().map(|id| attached(id, Purpose::Restore));
    let source = Some(source).filter(|_| own.contains(&Operation::Create));
    let target = target.filter(|_| own.contains(&Operation::Restore));
    source.into_iter().chain(target).collect()
}
