//! Calls of a manager about one operation: it begins, goes on, ends. Outcomes come from [`crate::transitions`].

use serde_json::Value;

use super::sqlite::{Tx, to_json};
use super::{Begin, Begun, Call, Finish};
use crate::model::{BackupRow, BackupStatus, Operation, VolumeRow};
use crate::notify::{Event, Terminal};
use crate::transitions::{Arrival, Case, ReasonChange, ending, refusal};
use crate::{Error, Kind, Result};

fn method_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "create_backup",
        Operation::Restore => "restore_backup",
        Operation::Delete => "delete_backup",
        Operation::ResetStatus => "reset_status",
    }
}

/// Cinder cuts `fail_reason` to this many characters on save.
const FAIL_REASON_MAX: usize = 255;

impl Tx<'_> {
    /// A request arrives: its start event, and either its end or the rows it needs to go on.
    pub(super) fn begin(&mut self, begin: Begin) -> Result<Begun> {
        let operation = begin.operation;
        let mut backup = self.backup(&begin.backup_id)?;
        // What is still open although it has begun goes on: a worker has lost its process to another one. What a later
        // request has opened is none of an earlier one's business.
        if let Some(cast) = &begin.cast
            && !self.begins(cast)?
            && !(backup.open_events.contains(&operation) && self.began_last(cast, &begin.backup_id)?)
        {
            return Ok(Begun { ended: None, again: true, backup, volume: None, source: None, chain: Vec::new() });
        }
        // A delete that another host began and did not end goes on here.
        if operation != Operation::ResetStatus && !backup.open_events.contains(&operation) {
            self.emit(&begin.host, Event::start(operation, &backup))?;
            backup.open_events.push(operation);
        }
        if operation == Operation::Delete && backup.status == BackupStatus::Deleting {
            self.close_orphans(&mut backup, &begin)?;
        }
        let volume = self.volume_of(operation, &backup)?;
        let ours =
            backup.service.as_deref().is_none_or(|service| clinker_drivers::registry::accepts(service, &begin.driver));
        let snapshot = self.snapshot_status(&backup)?;
        let arrival = Arrival { working: begin.working, ours, snapshot };
        if let Some((case, reason)) = refusal(operation, &backup, volume.as_ref(), arrival) {
            self.close(case, operation, &mut backup, volume, &begin.host, Some(&reason))?;
            let volume = self.volume_of(operation, &backup)?;
            return Ok(Begun { ended: Some(case), again: false, backup, volume, source: None, chain: Vec::new() });
        }
        if operation == Operation::Create {
            backup.availability_zone.get_or_insert_with(|| begin.availability_zone.clone());
            backup.service = Some(begin.driver.clone());
        }
        if let Some(status) = begin.status {
            self.release_unbegun(&mut backup, Case::CreateStatusChanged)?;
            backup.status = status;
            self.close(Case::ResetOk, operation, &mut backup, None, &begin.host, None)?;
            return Ok(Begun {
                ended: Some(Case::ResetOk),
                again: false,
                backup,
                volume: None,
                source: None,
                chain: Vec::new(),
            });
        }
        // What is removed needs no ancestors; an imported backup may lack them.
        let chain = if operation == Operation::Delete { Ok(Vec::new()) } else { self.chain(&backup) };
        match chain {
            Ok(chain) => {
                self.save_backup(&mut backup)?;
                let source =
                    if operation == Operation::Create { self.load("volumes", &backup.volume_id)? } else { None };
                Ok(Begun { ended: None, again: false, backup, volume, source, chain })
            }
            Err(error) => {
                let case = ending(operation, backup.status, true);
                let reason = error.during(method_of(operation)).to_string();
                self.close(case, operation, &mut backup, volume, &begin.host, Some(&reason))?;
                let volume = self.volume_of(operation, &backup)?;
                Ok(Begun { ended: Some(case), again: false, backup, volume, source: None, chain: Vec::new() })
            }
        }
    }

    pub(super) fn running(&mut self, call: Call) -> Result<Value> {
        match call {
            Call::OpSaveLocation { backup_id, container, service_metadata } => {
                let mut backup = self.backup(&backup_id)?;
                if backup.status != BackupStatus::Creating {
                    return Err(Error::cancelled());
                }
                backup.container = Some(container);
                backup.service_metadata = Some(service_metadata);
                self.save_backup(&mut backup).map(|()| Value::Null)
            }
            Call::OpStatus { backup_id } => to_json(self.backup(&backup_id)?.status),
            Call::OpProgress { backup_id, host, event_type, percent } => {
                let backup = self.backup(&backup_id)?;
                let elsewhere = backup.host.as_deref() != Some(&*host);
                let is_open = backup.open_events.contains(&Operation::Create);
                if !is_open && (elsewhere || self.is_work_ended(&backup_id, Operation::Create)?) {
                    // Another host or worker has taken the backup over and told the end already; nothing follows it.
                    return Err(Error::cancelled());
                }
                self.emit(&host, Event::progress(&event_type, &backup, percent)).map(|()| Value::Null)
            }
            _ => unreachable!("only calls of a running operation come here"),
        }
    }

    /// An accepted operation ends in the case that the rows, as they are now, make of it.
    ///
    /// `None` when it was closed before: whoever closed it has settled everything (D8).
    pub(super) fn finish(&mut self, finish: Finish) -> Result<Option<Case>> {
        let mut backup = self.backup(&finish.backup_id)?;
        if !backup.open_events.contains(&finish.operation) {
            return Ok(None);
        }
        let mut volume = self.volume_of(finish.operation, &backup)?;
        let case = ending(finish.operation, backup.status, finish.error.is_some());
        if case == Case::CreateOk {
            backup.object_count = finish.object_count;
        }
        if let (Case::RestoreOk, Some(volume), Some(restored)) = (case, &mut volume, &finish.restored) {
            restored.apply(volume);
        }
        let reason = if case.is_cancel() { Some("cancelled") } else { finish.error.as_deref() };
        self.close(case, finish.operation, &mut backup, volume, &finish.host, reason)?;
        Ok(Some(case))
    }

    /// A force delete that its backup's host did not live to get: what was open there is closed here (D5).
    fn close_orphans(&mut self, backup: &mut BackupRow, begin: &Begin) -> Result<()> {
        let beside = self.work_beside(&backup.id, &begin.host, None)?;
        for operation in [Operation::Create, Operation::Restore] {
            let runs = begin.running_here.contains(&operation) || beside.contains(&operation);
            if backup.open_events.contains(&operation) && !runs {
                let volume = self.volume_of(operation, backup)?;
                let case = ending(operation, backup.status, true);
                self.close(case, operation, backup, volume, &begin.host, Some("cancelled"))?;
            }
        }
        Ok(())
    }

    /// Gives back the volume of an operation that has not begun, and will not: its cast, if it still comes, finds the
    /// backup in another status and leaves the volume to whoever has it by then.
    pub(super) fn release_unbegun(&mut self, backup: &mut BackupRow, of_create: Case) -> Result<()> {
        let (operation, case) = match backup.status {
            BackupStatus::Creating => (Operation::Create, of_create),
            BackupStatus::Restoring => (Operation::Restore, Case::RestoreBackupNotRestoring),
            _ => return Ok(()),
        };
        if backup.open_events.contains(&operation) {
            return Ok(());
        }
        if operation == Operation::Create {
            self.release_snapshot(backup, self.transitions.outcome(case).volume)?;
        }
        if let Some(mut volume) = self.volume_of(operation, backup)? {
            self.transitions.outcome(case).volume.apply(&mut volume);
            self.save_volume(&volume)?;
        }
        if operation == Operation::Restore {
            backup.restore_volume_id = None;
        }
        Ok(())
    }

    /// Writes a case's outcome: rows, dependents, and the terminal event.
    pub(super) fn close(
        &mut self,
        case: Case,
        operation: Operation,
        backup: &mut BackupRow,
        volume: Option<VolumeRow>,
        host: &str,
        reason: Option<&str>,
    ) -> Result<()> {
        let reason = reason.map(|reason| reason.chars().take(FAIL_REASON_MAX).collect::<String>());
        let outcome = self.transitions.outcome(case);
        if operation == Operation::Create {
            self.release_snapshot(backup, outcome.volume)?;
        }
        if let Some(mut volume) = volume {
            outcome.volume.apply(&mut volume);
            if case == Case::RestoreOk && (volume.id != backup.volume_id || volume.src_backup_id.is_some()) {
                volume.src_backup_id = Some(backup.id.clone());
            }
            self.save_volume(&volume)?;
        }
        match outcome.fail_reason {
            ReasonChange::Unchanged => {}
            ReasonChange::Cleared => backup.fail_reason = None,
            ReasonChange::Set => backup.fail_reason = reason.clone(),
        }
        self.work_ended(&backup.id, operation)?;
        let was_open = backup.open_events.contains(&operation);
        backup.open_events.retain(|open| *open != operation);
        match outcome.backup {
            Some(BackupStatus::Deleted) => self.remove(backup)?,
            status => {
                backup.status = status.unwrap_or(backup.status);
                self.save_backup(backup)?;
            }
        }
        if case == Case::CreateOk {
            self.count_dependents_of_parent(backup)?;
        }
        self.tell_user(case, operation, backup, reason.as_deref())?;
        if !was_open {
            return Ok(());
        }
        let reason = reason.filter(|_| outcome.terminal == Terminal::Error);
        self.emit(host, Event::terminal(operation, outcome.terminal, backup, reason.as_deref()))
    }

    /// The volume an operation works on; none for deletes and resets, or when it is gone.
    pub(super) fn volume_of(&self, operation: Operation, backup: &BackupRow) -> Result<Option<VolumeRow>> {
        match (operation, &backup.restore_volume_id) {
            // A snapshot's volume is left alone.
            (Operation::Create, _) if backup.snapshot_id.is_some() => Ok(None),
            (Operation::Create, _) => self.load("volumes", &backup.volume_id),
            (Operation::Restore, Some(id)) => self.load("volumes", id),
            _ => Ok(None),
        }
    }

    /// The backup and the ancestors it builds upon, oldest first.
    fn chain(&self, backup: &BackupRow) -> Result<Vec<BackupRow>> {
        let mut chain = vec![backup.clone()];
        while let Some(parent_id) = chain.last().and_then(|link| link.parent_id.clone()) {
            if chain.iter().any(|link| link.id == parent_id) {
                return Err(Error::new(Kind::InvalidBackup, format!("backup {parent_id} is its own ancestor")));
            }
            let parent = self.load::<BackupRow>("backups", &parent_id)?.filter(|parent| !parent.deleted);
            chain.push(parent.ok_or_else(|| {
                Error::new(Kind::InvalidBackup, format!("backup {parent_id}, which it builds upon, is not there"))
            })?);
        }
        chain.reverse();
        Ok(chain)
    }
}
