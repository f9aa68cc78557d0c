//! A whole backup service in this process: manager, API, SQLite in a file, POSIX driver; no network between them.
//!
//! Of the ports only the bus is not production code: two queues. Whoever asks for something waits for its last event.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::{Device, Error, Kind, Options, RequestContext, Result, registry};
use clinker_env::{Env, real};
use clinker_manager::api::Api;
use clinker_manager::bus::{Bus, Cast, Consumer, ReplyTo};
use clinker_manager::db::sqlite::Store;
use clinker_manager::db::{Call, Db, Request};
use clinker_manager::keys::Keys;
use clinker_manager::lifecycle;
use clinker_manager::model::Stamp;
use clinker_manager::service::{Ports, Service};
use clinker_manager::state::ServiceState;
use clinker_manager::transitions::Section5;
use clinker_manager::volumes::{Attachment, Temporary, Volumes};
use serde_json::Value;
use tokio::sync::Notify;

use super::memory::Memory;

const HOST: &str = "backup-host-1";
/// Bytes of every volume.
const VOLUME: usize = 64 << 10;

pub struct House {
    pub api: Arc<Api>,
    pub db: Arc<dyn Db>,
    bus: Arc<Queues>,
    _folder: tempfile::TempDir,
}

impl House {
    /// Starts it all and waits until the service is up.
    pub async fn open() -> House {
        let (env, memory) = (real::env(), Path::new("/dev/shm"));
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.expect("make a folder");
        let options = options(folder.path());
        let connection = rusqlite::Connection::open(folder.path().join("database")).expect("make the database");
        let store = Store::open(connection, env.clone(), Arc::new(Section5), None).expect("open the store");
        let db: Arc<dyn Db> = Arc::new(Local { env: env.clone(), store: Mutex::new(store) });
        let bus = Arc::new(Queues::default());
        let (driver_options, driver_env) = (options.clone(), env.clone());
        let ports = Ports {
            worker: 0,
            env: env.clone(),
            db: Arc::clone(&db),
            bus: bus.clone(),
            volumes: Arc::new(Attached(Arc::new(Memory::of(&env, &[7; VOLUME])))),
            keys: Arc::new(NoKeys),
            drivers: Arc::new(move || registry::build(&driver_options, &driver_env)),
            lifecycle: Arc::new(lifecycle::Production),
        };
        let service = Service::new(options.clone(), ports).expect("build the service");
        env.tasks.spawn(async move { service.run().await.expect("the service goes on") });
        let api = Arc::new(Api::new(env.clone(), "api", &options, Arc::clone(&db), bus.clone()));
        let delivering = Arc::clone(&api);
        env.tasks.spawn(async move { delivering.deliver().await });
        while api.services().await.is_ok_and(|all| all.iter().all(|service| service.state != ServiceState::Up)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        House { api, db, bus, _folder: folder }
    }

    /// Waits for the event that ends an operation with a backup.
    pub async fn ended(&self, operation: &str, backup_id: &str) {
        let (end, error) = (format!("backup.{operation}.end"), format!("backup.{operation}.error"));
        loop {
            let note = self.bus.notes.next().await;
            if note["payload"]["backup_id"] == backup_id {
                assert!(note["event_type"] != *error, "{operation}: {note}");
                if note["event_type"] == *end {
                    return;
                }
            }
        }
    }
}

fn options(folder: &Path) -> Options {
    let repository = folder.join("repository");
    std::fs::create_dir(&repository).expect("make the repository");
    let mut options = Options::default();
    for (name, value) in [
        ("host", HOST),
        ("backup_driver", "posix"),
        ("backup_posix_path", repository.to_str().expect("temporary folders have names in UTF-8")),
        ("quota_backups", "-1"),
        ("quota_backup_gigabytes", "-1"),
    ] {
        options.set(name, value).expect("the options are valid");
    }
    options
}

/// The database in this process.
struct Local {
    env: Env,
    store: Mutex<Store>,
}

#[async_trait]
impl Db for Local {
    fn new_key(&self) -> String {
        self.env.rng.uuid()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        let request = Request { key: key.to_owned(), now: Stamp(self.env.clock.now()), call };
        self.store.lock().expect("no call panics").apply(request)
    }
}

/// Casts to the one manager, and notifications.
#[derive(Default)]
struct Queues {
    casts: Arc<Queue<Cast>>,
    notes: Queue<Value>,
}

struct Queue<T> {
    waiting: Mutex<VecDeque<T>>,
    put: Notify,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { waiting: Mutex::default(), put: Notify::new() }
    }
}

impl<T> Queue<T> {
    fn put(&self, one: T) {
        self.waiting.lock().expect("no panic while the lock is held").push_back(one);
        self.put.notify_one();
    }

    /// For one reader.
    async fn next(&self) -> T {
        loop {
            let oldest = self.waiting.lock().expect("no panic while the lock is held").pop_front();
            match oldest {
                Some(oldest) => return oldest,
                None => self.put.notified().await,
            }
        }
    }
}

#[async_trait]
impl Bus for Queues {
    async fn cast(&self, _: &str, cast: &Cast) -> Result<()> {
        self.casts.put(cast.clone());
        Ok(())
    }

    async fn call(&self, _: &str, _: &Cast, _: Duration) -> Result<Value> {
        Err(absent())
    }

    async fn reply(&self, _: &ReplyTo, _: &Result<Value>) -> Result<()> {
        Err(absent())
    }

    async fn consume(&self, _: &str) -> Result<Box<dyn Consumer>> {
        Ok(Box::new(Casts(Arc::clone(&self.casts))))
    }

    async fn notify(&self, message: &Value) -> Result<()> {
        self.notes.put(message.clone());
        Ok(())
    }
}

struct Casts(Arc<Queue<Cast>>);

#[async_trait]
impl Consumer for Casts {
    async fn next(&mut self) -> Result<Cast> {
        Ok(self.0.next().await)
    }

    async fn acknowledge(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Every volume is this one.
struct Attached(Arc<Memory>);

#[async_trait]
impl Volumes for Attached {
    async fn attach(&self, _: &Attachment) -> Result<Arc<dyn Device>> {
        Ok(Arc::clone(&self.0) as Arc<dyn Device>)
    }

    async fn detach(&self, _: &Attachment) -> Result<()> {
        Ok(())
    }

    async fn attachments(&self, _: &str) -> Result<Vec<Attachment>> {
        Ok(Vec::new())
    }

    async fn create_temporary(&self, _: &Temporary) -> Result<()> {
        Err(absent())
    }

    async fn delete_temporary(&self, _: &Temporary) -> Result<()> {
        Err(absent())
    }
}

struct NoKeys;

#[async_trait]
impl Keys for NoKeys {
    async fn clone_key(&self, _: &RequestContext, _: &str, _: &str) -> Result<()> {
        Err(absent())
    }

    async fn delete_key(&self, _: &RequestContext, _: &str) -> Result<()> {
        Err(absent())
    }
}

fn absent() -> Error {
    Error::new(Kind::Unsupported, "no operation of this bench needs it")
}
