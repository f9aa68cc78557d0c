//! A whole manager on the real broker: SQLite in memory, the POSIX driver on a folder that holds a fixture's repository.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use clinker::fixtures::Link;
use clinker_drivers::{Device, Error, Kind, Options, RequestContext, registry};
use clinker_env::{Env, Tasks};
use clinker_manager::api::Api;
use clinker_manager::bus::amqp::AmqpBus;
use clinker_manager::db::sqlite::Store;
use clinker_manager::db::{Call, Db, Request};
use clinker_manager::keys::Keys;
use clinker_manager::lifecycle;
use clinker_manager::model::{BackupStatus, Stamp};
use clinker_manager::service::{Ports, Service};
use clinker_manager::transitions::Section5;
use clinker_manager::volumes::{Attachment, Temporary, Volumes};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub const HOST: &str = "backup-host-1";
const POSIX: &str = "cinder.backup.drivers.posix.PosixBackupDriver";
/// For the service to come up, and for an import.
const WAIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// The service, and the API beside it. Dropped, it ends.
pub struct Running {
    pub api: Api,
    service: JoinHandle<()>,
    _repository: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.service.abort();
    }
}

impl Running {
    /// Starts the service and imports the fixture's backup.
    pub async fn start(env: &Env, url: &str, fixture: &Link) -> Result<Running> {
        let repository = tempfile::tempdir().context("make a folder for the repository")?;
        for (path, bytes) in fixture.files() {
            let path = repository.path().join(path);
            std::fs::create_dir_all(path.parent().context("find a file's folder")?).context("make a folder")?;
            std::fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        }
        let mut options = Options::default();
        let root = repository.path().to_str().context("name the repository in UTF-8")?;
        for (name, value) in
            [("transport_url", url), ("host", HOST), ("backup_driver", POSIX), ("backup_posix_path", root)]
        {
            options.set(name, value).context("set the options")?;
        }
        let connection = rusqlite::Connection::open_in_memory().context("open a database")?;
        let store = Store::open(connection, env.clone(), Arc::new(Section5), None).context("open the store")?;
        let db: Arc<dyn Db> = Arc::new(Local { env: env.clone(), store: Mutex::new(store) });
        let service = Service::new(options.clone(), ports(env, &options, &db)?).context("build the service")?;
        let service = Tasks::Runtime.spawn(async move {
            if let Err(error) = service.run().await {
                eprintln!("# the service ended: {error}");
            }
        });
        let bus = Arc::new(AmqpBus::new(env.clone(), &options).context("make the API's bus")?);
        let api = Api::new(env.clone(), "api", &options, db, bus);
        let running = Running { api, service, _repository: repository };
        timeout(WAIT, running.import(fixture)).await.context("import a record in time")??;
        Ok(running)
    }

    async fn import(&self, fixture: &Link) -> Result<()> {
        while self.api.services().await.context("list the services")?.is_empty() {
            sleep(LOOK).await;
        }
        // Sent until the manager has its queue.
        let row =
            self.api.import_record(&RequestContext::admin(), fixture.record()).await.context("import a record")?;
        let wait = async {
            loop {
                let row = self.api.show(&row.id).await.context("look at the backup")?;
                match row.status {
                    BackupStatus::Available => return Ok(()),
                    BackupStatus::Creating => sleep(LOOK).await,
                    _ => return Err(anyhow!("import a record: {}", row.fail_reason.unwrap_or_default())),
                }
            }
        };
        tokio::select! {
            biased;
            done = wait => done,
            () = self.api.deliver() => Ok(()),
        }
    }
}

fn ports(env: &Env, options: &Options, db: &Arc<dyn Db>) -> Result<Ports> {
    let (driver_options, driver_env) = (options.clone(), env.clone());
    Ok(Ports {
        worker: 0,
        env: env.clone(),
        db: Arc::clone(db),
        bus: Arc::new(AmqpBus::new(env.clone(), options).context("make the manager's bus")?),
        volumes: Arc::new(Nowhere),
        keys: Arc::new(Nowhere),
        drivers: Arc::new(move || registry::build(&driver_options, &driver_env)),
        lifecycle: Arc::new(lifecycle::Production),
    })
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

    async fn call_as(&self, key: &str, call: Call) -> clinker_drivers::Result<Value> {
        let request = Request { key: key.to_owned(), now: Stamp(self.env.clock.now()), call };
        self.store.lock().expect("no panic while the lock is held").apply(request)
    }
}

/// No volume service and no key manager: nothing here reads or writes a volume.
struct Nowhere;

fn none<T>() -> clinker_drivers::Result<T> {
    Err(Error::new(Kind::Unsupported, "there is no volume service and no key manager"))
}

#[async_trait]
impl Keys for Nowhere {
    async fn clone_key(&self, _: &RequestContext, _: &str, _: &str) -> clinker_drivers::Result<()> {
        none()
    }
    async fn delete_key(&self, _: &RequestContext, _: &str) -> clinker_drivers::Result<()> {
        none()
    }
}

#[async_trait]
impl Volumes for Nowhere {
    async fn attach(&self, _: &Attachment) -> clinker_drivers::Result<Arc<dyn Device>> {
        none()
    }
    async fn detach(&self, _: &Attachment) -> clinker_drivers::Result<()> {
        none()
    }
    async fn attachments(&self, _: &str) -> clinker_drivers::Result<Vec<Attachment>> {
        Ok(Vec::new())
    }
    async fn create_temporary(&self, _: &Temporary) -> clinker_drivers::Result<()> {
        none()
    }
    async fn delete_temporary(&self, _: &Temporary) -> clinker_drivers::Result<()> {
        none()
    }
}
