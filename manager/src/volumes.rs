//! The port to the volume service: it gives, attaches and detaches devices.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::Device;

use crate::model::Operation;
use crate::{Error, Kind, Result};

/// How long the service waits for the volume service.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why a device is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Read-only, as the source of a backup.
    Backup,
    /// Writable, as the target of a restore.
    Restore,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Backup => "backup",
            Purpose::Restore => "restore",
        }
    }

    /// The operation that attaches for it.
    pub(crate) fn operation(self) -> Operation {
        match self {
            Purpose::Backup => Operation::Create,
            Purpose::Restore => Operation::Restore,
        }
    }
}

/// One attachment: which volume, for which backup, at which host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attachment {
    pub volume_id: String,
    pub backup_id: String,
    pub host: String,
    pub purpose: Purpose,
    /// The snapshot or temporary copy that is attached in the volume's place.
    #[serde(default)]
    pub copy_id: Option<String>,
}

/// What a temporary copy of a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemporaryKind {
    Volume,
    Snapshot,
}

impl TemporaryKind {
    pub fn as_str(self) -> &'static str {
        match self {
            TemporaryKind::Volume => "temporary volume",
            TemporaryKind::Snapshot => "temporary snapshot",
        }
    }
}

/// A copy of a volume in use, for one backup.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Temporary {
    pub id: String,
    pub volume_id: String,
    pub kind: TemporaryKind,
}

#[async_trait]
pub trait Volumes: Send + Sync {
    async fn attach(&self, attachment: &Attachment) -> Result<Arc<dyn Device>>;

    /// Idempotent: an attachment that is not there is a success.
    async fn detach(&self, attachment: &Attachment) -> Result<()>;

    /// What is attached at a host.
    async fn attachments(&self, host: &str) -> Result<Vec<Attachment>>;

    /// Copies the volume as it is now. Idempotent: a copy that is there stays as it is.
    async fn create_temporary(&self, copy: &Temporary) -> Result<()>;

    /// Idempotent: a copy that is not there is a success.
    async fn delete_temporary(&self, copy: &Temporary) -> Result<()>;
}

/// [`Volumes::attach`] with the service's time-out.
pub(crate) async fn attach(volumes: &dyn Volumes, attachment: &Attachment) -> Result<Arc<dyn Device>> {
    in_time("attach_volume", volumes.attach(attachment)).await
}

/// [`Volumes::detach`] with the service's time-out.
pub(crate) async fn detach(volumes: &dyn Volumes, attachment: &Attachment) -> Result<()> {
    in_time("detach_volume", volumes.detach(attachment)).await
}

/// [`Volumes::attachments`] with the service's time-out.
pub(crate) async fn attachments(volumes: &dyn Volumes, host: &str) -> Result<Vec<Attachment>> {
    in_time("list_attachments", volumes.attachments(host)).await
}

/// [`Volumes::create_temporary`] with the service's time-out.
pub(crate) async fn make(volumes: &dyn Volumes, copy: &Temporary) -> Result<()> {
    in_time("get_backup_device", volumes.create_temporary(copy)).await
}

/// [`Volumes::delete_temporary`] with the service's time-out.
pub(crate) async fn unmake(volumes: &dyn Volumes, copy: &Temporary) -> Result<()> {
    in_time("delete_temporary", volumes.delete_temporary(copy)).await
}

async fn in_time<T>(operation: &str, request: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::transient(Kind::Timeout, format!("volume did not answer within {}s", TIMEOUT.as_secs()))),
    }
    .map_err(|error| error.during(operation))
}
