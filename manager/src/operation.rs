//! What operations share: the manager's state, the way to the database, slots, and the controls given to drivers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::{BackupControl, BackupDriver, Options};
use clinker_env::Env;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

use crate::bus::{Bus, Cast};
use crate::db::{Begin, Begun, Call, Db, Finish};
use crate::keys::Keys;
use crate::lifecycle::Lifecycle;
use crate::metadata::Restored;
use crate::model::{BackupStatus, Operation};
use crate::service::Ports;
use crate::transitions::Case;
use crate::volumes::Volumes;
use crate::{Error, Kind, Result};

/// How often an operation that waits for a slot looks whether it is still wanted.
const WAITING_LOOK: Duration = Duration::from_secs(1);

/// The state of one service process.
pub(crate) struct Manager {
    pub options: Options,
    pub class_path: &'static str,
    /// Which of the workers that share the host's name this is, from 0.
    pub worker: u32,
    /// Tells this process from the others that have led this worker's life.
    pub process: String,
    pub lifecycle: Arc<dyn Lifecycle>,
    pub env: Env,
    pub db: Arc<dyn Db>,
    pub bus: Arc<dyn Bus>,
    pub volumes: Arc<dyn Volumes>,
    pub keys: Arc<dyn Keys>,
    driver: Mutex<Option<Arc<dyn BackupDriver>>>,
    working: watch::Sender<bool>,
    /// Whether deletes that wait for a driver may hope for one.
    prospect: watch::Sender<Prospect>,
    slots: Option<Arc<Semaphore>>,
    running: Mutex<BTreeMap<(String, Operation), watch::Receiver<()>>>,
    /// Backups whose delete clean-up has resumed, and whose cast may still be queued.
    resumed: Mutex<BTreeSet<String>>,
    /// Wakes the task that detaches what could not be detached.
    pub attached: Notify,
    /// Wakes the outbox.
    pub published: Notify,
}

/// What an operation that reached its goal has to tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// For a create: data objects written.
    pub object_count: u64,
    /// For a restore: what goes on the volume besides the bytes.
    pub restored: Option<Restored>,
}

/// What a resumed delete waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prospect {
    Open,
    Working,
    /// An attempt failed and none will follow.
    Lost,
}

impl Manager {
    pub fn new(options: Options, class_path: &'static str, ports: Ports) -> Manager {
        let Ports { worker, env, db, bus, volumes, keys, lifecycle, drivers: _ } = ports;
        let limit = usize::try_from(options.backup_max_operations).unwrap_or(Semaphore::MAX_PERMITS);
        let limit = lifecycle.slots(limit);
        let slots = (limit > 0).then(|| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))));
        Manager {
            options,
            class_path,
            worker,
            process: env.rng.uuid(),
            lifecycle,
            env,
            db,
            bus,
            volumes,
            keys,
            driver: Mutex::new(None),
            working: watch::Sender::new(false),
            prospect: watch::Sender::new(Prospect::Open),
            slots,
            running: Mutex::default(),
            resumed: Mutex::default(),
            attached: Notify::new(),
            published: Notify::new(),
        }
    }

    pub fn driver(&self) -> Option<Arc<dyn BackupDriver>> {
        self.driver.lock().expect("no panic while the lock is held").clone()
    }

    pub fn set_driver(&self, driver: Arc<dyn BackupDriver>) {
        *self.driver.lock().expect("no panic while the lock is held") = Some(driver);
    }

    pub fn is_working(&self) -> bool {
        *self.working.borrow()
    }

    pub fn watch_working(&self) -> watch::Receiver<bool> {
        self.working.subscribe()
    }

    /// `more` tells whether another trial will follow.
    pub fn set_working(&self, working: bool, more: bool) {
        self.working.send_if_modified(|old| std::mem::replace(old, working) != working);
        self.prospect.send_replace(match (working, more) {
            (true, _) => Prospect::Working,
            (false, true) => Prospect::Open,
            (false, false) => Prospect::Lost,
        });
    }

    /// Waits until the driver works, or never will.
    pub async fn driver_prospect(&self) -> Prospect {
        let mut prospect = self.prospect.subscribe();
        match prospect.wait_for(|prospect| *prospect != Prospect::Open).await {
            Ok(settled) => *settled,
            Err(_) => Prospect::Lost,
        }
    }

    /// A database call; whatever it put into the outbox is sent soon after.
    pub async fn call(&self, call: Call) -> Result<Value> {
        let answer = self.db.call(call).await;
        self.published.notify_one();
        answer
    }

    pub async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let answer = crate::db::ask(self.db.as_ref(), call).await;
        self.published.notify_one();
        answer
    }

    /// What the database is told when a request arrives.
    pub fn arrival(&self, operation: Operation, cast: &Cast, status: Option<BackupStatus>) -> Call {
        Call::OpBegin(Begin {
            operation,
            backup_id: cast.backup_id.clone(),
            host: self.options.host.clone(),
            driver: self.class_path.to_owned(),
            availability_zone: self.options.storage_availability_zone.clone(),
            working: self.is_working(),
            status,
            running_here: self.running_beside(operation, &cast.backup_id),
            cast: Some(cast.id.clone()),
        })
    }

    /// A request arrives. `None` when it ended on arrival, when its cast has come before, or when its row cannot be read:
    /// then there is nothing to end.
    ///
    /// The cast is acknowledged, so nobody sends it again: a database that cannot be reached is waited for.
    pub async fn begin(&self, operation: Operation, cast: &Cast) -> Option<Begun> {
        let backup_id = &cast.backup_id;
        match self.persist::<Begun>(&self.arrival(operation, cast, None)).await {
            Ok(begun) if begun.again => {
                tracing::warn!("a cast for backup {backup_id} came again");
                None
            }
            Ok(begun) if begun.ended.is_none() => Some(begun),
            Ok(begun) => {
                tracing::warn!("{operation} of backup {backup_id} refused: {:?}", begun.ended);
                None
            }
            Err(error) => {
                tracing::error!("{operation} of backup {backup_id} cannot begin: {error}");
                None
            }
        }
    }

    /// Ends an accepted operation; repeats until the database has taken it. `None` if it was closed before.
    pub async fn finish(
        &self,
        operation: Operation,
        backup_id: &str,
        error: Option<&Error>,
        done: Done,
    ) -> Option<Case> {
        if let Some(error) = error {
            tracing::error!("{operation} of backup {backup_id} failed: {error}");
        }
        let finish = Finish {
            operation,
            backup_id: backup_id.to_owned(),
            host: self.options.host.clone(),
            error: error.map(Error::to_string),
            object_count: done.object_count,
            restored: done.restored.map(Box::new),
        };
        let case = self.insist(&Call::OpFinish(finish)).await;
        serde_json::from_value(case).ok()
    }

    /// Waits for one of the `backup_max_operations` slots; `still_wanted` ends the waiting.
    pub async fn slot<F: Future<Output = Result<()>>>(
        &self,
        still_wanted: impl Fn() -> F,
    ) -> Result<Option<OwnedSemaphorePermit>> {
        let Some(slots) = &self.slots else { return Ok(None) };
        let mut permit = std::pin::pin!(Arc::clone(slots).acquire_owned());
        loop {
            tokio::select! {
                biased;
                permit = &mut permit => {
                    let permit = permit.map_err(|_| Error::new(Kind::Internal, "the operation slots are closed"))?;
                    return Ok(Some(permit));
                }
                () = sleep(WAITING_LOOK) => still_wanted().await?,
            }
        }
    }

    /// Marks the operation as running until the guard is dropped; `None` if it is running already.
    ///
    /// The second request is then the first one again, delivered or asked for twice: one run serves both.
    pub fn work_on(&self, operation: Operation, backup_id: &str) -> Option<watch::Sender<()>> {
        let (guard, watcher) = watch::channel(());
        let mut running = self.running.lock().expect("no panic while the lock is held");
        running.retain(|_, watcher| watcher.has_changed().is_ok());
        let key = (backup_id.to_owned(), operation);
        if running.contains_key(&key) {
            tracing::warn!("{operation} of backup {backup_id} is running already");
            return None;
        }
        running.insert(key, watcher);
        Some(guard)
    }

    /// Clean-up has taken up a delete; a cast that is still queued for it asks for nothing new.
    pub fn note_resumed(&self, backup_id: &str) {
        self.resumed.lock().expect("no panic while the lock is held").insert(backup_id.to_owned());
    }

    /// Whether this is the first cast for a delete that clean-up has taken up.
    pub fn take_resumed(&self, backup_id: &str) -> bool {
        self.resumed.lock().expect("no panic while the lock is held").remove(backup_id)
    }

    /// Whether this process runs the operation.
    pub fn runs(&self, operation: Operation, backup_id: &str) -> bool {
        let running = self.running.lock().expect("no panic while the lock is held");
        running.get(&(backup_id.to_owned(), operation)).is_some_and(|watcher| watcher.has_changed().is_ok())
    }

    /// The other operations that this process runs on the backup.
    fn running_beside(&self, operation: Operation, backup_id: &str) -> Vec<Operation> {
        let running = self.running.lock().expect("no panic while the lock is held");
        let of_backup = running.iter().filter(|((id, other), _)| id == backup_id && *other != operation);
        of_backup.filter(|(_, watcher)| watcher.has_changed().is_ok()).map(|((_, other), _)| *other).collect()
    }

    /// Waits until no create or restore works on the backup any more.
    pub async fn wait_for_others(&self, backup_id: &str) {
        for operation in [Operation::Create, Operation::Restore] {
            let key = (backup_id.to_owned(), operation);
            let watcher = self.running.lock().expect("no panic while the lock is held").get(&key).cloned();
            if let Some(mut watcher) = watcher {
                // An error says that the guard is gone, which is what is waited for.
                while watcher.changed().await.is_ok() {}
            }
        }
    }

    async fn status(&self, backup_id: &str) -> Result<BackupStatus> {
        self.ask(Call::OpStatus { backup_id: backup_id.to_owned() }).await
    }
}

/// What a driver may ask of the manager while it works on a backup.
pub(crate) struct Control {
    pub manager: Arc<Manager>,
    pub backup_id: String,
    /// The status in which the operation is still wanted.
    pub wanted: BackupStatus,
}

impl Control {
    pub async fn still_wanted(&self) -> Result<()> {
        if self.manager.status(&self.backup_id).await? == self.wanted { Ok(()) } else { Err(Error::cancelled()) }
    }
}

#[async_trait]
impl BackupControl for Control {
    async fn save_location(&self, container: &str, service_metadata: &str) -> Result<()> {
        let call = Call::OpSaveLocation {
            backup_id: self.backup_id.clone(),
            container: container.to_owned(),
            service_metadata: service_metadata.to_owned(),
        };
        self.manager.call(call).await.map(|_| ())
    }

    async fn check_cancelled(&self) -> Result<()> {
        self.still_wanted().await
    }

    async fn progress(&self, backup_percent: f64) -> Result<()> {
        let call = Call::OpProgress {
            backup_id: self.backup_id.clone(),
            host: self.manager.options.host.clone(),
            event_type: self.manager.options.backup_progress_event_type.clone(),
            percent: backup_percent,
        };
        self.manager.call(call).await.map(|_| ())
    }
}
