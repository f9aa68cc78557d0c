//! Calls of start-up clean-up (`reference/02` §2.6, D5): what a crash left open is closed here.
//!
//! An open reset-status is not: its cast is acknowledged only after it was carried out, so it is still queued.

use super::sqlite::Tx;
use super::{Cleaned, Share};
use crate::Result;
use crate::model::{BackupStatus, Operation};
use crate::notify::Event;
use crate::transitions::{Case, ending};

/// What a row says whose operation was running when the process ended.
const RESTARTED: &str = "internal: init_host: the service restarted while the operation was running";

impl Tx<'_> {
    /// Ids of the host's backups that an operation has left unfinished, oldest first.
    pub(super) fn unfinished(&self, host: &str, share: Share) -> Result<Vec<String>> {
        let query = "SELECT id FROM backups WHERE host = ?1 AND (status IN ('creating', 'restoring', 'deleting')
                     OR open_events <> '[]' OR temp_volume_id IS NOT NULL OR temp_snapshot_id IS NOT NULL)
                     OR status = 'creating' AND id IN (SELECT id FROM records WHERE json_extract(hosts, '$[0]') = ?1)
                     ORDER BY created_at, id";
        let rows = self.select(query, [host])?;
        let mut ids = Vec::new();
        for id in rows.iter().filter_map(|row| row["id"].as_str()) {
            if share.is_whole() || self.has_work_for(&self.backup(id)?, host, share)? {
                ids.push(id.to_owned());
            }
        }
        Ok(ids)
    }

    /// Closes what is open of one backup. Creates are closed before a delete is resumed.
    pub(super) fn clean_up(&mut self, id: &str, host: &str, share: Share) -> Result<Cleaned> {
        let mut backup = self.backup(id)?;
        let own = self.work_of(id, host, share)?;
        if own.contains(&Operation::Create) && self.end_import(&mut backup, RESTARTED)? {
            return Ok(Cleaned { backup, resume_delete: false });
        }
        for operation in [Operation::Create, Operation::Restore] {
            let unfinished = backup.open_events.contains(&operation) || interrupted(operation, backup.status);
            if own.contains(&operation) && unfinished {
                let volume = self.volume_of(operation, &backup)?;
                let case = ending(operation, backup.status, true);
                let reason = if case.is_cancel() { "cancelled" } else { RESTARTED };
                self.close(case, operation, &mut backup, volume, host, Some(reason))?;
            }
        }
        if !own.contains(&Operation::Delete) {
            return Ok(Cleaned { backup, resume_delete: false });
        }
        let resume_delete = backup.status == BackupStatus::Deleting;
        if resume_delete && !backup.open_events.contains(&Operation::Delete) {
            self.emit(host, Event::start(Operation::Delete, &backup))?;
            backup.open_events.push(Operation::Delete);
            self.save_backup(&mut backup)?;
        }
        if !resume_delete && backup.open_events.contains(&Operation::Delete) {
            self.close(Case::DeleteStatusChanged, Operation::Delete, &mut backup, None, host, Some("cancelled"))?;
        }
        Ok(Cleaned { backup, resume_delete })
    }
}

fn interrupted(operation: Operation, status: BackupStatus) -> bool {
    matches!(
        (operation, status),
        (Operation::Create, BackupStatus::Creating) | (Operation::Restore, BackupStatus::Restoring)
    )
}
