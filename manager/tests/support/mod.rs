//! The real store in a file, with a log of what it commits, for tests that speak to it call by call.

#![allow(dead_code, reason = "each test target uses its part")]

use std::sync::{Arc, Mutex};

use clinker_manager::Result;
use clinker_manager::db::sqlite::Store;
use clinker_manager::db::{Call, Commit, CommitLog, CreateRequest, HostChoice, Request};
use clinker_manager::model::{Stamp, VolumeRow};
use clinker_manager::notify::Attempt;
use clinker_manager::transitions::Section5;
use rusqlite::Connection;
use serde_json::Value;

pub const POSIX: &str = "cinder.backup.drivers.posix.PosixBackupDriver";
pub const SWIFT: &str = "cinder.backup.drivers.swift.SwiftBackupDriver";

pub struct Database {
    pub store: Store,
    log: Arc<Log>,
    calls: u64,
    /// A second connection, to arrange rows with.
    pub by_hand: Connection,
    file: tempfile::NamedTempFile,
}

#[derive(Default)]
struct Log(Mutex<Vec<Commit>>);

impl CommitLog for Log {
    fn committed(&self, commit: Commit) {
        self.0.lock().unwrap().push(commit);
    }
}

impl Database {
    pub fn new() -> Database {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = Arc::new(Log::default());
        let store = Database::open(&file, &log);
        Database { store, log, calls: 0, by_hand: connection(&file), file }
    }

    fn open(file: &tempfile::NamedTempFile, log: &Arc<Log>) -> Store {
        let env = clinker_env::real::env();
        Store::open(connection(file), env, Arc::new(Section5), Some(log.clone())).unwrap()
    }

    /// The database's process ends and another one opens the same file.
    pub fn reopen(&mut self) {
        self.store = Database::open(&self.file, &self.log);
        self.store.boot().unwrap();
    }

    /// A call that must succeed.
    pub fn call(&mut self, call: Call) -> Value {
        self.try_call(call).unwrap()
    }

    pub fn try_call(&mut self, call: Call) -> Result<Value> {
        self.calls += 1;
        self.repeat(&self.calls.to_string(), call)
    }

    /// A call under a key of one's own.
    pub fn repeat(&mut self, key: &str, call: Call) -> Result<Value> {
        // One second per call, so that timestamps order.
        let now = Stamp(format!("2026-01-01T00:{:02}:{:02}Z", self.calls / 60, self.calls % 60).parse().unwrap());
        self.store.apply(Request { key: key.to_owned(), now, call })
    }

    /// A call that must fail with this text.
    pub fn refused(&mut self, call: Call, expected: &str) {
        let error = self.try_call(call).expect_err(expected).to_string();
        assert_eq!(error, expected);
    }

    pub fn add_volume(&mut self, id: &str) {
        let volume = VolumeRow { id: id.to_owned(), ..VolumeRow::default() };
        self.call(Call::VolumeCreate { volume });
    }

    /// A registered service whose first attempt has succeeded (`error` = none) or failed.
    pub fn add_service(&mut self, host: &str, error: Option<&str>) {
        let (host, availability_zone) = (host.to_owned(), "nova".to_owned());
        let (process, driver) = ("p".to_owned(), POSIX.to_owned());
        self.call(Call::ServiceRegister {
            host: host.clone(),
            worker: 0,
            process: process.clone(),
            replaces: None,
            driver,
            availability_zone,
        });
        let attempt = Attempt { number: 1, error: error.map(str::to_owned), seconds: 0.0, next_attempt_in: None };
        self.call(Call::ServiceAttempt { host, worker: 0, process, attempt, host_bound: None });
    }

    /// Everything committed since the last time.
    pub fn take_log(&self) -> Vec<Commit> {
        std::mem::take(&mut self.log.0.lock().unwrap())
    }

    /// The notifications in a log, as `type(status)`, errors with their reason.
    pub fn take_events(&self) -> Vec<String> {
        self.take_log().iter().flat_map(|commit| &commit.outbox).map(|queued| event(&queued.message)).collect()
    }
}

fn connection(file: &tempfile::NamedTempFile) -> Connection {
    let connection = Connection::open(file.path()).unwrap();
    connection.pragma_update(None, "synchronous", false).unwrap();
    connection
}

fn event(message: &Value) -> String {
    let event_type = message["event_type"].as_str().unwrap().trim_start_matches("backup.");
    let status = message["payload"]["status"].as_str().unwrap_or("-");
    match message["priority"].as_str().unwrap() {
        "ERROR" => format!("{event_type}({status}): {}", message["payload"]["fail_reason"].as_str().unwrap_or("-")),
        _ => format!("{event_type}({status})"),
    }
}

pub fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A request for a full backup of `volume_id`.
pub fn create(backup_id: &str, volume_id: &str) -> CreateRequest {
    CreateRequest {
        backup_id: backup_id.to_owned(),
        user_id: "user".to_owned(),
        project_id: "project".to_owned(),
        volume_id: volume_id.to_owned(),
        display_name: None,
        display_description: None,
        container: None,
        incremental: false,
        force: false,
        snapshot_id: None,
        availability_zone: None,
        limits: Default::default(),
    }
}

/// The first eligible host, judged with a `service_down_time` of a minute.
pub fn first_host() -> HostChoice {
    HostChoice { service_down_time: 60_000_000_000, pick: 0, same_host: false }
}
