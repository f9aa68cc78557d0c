//! One run: a plan played in a world, from its first event to the history the checkers read.
//!
//! [`scene`] puts the hosts there, [`workload`] is what clients do, [`nemesis`] applies the faults, [`ports`] and
//! [`volumes`] are the simulated outside of the service, [`logs`] turns log lines into records.

mod calls;
mod gates;
mod keys;
pub(crate) mod logs;
mod names;
mod nemesis;
mod ports;
mod progress;
mod recorded;
mod records;
pub(crate) mod scene;
pub(crate) mod servers;
mod volumes;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::chunked::decisions::EngineDecisions;
use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::{BackupDriver, Error, Options, chunked};
use clinker_env::Env;
use clinker_manager::bus::Bus;
use clinker_manager::db::Db;
use clinker_manager::keys::Keys;
use clinker_manager::lifecycle::{self, Lifecycle};
use clinker_manager::messages::{self, UserMessages};
use clinker_manager::placement::{self, Placement};
use clinker_manager::state::{Ages, Monotonic};
use clinker_manager::transitions::{Section5, Transitions};
use clinker_manager::volumes::Volumes;
use clinker_model::history::Header;
use clinker_model::plan::{Engine, Plan};
use clinker_model::verdict::FaultResult;
use clinker_model::{FaultId, FaultTarget, History, Journal};
use clinker_world::trace::Trace;
use clinker_world::{
    Passed, RealWorld, Schedule, SimnetWorld, Tracing, TurmoilWorld, World, WorldConfig, WorldError,
    require_tokio_unstable, run_isolated,
};

/// Puts something around a port.
pub type Wrap<T> = Arc<dyn Fn(Arc<T>) -> Arc<T> + Send + Sync>;

/// A wrapper that needs nothing besides what it wraps.
pub fn wrap<T: ?Sized + 'static>(wrapper: fn(Arc<T>) -> Arc<T>) -> Wrap<T> {
    Arc::new(wrapper)
}

/// As [`wrap`], of an environment.
pub fn wrap_env(wrapper: fn(Env) -> Env) -> Arc<dyn Fn(Env) -> Env + Send + Sync> {
    Arc::new(wrapper)
}

/// The service's exchangeable parts. A mutant substitutes one of them; everything else is production code.
#[derive(Clone)]
pub struct Parts {
    pub lifecycle: Arc<dyn Lifecycle>,
    pub transitions: Arc<dyn Transitions>,
    pub placement: Arc<dyn Placement>,
    pub engine: Arc<dyn EngineDecisions>,
    /// What makes the driver.
    pub made: Made,
    /// What the back end's host runs instead of the preset's server.
    pub server: Option<ServerMaker>,
    /// Wraps the object store's port.
    pub store: Wrap<dyn ChunkStore>,
    /// Wraps the driver's port, outside of the recorder.
    pub driver: Wrap<dyn BackupDriver>,
    pub volumes: Wrap<dyn Volumes>,
    pub keys: Wrap<dyn Keys>,
    /// Wraps the message bus's port, of backup hosts and of the API.
    pub bus: Wrap<dyn Bus>,
    /// Wraps the database's port, of backup hosts and of the API.
    pub db: Wrap<dyn Db>,
    /// The clock on which the database takes ages.
    pub ages: Arc<dyn Ages>,
    /// Who is told what of failures.
    pub messages: Arc<dyn UserMessages>,
    /// Wraps the environment of the backup hosts.
    pub env: Arc<dyn Fn(Env) -> Env + Send + Sync>,
}

/// Makes a store of objects from options.
pub type StoreMaker = Arc<dyn Fn(&Options, &Env) -> Result<Arc<dyn ChunkStore>, Error> + Send + Sync>;
/// Makes a driver from options.
pub type DriverMaker = Arc<dyn Fn(&Options, &Env) -> Result<Arc<dyn BackupDriver>, Error> + Send + Sync>;

/// A server of somebody else's: what runs on the back end's host, a target of the vocabulary's faults, and a ledger.
#[async_trait(?Send)]
pub trait Server: FaultTarget {
    /// Serves until the host ends; called again when it is started anew. What outlives it is in `self`.
    async fn serve(self: Arc<Self>, env: Env) -> std::io::Result<()>;
}

/// Makes a server for one run; the journal is told of every fault that it has, and of its bites.
pub type ServerMaker = Arc<dyn Fn(Arc<dyn Journal>) -> Arc<dyn Server> + Send + Sync>;

/// Where the driver comes from.
#[derive(Clone)]
pub enum Made {
    /// Option `backup_driver` names it.
    Registry,
    /// A store of somebody else's, below our chunk engine.
    Store(StoreMaker),
    /// A driver of somebody else's.
    Driver(DriverMaker),
}

impl Default for Parts {
    fn default() -> Parts {
        Parts {
            lifecycle: Arc::new(lifecycle::Production),
            transitions: Arc::new(Section5),
            placement: Arc::new(placement::Production),
            engine: Arc::new(chunked::decisions::Production),
            made: Made::Registry,
            server: None,
            store: Arc::new(|store| store),
            driver: Arc::new(|driver| driver),
            volumes: Arc::new(|volumes| volumes),
            keys: Arc::new(|keys| keys),
            bus: Arc::new(|bus| bus),
            db: Arc::new(|db| db),
            ages: Arc::new(Monotonic),
            messages: Arc::new(messages::Production),
            env: Arc::new(|env| env),
        }
    }
}

/// What a run leaves behind.
pub struct Run {
    pub history: History,
    /// Rolling hash over every event.
    pub hash: u64,
    pub events: u64,
    /// Every event, if [`Watch::tracing`] says so.
    pub trace: Trace,
    /// Real time that each host's code has run, if [`Watch::accounted`].
    pub spent: Vec<(String, Duration)>,
    /// The crash points that its processes have passed, if [`Watch::points`].
    pub points: Vec<Passed>,
    pub faults: Vec<FaultResult>,
    pub virtual_time: Duration,
}

/// Why a run broke: the harness's or a fixture's fault, never a verdict on the service.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    World(#[from] WorldError),
    #[error("fault {id} ({name}): {why}")]
    Fault { id: FaultId, name: &'static str, why: String },
    #[error("options of the plan: {0}")]
    Options(String),
    #[error("fixture: {0}")]
    Fixture(String),
    #[error("the service cannot be built: {0}")]
    Service(String),
}

/// Plays a plan on a thread of its own (the determinism recipe needs a fresh one).
pub fn play(plan: &Plan, parts: &Parts) -> Result<Run, RunError> {
    play_watched(plan, parts, Watch::default())
}

/// What is kept of a run besides its history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    pub tracing: Tracing,
    /// How long each host's code really ran, for a bench.
    pub accounted: bool,
    /// Which crash points are passed, and when.
    pub points: bool,
}

/// As [`play`], with more to see.
pub fn play_watched(plan: &Plan, parts: &Parts, watch: Watch) -> Result<Run, RunError> {
    require_tokio_unstable()?;
    run_isolated(&plan.scenario, || play_here(plan, parts, watch))?
}

fn play_here(plan: &Plan, parts: &Parts, watch: Watch) -> Result<Run, RunError> {
    let mut config = WorldConfig::new(plan.seed);
    config.tracing = watch.tracing;
    config.account = watch.accounted;
    config.host_cores = plan.cores.iter().map(|(host, cores)| (host.clone(), *cores as usize)).collect();
    config.schedule = plan.schedule.map_or(Schedule::InOrder, Schedule::Permuted);
    match plan.engine {
        Engine::Simnet => play_in(SimnetWorld::new(config)?, plan, parts, watch),
        Engine::Real => play_in(RealWorld::new(config)?, plan, parts, watch),
        Engine::Turmoil => {
            config.tick = plan.tick.0;
            play_in(TurmoilWorld::new(config)?, plan, parts, watch)
        }
    }
}

fn play_in(mut world: impl World, plan: &Plan, parts: &Parts, watch: Watch) -> Result<Run, RunError> {
    let journal = world.journal();
    let _logs = logs::record_into(Arc::clone(&journal));
    let scene = scene::Scene::build(&mut world, plan, parts)?;
    if watch.points {
        world.fabric().gates().record();
    }
    nemesis::drive(&mut world, plan, &scene)?;
    scene.record_end();
    let virtual_time = world.now();
    let header = Header {
        format: 1,
        scenario: plan.scenario.clone(),
        driver: plan.driver.clone(),
        seed: plan.seed,
        engine: plan.engine.name().to_owned(),
        plan: plan.clone(),
        secrets: scene.secrets(),
    };
    let faults = plan.faults.iter().enumerate().map(|(id, planned)| FaultResult {
        name: planned.fault.name().to_owned(),
        at_ns: planned.at.ns(),
        until_ns: planned.until.map(|until| until.ns()),
        bites: journal.bites(id),
    });
    Ok(Run {
        faults: faults.collect(),
        hash: journal.hash(),
        events: journal.events(),
        spent: world.spent(),
        points: world.fabric().gates().take_passed(),
        trace: if watch.tracing == Tracing::Kept { journal.trace() } else { Trace::default() },
        history: History { header, records: journal.take_records() },
        virtual_time,
    })
}
