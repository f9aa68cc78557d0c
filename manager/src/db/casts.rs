//! Casts in the database: written with the request that they follow from, so that no end of a process comes between.
//!
//! A row holds who asked, never a token or a catalog (design §2): whoever asks has those, and they die with the process.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sqlite::{Tx, sql, to_json};
use super::{Call, Deleted, typed};
use crate::bus::{CallerContext, Cast, Method};
use crate::model::BackupRow;
use crate::{Error, Kind, Result};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS casts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, sender TEXT NOT NULL, host TEXT NOT NULL,
    backup_id TEXT NOT NULL, user_id TEXT NOT NULL, project_id TEXT NOT NULL, method JSON NOT NULL, at INTEGER NOT NULL,
    sent BOOLEAN NOT NULL, begun BOOLEAN NOT NULL);
CREATE TABLE IF NOT EXISTS senders (host TEXT PRIMARY KEY, process TEXT NOT NULL) WITHOUT ROWID;
";

/// A request of a process of the API, with what its cast will hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiRequest {
    pub sender: Sender,
    /// Id of the cast.
    pub cast: String,
    pub user_id: String,
    pub project_id: String,
    pub method: Method,
    pub request: Call,
}

/// One process of one API host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sender {
    pub host: String,
    /// Another one after each start.
    pub process: String,
}

/// A cast on its way to a manager's queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    pub host: String,
    pub cast: Cast,
}

impl Tx<'_> {
    pub(super) fn casts(&mut self, call: Call) -> Result<Value> {
        match call {
            Call::Api(request) => self.accept(*request),
            Call::ApiStarted { sender } => {
                self.write("INSERT OR REPLACE INTO senders VALUES (?1, ?2)", (&sender.host, &sender.process))?;
                Ok(Value::Null)
            }
            Call::CastsUnsent { host } => to_json(self.unsent(&host)?),
            Call::CastsSent { ids } => {
                for id in &ids {
                    self.write("UPDATE casts SET sent = 1 WHERE id = ?1", [id])?;
                }
                Ok(Value::Null)
            }
            _ => unreachable!("only calls about casts come here"),
        }
    }

    /// Carries a request out and queues its cast; null if it comes from a process that another has followed.
    fn accept(&mut self, asked: ApiRequest) -> Result<Value> {
        let Sender { host, process } = &asked.sender;
        let known = self.select("SELECT process FROM senders WHERE host = ?1", [host])?;
        if known.first().is_some_and(|row| row["process"] != json!(process)) {
            return Ok(Value::Null);
        }
        let name = asked.request.name();
        let answer = self.execute(asked.request.clone())?;
        let accepted = match asked.method {
            Method::DeleteBackup => typed(name, answer)?,
            _ => Deleted { backup: typed(name, answer)?, done: false },
        };
        if !accepted.done {
            self.queue(&asked, &accepted.backup)?;
        }
        to_json(accepted)
    }

    fn queue(&mut self, asked: &ApiRequest, backup: &BackupRow) -> Result<()> {
        let host = backup.host.as_deref();
        let host = host.ok_or_else(|| Error::new(Kind::Internal, "a backup was accepted without a host"))?;
        let method = to_json(asked.method)?.to_string();
        let ApiRequest { sender, cast, user_id, project_id, .. } = asked;
        let statement = "INSERT INTO casts (id, sender, host, backup_id, user_id, project_id, method, at, sent, begun)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0)";
        self.write(statement, (cast, &sender.host, host, &backup.id, user_id, project_id, method, self.now))
    }

    /// What an API host has not handed to the bus yet, oldest first.
    fn unsent(&self, sender: &str) -> Result<Vec<Outgoing>> {
        let query = "SELECT id, host, backup_id, user_id, project_id, method FROM casts WHERE sender = ?1 AND sent = 0
                     ORDER BY seq";
        let text = |row: &Value, column: &str| row[column].as_str().unwrap_or_default().to_owned();
        let rows = self.select(query, [sender])?;
        let casts = rows.into_iter().map(|mut row| {
            let context = CallerContext {
                user_id: text(&row, "user_id"),
                project_id: text(&row, "project_id"),
                token: None,
                catalog: Vec::new(),
            };
            let method = typed("casts_unsent", row["method"].take())?;
            let cast =
                Cast { id: text(&row, "id"), backup_id: text(&row, "backup_id"), context, method, reply_to: None };
            Ok(Outgoing { host: text(&row, "host"), cast })
        });
        casts.collect()
    }

    /// Notes that a cast's operation begins; false if it has begun before: it came a second time.
    pub(super) fn begins(&mut self, cast: &str) -> Result<bool> {
        let known = self.select("SELECT begun FROM casts WHERE id = ?1", [cast])?;
        if known.first().is_some_and(|row| row["begun"] == json!(true)) {
            return Ok(false);
        }
        self.write("UPDATE casts SET begun = 1 WHERE id = ?1", [cast])?;
        Ok(true)
    }

    /// Whether no later cast of the same kind has begun for the backup.
    pub(super) fn began_last(&self, cast: &str, backup_id: &str) -> Result<bool> {
        let query = "SELECT id FROM casts WHERE backup_id = ?1 AND begun = 1
                     AND method = (SELECT method FROM casts WHERE id = ?2) ORDER BY seq DESC LIMIT 1";
        let last = self.select(query, (backup_id, cast))?;
        Ok(last.first().is_none_or(|row| row["id"] == json!(cast)))
    }

    fn write(&self, statement: &str, parameters: impl rusqlite::Params) -> Result<()> {
        let mut statement = self.sql.prepare_cached(statement).map_err(sql)?;
        statement.execute(parameters).map(|_| ()).map_err(sql)
    }
}
