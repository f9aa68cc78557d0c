//! The message bus port: RPC casts and calls to managers, notifications to whoever collects them.
//!
//! [`amqp`] carries it to a broker, where each manager has a queue that outlives it.

pub mod amqp;
mod backoff;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use clinker_drivers::context::CatalogEntry;
use clinker_drivers::{RequestContext, Secret};

use crate::Result;
use crate::model::BackupStatus;
pub(crate) use backoff::Backoff;

#[async_trait]
pub trait Bus: Send + Sync {
    /// Queues a cast for a manager; it waits there until the manager takes it. A host that has never run has no queue:
    /// `not_found`, which another try may get over.
    async fn cast(&self, host: &str, cast: &Cast) -> Result<()>;

    /// Asks a manager and waits for its answer, for at most `limit` from now on. A manager that cannot be reached now is
    /// asked when it can; what it says after that is dropped.
    ///
    /// # Errors
    /// Its own error, or `timeout` naming the host and `rpc_response_timeout`.
    async fn call(&self, host: &str, call: &Cast, limit: Duration) -> Result<Value>;

    /// Answers a call. A caller that is gone, or has no queue at this moment, is `not_found`.
    async fn reply(&self, to: &ReplyTo, answer: &Result<Value>) -> Result<()>;

    /// Opens this manager's queue.
    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>>;

    /// Hands a notification over; returns when the broker has confirmed it.
    async fn notify(&self, message: &Value) -> Result<()>;
}

/// A manager's queue.
#[async_trait]
pub trait Consumer: Send {
    /// The oldest cast; delivered again until it is acknowledged. Waits for one.
    async fn next(&mut self) -> Result<Cast>;
    async fn acknowledge(&mut self) -> Result<()>;
}

/// A request to a manager (`reference/07` §7.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cast {
    /// The same however often it is delivered.
    pub id: String,
    pub backup_id: String,
    pub context: CallerContext,
    pub method: Method,
    /// Who waits for an answer; nobody does after a cast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
}

/// Where the answer to a call goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The caller's own queue.
    pub queue: String,
    /// Names the call in it.
    pub call: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    CreateBackup,
    RestoreBackup,
    DeleteBackup,
    ResetStatus {
        status: BackupStatus,
    },
    ExportRecord,
    /// The record is in the database.
    ImportRecord,
    /// A question about the driver, not about a backup.
    CheckSupportToForceDelete,
    /// A call of something that no manager does: its caller is told so.
    #[serde(skip)]
    Unknown,
}

/// The caller as a message carries it. The token is the caller's own and prints nowhere.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct CallerContext {
    pub user_id: String,
    pub project_id: String,
    pub token: Option<String>,
    pub catalog: Vec<CatalogEntry>,
}

impl std::fmt::Debug for CallerContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallerContext {{ user_id: {:?}, project_id: {:?}, .. }}", self.user_id, self.project_id)
    }
}

impl From<&RequestContext> for CallerContext {
    fn from(context: &RequestContext) -> CallerContext {
        CallerContext {
            user_id: context.user_id.clone(),
            project_id: context.project_id.clone(),
            token: context.token.as_ref().map(|token| token.expose().to_owned()),
            catalog: context.catalog.clone(),
        }
    }
}

impl From<CallerContext> for RequestContext {
    fn from(context: CallerContext) -> RequestContext {
        RequestContext {
            user_id: context.user_id,
            project_id: context.project_id,
            token: context.token.map(Secret::new),
            catalog: context.catalog,
            ..RequestContext::default()
        }
    }
}
