//! The service process: registration, attempts and health, heartbeats, clean-up, requests.
//!
//! Order at start (D2): registration; then attempt 1 and clean-up at once; requests when clean-up is done.

use std::sync::Arc;
use std::time::Duration;

use clinker_drivers::{BackupDriver, Options, registry};
use clinker_env::Env;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::bus::{Backoff, Bus, Cast, Method};
use crate::db::{Call, Db};
use crate::keys::Keys;
use crate::lifecycle::{Ended, Lifecycle, Next, Timing, Trial};
use crate::notify::Attempt;
use crate::operation::Manager;
use crate::volumes::Volumes;
use crate::workers::Taken;
use crate::{Error, Kind, Result, calls, cleanup, create, db, delete, export, import, outbox, reset, restore, workers};

/// Pause before a call is repeated that the service cannot do without.
pub(crate) const PAUSE: Duration = Duration::from_secs(10);

/// Makes a driver; a new one for each attempt.
pub type DriverFactory = Arc<dyn Fn() -> Result<Arc<dyn BackupDriver>> + Send + Sync>;

/// The outside of a service: what it is given at construction.
#[derive(Clone)]
pub struct Ports {
    /// Which of the workers that share the host's name this is, from 0 (`backup_workers`).
    pub worker: u32,
    pub env: Env,
    pub db: Arc<dyn Db>,
    pub bus: Arc<dyn Bus>,
    pub volumes: Arc<dyn Volumes>,
    pub keys: Arc<dyn Keys>,
    pub drivers: DriverFactory,
    pub lifecycle: Arc<dyn Lifecycle>,
}

/// A backup service, ready to run.
pub struct Service {
    manager: Arc<Manager>,
    timing: Timing,
    lifecycle: Arc<dyn Lifecycle>,
    drivers: DriverFactory,
    started: Instant,
}

impl Service {
    /// Checks the configuration; `invalid_config` names the option that is wrong.
    pub fn new(options: Options, ports: Ports) -> Result<Service> {
        options.validate()?;
        let driver = registry::find(&options.backup_driver)?;
        let timing = Timing::of(&options);
        let (lifecycle, drivers) = (Arc::clone(&ports.lifecycle), Arc::clone(&ports.drivers));
        let manager = Manager::new(options, driver.class_path, ports);
        Ok(Service { manager: Arc::new(manager), timing, lifecycle, drivers, started: Instant::now() })
    }

    /// Runs until its process ends; an error ends it.
    pub async fn run(self) -> Result<()> {
        let service = Arc::new(self);
        let manager = &service.manager;
        service.register().await;
        let mut tasks = JoinSet::new();
        let spawner = manager.env.tasks;
        spawner.spawn_in(&mut tasks, Arc::clone(&service).deliver());
        spawner.spawn_in(&mut tasks, Arc::clone(&service).lead_life());
        spawner.spawn_in(&mut tasks, Arc::clone(&service).heartbeats());
        cleanup::run(manager, &mut tasks).await;
        service.take_requests(&mut tasks).await
    }

    async fn deliver(self: Arc<Self>) {
        let Manager { db, bus, env, options, published, .. } = self.manager.as_ref();
        outbox::deliver(db.as_ref(), bus.as_ref(), env, &options.host, published).await;
    }

    /// Takes the worker's row over from whichever process had it.
    async fn register(&self) {
        let mut replaces = None;
        loop {
            let holder = self.manager.insist(&self.registration(replaces)).await;
            match holder.as_str() {
                Some(holder) => replaces = Some(holder.to_owned()),
                None => return,
            }
        }
    }

    fn registration(&self, replaces: Option<String>) -> Call {
        let manager = &self.manager;
        Call::ServiceRegister {
            host: manager.options.host.clone(),
            worker: manager.worker,
            process: manager.process.clone(),
            replaces,
            driver: manager.class_path.to_owned(),
            availability_zone: manager.options.storage_availability_zone.clone(),
        }
    }

    /// Attempts and health checks, one at a time, for ever.
    async fn lead_life(self: Arc<Self>) {
        let mut next = Next::Try(Trial::Attempt, Duration::ZERO);
        let mut number = 0;
        while let Next::Try(trial, at) = next {
            sleep_until(self.started + at).await;
            let started = self.started.elapsed();
            let outcome = match trial {
                Trial::Attempt => self.attempt().await,
                Trial::HealthCheck => self.health_check().await,
            };
            let ended = Ended { trial, ok: outcome.is_ok(), started, ended: self.started.elapsed() };
            next = self.lifecycle.next(&self.timing, ended);
            number = match trial {
                Trial::Attempt => number + 1,
                Trial::HealthCheck => 0,
            };
            self.settle(number, ended, outcome.err(), next).await;
            if ended.ok {
                number = 0;
            }
        }
        std::future::pending().await
    }

    async fn attempt(&self) -> Result<()> {
        let driver = self
            .cut_off("check_for_setup_error", async {
                let driver = (self.drivers)().map_err(|error| error.during("do_setup"))?;
                driver.do_setup().await.map_err(|error| error.during("do_setup"))?;
                driver.check_for_setup_error().await.map_err(|error| error.during("check_for_setup_error"))?;
                Ok(driver)
            })
            .await?;
        self.manager.set_driver(driver);
        Ok(())
    }

    async fn health_check(&self) -> Result<()> {
        let Some(driver) = self.manager.driver() else {
            return Err(Error::new(Kind::Internal, "no driver to check"));
        };
        self.cut_off("check_for_setup_error", async {
            driver.check_for_setup_error().await.map_err(|error| error.during("check_for_setup_error"))
        })
        .await
    }

    /// At one instant the cut-off comes first (D2).
    async fn cut_off<T>(&self, method: &str, trial: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.lifecycle.cut_off(&self.timing);
        tokio::select! {
            biased;
            () = sleep(limit) => {
                let what = format!("no result within {}s", limit.as_secs());
                Err(Error::transient(Kind::Timeout, what).during(method))
            }
            result = trial => result,
        }
    }

    /// Makes the outcome known: to this process first, so that a request sent because of the row finds it so.
    async fn settle(&self, number: u32, ended: Ended, error: Option<Error>, next: Next) {
        let was_working = self.manager.is_working();
        match &error {
            None => tracing::info!("driver works: attempt {number}"),
            Some(error) => tracing::error!("driver does not work: attempt {number}: {error}"),
        }
        self.manager.set_working(ended.ok, matches!(next, Next::Try(..)));
        if ended.trial == Trial::HealthCheck && ended.ok && was_working {
            return;
        }
        let next_attempt_in = match next {
            Next::Try(Trial::Attempt, at) => Some(at.saturating_sub(ended.ended).as_secs_f64()),
            _ => None,
        };
        let attempt = Attempt {
            number,
            error: error.map(|error| error.to_string()),
            seconds: (ended.ended - ended.started).as_secs_f64(),
            next_attempt_in,
        };
        let manager = &self.manager;
        let driver = manager.driver().filter(|_| ended.ok);
        let call = Call::ServiceAttempt {
            host: manager.options.host.clone(),
            worker: manager.worker,
            process: manager.process.clone(),
            attempt,
            host_bound: driver.map(|driver| driver.capabilities().host_bound),
        };
        if let Err(error) = self.manager.persist::<Value>(&call).await {
            tracing::error!("the outcome of an attempt is not recorded: {error}");
        }
    }

    /// One heartbeat per interval, on a grid that starts with the success of an attempt.
    async fn heartbeats(self: Arc<Self>) {
        let mut state = self.manager.watch_working();
        loop {
            let working = *state.borrow_and_update();
            if self.lifecycle.beats(working) {
                self.beat_until_changed(&mut state).await;
            } else if state.changed().await.is_err() {
                return;
            }
        }
    }

    async fn beat_until_changed(&self, state: &mut watch::Receiver<bool>) {
        let mut next = Instant::now();
        loop {
            next += self.timing.heartbeat;
            tokio::select! {
                biased;
                _ = state.changed() => return,
                () = sleep_until(next) => {}
            }
            let Manager { options, worker, process, .. } = self.manager.as_ref();
            let (host, process, working) = (options.host.clone(), process.clone(), self.manager.is_working());
            let call = Call::ServiceHeartbeat { host, worker: *worker, process, working };
            tokio::select! {
                biased;
                // One that is on its way for long must not keep the grid from restarting with the next success.
                _ = state.changed() => return,
                sent = self.manager.db.call(call) => {
                    if let Err(error) = sent {
                        tracing::error!("heartbeat failed: {error}");
                    }
                }
            }
            // A slow answer skips beats; it never bunches them.
            while next + self.timing.heartbeat <= Instant::now() {
                next += self.timing.heartbeat;
            }
        }
    }

    /// Takes casts from this host's queue, each into a task of its own.
    async fn take_requests(&self, tasks: &mut JoinSet<()>) -> Result<()> {
        let manager = &self.manager;
        let mut backoff = Backoff::default();
        loop {
            reaping(tasks, workers::turn(manager, true)).await?;
            let mut queue = match manager.bus.consume(&manager.options.host).await {
                Ok(queue) => queue,
                Err(error) => {
                    tracing::warn!("cannot open the request queue: {error}");
                    sleep(backoff.failed()).await;
                    continue;
                }
            };
            backoff.succeeded();
            loop {
                let next = async {
                    tokio::select! {
                        biased;
                        () = workers::turn_lost(manager) => None,
                        cast = queue.next() => Some(cast),
                    }
                };
                let taken = match reaping(tasks, next).await? {
                    Some(Ok(cast)) if workers::may_take(manager).await => self.take(cast, tasks, queue.as_mut()).await,
                    // What was delivered goes back to the queue with the connection.
                    None | Some(Ok(_)) => break,
                    Some(Err(error)) => Err(error),
                };
                if let Err(error) = taken {
                    tracing::warn!("the request queue broke: {error}");
                    break;
                }
            }
        }
    }

    async fn take(&self, cast: Cast, tasks: &mut JoinSet<()>, queue: &mut dyn crate::bus::Consumer) -> Result<()> {
        let manager = Arc::clone(&self.manager);
        if let Method::ResetStatus { status } = cast.method {
            // One transaction: acknowledged when it is done, so that a crash cannot lose it.
            reset::reset_status(&manager, &cast, status).await?;
            return queue.acknowledge().await;
        }
        let taken = workers::take(&manager, &cast).await?;
        let acknowledged = queue.acknowledge().await;
        match taken {
            // Not acknowledged, it comes again.
            Taken::Unrecorded if acknowledged.is_err() => return acknowledged,
            Taken::ByAnother => {
                tracing::warn!("a cast for backup {} is another worker's already", cast.backup_id);
                return acknowledged;
            }
            // What is recorded as this worker's is nobody else's any more.
            Taken::Unrecorded | Taken::Recorded | Taken::Undecided => {}
        }
        // From here on it is this process's. One that comes again finds that it has begun.
        let drivers = Arc::clone(&self.drivers);
        self.manager.env.tasks.spawn_in(tasks, async move {
            if !workers::is_mine(&manager, &cast, taken).await {
                return;
            }
            match cast.method {
                Method::CreateBackup => create::create_backup(&manager, cast).await,
                Method::RestoreBackup => restore::restore_backup(&manager, cast).await,
                Method::DeleteBackup => delete::delete_backup(&manager, cast).await,
                Method::ExportRecord => {
                    let work = export::export_record(&manager, &drivers, &cast.backup_id);
                    calls::answer(&manager, &cast, "export_record", work).await;
                }
                Method::CheckSupportToForceDelete => {
                    // Every driver here can: nothing of a backup is needed to remove what it left.
                    let can = async { Ok(Value::Bool(true)) };
                    calls::answer(&manager, &cast, "check_support_to_force_delete", can).await;
                }
                Method::Unknown => {
                    let none = async { Err(Error::new(Kind::Unsupported, "no such method with these arguments")) };
                    calls::answer(&manager, &cast, "call", none).await;
                }
                Method::ImportRecord => import::import_record(&manager, &drivers, &cast).await,
                Method::ResetStatus { .. } => {}
            }
        });
        acknowledged
    }
}

/// Waits for `future`; a task that panicked meanwhile ends the process.
async fn reaping<T>(tasks: &mut JoinSet<()>, future: impl Future<Output = T>) -> Result<T> {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            Some(ended) = tasks.join_next() => {
                ended.map_err(|error| Error::new(Kind::Internal, "an operation panicked").with_source(error))?;
            }
            done = &mut future => return Ok(done),
        }
    }
}

impl Manager {
    /// Repeats a call until the database has taken it.
    pub(crate) async fn insist(&self, call: &Call) -> Value {
        let key = self.db.new_key();
        loop {
            match self.call_as(&key, call).await {
                Ok(answer) => return answer,
                Err(error) => tracing::error!("{} failed, trying again: {error}", call.name()),
            }
            sleep(PAUSE).await;
        }
    }

    /// Repeats a call until the database has answered it, and be it with a refusal.
    pub(crate) async fn persist<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let key = self.db.new_key();
        loop {
            match self.call_as(&key, call).await {
                Err(error) if error.retry => tracing::error!("{} failed, trying again: {error}", call.name()),
                answer => return db::typed(call.name(), answer?),
            }
            sleep(PAUSE).await;
        }
    }

    /// One key for all repetitions: a call whose answers were all lost is still applied once.
    async fn call_as(&self, key: &str, call: &Call) -> Result<Value> {
        let answer = self.db.call_as(key, call.clone()).await;
        self.published.notify_one();
        answer
    }
}
