//! The database's calls, with SQLite in memory. Ids and stamps are the same in each run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clinker_env::{Clock, Env, Rng, real};
use clinker_manager::db::sqlite::Store;
use clinker_manager::db::{Begin, Call, CreateRequest, Finish, HostChoice, Request};
use clinker_manager::model::{Operation, Stamp, VolumeRow};
use clinker_manager::notify::Attempt;
use clinker_manager::quota::Limits;
use clinker_manager::state::Ages;
use clinker_manager::transitions::Section5;

use super::measured;

const HOST: &str = "backup-host-1";
const PROCESS: &str = "process";
const DRIVER: &str = "cinder.backup.drivers.posix.PosixBackupDriver";

/// Twenty backups, each with the calls that a manager makes for it.
pub fn backup() {
    let mut database = Database::new();
    measured(|| (0..20).for_each(|n| database.backup(n)));
}

/// What twenty backups have emitted, fetched and delivered.
pub fn outbox() {
    let mut database = Database::new();
    (0..20).for_each(|n| database.backup(n));
    let publisher_id = format!("backup.{HOST}");
    measured(|| {
        let answer = database.call(Call::OutboxFetch { publisher_id: publisher_id.clone(), limit: 50 });
        assert_eq!(answer.as_array().map(Vec::len), Some(50));
        for row in answer.as_array().into_iter().flatten() {
            let up_to = row["seq"].as_u64().expect("a number");
            database.call(Call::OutboxDelivered { publisher_id: publisher_id.clone(), up_to });
        }
    });
}

struct Database {
    store: Store,
    calls: u64,
}

impl Database {
    fn new() -> Database {
        let env = Env { rng: Arc::new(Counted(AtomicU64::new(0))), clock: Arc::new(Stopped), ..real::env() };
        let connection = rusqlite::Connection::open_in_memory().expect("there is memory");
        let store = Store::open(connection, env, Arc::new(Section5), None).expect("open the store");
        let mut database = Database { store: store.with_ages(Arc::new(Stopped)), calls: 0 };
        let (host, process) = (HOST.to_owned(), PROCESS.to_owned());
        database.call(Call::ServiceRegister {
            host: host.clone(),
            worker: 0,
            process: process.clone(),
            replaces: None,
            driver: DRIVER.to_owned(),
            availability_zone: "nova".to_owned(),
        });
        let attempt = Attempt { number: 1, error: None, seconds: 0.0, next_attempt_in: None };
        database.call(Call::ServiceAttempt { host, worker: 0, process, attempt, host_bound: Some(false) });
        database.call(Call::VolumeCreate { volume: VolumeRow { id: "volume".to_owned(), ..VolumeRow::default() } });
        database
    }

    fn call(&mut self, call: Call) -> serde_json::Value {
        self.calls += 1;
        let request = Request { key: format!("{:036}", self.calls), now: Stamp(Clock::now(&Stopped)), call };
        self.store.apply(request).expect("it is allowed")
    }

    fn backup(&mut self, n: u32) {
        let (backup_id, host) = (format!("backup-{n:03}"), HOST.to_owned());
        let request = CreateRequest {
            backup_id: backup_id.clone(),
            user_id: "user".to_owned(),
            project_id: "project".to_owned(),
            volume_id: "volume".to_owned(),
            display_name: None,
            display_description: None,
            container: None,
            incremental: false,
            force: false,
            snapshot_id: None,
            availability_zone: None,
            limits: Limits::NONE,
        };
        let choice = HostChoice { service_down_time: u64::MAX, pick: 0, same_host: false };
        self.call(Call::ApiCreate { request, choice });
        self.call(Call::OpBegin(Begin {
            operation: Operation::Create,
            backup_id: backup_id.clone(),
            host: host.clone(),
            driver: DRIVER.to_owned(),
            availability_zone: "nova".to_owned(),
            working: true,
            status: None,
            running_here: Vec::new(),
            cast: None,
        }));
        let (container, service_metadata) = ("c".to_owned(), "p".to_owned());
        self.call(Call::OpSaveLocation { backup_id: backup_id.clone(), container, service_metadata });
        for percent in [0.0, 50.0, 100.0] {
            let (backup_id, host, event_type) = (backup_id.clone(), host.clone(), "backup.createprogress".to_owned());
            self.call(Call::OpStatus { backup_id: backup_id.clone() });
            self.call(Call::OpProgress { backup_id, host, event_type, percent });
        }
        let (operation, error, restored) = (Operation::Create, None, None);
        self.call(Call::OpFinish(Finish { operation, backup_id, host, error, object_count: 2, restored }));
    }
}

/// Wall clock and clock of ages, at one moment for ever.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::constant(1_767_225_600, 0)
    }
}

impl Ages for Stopped {
    fn now(&self, _: u64, _: &dyn Clock) -> u64 {
        1_000_000_000
    }
}

struct Counted(AtomicU64);

impl Rng for Counted {
    fn fill(&self, _: &str, dest: &mut [u8]) {
        dest.fill(0);
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let len = dest.len();
        dest[len - next.len()..].copy_from_slice(&next);
    }
}
