//! The database port: one named call = one transaction.
//!
//! [`sqlite::Store`] executes calls; [`server`] and [`client`] carry them over the network as JSON lines.

pub mod account;
mod api;
mod casts;
mod cleanup;
pub mod client;
pub mod keys;
mod operation;
mod outbox;
pub mod record;
pub mod server;
mod service;
pub mod source;
pub mod sqlite;
mod work;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::metadata::Restored;
use crate::model::{BackupRow, BackupStatus, Operation, Stamp, VolumeRow, VolumeStatus};
use crate::notify::Attempt;
use crate::quota::Limits;
use crate::transitions::Case;
use crate::{Error, Kind, Result};

pub use casts::{ApiRequest, Outgoing, Sender};
pub use service::service_id;
pub use sqlite::{Change, Commit, CommitLog, Queued};

/// The port. Answers are JSON; [`ask`] gives them their type.
#[async_trait]
pub trait Db: Send + Sync {
    /// A key for [`Db::call_as`] that no other call has.
    fn new_key(&self) -> String;

    /// A call that is applied once, however often it is made under this key.
    async fn call_as(&self, key: &str, call: Call) -> Result<Value>;

    async fn call(&self, call: Call) -> Result<Value> {
        self.call_as(&self.new_key(), call).await
    }
}

/// Makes a call and reads its answer.
pub async fn ask<T: DeserializeOwned>(db: &dyn Db, call: Call) -> Result<T> {
    let name = call.name();
    typed(name, db.call(call).await?)
}

/// The answer to the call of that name.
pub(crate) fn typed<T: DeserializeOwned>(name: &str, answer: Value) -> Result<T> {
    serde_json::from_value(answer).map_err(|error| {
        Error::new(Kind::Internal, format!("the answer of the database to {name} has another form")).with_source(error)
    })
}

/// Everything that may be asked of the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// Takes a worker's row over from the process that `replaces` names, or makes it. → `Option<String>`: none once that
    /// is done, else the process that has the row. A request of a process that has ended meanwhile names one that the
    /// row has left behind, and changes nothing.
    ServiceRegister {
        host: String,
        worker: u32,
        process: String,
        replaces: Option<String>,
        driver: String,
        availability_zone: String,
    },
    /// The end of an attempt or a failed health check: working or down, and its event, in one transaction. A `conflict`
    /// if another process has the row, as with heartbeats.
    ServiceAttempt {
        host: String,
        worker: u32,
        process: String,
        attempt: Attempt,
        /// What the driver declares, once it has worked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host_bound: Option<bool>,
    },
    ServiceHeartbeat {
        host: String,
        worker: u32,
        process: String,
        /// Whether the driver worked when it was sent.
        working: bool,
    },
    /// Every service with its state, as `GET /os-services` shows it. → `Vec<ServiceView>`
    ServiceList {
        service_down_time: u64,
    },

    /// → `BackupRow`
    ApiCreate {
        request: CreateRequest,
        choice: HostChoice,
    },
    /// → `BackupRow`
    ApiRestore {
        backup_id: String,
        target: RestoreTarget,
        choice: HostChoice,
    },
    /// → [`Deleted`]
    ApiDelete {
        backup_id: String,
        force: bool,
        api_host: String,
        choice: HostChoice,
    },
    /// → `BackupRow`, with the host that the cast goes to
    ApiResetStatus {
        backup_id: String,
        status: BackupStatus,
        api_host: String,
        choice: HostChoice,
    },

    /// Snapshots and temporary copies.
    Source(source::SourceCall),

    /// Export and import.
    Record(record::RecordCall),

    /// What a project may see of itself.
    Account(account::AccountCall),

    /// Encryption keys.
    Keys(keys::KeyCall),

    /// The caller of an unanswered call gives it up. → its answer if it was applied; null if not, and then never.
    ApiWithdraw {
        /// The key of that call.
        withdrawn: String,
    },
    /// One of the four calls above and the cast that follows from it, in one transaction. → [`Deleted`]; null if a later
    /// process of that API has started, and nothing has changed
    Api(Box<ApiRequest>),
    /// A process of an API host starts: requests of its predecessors that still come are void.
    ApiStarted {
        sender: Sender,
    },
    /// → `Vec<Outgoing>`, oldest first: what the API on `host` has not handed to the bus
    CastsUnsent {
        host: String,
    },
    /// The bus has these.
    CastsSent {
        ids: Vec<String>,
    },

    /// → [`Begun`]
    OpBegin(Begin),
    OpSaveLocation {
        backup_id: String,
        container: String,
        service_metadata: String,
    },
    /// → `BackupStatus`
    OpStatus {
        backup_id: String,
    },
    OpProgress {
        backup_id: String,
        host: String,
        event_type: String,
        percent: f64,
    },
    /// → `Option<Case>`; none when the operation was closed before: then nothing has changed.
    OpFinish(Finish),

    /// → `Vec<String>`: ids of this host's unfinished backups.
    CleanupList {
        host: String,
        #[serde(default, skip_serializing_if = "Share::is_whole")]
        share: Share,
    },
    /// → [`Cleaned`]
    CleanupOne {
        backup_id: String,
        host: String,
        #[serde(default, skip_serializing_if = "Share::is_whole")]
        share: Share,
    },

    /// A worker of several takes a cast. → `Option<bool>`: whether it is to run it; null = to be asked again
    WorkTake(Taking),
    /// → `Vec<Operation>`: the operations of the backup that this worker cleans up
    WorkOf {
        backup_id: String,
        host: String,
        share: Share,
    },
    /// → `Vec<Operation>`: what another worker of the host, one that is up, is doing with the backup
    WorkElsewhere {
        backup_id: String,
        host: String,
        worker: u32,
    },

    /// → `Vec<Queued>`, oldest first
    OutboxFetch {
        publisher_id: String,
        limit: u32,
    },
    OutboxDelivered {
        publisher_id: String,
        up_to: u64,
    },

    /// → `BackupRow`
    BackupGet {
        backup_id: String,
    },
    /// → `VolumeRow`
    VolumeGet {
        volume_id: String,
    },
    VolumeCreate {
        volume: VolumeRow,
    },
    /// An administrator's edit by hand.
    BackupSetStatus {
        backup_id: String,
        status: BackupStatus,
    },
    /// An administrator's edit by hand.
    BackupSetService {
        backup_id: String,
        service: String,
    },
    /// An administrator takes the row away by hand; what is stored stays.
    BackupForget {
        backup_id: String,
    },
    VolumeSetStatus {
        volume_id: String,
        status: VolumeStatus,
    },
    /// → [`Dump`]
    Dump,
}

impl Call {
    /// Whether doing it twice does no more than doing it once, so that the store need not remember it: it only reads, or
    /// says again that somebody is alive.
    pub fn is_repeatable(&self) -> bool {
        matches!(
            self,
            Call::ServiceHeartbeat { .. }
                | Call::ServiceList { .. }
                | Call::OpStatus { .. }
                | Call::CleanupList { .. }
                | Call::WorkTake(_)
                | Call::WorkOf { .. }
                | Call::WorkElsewhere { .. }
                | Call::OutboxFetch { .. }
                | Call::CastsUnsent { .. }
                | Call::BackupGet { .. }
                | Call::VolumeGet { .. }
                | Call::Record(record::RecordCall::ApiExport { .. } | record::RecordCall::ExportBegin { .. })
                | Call::Account(_)
                | Call::Dump
        )
    }

    /// The name under which logs, histories and crash points know the call.
    pub fn name(&self) -> &'static str {
        match self {
            Call::ServiceRegister { .. } => "service_register",
            Call::ServiceAttempt { .. } => "service_attempt",
            Call::ServiceHeartbeat { .. } => "service_heartbeat",
            Call::ServiceList { .. } => "service_list",
            Call::ApiCreate { .. } => "api_create",
            Call::ApiRestore { .. } => "api_restore",
            Call::ApiDelete { force: false, .. } => "api_delete",
            Call::ApiDelete { force: true, .. } => "api_force_delete",
            Call::ApiResetStatus { .. } => "api_reset_status",
            Call::Record(call) => call.name(),
            Call::Source(call) => call.name(),
            Call::Account(call) => call.name(),
            Call::Keys(call) => call.name(),
            Call::ApiWithdraw { .. } => "api_withdraw",
            Call::Api(asked) => asked.request.name(),
            Call::ApiStarted { .. } => "api_started",
            Call::CastsUnsent { .. } => "casts_unsent",
            Call::CastsSent { .. } => "casts_sent",
            Call::OpBegin(_) => "op_begin",
            Call::OpSaveLocation { .. } => "op_save_location",
            Call::OpStatus { .. } => "op_status",
            Call::OpProgress { .. } => "op_progress",
            Call::OpFinish(_) => "op_finish",
            Call::CleanupList { .. } => "cleanup_list",
            Call::CleanupOne { .. } => "cleanup_one",
            Call::WorkTake(_) => "work_take",
            Call::WorkOf { .. } => "work_of",
            Call::WorkElsewhere { .. } => "work_elsewhere",
            Call::OutboxFetch { .. } => "outbox_fetch",
            Call::OutboxDelivered { .. } => "outbox_delivered",
            Call::BackupGet { .. } => "backup_get",
            Call::VolumeGet { .. } => "volume_get",
            Call::VolumeCreate { .. } => "volume_create",
            Call::BackupSetStatus { .. } => "backup_set_status",
            Call::BackupSetService { .. } => "backup_set_service",
            Call::BackupForget { .. } => "backup_forget",
            Call::VolumeSetStatus { .. } => "volume_set_status",
            Call::Dump => "dump",
        }
    }
}

/// What the choice of a host depends on besides the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostChoice {
    /// Nanoseconds.
    pub service_down_time: u64,
    /// A random number that picks among the eligible hosts.
    pub pick: u64,
    /// `backup_use_same_host`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub same_host: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// The new backup's id.
    pub backup_id: String,
    pub user_id: String,
    pub project_id: String,
    pub volume_id: String,
    pub display_name: Option<String>,
    pub display_description: Option<String>,
    pub container: Option<String>,
    pub incremental: bool,
    /// Back up a volume that is in use.
    pub force: bool,
    /// The source, instead of the volume itself.
    pub snapshot_id: Option<String>,
    pub availability_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
}

/// Where a restore goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreTarget {
    Existing {
        volume_id: String,
    },
    /// A volume that is created for it and stays `creating` until the restore has ended.
    New {
        volume: Box<VolumeRow>,
    },
}

/// Answer of [`Call::ApiDelete`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deleted {
    pub backup: BackupRow,
    /// The API removed the row itself (D4): there is nothing to cast.
    pub done: bool,
}

/// A request arrives at its manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    pub operation: Operation,
    pub backup_id: String,
    pub host: String,
    /// The manager's driver, by class path.
    pub driver: String,
    /// The manager's zone.
    pub availability_zone: String,
    pub working: bool,
    /// For reset-status: the new status. Its start was emitted by the API.
    pub status: Option<BackupStatus>,
    /// What else this manager is doing with the backup. Whatever is open beside it has lost its process.
    pub running_here: Vec<Operation>,
    /// Id of the cast that asks for it: one that comes again, be it to another process, begins nothing.
    #[serde(default)]
    pub cast: Option<String>,
}

/// Answer of [`Call::OpBegin`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The request has ended here already; its events are out.
    pub ended: Option<Case>,
    /// The cast has been begun before: there is nothing to do.
    #[serde(default)]
    pub again: bool,
    pub backup: BackupRow,
    /// The source or target.
    pub volume: Option<VolumeRow>,
    /// For a create: the volume that is backed up, be it through a snapshot.
    #[serde(default)]
    pub source: Option<VolumeRow>,
    /// The backup and the ancestors it builds upon, oldest first.
    pub chain: Vec<BackupRow>,
}

/// An accepted operation ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    pub operation: Operation,
    pub backup_id: String,
    pub host: String,
    /// Why it failed.
    pub error: Option<String>,
    /// For a create: data objects written.
    pub object_count: u64,
    /// For a restore: what goes on the volume besides the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Box<Restored>>,
}

/// One worker's part of what its host has left unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// From 0.
    pub worker: u32,
    /// How many workers share the host's name.
    pub workers: u32,
}

impl Share {
    /// Whether there are no others to share with.
    pub fn is_whole(&self) -> bool {
        self.workers <= 1
    }
}

impl Default for Share {
    fn default() -> Share {
        Share { worker: 0, workers: 1 }
    }
}

/// A worker of several takes a cast, before it acknowledges it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taking {
    pub backup_id: String,
    pub operation: Operation,
    pub cast_id: String,
    pub host: String,
    pub worker: u32,
    /// Nanoseconds.
    pub service_down_time: u64,
}

/// Answer of [`Call::CleanupOne`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cleaned {
    pub backup: BackupRow,
    /// The delete is to be resumed; its start event is out.
    pub resume_delete: bool,
}

/// One line of the service list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    pub row: crate::model::ServiceRow,
    pub state: crate::state::ServiceState,
}

/// Every row of every table, in JSON, for judging.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dump {
    pub services: Vec<Value>,
    pub backups: Vec<Value>,
    pub volumes: Vec<Value>,
    pub snapshots: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Value>,
    /// Notifications not delivered yet.
    pub outbox: u64,
}

/// One call as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The same in every repetition of the call: it is applied once.
    pub key: String,
    /// The caller's wall clock.
    pub now: Stamp,
    #[serde(flatten)]
    pub call: Call,
}

/// The answer as it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Ok(Value),
    Err(WireError),
}

impl From<Answer> for Result<Value> {
    fn from(answer: Answer) -> Result<Value> {
        match answer {
            Answer::Ok(value) => Ok(value),
            Answer::Err(error) => Err(error.into()),
        }
    }
}

/// An [`Error`] without its source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireError {
    pub kind: Kind,
    pub operation: String,
    pub what: String,
}

impl From<Error> for WireError {
    fn from(error: Error) -> WireError {
        WireError { kind: error.kind, operation: error.operation, what: error.what }
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Error {
        Error::new(error.kind, error.what).during(&error.operation)
    }
}
