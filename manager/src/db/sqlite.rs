//! The store: SQLite, one transaction per call, idempotent by key.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use clinker_env::Env;
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Answer, Call, Request, WireError, account, casts};
use crate::messages::{self, UserMessages};
use crate::model::{BackupRow, ServiceRow, Stamp, VolumeRow};
use crate::notify::Event;
use crate::placement::{Placement, Production};
use crate::state::{Ages, Monotonic};
use crate::transitions::Transitions;
use crate::{Error, Kind, Result};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS services (
    id TEXT PRIMARY KEY, host TEXT NOT NULL, binary TEXT NOT NULL, worker INTEGER NOT NULL, process TEXT NOT NULL,
    driver TEXT NOT NULL, availability_zone TEXT NOT NULL, started_at INTEGER NOT NULL, working BOOLEAN NOT NULL, reason TEXT,
    last_heartbeat INTEGER, attempt INTEGER NOT NULL, updated_at TEXT, host_bound BOOLEAN NOT NULL);
CREATE TABLE IF NOT EXISTS backups (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, project_id TEXT NOT NULL, volume_id TEXT NOT NULL, host TEXT,
    availability_zone TEXT, display_name TEXT, display_description TEXT, container TEXT, parent_id TEXT,
    status TEXT NOT NULL, fail_reason TEXT, service_metadata TEXT, service TEXT, size INTEGER NOT NULL,
    object_count INTEGER NOT NULL, num_dependent_backups INTEGER NOT NULL, snapshot_id TEXT,
    temp_volume_id TEXT, temp_snapshot_id TEXT,
    data_timestamp TEXT NOT NULL, restore_volume_id TEXT, created_at TEXT NOT NULL, updated_at TEXT, deleted_at TEXT,
    deleted BOOLEAN NOT NULL, open_events JSON NOT NULL, encryption_key_id TEXT);
CREATE TABLE IF NOT EXISTS volumes (
    id TEXT PRIMARY KEY, display_name TEXT, size INTEGER NOT NULL, status TEXT NOT NULL, previous_status TEXT,
    availability_zone TEXT NOT NULL, host TEXT, src_backup_id TEXT, display_description TEXT,
    volume_type_id TEXT, encryption_key_id TEXT, spare_key_id TEXT, bootable BOOLEAN NOT NULL, metadata JSON NOT NULL,
    volume_glance_metadata JSON NOT NULL);
CREATE TABLE IF NOT EXISTS snapshots (
    id TEXT PRIMARY KEY, volume_id TEXT NOT NULL, display_name TEXT, size INTEGER NOT NULL, status TEXT NOT NULL,
    created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (
    id TEXT PRIMARY KEY, backup_service TEXT NOT NULL, backup_url TEXT NOT NULL, hosts JSON NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, publisher_id TEXT NOT NULL, message JSON NOT NULL, delivered BOOLEAN NOT NULL);
CREATE TABLE IF NOT EXISTS work (
    backup_id TEXT NOT NULL, operation TEXT NOT NULL, cast_id TEXT NOT NULL, host TEXT NOT NULL, worker INTEGER NOT NULL,
    ended BOOLEAN NOT NULL, down_after INTEGER NOT NULL, PRIMARY KEY (backup_id, operation)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS applied (key TEXT PRIMARY KEY, at INTEGER NOT NULL, answer JSON NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock (boot_id TEXT PRIMARY KEY, base INTEGER NOT NULL);
";

/// How long an applied call is remembered, in nanoseconds: far longer than any client repeats one.
const REMEMBERED: u64 = 3600 * 1_000_000_000;

/// How often what need not be remembered any more is swept away.
const SWEEP: u64 = REMEMBERED / 10;

/// Statements kept prepared; more than the calls use.
const STATEMENTS: usize = 64;

/// What a transaction changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Commit {
    pub call: &'static str,
    pub changes: Vec<Change>,
    pub outbox: Vec<Queued>,
}

/// A row before and after; null where it was not there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub table: &'static str,
    pub id: String,
    pub before: Value,
    pub after: Value,
}

/// A notification in the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Queued {
    pub seq: u64,
    pub publisher_id: String,
    pub message: Value,
}

/// Sees every transaction that changed something, in order.
pub trait CommitLog: Send + Sync {
    fn committed(&self, commit: Commit);
}

/// The database itself.
pub struct Store {
    connection: Connection,
    env: Env,
    transitions: Arc<dyn Transitions>,
    placement: Arc<dyn Placement>,
    log: Option<Arc<dyn CommitLog>>,
    ages: Arc<dyn Ages>,
    messages: Arc<dyn UserMessages>,
    /// The database's clock at boot: the last stamp stored before (D1).
    base: u64,
    boot: tokio::time::Instant,
    /// When forgotten calls were last swept away, on the same clock.
    swept: u64,
}

impl Store {
    /// Opens (and if need be creates) the database on `connection`.
    pub fn open(
        connection: Connection,
        env: Env,
        transitions: Arc<dyn Transitions>,
        log: Option<Arc<dyn CommitLog>>,
    ) -> Result<Store> {
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        for schema in [SCHEMA, casts::SCHEMA, account::SCHEMA] {
            connection.execute_batch(schema).map_err(sql)?;
        }
        let (placement, ages, messages) = (Arc::new(Production), Arc::new(Monotonic), Arc::new(messages::Production));
        let boot = tokio::time::Instant::now();
        Ok(Store { connection, env, transitions, placement, log, ages, messages, base: 0, boot, swept: 0 })
    }

    /// The same with another choice of hosts: how a planted bug gets in.
    pub fn placing(self, placement: Arc<dyn Placement>) -> Store {
        Store { placement, ..self }
    }

    /// The same with another clock for ages: likewise.
    pub fn with_ages(self, ages: Arc<dyn Ages>) -> Store {
        Store { ages, ..self }
    }

    /// The same with other rules of who is told what: likewise.
    pub fn telling(self, messages: Arc<dyn UserMessages>) -> Store {
        Store { messages, ..self }
    }

    /// A new boot of the database's host: its monotonic clock starts anew, ages count on from the last stored stamp.
    pub fn boot(&mut self) -> Result<()> {
        let stored: Option<u64> = self
            .connection
            .query_row(
                "SELECT max(stamp) FROM (SELECT max(started_at) AS stamp FROM services UNION ALL
                 SELECT max(last_heartbeat) FROM services UNION ALL SELECT max(base) FROM clock)",
                [],
                |row| row.get(0),
            )
            .map_err(sql)?;
        self.base = stored.unwrap_or(0);
        self.boot = tokio::time::Instant::now();
        let boot_id = self.env.rng.uuid();
        self.connection.execute("INSERT INTO clock VALUES (?1, ?2)", (boot_id, self.base)).map_err(sql)?;
        Ok(())
    }

    /// Executes a call, once per key; a repetition gets the first answer.
    pub fn apply(&mut self, request: Request) -> Result<Value> {
        let monotonic = self.base + u64::try_from(self.boot.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let now = self.ages.now(monotonic, self.env.clock.as_ref());
        let transaction = Work::begin(&self.connection)?;
        let repeatable = request.call.is_repeatable();
        if !repeatable && let Some(answer) = applied(&self.connection, &request.key)? {
            return answer.into();
        }
        let name = request.call.name();
        let mut tx = Tx {
            sql: &self.connection,
            env: &self.env,
            transitions: self.transitions.as_ref(),
            placement: self.placement.as_ref(),
            messages: self.messages.as_ref(),
            now,
            wall: request.now,
            changes: Vec::new(),
            outbox: Vec::new(),
            rows: RefCell::default(),
        };
        let answer = match tx.execute(request.call) {
            Ok(answer) => answer,
            Err(error) => {
                drop(transaction);
                return Err(self.refuse(&request.key, repeatable, now, error.during(name)));
            }
        };
        let commit = Commit { call: name, changes: tx.changes, outbox: tx.outbox };
        if !repeatable && (!commit.changes.is_empty() || !commit.outbox.is_empty()) {
            remember(&self.connection, &request.key, now, &Answer::Ok(answer.clone()))?;
            if now >= self.swept.saturating_add(SWEEP) {
                self.swept = now;
                forget(&self.connection, now)?;
            }
        }
        transaction.commit()?;
        if let Some(log) = self.log.as_ref().filter(|_| !commit.changes.is_empty() || !commit.outbox.is_empty()) {
            log.committed(commit);
        }
        Ok(answer)
    }

    /// A refusal stands, too: whoever did not hear it and asks again, in a world that has moved on, hears the same.
    fn refuse(&self, key: &str, repeatable: bool, now: u64, error: Error) -> Error {
        if repeatable || error.kind == Kind::Internal {
            return error;
        }
        let refusal = WireError::from(error);
        match remember(&self.connection, key, now, &Answer::Err(refusal.clone())) {
            Ok(()) => refusal.into(),
            Err(error) => error,
        }
    }
}

/// A transaction, rolled back unless it is committed. rusqlite's own compiles its statements anew each time.
struct Work<'c> {
    connection: &'c Connection,
    open: bool,
}

impl Work<'_> {
    fn begin(connection: &Connection) -> Result<Work<'_>> {
        let work = Work { connection, open: true };
        work.execute("BEGIN")?;
        Ok(work)
    }

    fn commit(mut self) -> Result<()> {
        self.execute("COMMIT")?;
        self.open = false;
        Ok(())
    }

    fn execute(&self, statement: &str) -> Result<()> {
        self.connection.prepare_cached(statement).and_then(|mut statement| statement.execute([])).map_err(sql)?;
        Ok(())
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if self.open {
            // There is nobody to tell; the next BEGIN fails if it did not work.
            let _ = self.execute("ROLLBACK");
        }
    }
}

fn applied(connection: &Connection, key: &str) -> Result<Option<Answer>> {
    let answer: Option<String> = connection
        .prepare_cached("SELECT answer FROM applied WHERE key = ?1")
        .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
        .map_err(sql)?;
    answer.map(|text| serde_json::from_str(&text).map_err(shape)).transpose()
}

fn remember(connection: &Connection, key: &str, now: u64, answer: &Answer) -> Result<()> {
    let answer = serde_json::to_string(answer).map_err(shape)?;
    connection
        .prepare_cached("INSERT INTO applied VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| statement.execute((key, now, answer)))
        .map_err(sql)?;
    Ok(())
}

fn forget(connection: &Connection, now: u64) -> Result<()> {
    // A cast names the request of its operation for as long as that runs.
    let casts = "DELETE FROM casts WHERE at < ?1 AND sent AND begun AND NOT EXISTS
                 (SELECT 1 FROM backups WHERE id = casts.backup_id AND open_events <> '[]')";
    for old in ["DELETE FROM applied WHERE at < ?1", casts] {
        connection
            .prepare_cached(old)
            .and_then(|mut statement| statement.execute([now.saturating_sub(REMEMBERED)]))
            .map_err(sql)?;
    }
    Ok(())
}

/// A transaction under way: rows in and out, with a note of what changed.
pub(super) struct Tx<'a> {
    pub sql: &'a Connection,
    env: &'a Env,
    pub transitions: &'a dyn Transitions,
    pub placement: &'a dyn Placement,
    pub messages: &'a dyn UserMessages,
    /// The database's clock, nanoseconds.
    pub now: u64,
    /// The caller's wall clock.
    pub wall: Stamp,
    changes: Vec<Change>,
    outbox: Vec<Queued>,
    /// Rows that this transaction has read by id and not written since.
    rows: RefCell<BTreeMap<(&'static str, String), Value>>,
}

impl Tx<'_> {
    pub fn execute(&mut self, call: Call) -> Result<Value> {
        match call {
            Call::ServiceRegister { .. }
            | Call::ServiceAttempt { .. }
            | Call::ServiceHeartbeat { .. }
            | Call::ServiceList { .. } => self.service(call),
            Call::ApiCreate { .. } | Call::ApiRestore { .. } | Call::ApiDelete { .. } | Call::ApiResetStatus { .. } => {
                self.api(call)
            }
            Call::Record(call) => self.records(call),
            Call::Source(call) => self.source(call),
            Call::Account(call) => self.account(call),
            Call::Keys(call) => self.keys(call),
            Call::ApiWithdraw { withdrawn } => self.withdraw(&withdrawn),
            Call::Api(_) | Call::ApiStarted { .. } | Call::CastsUnsent { .. } | Call::CastsSent { .. } => {
                self.casts(call)
            }
            Call::OpBegin(begin) => to_json(self.begin(begin)?),
            Call::OpFinish(finish) => to_json(self.finish(finish)?),
            Call::OpSaveLocation { .. } | Call::OpStatus { .. } | Call::OpProgress { .. } => self.running(call),
            Call::CleanupList { host, share } => to_json(self.unfinished(&host, share)?),
            Call::CleanupOne { backup_id, host, share } => to_json(self.clean_up(&backup_id, &host, share)?),
            Call::WorkTake(_) | Call::WorkOf { .. } | Call::WorkElsewhere { .. } => self.work(call),
            Call::OutboxFetch { publisher_id, limit } => to_json(self.undelivered(&publisher_id, limit)?),
            Call::OutboxDelivered { publisher_id, up_to } => self.delivered(&publisher_id, up_to),
            Call::BackupGet { backup_id } => to_json(self.backup(&backup_id)?),
            Call::VolumeGet { volume_id } => to_json(self.volume(&volume_id)?),
            Call::VolumeCreate { volume } => self.save_volume(&volume).map(|()| Value::Null),
            Call::BackupSetStatus { backup_id, status } => {
                let mut row = self.backup(&backup_id)?;
                row.status = status;
                self.save_backup(&mut row).map(|()| Value::Null)
            }
            Call::BackupSetService { backup_id, service } => {
                let mut row = self.backup(&backup_id)?;
                row.service = Some(service);
                self.save_backup(&mut row).map(|()| Value::Null)
            }
            Call::BackupForget { backup_id } => {
                let mut row = self.backup(&backup_id)?;
                self.remove(&mut row).map(|()| Value::Null)
            }
            Call::VolumeSetStatus { volume_id, status } => {
                let mut row = self.volume(&volume_id)?;
                row.status = status;
                self.save_volume(&row).map(|()| Value::Null)
            }
            Call::Dump => to_json(self.dump()?),
        }
    }

    /// A call that still comes under this key finds it answered.
    fn withdraw(&self, key: &str) -> Result<Value> {
        match applied(self.sql, key)? {
            Some(Answer::Ok(answer)) => return Ok(answer),
            Some(Answer::Err(_)) => {}
            None => {
                let withdrawn = Error::new(Kind::Cancelled, "the call was withdrawn");
                remember(self.sql, key, self.now, &Answer::Err(withdrawn.into()))?;
            }
        }
        Ok(Value::Null)
    }

    pub fn backup(&self, id: &str) -> Result<BackupRow> {
        self.load("backups", id)?.ok_or_else(|| Error::new(Kind::NotFound, format!("backup {id}")))
    }

    pub fn volume(&self, id: &str) -> Result<VolumeRow> {
        self.load("volumes", id)?.ok_or_else(|| Error::new(Kind::NotFound, format!("volume {id}")))
    }

    pub fn save_backup(&mut self, row: &mut BackupRow) -> Result<()> {
        row.updated_at = Some(self.wall);
        self.save("backups", &row.id.clone(), row)
    }

    pub fn save_volume(&mut self, row: &VolumeRow) -> Result<()> {
        self.save("volumes", &row.id, row)
    }

    pub fn save_service(&mut self, row: &ServiceRow) -> Result<()> {
        let row = ServiceRow { updated_at: Some(self.host_time()), ..row.clone() };
        self.save("services", &row.id, &row)
    }

    /// The wall clock of the database's own host.
    pub fn host_time(&self) -> Stamp {
        Stamp(self.env.clock.now())
    }

    pub fn new_id(&self) -> String {
        self.env.rng.uuid()
    }

    /// Puts a notification into the outbox; its `message_id` is final.
    pub fn emit(&mut self, host: &str, event: Event) -> Result<()> {
        let publisher_id = format!("backup.{host}");
        let message = event.message(&self.env.rng.uuid(), &publisher_id, self.wall);
        self.sql
            .prepare_cached("INSERT INTO outbox (publisher_id, message, delivered) VALUES (?1, ?2, 0)")
            .and_then(|mut statement| statement.execute((&publisher_id, message.to_string())))
            .map_err(sql)?;
        let seq = u64::try_from(self.sql.last_insert_rowid()).unwrap_or(0);
        self.outbox.push(Queued { seq, publisher_id, message });
        Ok(())
    }

    /// The row with that id.
    pub fn load<T: DeserializeOwned>(&self, table: &'static str, id: &str) -> Result<Option<T>> {
        let key = (table, id.to_owned());
        if let Some(row) = self.rows.borrow().get(&key) {
            return T::deserialize(row).map(Some).map_err(shape);
        }
        let Some(row) = self.row(table, id)? else { return Ok(None) };
        let typed = T::deserialize(&row).map_err(shape)?;
        self.rows.borrow_mut().insert(key, row);
        Ok(Some(typed))
    }

    pub fn row(&self, table: &'static str, id: &str) -> Result<Option<Value>> {
        Ok(self.select(&format!("SELECT * FROM {table} WHERE id = ?1"), [id])?.pop())
    }

    /// Rows as JSON objects, columns in the table's order.
    pub fn select(&self, query: &str, parameters: impl rusqlite::Params) -> Result<Vec<Value>> {
        let mut statement = self.sql.prepare_cached(query).map_err(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(parameters).map_err(sql)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(sql)? {
            let mut object = Map::with_capacity(columns);
            for index in 0..columns {
                let name = row.as_ref().column_name(index).map_err(sql)?;
                object.insert(name.to_owned(), Column::named(name).read(row.get_ref(index).map_err(sql)?)?);
            }
            found.push(Value::Object(object));
        }
        Ok(found)
    }

    /// A row that was written by a statement of one's own.
    pub fn forget_row(&self, table: &'static str, id: &str) {
        self.rows.borrow_mut().remove(&(table, id.to_owned()));
    }

    pub fn save<T: Serialize>(&mut self, table: &'static str, id: &str, row: &T) -> Result<()> {
        let known = self.rows.borrow_mut().remove(&(table, id.to_owned()));
        let before = known.map_or_else(|| self.row(table, id), |row| Ok(Some(row)))?.unwrap_or(Value::Null);
        let after = serde_json::to_value(row).map_err(shape)?;
        let fields = after.as_object().expect("rows are structs");
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let query = format!("INSERT OR REPLACE INTO {table} ({}) VALUES ({marks})", names.join(", "));
        let values: Vec<Sql> = fields.values().map(to_sql).collect();
        self.sql
            .prepare_cached(&query)
            .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(values)))
            .map_err(sql)?;
        self.changed(table, id, before, after);
        Ok(())
    }

    /// Notes what a write has made of a row.
    pub fn changed(&mut self, table: &'static str, id: &str, before: Value, after: Value) {
        if before != after {
            self.changes.push(Change { table, id: id.to_owned(), before, after });
        }
    }
}

/// How a column reads back as JSON, which its name tells: asking SQLite for the declared type of each column of each row
/// takes longer than reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Plain,
    Boolean,
    Json,
}

impl Column {
    fn named(name: &str) -> Column {
        match name {
            "working" | "host_bound" | "ended" | "deleted" | "delivered" | "sent" | "begun" | "bootable" => {
                Column::Boolean
            }
            "open_events" | "message" | "answer" | "method" | "hosts" | "metadata" | "volume_glance_metadata" => {
                Column::Json
            }
            _ => Column::Plain,
        }
    }

    fn read(&self, value: ValueRef<'_>) -> Result<Value> {
        Ok(match (self, value) {
            (Column::Boolean, ValueRef::Integer(n)) => json!(n != 0),
            (Column::Json, ValueRef::Text(text)) => serde_json::from_slice(text).map_err(shape)?,
            (_, ValueRef::Integer(n)) => json!(n),
            (_, ValueRef::Text(text)) => json!(String::from_utf8_lossy(text)),
            (_, ValueRef::Real(x)) => json!(x),
            (_, ValueRef::Null | ValueRef::Blob(_)) => Value::Null,
        })
    }
}

fn to_sql(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Bool(flag) => Sql::Integer(i64::from(*flag)),
        Value::Number(n) => n.as_i64().map_or_else(|| Sql::Real(n.as_f64().unwrap_or(0.0)), Sql::Integer),
        Value::String(text) => Sql::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => Sql::Text(value.to_string()),
    }
}

pub(super) fn to_json(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer).map_err(shape)
}

pub(super) fn sql(error: rusqlite::Error) -> Error {
    Error::new(Kind::Internal, "the database refused a statement").with_source(error)
}

fn shape(error: serde_json::Error) -> Error {
    Error::new(Kind::Internal, "a row has another form than its table").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_columns_name_tells_its_declared_type() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection.execute_batch(casts::SCHEMA).unwrap();
        connection.execute_batch(account::SCHEMA).unwrap();
        for table in [
            "services",
            "backups",
            "volumes",
            "snapshots",
            "records",
            "outbox",
            "work",
            "applied",
            "clock",
            "casts",
            "senders",
            "messages",
        ] {
            let statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            for column in statement.columns() {
                let declared = match column.decl_type() {
                    Some("BOOLEAN") => Column::Boolean,
                    Some("JSON") => Column::Json,
                    _ => Column::Plain,
                };
                assert_eq!(Column::named(column.name()), declared, "{table}.{}", column.name());
            }
        }
    }
}
