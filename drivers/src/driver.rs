//! What a backup service asks of a driver, and what a driver asks back while an operation runs.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{Capabilities, Device, RequestContext, Result};

/// The fields of a backup's row that a driver reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    pub id: String,
    pub volume_id: String,
    /// The volume's size in GiB when the backup was made.
    pub size: u64,
    pub display_name: Option<String>,
    pub display_description: Option<String>,
    pub created_at: Timestamp,
    /// The availability zone of the service (part of object names in Swift and S3).
    pub availability_zone: String,
    /// As asked by the user; for a stored backup, where it is.
    pub container: Option<String>,
    /// The object-name prefix, once the driver has chosen it.
    pub service_metadata: Option<String>,
    pub parent_id: Option<String>,
    /// For a backup to be made: what its metadata object is to keep of the volume, as text (`reference/05` §5.8).
    pub volume_meta: Option<String>,
}

/// What a finished backup adds to its row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupUpdate {
    /// Data objects written, the two special ones not counted.
    pub object_count: u64,
}

/// A driver, made for one service by the registry; stateless between operations but for connections and tokens.
#[async_trait]
pub trait BackupDriver: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// Verifies the configuration and prepares what needs no network answer. Names the option that is wrong.
    async fn do_setup(&self) -> Result<()>;

    /// Finds what would make operations fail (D11): reachability, credentials, permission to write and remove.
    ///
    /// Each request is sent once, at most 4 besides authentication and the container's creation.
    async fn check_for_setup_error(&self) -> Result<()>;

    /// Stores the device's bytes; with `parent`, only the blocks that differ from it.
    ///
    /// Whatever ends it early, the objects it wrote are removed before it returns (D7). `volume_size` of `backup` may
    /// be larger than the device.
    async fn backup(
        &self,
        context: &RequestContext,
        backup: &Backup,
        parent: Option<&Backup>,
        device: &dyn Device,
        control: Arc<dyn BackupControl>,
    ) -> Result<BackupUpdate>;

    /// Writes the backup's bytes to the device, verified (D6). `chain` is oldest first; its last is what was asked for.
    ///
    /// With `volume_is_new` all-zero ranges need not be written.
    async fn restore(
        &self,
        context: &RequestContext,
        chain: &[Backup],
        device: &dyn Device,
        volume_is_new: bool,
        control: Arc<dyn RestoreControl>,
    ) -> Result<()>;

    /// Removes every object of the backup; succeeds only when none is left. A backup never stored is a success.
    async fn delete_backup(&self, context: &RequestContext, backup: &Backup) -> Result<()>;

    /// `driver_info` of the backup's record: what another service needs besides the row. Needs no set-up, asks nobody.
    fn export_record(&self, backup: &Backup) -> Result<Map<String, Value>>;

    /// Whether a record can be of a backup of this driver. Needs no set-up, asks nobody.
    fn import_record(&self, backup: &Backup, driver_info: &Map<String, Value>) -> Result<()>;

    /// Whether the store holds what an imported record speaks of: nothing is missing, nothing is another backup's.
    ///
    /// `object_count` is the record's.
    async fn verify(&self, context: &RequestContext, backup: &Backup, object_count: u64) -> Result<()>;
}

/// What a running backup asks of, and tells, the service.
#[async_trait]
pub trait BackupControl: Send + Sync {
    /// Records where the objects will be, before the container is created or the first one is written.
    async fn save_location(&self, container: &str, service_metadata: &str) -> Result<()>;

    /// Fails with `cancelled` when the backup is no longer to be made. Asked before each chunk.
    async fn check_cancelled(&self) -> Result<()>;

    /// Sends one progress note, `backup_percent` as in D5. Returns when it is in the outbox.
    async fn progress(&self, backup_percent: f64) -> Result<()>;
}

/// What a running restore asks of the service.
#[async_trait]
pub trait RestoreControl: Send + Sync {
    /// Fails with `cancelled` when the restore is no longer wanted. Asked before each object.
    async fn check_cancelled(&self) -> Result<()>;

    /// What the requested backup keeps of its volume, before the first byte is written; an error ends the restore.
    async fn volume_meta(&self, _volume_meta: Option<&str>) -> Result<()> {
        Ok(())
    }

    /// A finding the operator should see although the restore goes on (e.g. no sha256file).
    fn warn(&self, finding: &str);
}
