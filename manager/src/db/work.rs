//! Which worker of a host has taken which operation. Only hosts with several workers keep this: a process that starts
//! must not touch what its neighbour is doing, and a cast that comes twice must not be run by two.

use serde_json::Value;

use super::sqlite::{Tx, sql, to_json};
use super::{Call, Share, Taking};
use crate::Result;
use crate::model::{BackupRow, BackupStatus, Operation};
use crate::state::ServiceState;

/// An operation that a worker has taken.
struct Taken {
    cast_id: String,
    host: String,
    worker: u32,
    ended: bool,
    /// `service_down_time` of its host, nanoseconds.
    down_after: u64,
}

impl Tx<'_> {
    pub(super) fn work(&mut self, call: Call) -> Result<Value> {
        match call {
            Call::WorkTake(taking) => to_json(self.take(&taking)?),
            Call::WorkOf { backup_id, host, share } => to_json(self.work_of(&backup_id, &host, share)?),
            Call::WorkElsewhere { backup_id, host, worker } => {
                to_json(self.work_beside(&backup_id, &host, Some(worker))?)
            }
            _ => unreachable!("only calls about work come here"),
        }
    }

    /// Whether the worker is to run the operation: not if a neighbour that is up runs it, or somebody has ended it.
    fn take(&mut self, taking: &Taking) -> Result<bool> {
        let Taking { backup_id, operation, cast_id, host, worker, service_down_time } = taking;
        if let Some(taken) = self.taken(backup_id, *operation)?.filter(|taken| taken.host == *host) {
            let elsewhere = taken.worker != *worker;
            let runs = !taken.ended && elsewhere && self.is_up(host, taken.worker, *service_down_time)?;
            if runs || taken.ended && taken.cast_id == *cast_id {
                return Ok(false);
            }
        }
        self.sql
            .prepare_cached("INSERT OR REPLACE INTO work VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)")
            .and_then(|mut statement| {
                statement.execute((backup_id, operation.as_str(), cast_id, host, worker, service_down_time))
            })
            .map_err(sql)?;
        Ok(true)
    }

    /// Notes that an operation has ended, so that its cast, delivered again, is known.
    pub(super) fn work_ended(&self, backup_id: &str, operation: Operation) -> Result<()> {
        self.sql
            .prepare_cached("UPDATE work SET ended = 1 WHERE backup_id = ?1 AND operation = ?2")
            .and_then(|mut statement| statement.execute((backup_id, operation.as_str())))
            .map_err(sql)?;
        Ok(())
    }

    /// Whether somebody has taken the operation, and it has ended since.
    pub(super) fn is_work_ended(&self, backup_id: &str, operation: Operation) -> Result<bool> {
        Ok(self.taken(backup_id, operation)?.is_some_and(|taken| taken.ended))
    }

    /// The operations of the backup that are this worker's to clean up: what it took, and what was taken by a worker that
    /// there is no more.
    pub(super) fn work_of(&self, backup_id: &str, host: &str, share: Share) -> Result<Vec<Operation>> {
        let mut own = Vec::new();
        for operation in [Operation::Create, Operation::Restore, Operation::Delete] {
            let mine = match self.taken(backup_id, operation)? {
                _ if share.is_whole() => true,
                Some(taken) if !taken.ended => {
                    let vacant = taken.worker >= share.workers || taken.host != host;
                    taken.worker == share.worker && taken.host == host || vacant && share.worker == 0
                }
                // What is open without a taker was begun before there were several workers.
                _ => share.worker == 0 && self.backup(backup_id)?.open_events.contains(&operation),
            };
            if mine {
                own.push(operation);
            }
        }
        Ok(own)
    }

    /// Creates and restores of the backup that run in another worker of the host, one that is up. `worker` is who asks;
    /// absent: whoever has taken the backup's delete.
    pub(super) fn work_beside(&self, backup_id: &str, host: &str, worker: Option<u32>) -> Result<Vec<Operation>> {
        let delete = self.taken(backup_id, Operation::Delete)?.filter(|taken| taken.host == host);
        let Some(worker) = worker.or(delete.as_ref().map(|taken| taken.worker)) else { return Ok(Vec::new()) };
        let open = self.backup(backup_id)?.open_events;
        let mut beside = Vec::new();
        for operation in [Operation::Create, Operation::Restore] {
            let Some(taken) = self.taken(backup_id, operation)? else { continue };
            let there = taken.host == host && taken.worker != worker && !taken.ended && open.contains(&operation);
            if there && self.is_up(host, taken.worker, taken.down_after)? {
                beside.push(operation);
            }
        }
        Ok(beside)
    }

    /// Whether the backup has something for this worker to clean up.
    pub(super) fn has_work_for(&self, backup: &BackupRow, host: &str, share: Share) -> Result<bool> {
        let passing = |operation| match operation {
            Operation::Create => backup.status == BackupStatus::Creating,
            Operation::Restore => backup.status == BackupStatus::Restoring,
            Operation::Delete => backup.status == BackupStatus::Deleting,
            Operation::ResetStatus => false,
        };
        let own = self.work_of(&backup.id, host, share)?;
        Ok(own.into_iter().any(|operation| backup.open_events.contains(&operation) || passing(operation)))
    }

    fn is_up(&self, host: &str, worker: u32, service_down_time: u64) -> Result<bool> {
        let views = self.services(service_down_time)?;
        let mut own = views.iter().filter(|view| view.row.host == host && view.row.worker == worker);
        Ok(own.any(|view| view.state == ServiceState::Up))
    }

    fn taken(&self, backup_id: &str, operation: Operation) -> Result<Option<Taken>> {
        let query = "SELECT cast_id, host, worker, ended, down_after FROM work WHERE backup_id = ?1 AND operation = ?2";
        let rows = self.select(query, (backup_id, operation.as_str()))?;
        Ok(rows.first().map(|row| Taken {
            cast_id: row["cast_id"].as_str().unwrap_or_default().to_owned(),
            host: row["host"].as_str().unwrap_or_default().to_owned(),
            worker: row["worker"].as_u64().and_then(|worker| u32::try_from(worker).ok()).unwrap_or(0),
            ended: row["ended"].as_bool().unwrap_or(false),
            down_after: row["down_after"].as_u64().unwrap_or(0),
        }))
    }
}
