//! The workload: what clients do, step by step, on host `api`.

use std::sync::Arc;
use std::time::Duration;

use clinker_drivers::context::{CatalogEndpoint, CatalogEntry};
use clinker_drivers::{Error, RequestContext, Secret};
use clinker_env::Env;
use clinker_fakes::TokenRegistry;
use clinker_manager::api::{Api, NewBackup};
use clinker_manager::db::source::SourceCall;
use clinker_manager::db::{Call, Db, Dump, RestoreTarget, ServiceView, ask};
use clinker_manager::model::{BackupRow, BackupStatus, SnapshotStatus, VolumeRow, VolumeStatus};
use clinker_manager::state::ServiceState;
use clinker_model::history::{Failure, Phase};
use clinker_model::plan::{Plan, PlannedStep, Step};
use clinker_model::scenario::{Create, Restore};
use clinker_model::{Entry, Journal};
use clinker_world::SimJournal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::names::Names;
use super::ports::failure;
use super::progress::Progress;
use super::scene::{PROJECT, USER};
use super::volumes::Devices;

/// How often the workload looks whether something has come to rest.
const LOOK: Duration = Duration::from_millis(250);

/// A client with everything it may touch.
pub(super) struct Workload {
    pub env: Env,
    pub plan: Arc<Plan>,
    pub api: Api,
    pub db: Arc<dyn Db>,
    pub names: Arc<Names>,
    pub devices: Arc<Devices>,
    /// Where clients get tokens, in `per_user` worlds.
    pub tokens: Option<Arc<TokenRegistry>>,
    /// The zone of new volumes.
    pub zone: String,
    pub journal: Arc<SimJournal>,
    pub start: Instant,
    pub progress: Arc<Progress>,
}

impl Workload {
    /// Runs the API's host for ever; calls `done` when everything asked for is done.
    pub async fn run(&self, done: impl FnOnce()) {
        let work = async {
            self.work().await;
            done();
        };
        tokio::join!(biased; work, self.api.deliver());
    }

    /// Does every step, then waits until all is at rest and every time that the plan speaks of has passed.
    async fn work(&self) {
        for lost in self.progress.lost_steps() {
            self.ask_after(lost).await;
        }
        for (number, planned) in self.plan.steps.iter().enumerate().skip(self.progress.next()) {
            if planned.beside {
                continue;
            }
            self.wait_for_turn(number, planned).await;
            self.together(number).await;
        }
        for backup in self.names.backups() {
            self.wait_for_rest(&backup).await;
        }
        sleep_until(self.start + self.last_time()).await;
    }

    /// A step and those that are asked for beside it.
    async fn together(&self, number: usize) {
        let Some(planned) = self.plan.steps.get(number) else { return };
        self.progress.begin(number);
        match self.plan.steps.get(number + 1) {
            Some(next) if next.beside => {
                let others = Box::pin(self.together(number + 1));
                tokio::join!(biased; self.step(number, planned), others);
            }
            _ => self.step(number, planned).await,
        }
        self.progress.end(number);
    }

    /// The API's process went away with a step: its outcome is unknown, but a backup that came of it is there to be found.
    async fn ask_after(&self, number: usize) {
        let step = &self.plan.steps[number].step;
        self.note(number, step.name(), Phase::Info, Value::Null, None);
        let Step::Create(create) = step else { return };
        while self.api.register().await.is_err() {
            sleep(LOOK).await;
        }
        loop {
            let dump: Result<Dump, Error> = ask(self.db.as_ref(), Call::Dump).await;
            if let Ok(dump) = dump {
                let made = dump.backups.iter().find(|row| row["display_name"] == *create.name);
                match made.and_then(|row| row["id"].as_str()) {
                    Some(id) => self.names.add_backup(&create.name, id),
                    None => self.names.lose_backup(&create.name),
                }
                return;
            }
            sleep(LOOK).await;
        }
    }

    async fn wait_for_turn(&self, number: usize, planned: &PlannedStep) {
        match (planned.at, number) {
            (Some(at), _) => sleep_until(self.start + at.0).await,
            (None, 0) => self.wait_for_service().await,
            (None, _) => {
                for backup in self.names.backups() {
                    self.wait_for_rest(&backup).await;
                }
            }
        }
    }

    /// The latest moment that a fault's end or an expectation names.
    fn last_time(&self) -> Duration {
        let plan = &self.plan;
        let expected = plan.expect.service.iter().flat_map(|state| [state.at, state.by]).flatten();
        let times = expected.chain(plan.expect.attempts.iter().copied()).chain([plan.heal]);
        times.map(|span| span.0).max().unwrap_or_default()
    }

    async fn wait_for_service(&self) {
        loop {
            if let Ok(services) = self.api.services().await
                && services.iter().any(|view| view.state == ServiceState::Up)
            {
                return;
            }
            sleep(LOOK).await;
        }
    }

    async fn wait_for_rest(&self, backup_id: &str) {
        loop {
            if let Ok(row) = self.api.show(backup_id).await
                && self.is_at_rest(&row).await
            {
                return;
            }
            sleep(LOOK).await;
        }
    }

    async fn is_at_rest(&self, row: &BackupRow) -> bool {
        use BackupStatus::{Creating, Deleting, Restoring};
        if matches!(row.status, Creating | Deleting | Restoring) || !row.open_events.is_empty() {
            return false;
        }
        for id in [Some(&row.volume_id), row.restore_volume_id.as_ref()].into_iter().flatten() {
            use VolumeStatus::{BackingUp, Creating, RestoringBackup};
            if let Ok(volume) = self.api.show_volume(id).await
                && matches!(volume.status, BackingUp | RestoringBackup | Creating)
            {
                return false;
            }
        }
        true
    }

    async fn step(&self, number: usize, planned: &PlannedStep) {
        let op = planned.step.name();
        let arguments = serde_json::to_value(&planned.step).unwrap_or(Value::Null);
        self.note(number, op, Phase::Invoke, arguments, None);
        match self.perform(&planned.step).await {
            Ok(value) => self.note(number, op, Phase::Ok, value, None),
            // What never came to be cannot be asked anything.
            Err(_) if self.names.is_lost(&planned.step) => self.note(number, op, Phase::Info, Value::Null, None),
            Err(error) => self.note(number, op, Phase::Fail, Value::Null, Some(failure(&error))),
        }
    }

    fn note(&self, step: usize, op: &str, phase: Phase, value: Value, failure: Option<Failure>) {
        self.journal.record("api", Entry::Op { phase, step, op: op.to_owned(), value, failure });
    }

    async fn perform(&self, step: &Step) -> Result<Value, Error> {
        match step {
            Step::Create(create) => self.create(create).await,
            Step::Restore(restore) => self.restore(restore).await,
            Step::Delete(of) => self.delete(&of.backup, false).await,
            Step::ForceDelete(of) => self.delete(&of.backup, true).await,
            Step::ResetStatus(reset) => {
                let status = backup_status(&reset.status)?;
                let id = self.names.backup(&reset.backup).map_err(unknown)?;
                let row = self.api.reset_status(&self.context(), &id, status).await?;
                Ok(json!({ "backup_id": row.id }))
            }
            Step::Export(export) => self.export(export).await,
            Step::Import(import) => self.import(import).await,
            Step::Forget(of) => self.forget(&of.backup).await,
            Step::Snapshot(snapshot) => self.snapshot(snapshot).await,
            Step::Write(write) => {
                let id = self.names.volume(&write.volume).map_err(unknown)?;
                self.devices.scribble(&id, write.offset.0, write.len.0).map_err(unknown)?;
                Ok(json!({ "volume_id": id }))
            }
            Step::ServiceList(_) => {
                let listed = self.api.services().await?;
                let told = |view: &ServiceView| json!({ "id": view.row.id, "state": view.state });
                Ok(json!({ "services": listed.iter().map(told).collect::<Vec<Value>>() }))
            }
            Step::Quota(_) => Ok(json!(self.api.quotas(&self.context()).await?)),
            Step::Messages(_) => Ok(json!({ "messages": self.api.messages(&self.context()).await? })),
            Step::Set(set) => {
                if let Some(name) = &set.backup {
                    let status = backup_status(&set.status)?;
                    let backup_id = self.names.backup(name).map_err(unknown)?;
                    if let Some(service) = set.service.clone() {
                        let backup_id = backup_id.clone();
                        self.db.call(Call::BackupSetService { backup_id, service }).await?;
                    }
                    self.db.call(Call::BackupSetStatus { backup_id, status }).await?;
                }
                if let Some(name) = &set.snapshot {
                    let status = SnapshotStatus::parse(&set.status)
                        .ok_or_else(|| unknown(format!("no snapshot status \"{}\"", set.status)))?;
                    let snapshot_id = self.names.snapshot(name).map_err(unknown)?;
                    self.db.call(Call::Source(SourceCall::SnapshotSetStatus { snapshot_id, status })).await?;
                }
                if let Some(name) = &set.volume {
                    let status = VolumeStatus::parse(&set.status)
                        .ok_or_else(|| unknown(format!("no volume status \"{}\"", set.status)))?;
                    let volume_id = self.names.volume(name).map_err(unknown)?;
                    self.db.call(Call::VolumeSetStatus { volume_id, status }).await?;
                }
                Ok(Value::Null)
            }
        }
    }

    async fn create(&self, create: &Create) -> Result<Value, Error> {
        let new = NewBackup {
            volume_id: self.names.volume(&create.volume).map_err(unknown)?,
            display_name: Some(create.name.clone()),
            container: create.container.clone(),
            incremental: create.incremental,
            force: create.force,
            snapshot_id: create
                .snapshot
                .as_deref()
                .map(|name| self.names.snapshot(name))
                .transpose()
                .map_err(unknown)?,
            availability_zone: create.availability_zone.clone(),
        };
        let row = self.api.create(&self.context(), new).await?;
        self.names.add_backup(&create.name, &row.id);
        Ok(json!({ "backup_id": row.id, "host": row.host }))
    }

    async fn restore(&self, restore: &Restore) -> Result<Value, Error> {
        let backup_id = self.names.backup(&restore.backup).map_err(unknown)?;
        let target = match (&restore.volume, &restore.new) {
            (Some(name), _) => RestoreTarget::Existing { volume_id: self.names.volume(name).map_err(unknown)? },
            (None, name) => {
                let size = self.api.show(&backup_id).await?.size;
                let volume = self.new_volume(name.as_deref().unwrap_or("restored"), size);
                RestoreTarget::New { volume: Box::new(volume) }
            }
        };
        let row = self.api.restore(&self.context(), &backup_id, target).await?;
        Ok(json!({ "backup_id": row.id, "volume_id": row.restore_volume_id }))
    }

    /// A volume of `size` GiB with its device, which a `POST /volumes` with `backup_id` makes.
    fn new_volume(&self, name: &str, size: u64) -> VolumeRow {
        let id = self.env.rng.uuid();
        self.devices.create(&id, size * self.plan.gib.0);
        self.names.add_volume(name, &id);
        VolumeRow {
            id,
            display_name: Some(name.to_owned()),
            size,
            status: VolumeStatus::Creating,
            availability_zone: self.zone.clone(),
            ..VolumeRow::default()
        }
    }

    async fn delete(&self, name: &str, force: bool) -> Result<Value, Error> {
        let id = self.names.backup(name).map_err(unknown)?;
        let row = self.api.delete(&self.context(), &id, force).await?;
        Ok(json!({ "backup_id": row.id, "host": row.host }))
    }

    /// A user's context; with a token and a catalog of its own where the driver works on the user's behalf.
    pub(super) fn context(&self) -> RequestContext {
        let mut context =
            RequestContext { user_id: USER.to_owned(), project_id: PROJECT.to_owned(), ..RequestContext::default() };
        if let Some(tokens) = &self.tokens {
            context.token = Some(Secret::new(tokens.issue(&self.env, PROJECT, USER)));
            let public_url = Some(format!("http://swift:8080/v1/AUTH_{PROJECT}"));
            let endpoint = CatalogEndpoint { region: Some("RegionOne".to_owned()), public_url, ..Default::default() };
            let (kind, name) = ("object-store".to_owned(), "swift".to_owned());
            context.catalog = vec![CatalogEntry { kind, name, endpoints: vec![endpoint] }];
        }
        context
    }
}

fn backup_status(word: &str) -> Result<BackupStatus, Error> {
    BackupStatus::parse(word).ok_or_else(|| unknown(format!("no backup status \"{word}\"")))
}

/// A step that names something that is not there: the scenario is wrong, or an earlier step was refused.
pub(super) fn unknown(what: String) -> Error {
    Error::new(clinker_drivers::Kind::Internal, format!("step: {what}"))
}
