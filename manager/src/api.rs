//! What the API and the scheduler do before the RPC: check, choose a host by liveness, change the status, cast.

use std::sync::Arc;
use std::time::Duration;

use clinker_drivers::{Options, RequestContext};
use clinker_env::Env;
use serde_json::Value;
use tokio::sync::Notify;

use crate::bus::{Bus, Cast, Method};
use crate::casts::Casts;
use crate::db::{
    ApiRequest, Call, CreateRequest, Db, Deleted, HostChoice, Outgoing, RestoreTarget, Sender, ServiceView, ask, typed,
};
use crate::model::{BackupRow, BackupStatus, VolumeRow};
use crate::quota::Limits;
use crate::{Result, outbox};

/// The backup API on one host.
pub struct Api {
    pub(crate) env: Env,
    host: String,
    service_down_time: u64,
    rpc_response_timeout: Duration,
    /// `backup_use_same_host`
    same_host: bool,
    pub(crate) limits: Limits,
    /// Nanoseconds.
    pub(crate) message_ttl: u64,
    pub(crate) message_reap_interval: Duration,
    db: Arc<dyn Db>,
    bus: Arc<dyn Bus>,
    /// Wakes the outbox.
    published: Notify,
    casts: Casts,
}

/// A request for a backup, as a client makes it.
#[derive(Clone, Debug, Default)]
pub struct NewBackup {
    pub volume_id: String,
    pub display_name: Option<String>,
    pub container: Option<String>,
    pub incremental: bool,
    /// Back up a volume that is in use.
    pub force: bool,
    /// The source, instead of the volume itself.
    pub snapshot_id: Option<String>,
    /// The zone to make it in; the volume's if absent.
    pub availability_zone: Option<String>,
}

impl Api {
    /// `host` is the API's own: the publisher of what it emits.
    pub fn new(env: Env, host: &str, options: &Options, db: Arc<dyn Db>, bus: Arc<dyn Bus>) -> Api {
        let service_down_time = options.service_down_time.saturating_mul(1_000_000_000);
        let casts = Casts::new(Sender { host: host.to_owned(), process: env.rng.uuid() });
        Api {
            env,
            host: host.to_owned(),
            service_down_time,
            rpc_response_timeout: Duration::from_secs(options.rpc_response_timeout),
            same_host: options.backup_use_same_host,
            limits: Limits { backups: options.quota_backups, gigabytes: options.quota_backup_gigabytes },
            message_ttl: options.message_ttl.saturating_mul(1_000_000_000),
            message_reap_interval: Duration::from_secs(options.message_reap_interval),
            db,
            bus,
            published: Notify::new(),
            casts,
        }
    }

    /// `POST /backups`. Refused with `service_down` when no service is up (D4).
    pub async fn create(&self, context: &RequestContext, new: NewBackup) -> Result<BackupRow> {
        let request = CreateRequest {
            backup_id: self.env.rng.uuid(),
            user_id: context.user_id.clone(),
            project_id: context.project_id.clone(),
            volume_id: new.volume_id,
            display_name: new.display_name,
            display_description: None,
            container: new.container,
            incremental: new.incremental,
            force: new.force,
            snapshot_id: new.snapshot_id,
            availability_zone: new.availability_zone,
            limits: self.limits,
        };
        let call = Call::ApiCreate { request, choice: self.choice() };
        self.request(call, context, Method::CreateBackup).await
    }

    /// `POST /backups/{id}/restore` into an existing volume, or `POST /volumes` with `backup_id`.
    pub async fn restore(&self, context: &RequestContext, backup_id: &str, target: RestoreTarget) -> Result<BackupRow> {
        let call = Call::ApiRestore { backup_id: backup_id.to_owned(), target, choice: self.choice() };
        self.request(call, context, Method::RestoreBackup).await
    }

    /// `DELETE /backups/{id}`, or with `force` the action `os-force_delete`, which also cancels a running create.
    pub async fn delete(&self, context: &RequestContext, backup_id: &str, force: bool) -> Result<BackupRow> {
        let call = Call::ApiDelete {
            backup_id: backup_id.to_owned(),
            force,
            api_host: self.host.clone(),
            choice: self.choice(),
        };
        self.request(call, context, Method::DeleteBackup).await
    }

    /// The action `os-reset_status`; only `available` and `error` can be set.
    pub async fn reset_status(
        &self,
        context: &RequestContext,
        backup_id: &str,
        status: BackupStatus,
    ) -> Result<BackupRow> {
        let call = Call::ApiResetStatus {
            backup_id: backup_id.to_owned(),
            status,
            api_host: self.host.clone(),
            choice: self.choice(),
        };
        self.request(call, context, Method::ResetStatus { status }).await
    }

    /// `GET /backups/{id}`; deleted backups too.
    pub async fn show(&self, backup_id: &str) -> Result<BackupRow> {
        self.ask(Call::BackupGet { backup_id: backup_id.to_owned() }).await
    }

    /// `GET /volumes/{id}`.
    pub async fn show_volume(&self, volume_id: &str) -> Result<VolumeRow> {
        self.ask(Call::VolumeGet { volume_id: volume_id.to_owned() }).await
    }

    /// `GET /os-services?binary=cinder-backup`.
    pub async fn services(&self) -> Result<Vec<ServiceView>> {
        self.ask(Call::ServiceList { service_down_time: self.service_down_time }).await
    }

    /// Makes this process known to the database as the newest of its host; requests do so by themselves.
    ///
    /// From its answer on, what earlier processes still have under way changes nothing.
    pub async fn register(&self) -> Result<()> {
        self.casts.register(self.db.as_ref()).await
    }

    /// Delivers what the API itself has emitted and the casts of its requests, also what the process before this one
    /// left, and settles requests whose outcome is unknown; for ever.
    pub async fn deliver(&self) {
        let (db, bus) = (self.db.as_ref(), self.bus.as_ref());
        let outbox = outbox::deliver(db, bus, &self.env, &self.host, &self.published);
        tokio::join!(biased; outbox, self.casts.deliver(db, bus), self.reap_messages());
    }

    /// Check, status change and cast in one transaction, then the cast goes out.
    ///
    /// Accepted is accepted: what the bus does not take now it gets later. Without an answer the request is settled
    /// later, too.
    pub(crate) async fn request(&self, request: Call, context: &RequestContext, method: Method) -> Result<BackupRow> {
        loop {
            self.casts.register(self.db.as_ref()).await.map_err(|error| error.during(request.name()))?;
            let (key, id) = (self.db.new_key(), self.env.rng.uuid());
            self.casts.open(&id, context.into());
            let call = Call::Api(Box::new(ApiRequest {
                sender: self.casts.sender.clone(),
                cast: id.clone(),
                user_id: context.user_id.clone(),
                project_id: context.project_id.clone(),
                method,
                request: request.clone(),
            }));
            let answer = self.db.call_as(&key, call).await;
            self.published.notify_one();
            match answer {
                Ok(Value::Null) => {
                    self.casts.close(&id);
                    self.casts.register_again().await;
                }
                Ok(answer) => return self.accepted(id, typed(request.name(), answer)?, context, method).await,
                Err(error) if error.retry => {
                    self.casts.settle_later(&key, &id);
                    return Err(error);
                }
                Err(error) => {
                    self.casts.close(&id);
                    return Err(error);
                }
            }
        }
    }

    /// Sends the cast, if one is due.
    async fn accepted(
        &self,
        id: String,
        accepted: Deleted,
        context: &RequestContext,
        method: Method,
    ) -> Result<BackupRow> {
        let Deleted { backup, done } = accepted;
        match backup.host.clone().filter(|_| !done) {
            Some(host) => {
                let cast = Cast { id, backup_id: backup.id.clone(), context: context.into(), method, reply_to: None };
                self.casts.send(self.bus.as_ref(), Outgoing { host, cast }).await;
            }
            None => self.casts.close(&id),
        }
        Ok(backup)
    }

    /// Asks a manager.
    pub(crate) async fn call(&self, host: &str, call: &Cast) -> Result<Value> {
        self.bus.call(host, call, self.rpc_response_timeout).await
    }

    pub(crate) fn choice(&self) -> HostChoice {
        let (service_down_time, same_host) = (self.service_down_time, self.same_host);
        HostChoice { service_down_time, pick: self.env.rng.next_u64("hosts"), same_host }
    }

    pub(crate) async fn ask<T: serde::de::DeserializeOwned>(&self, call: Call) -> Result<T> {
        ask(self.db.as_ref(), call).await
    }
}
