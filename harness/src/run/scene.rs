//! The hosts of a world: api, db, backup-host-1..n, volume, keystone, swift, collector; and what outlives them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use clinker_drivers::chunked::ChunkedDriver;
use clinker_drivers::{BackupDriver, Options, registry};
use clinker_env::Env;
use clinker_fakes::amqp::listener::{ListenerConfig, listen};
use clinker_fakes::{BrokerConfig, BrokerFake, TokenRegistry};
use clinker_manager::api::Api;
use clinker_manager::bus::amqp::AmqpBus;
use clinker_manager::db;
use clinker_manager::db::client::DbClient;
use clinker_manager::db::sqlite::Store;
use clinker_manager::db::{Call, CommitLog, Dump, Request, service_id};
use clinker_manager::model::{Stamp, VolumeRow, VolumeStatus};
use clinker_manager::service::{Ports, Service};
use clinker_model::fault::Fault;
use clinker_model::plan::{Plan, PlannedVolume, Step};
use clinker_model::record::Import;
use clinker_model::{Entry, FaultTarget, Journal};
use clinker_world::{BoxError, Gate, SimDisk, SimJournal, Software, SoftwareFuture, World};

use super::calls::RecordedBus;
use super::gates::{GatedExecutor, GatedStore};
use super::keys::{HOST as KEY_HOST, KeyClient, Vault};
use super::names::Names;
use super::ports::{GatedBus, GatedDb, RecordedDriver};
use super::progress::Progress;
use super::records::{CommitRecorder, EventRecorder};
use super::servers;
use super::volumes::{Devices, HOST as VOLUME_HOST, VolumeClient};
use super::workload::Workload;
use super::{Made, Parts, RunError};
use crate::fixtures::Link;
use crate::loader::{own_disk, presets};

/// The client of every scenario.
pub(crate) const USER: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
pub(crate) const PROJECT: &str = "5d1e9f8c7b6a4d3e2f1a0b9c8d7e6f50";

const API_HOST: &str = "api";
pub(super) const DB_HOST: &str = "db";
const BROKER_HOST: &str = presets::BROKER_HOST;
pub(super) const COLLECTOR_HOST: &str = "collector";
/// Name of the shared repository disk, as a fault target.
const DISK: &str = "store";

/// A process of the backup service.
#[derive(Clone, Copy)]
struct Process {
    /// Of its host, from 1.
    number: u32,
    /// From 0.
    worker: u32,
}

/// What outlives the hosts of a run.
pub(super) struct Scene {
    plan: Arc<Plan>,
    journal: Arc<SimJournal>,
    names: Arc<Names>,
    devices: Arc<Devices>,
    /// The key manager's keys, where something is encrypted.
    vault: Option<Arc<Vault>>,
    store: Arc<OnceLock<Arc<Mutex<Store>>>>,
    options: Options,
    /// Fakes and the repository disk, by host.
    targets: BTreeMap<String, Arc<dyn FaultTarget>>,
    /// Which of them holds the backups' objects.
    back_end: &'static str,
}

impl Scene {
    pub fn build(world: &mut dyn World, plan: &Plan, parts: &Parts) -> Result<Scene, RunError> {
        let journal = world.journal();
        let options = options_of(plan)?;
        let plan = Arc::new(plan.clone());
        let devices = Arc::new(Devices::new(plan.seed, &plan.volumes, Arc::clone(&journal)));
        let given = plan.given_keys();
        let vault = (!given.is_empty()).then(|| Arc::new(Vault::new(given, Arc::clone(&journal))));
        let mut scene = Scene {
            vault,
            names: Arc::new(Names::of(&plan.volumes)),
            store: Arc::default(),
            targets: BTreeMap::new(),
            back_end: back_end(&plan.driver),
            plan,
            journal,
            devices,
            options,
        };
        scene.add_database(world, parts)?;
        scene.add_broker(world)?;
        scene.add_collector(world)?;
        scene.add_volume_host(world)?;
        scene.add_key_manager(world)?;
        let (mut tokens, mut disks) = (None, Vec::new());
        if scene.back_end == DISK {
            disks = scene.add_disks(world);
            for disk in &disks {
                scene.put_fixtures(disk).map_err(RunError::Fixture)?;
            }
        } else {
            let servers = match &parts.server {
                Some(own) => servers::add_own(world, scene.back_end, own, &scene.journal)?,
                None => servers::add_all(world, &scene.plan.driver, &scene.journal, servers::Particulars::default())?,
            };
            scene.targets.extend(servers.targets);
            tokens = servers.client_tokens;
        }
        for number in 1..=scene.plan.backup_hosts {
            let disk = disks.get(number as usize - 1).or(disks.first());
            for worker in 0..scene.workers() {
                scene.add_backup_host(world, parts, Process { number, worker }, disk)?;
            }
        }
        scene.add_api(world, parts, tokens)?;
        Ok(scene)
    }

    fn add_database(&self, world: &mut dyn World, parts: &Parts) -> Result<(), RunError> {
        let cell = Arc::clone(&self.store);
        let (transitions, placement) = (Arc::clone(&parts.transitions), Arc::clone(&parts.placement));
        let (ages, messages) = (Arc::clone(&parts.ages), Arc::clone(&parts.messages));
        let log: Arc<dyn CommitLog> = Arc::new(CommitRecorder(Arc::clone(&self.journal)));
        let plan = Arc::clone(&self.plan);
        let (zone, gate) = (default_zone(&self.options), world.gate(DB_HOST));
        add(world, DB_HOST, move |env| {
            let (cell, transitions, log, plan) =
                (Arc::clone(&cell), Arc::clone(&transitions), Arc::clone(&log), Arc::clone(&plan));
            let (placement, ages, messages) = (Arc::clone(&placement), Arc::clone(&ages), Arc::clone(&messages));
            let (zone, gate) = (zone.clone(), gate.clone());
            async move {
                if cell.get().is_none() {
                    let connection = rusqlite::Connection::open_in_memory()?;
                    let store = Store::open(connection, env.clone(), transitions, Some(log))?;
                    let mut store = store.placing(placement).with_ages(ages).telling(messages);
                    for volume in &plan.volumes {
                        store.apply(seed_request(&env, volume, plan.gib.0, &zone))?;
                    }
                    // Only this host's first process comes here.
                    let _ = cell.set(Arc::new(Mutex::new(store)));
                }
                let store = Arc::clone(cell.get().expect("set above"));
                let gated = Arc::new(GatedExecutor { inner: store, gate });
                db::server::serve(gated, env).await.map_err(BoxError::from)
            }
        })
    }

    fn add_broker(&mut self, world: &mut dyn World) -> Result<(), RunError> {
        let config = BrokerConfig {
            host: BROKER_HOST.to_owned(),
            user: presets::BROKER_USER.to_owned(),
            password: presets::BROKER_PASSWORD.to_owned(),
            vhost: "/".to_owned(),
        };
        let broker = BrokerFake::new(config, self.journal.clone());
        self.targets.insert(BROKER_HOST.to_owned(), broker.clone());
        add(world, BROKER_HOST, move |env| {
            let broker = Arc::clone(&broker);
            async move { broker.serve(env, presets::BROKER_PORT).await.map_err(BoxError::from) }
        })
    }

    fn add_collector(&self, world: &mut dyn World) -> Result<(), RunError> {
        let recorder = Arc::new(EventRecorder(Arc::clone(&self.journal)));
        let config = ListenerConfig {
            broker: BROKER_HOST.to_owned(),
            port: presets::BROKER_PORT,
            user: presets::BROKER_USER.to_owned(),
            password: presets::BROKER_PASSWORD.to_owned(),
            vhost: "/".to_owned(),
            exchange: self.options.control_exchange.clone(),
            topics: self.options.topics.clone(),
            durable: self.options.amqp_durable_queues,
            heartbeat: Duration::from_secs(self.options.heartbeat_timeout_threshold.max(1)),
        };
        add(world, COLLECTOR_HOST, move |env| {
            let (recorder, config) = (Arc::clone(&recorder), config.clone());
            async move { listen(&config, &env, |message| recorder.collected(message)).await.map_err(BoxError::from) }
        })
    }

    fn add_volume_host(&self, world: &mut dyn World) -> Result<(), RunError> {
        let devices = Arc::clone(&self.devices);
        add(world, VOLUME_HOST, move |env| {
            let devices = Arc::clone(&devices);
            async move { devices.serve(env).await.map_err(BoxError::from) }
        })
    }

    /// Where nothing is encrypted there is none.
    fn add_key_manager(&self, world: &mut dyn World) -> Result<(), RunError> {
        let Some(vault) = self.vault.clone() else { return Ok(()) };
        let gate = world.gate(KEY_HOST);
        add(world, KEY_HOST, move |env| {
            let (vault, gate) = (Arc::clone(&vault), gate.clone());
            async move { vault.serve(env, gate).await.map_err(BoxError::from) }
        })
    }

    /// One repository disk for all backup hosts, as over NFS, or one for each.
    fn add_disks(&mut self, world: &mut dyn World) -> Vec<SimDisk> {
        let own = (1..=self.plan.backup_hosts).map(own_disk);
        let names: Vec<String> = if self.plan.own_disks { own.collect() } else { vec![DISK.to_owned()] };
        let add = |name: String| {
            let disk = world.fabric().new_disk(&name, &self.options.backup_posix_path);
            self.targets.insert(name, Arc::new(disk.clone()));
            disk
        };
        names.into_iter().map(add).collect()
    }

    /// The repositories of the fixtures whose records are imported.
    fn put_fixtures(&self, disk: &SimDisk) -> Result<(), String> {
        for planned in &self.plan.steps {
            let Step::Import(Import { fixture: Some(name), .. }) = &planned.step else { continue };
            let link = Link::named(name).ok_or_else(|| format!("no fixture is called \"{name}\""))?;
            for (path, bytes) in link.files() {
                let path = format!("{}/{path}", self.options.backup_posix_path);
                disk.put(&path, bytes).map_err(|error| format!("{path}: {error}"))?;
            }
            self.devices.note_made(link.volume_id(), link.backup_id(), link.device()?);
        }
        for planned in &self.plan.steps {
            let Step::Import(Import { fixture: Some(name), volume_meta: Some(text), .. }) = &planned.step else {
                continue;
            };
            let link = Link::named(name).ok_or_else(|| format!("no fixture is called \"{name}\""))?;
            let (path, bytes) = link.with_volume_meta(text)?;
            let path = format!("{}/{path}", self.options.backup_posix_path);
            disk.put(&path, &bytes).map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(())
    }

    /// `backup_workers`: each is a process with a world's host of its own.
    fn workers(&self) -> u32 {
        u32::try_from(self.options.backup_workers).unwrap_or(1).max(1)
    }

    fn add_backup_host(
        &self,
        world: &mut dyn World,
        parts: &Parts,
        process: Process,
        disk: Option<&SimDisk>,
    ) -> Result<(), RunError> {
        let own = format!("backup-host-{}", process.number);
        let host = service_id(&own, process.worker);
        let gate = world.gate(&host);
        let fs = disk.map(|disk| disk.mount(&host));
        let zone = self.plan.zones.get(&own).unwrap_or(&self.options.storage_availability_zone).clone();
        let options = Options { host: own, storage_availability_zone: zone, ..self.options.clone() };
        // Its probe object is its own: two workers that check at once do not meet.
        let driver_options = Options { host: host.clone(), ..options.clone() };
        let (parts, journal, devices) = (parts.clone(), Arc::clone(&self.journal), Arc::clone(&self.devices));
        let calls = Arc::new(AtomicU64::new(0));
        let name = host.clone();
        add(world, &host, move |env| {
            let mut env = env;
            if let Some(fs) = &fs {
                env.fs = Arc::clone(fs);
            }
            let env = (parts.env)(env);
            let recorder = Recorder { journal: Arc::clone(&journal), host: name.clone(), calls: Arc::clone(&calls) };
            let volumes = VolumeClient { env: env.clone(), devices: Arc::clone(&devices), gate: gate.clone() };
            let keys = KeyClient { env: env.clone(), gate: gate.clone() };
            let bus = AmqpBus::new(env.clone(), &options);
            let ports = bus.map(|bus| Ports {
                worker: process.worker,
                db: (parts.db)(Arc::new(GatedDb { inner: DbClient::new(env.clone(), DB_HOST), gate: gate.clone() })),
                bus: (parts.bus)(Arc::new(GatedBus { inner: recorder.answers_of(bus), gate: gate.clone() })),
                volumes: (parts.volumes)(Arc::new(volumes)),
                keys: (parts.keys)(Arc::new(keys)),
                drivers: driver_factory(driver_options.clone(), env.clone(), parts.clone(), recorder, gate.clone()),
                lifecycle: Arc::clone(&parts.lifecycle),
                env,
            });
            let service = ports.and_then(|ports| Service::new(options.clone(), ports));
            async move { service?.run().await.map_err(BoxError::from) }
        })
    }

    fn add_api(
        &self,
        world: &mut dyn World,
        parts: &Parts,
        tokens: Option<Arc<TokenRegistry>>,
    ) -> Result<(), RunError> {
        let (signals, gate) = (world.signals(), world.gate(API_HOST));
        let progress = Arc::new(Progress::default());
        let (db_port, bus_port) = (Arc::clone(&parts.db), Arc::clone(&parts.bus));
        let (plan, options) = (Arc::clone(&self.plan), self.options.clone());
        let (names, devices, journal) = (Arc::clone(&self.names), Arc::clone(&self.devices), Arc::clone(&self.journal));
        add(world, API_HOST, move |env| {
            let db = db_port(Arc::new(GatedDb { inner: DbClient::new(env.clone(), DB_HOST), gate: gate.clone() }));
            let bus = AmqpBus::new(env.clone(), &options);
            let client = Arc::new(DbClient::new(env.clone(), DB_HOST));
            let workload = bus.map(|bus| Workload {
                api: Api::new(
                    env.clone(),
                    API_HOST,
                    &options,
                    db,
                    Arc::new(RecordedBus {
                        inner: bus_port(Arc::new(GatedBus { inner: bus, gate: gate.clone() })),
                        journal: Arc::clone(&journal),
                        host: API_HOST.to_owned(),
                    }),
                ),
                db: client,
                env,
                plan: Arc::clone(&plan),
                names: Arc::clone(&names),
                devices: Arc::clone(&devices),
                tokens: tokens.clone(),
                zone: default_zone(&options),
                journal: Arc::clone(&journal),
                start: progress.start(journal.now()),
                progress: Arc::clone(&progress),
            });
            let signals = signals.clone();
            async move {
                workload?.run(|| signals.done()).await;
                Ok(())
            }
        })
    }

    /// Every fake and disk.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<dyn FaultTarget>> {
        self.targets.values()
    }

    /// The fake or disk that a fault is for.
    pub fn target_of(&self, fault: &Fault) -> Result<&Arc<dyn FaultTarget>, String> {
        let host = match fault {
            Fault::Silent(target)
            | Fault::WrongCredentials(target)
            | Fault::RevokeTokens(target)
            | Fault::ReadOnly(target) => &target.host,
            Fault::Slow(slow) => &slow.host,
            Fault::Status(status) => &status.host,
            Fault::Cut(cut) => &cut.host,
            Fault::ExpireTokens(expire) => &expire.host,
            _ => self.back_end,
        };
        self.targets.get(host).ok_or_else(|| {
            let known: Vec<&str> = self.targets.keys().map(String::as_str).collect();
            format!("host \"{host}\" cannot do this; those that can: {}", known.join(", "))
        })
    }

    /// The world's host for a scenario's; `store` is the back end.
    pub fn host_named(&self, name: &str) -> Result<String, String> {
        Ok(if name == "store" { self.back_end.to_owned() } else { name.to_owned() })
    }

    pub fn backup_id(&self, name: &str) -> Result<String, String> {
        self.names.backup(name)
    }

    /// Configured secrets.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.options.secrets();
        secrets.extend(servers::secrets());
        secrets.push(presets::BROKER_PASSWORD.to_owned());
        secrets.sort();
        secrets.dedup();
        secrets
    }

    /// The last records: rows, ledgers, devices.
    pub fn record_end(&self) {
        if let Some(store) = self.store.get() {
            let request = Request { key: "end".to_owned(), now: Stamp::default(), call: Call::Dump };
            let dump = store.lock().expect("no call panics").apply(request);
            let dump: Dump = dump.ok().and_then(|dump| serde_json::from_value(dump).ok()).unwrap_or_default();
            for (table, rows) in [
                ("services", dump.services),
                ("backups", dump.backups),
                ("volumes", dump.volumes),
                ("snapshots", dump.snapshots),
                ("messages", dump.messages),
            ] {
                for row in rows {
                    let id = row["id"].as_str().unwrap_or_default().to_owned();
                    self.journal.record(DB_HOST, Entry::FinalRow { table: table.to_owned(), id, row });
                }
            }
        }
        for (name, target) in &self.targets {
            for object in target.stored() {
                let entry = Entry::Stored {
                    store: name.clone(),
                    container: object.container,
                    name: object.name,
                    len: object.len,
                };
                self.journal.record(name, entry);
            }
        }
        self.devices.record_final();
        if let Some(vault) = &self.vault {
            vault.record_final();
        }
    }
}

/// Adds a host whose process is made by `software`.
pub(crate) fn add<F, Fut>(world: &mut dyn World, name: &str, software: F) -> Result<(), RunError>
where
    F: Fn(Env) -> Fut + 'static,
    Fut: Future<Output = Result<(), BoxError>> + 'static,
{
    let software: Software = Box::new(move |env| Box::pin(software(env)) as SoftwareFuture);
    Ok(world.add_host(name, software)?)
}

/// The plan's options, typed.
fn options_of(plan: &Plan) -> Result<Options, RunError> {
    let mut options = Options::default();
    for (name, value) in &plan.options {
        options.set(name, value).map_err(|error| RunError::Options(error.to_string()))?;
    }
    Ok(options)
}

fn seed_request(env: &Env, volume: &PlannedVolume, gib: u64, zone: &str) -> Request {
    let row = VolumeRow {
        id: volume.id.clone(),
        display_name: Some(volume.name.clone()),
        size: volume.size.0.div_ceil(gib).max(1),
        status: VolumeStatus::parse(&volume.status).unwrap_or(VolumeStatus::Available),
        availability_zone: volume.zone.clone().unwrap_or_else(|| zone.to_owned()),
        host: volume.host.clone(),
        display_description: volume.traits.description.clone(),
        volume_type_id: volume.traits.volume_type.clone(),
        encryption_key_id: volume.traits.encryption_key_id.clone(),
        bootable: !volume.traits.glance_metadata.is_empty(),
        metadata: volume.traits.metadata.clone(),
        volume_glance_metadata: volume.traits.glance_metadata.clone(),
        ..VolumeRow::default()
    };
    let key = format!("seed {}", volume.id);
    Request { key, now: Stamp(env.clock.now()), call: Call::VolumeCreate { volume: row } }
}

/// The zone of volumes that name none.
fn default_zone(options: &Options) -> String {
    options.default_availability_zone.as_ref().unwrap_or(&options.storage_availability_zone).clone()
}

/// The host of a preset's back end.
fn back_end(driver: &str) -> &'static str {
    presets::preset(driver).map_or("swift", |preset| preset.store)
}

pub(crate) struct Recorder {
    pub journal: Arc<SimJournal>,
    pub host: String,
    pub calls: Arc<AtomicU64>,
}

impl Recorder {
    fn answers_of(&self, bus: AmqpBus) -> RecordedBus {
        RecordedBus { inner: Arc::new(bus), journal: Arc::clone(&self.journal), host: self.host.clone() }
    }
}

pub(crate) fn driver_factory(
    options: Options,
    env: Env,
    parts: Parts,
    recorder: Recorder,
    gate: Gate,
) -> clinker_manager::service::DriverFactory {
    Arc::new(move || {
        let store = match &parts.made {
            Made::Registry => Some(registry::store(&options, &env)?),
            Made::Store(make) => Some(make(&options, &env)?),
            Made::Driver(_) => None,
        };
        let inner: Arc<dyn BackupDriver> = match (&parts.made, store) {
            (_, Some(inner)) => {
                let store = (parts.store)(Arc::new(GatedStore { inner, gate: gate.clone() }));
                Arc::new(ChunkedDriver::new(store, env.clone(), &options, Arc::clone(&parts.engine)))
            }
            (Made::Driver(make), None) => make(&options, &env)?,
            (Made::Registry | Made::Store(_), None) => unreachable!("both make a store"),
        };
        let recorded: Arc<dyn BackupDriver> = Arc::new(RecordedDriver {
            inner,
            journal: Arc::clone(&recorder.journal),
            host: recorder.host.clone(),
            calls: Arc::clone(&recorder.calls),
        });
        Ok((parts.driver)(recorded))
    })
}
