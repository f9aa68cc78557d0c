//! The message bus port: RPC casts to managers, notifications to whoever collects them.
//!
//! [`client`] and [`server`] carry it as JSON lines to the collector host, which keeps one durable queue per manager.

pub mod client;
pub mod server;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use clinker_drivers::context::CatalogEntry;
use clinker_drivers::{RequestContext, Secret};

use crate::Result;
use crate::model::BackupStatus;

/// How often the collector speaks to a consumer for whom it has nothing: who only listens never learns from TCP that
/// the other side has given the connection up.
const IDLE_BEAT: Duration = Duration::from_secs(60);
/// How long a cast that was delivered is kept from the other consumers of its queue.
const CLAIM: Duration = Duration::from_secs(60);

#[async_trait]
pub trait Bus: Send + Sync {
    /// Queues a cast for a manager; it waits there until the manager takes it.
    async fn cast(&self, host: &str, cast: &Cast) -> Result<()>;

    /// Opens this manager's queue.
    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>>;

    /// Hands a notification over; returns when it is safe with the collector.
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
        }
    }
}

/// What a client says to the collector, one JSON line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Cast {
        host: String,
        cast: Cast,
    },
    Notify {
        message: Value,
    },
    Consume {
        host: String,
        /// The same for every connection of one worker.
        consumer: String,
    },
    Acknowledge,
}

/// What the collector says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Done,
    Deliver {
        cast: Cast,
    },
    /// Nothing to deliver, but the connection lives.
    Idle,
}
