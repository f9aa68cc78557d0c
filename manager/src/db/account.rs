//! Calls about a project's account: what it has used of its quotas, and what it was told of failures.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sqlite::{Tx, sql, to_json};
use crate::bus::Method;
use crate::messages::{MessageRow, RESOURCE_TYPE, action_id};
use crate::model::{BackupRow, Operation};
use crate::quota::{Limits, QuotaSet, Usage, refusal};
use crate::transitions::Case;
use crate::{Error, Kind, Result};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, project_id TEXT NOT NULL, request_id TEXT, resource_type TEXT NOT NULL,
    resource_uuid TEXT NOT NULL, action_id TEXT NOT NULL, detail_id TEXT NOT NULL, event_id TEXT NOT NULL,
    message_level TEXT NOT NULL, created_at TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS messages_by_resource ON messages (resource_uuid);
";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum AccountCall {
    /// → `QuotaSet`
    Quotas { project_id: String, limits: Limits },
    /// → `Vec<MessageRow>`, oldest first: those that are not older than `message_ttl` nanoseconds
    Messages { project_id: String, message_ttl: u64 },
    /// Removes those that are older.
    Reap { message_ttl: u64 },
}

impl AccountCall {
    pub(super) fn name(&self) -> &'static str {
        match self {
            AccountCall::Quotas { .. } => "quotas",
            AccountCall::Messages { .. } => "messages",
            AccountCall::Reap { .. } => "messages_reap",
        }
    }
}

impl Tx<'_> {
    pub(super) fn account(&mut self, call: AccountCall) -> Result<Value> {
        match call {
            AccountCall::Quotas { project_id, limits } => to_json(QuotaSet::new(limits, self.usage(&project_id)?)),
            AccountCall::Messages { project_id, message_ttl } => {
                let query = "SELECT * FROM messages WHERE project_id = ?1 AND at >= ?2 ORDER BY at, rowid";
                to_json(self.select(query, (&project_id, self.now.saturating_sub(message_ttl)))?)
            }
            AccountCall::Reap { message_ttl } => self.reap(message_ttl),
        }
    }

    /// What the project has: every backup that is not deleted, whatever its status.
    fn usage(&self, project_id: &str) -> Result<Usage> {
        let query = "SELECT count(*) AS backups, coalesce(sum(size), 0) AS gigabytes FROM backups
                     WHERE project_id = ?1 AND deleted = 0";
        let row = self.select(query, [project_id])?.pop().unwrap_or_default();
        let number = |column: &str| row[column].as_u64().unwrap_or(0);
        Ok(Usage { backups: number("backups"), gigabytes: number("gigabytes") })
    }

    /// Refuses one more backup of `size` GiB that the project's quotas do not allow.
    pub(super) fn require_quota(&self, project_id: &str, limits: Limits, size: u64) -> Result<()> {
        let asked = Usage { backups: 1, gigabytes: size };
        match refusal(limits, self.usage(project_id)?, asked) {
            Some(reason) => Err(Error::new(Kind::Quota, reason)),
            None => Ok(()),
        }
    }

    /// Tells the backup's project of an operation that has ended, if it has failed; of each request once.
    pub(super) fn tell_user(
        &mut self,
        case: Case,
        operation: Operation,
        backup: &BackupRow,
        reason: Option<&str>,
    ) -> Result<()> {
        let detail = self.messages.detail(case, reason.unwrap_or_default());
        let (Some(action), Some(detail)) = (action_id(operation), detail) else { return Ok(()) };
        let request_id = self.request_of(operation, backup)?;
        let query = "SELECT id FROM messages WHERE resource_uuid = ?1 AND action_id = ?2 AND request_id = ?3";
        let told = self.select(query, (&backup.id, action, &request_id))?;
        if !told.is_empty() && !self.messages.repeats() {
            return Ok(());
        }
        let row = MessageRow {
            id: self.new_id(),
            project_id: backup.project_id.clone(),
            request_id,
            resource_type: RESOURCE_TYPE.to_owned(),
            resource_uuid: backup.id.clone(),
            action_id: action.to_owned(),
            detail_id: detail.id().to_owned(),
            event_id: format!("VOLUME_{RESOURCE_TYPE}_{action}_{}", detail.id()),
            message_level: "ERROR".to_owned(),
            created_at: self.wall,
            at: self.now,
        };
        self.save("messages", &row.id.clone(), &row)
    }

    /// The newest request for the operation; `None` if it did not come through the API.
    fn request_of(&self, operation: Operation, backup: &BackupRow) -> Result<Option<String>> {
        let method = match operation {
            Operation::Create => Method::CreateBackup,
            Operation::Restore => Method::RestoreBackup,
            Operation::Delete => Method::DeleteBackup,
            Operation::ResetStatus => return Ok(None),
        };
        let method = to_json(method)?.to_string();
        let query = "SELECT id FROM casts WHERE backup_id = ?1 AND method = ?2 ORDER BY seq DESC LIMIT 1";
        let found = self.select(query, (&backup.id, method))?;
        Ok(found.first().and_then(|row| row["id"].as_str()).map(|cast| format!("req-{cast}")))
    }

    fn reap(&mut self, message_ttl: u64) -> Result<Value> {
        let oldest = self.now.saturating_sub(message_ttl);
        for expired in self.select("SELECT * FROM messages WHERE at < ?1 ORDER BY at, rowid", [oldest])? {
            let id = expired["id"].as_str().unwrap_or_default().to_owned();
            self.sql
                .prepare_cached("DELETE FROM messages WHERE id = ?1")
                .and_then(|mut statement| statement.execute([&id]))
                .map_err(sql)?;
            self.changed("messages", &id, expired, Value::Null);
        }
        Ok(Value::Null)
    }
}
