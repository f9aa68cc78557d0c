//! Cases that no scenario can arrange, such as another driver's backup: rows are set by hand in the real database, then
//! the request arrives.

use std::sync::{Arc, Mutex};

use clinker_manager::db::record::RecordCall;
use clinker_manager::db::sqlite::Store;
use clinker_manager::db::{Begin, Begun, Call, Commit, CommitLog, CreateRequest, HostChoice, Request};
use clinker_manager::model::{BackupStatus, Operation, Stamp, VolumeRow};
use clinker_manager::notify::Attempt;
use clinker_manager::transitions::Section5;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use super::ours::event;
use super::outcome::Outcome;

const POSIX: &str = "cinder.backup.drivers.posix.PosixBackupDriver";

/// Rows as they are when the request arrives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub operation: String,
    backup: String,
    volume: String,
    /// The backup's driver, by class path.
    service: String,
    #[serde(default)]
    container: Option<String>,
    #[serde(default)]
    object_count: u64,
    #[serde(default)]
    fail_reason: Option<String>,
    working: bool,
    /// What a reset sets.
    status: Option<String>,
}

/// Plays the case against the database alone. It must end on arrival: no driver runs here.
pub fn outcome(case: &Case) -> Outcome {
    let mut database = Database::new();
    database.prepare(case);
    if case.operation == "export" {
        return database.export();
    }
    let operation = operation(case);
    let begun = database.call(Call::OpBegin(Begin {
        operation,
        backup_id: "b".into(),
        host: "h".into(),
        driver: POSIX.into(),
        availability_zone: "nova".into(),
        working: case.working,
        status: case.status.as_deref().and_then(BackupStatus::parse),
        running_here: Vec::new(),
        cast: None,
    }));
    let begun: Begun = serde_json::from_value(begun).unwrap();
    assert!(begun.ended.is_some(), "the request was accepted: {case:?}");
    let mut outcome = Outcome::default();
    for commit in &*database.log.0.lock().unwrap() {
        outcome.events.extend(commit.outbox.iter().map(|queued| event(&queued.message)));
    }
    outcome.backup("backup", &serde_json::to_value(&begun.backup).unwrap());
    if let Some(ok) = outcome.reached() {
        outcome.fact("ok", ok);
    }
    outcome
}

fn operation(case: &Case) -> Operation {
    let known = Operation::ALL.iter().find(|operation| operation.as_str() == case.operation);
    *known.expect("a play names an operation that exists")
}

/// The real store in a file, with a log of what it commits, and a second connection that arranges rows.
struct Database {
    store: Store,
    log: Arc<Log>,
    calls: u64,
    by_hand: Connection,
    _file: tempfile::NamedTempFile,
}

#[derive(Default)]
struct Log(Mutex<Vec<Commit>>);

impl CommitLog for Log {
    fn committed(&self, commit: Commit) {
        self.0.lock().unwrap().push(commit);
    }
}

impl Database {
    fn new() -> Database {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || Connection::open(file.path()).unwrap();
        let log = Arc::new(Log::default());
        let store = Store::open(open(), clinker_env::real::env(), Arc::new(Section5), Some(log.clone())).unwrap();
        Database { store, log, calls: 0, by_hand: open(), _file: file }
    }

    fn call(&mut self, call: Call) -> Value {
        self.try_call(call).unwrap()
    }

    fn try_call(&mut self, call: Call) -> clinker_manager::Result<Value> {
        self.calls += 1;
        let now = Stamp("2026-01-01T00:00:00Z".parse().unwrap());
        self.store.apply(Request { key: self.calls.to_string(), now, call })
    }

    /// A manager is asked for the record.
    fn export(&mut self) -> Outcome {
        let begin = RecordCall::ExportBegin { backup_id: "b".into(), driver: POSIX.into() };
        let begun = self.try_call(Call::Record(begin));
        let mut outcome = Outcome::default();
        outcome.fact("ok", begun.is_ok());
        outcome.backup("backup", &self.call(Call::BackupGet { backup_id: "b".into() }));
        outcome
    }

    fn prepare(&mut self, case: &Case) {
        let volume = VolumeRow { id: "v".into(), ..VolumeRow::default() };
        let request = CreateRequest {
            backup_id: "b".into(),
            user_id: "user".into(),
            project_id: "project".into(),
            volume_id: "v".into(),
            display_name: None,
            display_description: None,
            container: None,
            incremental: false,
            force: false,
            snapshot_id: None,
            availability_zone: None,
            limits: Default::default(),
        };
        let (host, availability_zone) = ("h".to_owned(), "nova".to_owned());
        let attempt = Attempt { number: 1, error: None, seconds: 0.0, next_attempt_in: None };
        self.call(Call::VolumeCreate { volume });
        let process = "p".to_owned();
        self.call(Call::ServiceRegister {
            host: host.clone(),
            worker: 0,
            process: process.clone(),
            replaces: None,
            driver: POSIX.into(),
            availability_zone,
        });
        self.call(Call::ServiceAttempt { host, worker: 0, process, attempt, host_bound: None });
        self.call(Call::ApiCreate {
            request,
            choice: HostChoice { service_down_time: u64::MAX, pick: 0, same_host: false },
        });
        let open = if case.operation == "reset_status" { "[\"reset_status\"]" } else { "[]" };
        let Case { backup, volume, service, container, object_count, fail_reason, .. } = case;
        self.by_hand
            .execute(
                "UPDATE backups SET status = ?1, service = ?2, container = ?3, object_count = ?4, fail_reason = ?5,
                 restore_volume_id = 'v', open_events = ?6",
                (backup, service, container, object_count, fail_reason, open),
            )
            .unwrap();
        self.by_hand.execute("UPDATE volumes SET status = ?1", [volume]).unwrap();
        self.log.0.lock().unwrap().clear();
    }
}
