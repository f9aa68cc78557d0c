//! The chunk engine: turns a [`ChunkStore`] into a [`BackupDriver`] that stores volumes in Cinder's chunked format.
//!
//! Start with [`backup`], then [`restore`]; [`mod@format`] has the documents, [`decisions`] what a planted bug may change.
//! No store is known here: names, sizes and requests are the store's.

mod ahead;
mod backup;
mod backup_long;
pub mod compress;
pub(crate) mod coverage;
pub(crate) mod cut;
pub mod decisions;
mod delete;
pub mod digests;
mod flight;
pub mod format;
mod hashes;
mod limits;
pub mod pieces;
mod plan;
mod progress;
mod record;
mod restore;
mod restore_long;
pub mod store;
mod verify;
mod window;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_env::{Env, Work};
use serde_json::{Map, Value};

use compress::Algorithm;
use decisions::EngineDecisions;
use digests::{Computed, Digests};
pub use flight::BUDGET;
use pieces::Sizes;
use store::ChunkStore;

use crate::{
    Backup, BackupControl, BackupDriver, BackupUpdate, Capabilities, Device, Error, Kind, Options, RequestContext,
    RestoreControl, Result,
};

/// A backup driver over a store of named objects.
pub struct ChunkedDriver {
    store: Arc<dyn ChunkStore>,
    env: Env,
    settings: Settings,
    decisions: Arc<dyn EngineDecisions>,
    digests: Arc<dyn Digests>,
}

/// The options that the engine itself reads.
struct Settings {
    /// In lower case, as it is written into metadata.
    compression: String,
    chunks_per_note: u64,
    /// Seconds.
    timer_interval: u64,
    inflight_max: u64,
    sizes: Sizes,
}

impl ChunkedDriver {
    pub fn new(
        store: Arc<dyn ChunkStore>,
        env: Env,
        options: &Options,
        decisions: Arc<dyn EngineDecisions>,
    ) -> ChunkedDriver {
        let settings = Settings {
            compression: options.backup_compression_algorithm.to_ascii_lowercase(),
            chunks_per_note: options.backup_object_number_per_notification,
            timer_interval: options.backup_timer_interval,
            inflight_max: options.backup_max_inflight_chunks,
            sizes: Sizes::default(),
        };
        ChunkedDriver { store, env, settings, decisions, digests: Arc::new(Computed) }
    }

    /// With digests that are not computed from the bytes.
    pub fn with_digests(self, digests: Arc<dyn Digests>) -> ChunkedDriver {
        ChunkedDriver { digests, ..self }
    }

    /// With other sizes of what goes in pieces, where the store can do that.
    pub fn with_sizes(mut self, sizes: Sizes) -> ChunkedDriver {
        self.settings.sizes = sizes;
        self
    }

    fn algorithm(&self) -> Result<Algorithm> {
        Algorithm::named(&self.settings.compression).ok_or_else(|| {
            let found = self.settings.compression.escape_debug();
            let what =
                format!("option backup_compression_algorithm: found \"{found}\", expected none, zlib, bz2 or zstd");
            Error::new(Kind::InvalidConfig, what)
        })
    }

    /// A metadata object or sha256file of the backup.
    async fn document(&self, context: &RequestContext, backup: &Backup, container: &str, name: &str) -> Result<Bytes> {
        self.store.get_at_most(context, container, name, limits::document(backup)).await
    }

    async fn hash_list(&self, name: String, body: Bytes) -> Result<format::HashList> {
        let bytes = body.len() as u64;
        self.env.compute(Work::Other, bytes, move || format::decode_hash_list(&name, &body)).await
    }
}

/// Container and prefix of a stored backup.
fn location(backup: &Backup) -> Result<(&str, &str)> {
    match (backup.container.as_deref(), backup.service_metadata.as_deref()) {
        (Some(container), Some(prefix)) if !container.is_empty() && !prefix.is_empty() => Ok((container, prefix)),
        _ => {
            let what = format!("backup {} has no container or service_metadata: it was never stored", backup.id);
            Err(Error::new(Kind::InvalidBackup, what))
        }
    }
}

#[async_trait]
impl BackupDriver for ChunkedDriver {
    fn capabilities(&self) -> Capabilities {
        Capabilities { progress: true, force_delete: true, incremental: true, host_bound: self.store.host_bound() }
    }

    async fn do_setup(&self) -> Result<()> {
        self.algorithm().and_then(|_| self.store.check_options()).map_err(|error| error.during("do_setup"))
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        self.store.check_for_setup_error().await.map_err(|error| error.during("check_for_setup_error"))
    }

    async fn backup(
        &self,
        context: &RequestContext,
        backup: &Backup,
        parent: Option<&Backup>,
        device: &dyn Device,
        control: Arc<dyn BackupControl>,
    ) -> Result<BackupUpdate> {
        let stored = backup::backup(self, context, backup, parent, device, control).await;
        stored.map_err(|error| error.during("backup"))
    }

    async fn restore(
        &self,
        context: &RequestContext,
        chain: &[Backup],
        device: &dyn Device,
        volume_is_new: bool,
        control: Arc<dyn RestoreControl>,
    ) -> Result<()> {
        let restored = restore::restore(self, context, chain, device, volume_is_new, &*control).await;
        restored.map_err(|error| error.during("restore"))
    }

    async fn delete_backup(&self, context: &RequestContext, backup: &Backup) -> Result<()> {
        delete::delete(self, context, backup).await.map_err(|error| error.during("delete_backup"))
    }

    fn export_record(&self, backup: &Backup) -> Result<Map<String, Value>> {
        // Container and prefix are columns of the row: nothing else is needed to find the objects.
        location(backup).map(|_| Map::new()).map_err(|error| error.during("export_record"))
    }

    fn import_record(&self, backup: &Backup, _driver_info: &Map<String, Value>) -> Result<()> {
        record::check(self, backup).map_err(|error| error.during("import_record"))
    }

    async fn verify(&self, context: &RequestContext, backup: &Backup, object_count: u64) -> Result<()> {
        record::verify(self, context, backup, object_count).await.map_err(|error| error.during("verify"))
    }
}
