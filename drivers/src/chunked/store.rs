//! The port between the chunk engine and a store of named objects.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::pieces::Pieces;
use crate::{Backup, Error, Kind, RequestContext, Result};

/// Sizes of the chunked format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of the volume per object at most (`backup_swift_object_size`, `backup_file_size` …).
    pub chunk: u64,
    /// Bytes per sha256 (`backup_swift_block_size`, `backup_sha_block_size_bytes` …); divides `chunk`.
    pub block: u64,
    /// Whether the driver's `*_enable_progress_timer` is on.
    pub progress_timer: bool,
}

/// A store of named objects in containers. Implementations send requests; the engine decides what to store.
///
/// Every method has its own time-outs and the configured retries, and maps its failures to a [`crate::Kind`].
#[async_trait]
pub trait ChunkStore: Send + Sync {
    fn geometry(&self) -> Geometry;

    /// Whether only this host reaches the store.
    fn host_bound(&self) -> bool;

    /// Checks options and reports the one that is missing or wrong, without network I/O.
    fn check_options(&self) -> Result<()>;

    /// See [`crate::BackupDriver::check_for_setup_error`].
    async fn check_for_setup_error(&self) -> Result<()>;

    /// The container of a backup: the one asked for, or the driver's default. Refuses names that leave the store.
    fn container_for(&self, backup: &Backup) -> Result<String>;

    /// The prefix of the backup's object names (`reference/05` §5.2). `now` is the start of the data phase.
    ///
    /// It ends with `_backup_<the backup's id>`: a record with another one is not believed, lest it name the objects of
    /// somebody else's backup.
    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String;

    /// Makes sure that the container exists, creating it if `backup_create_containers` allows.
    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()>;

    /// All object names that begin with `prefix`, sorted. Nothing found is an empty list; a failure is never one.
    async fn list(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>>;

    /// Whether [`ChunkStore::put`] makes use of the digest: else none is computed.
    fn wants_md5(&self) -> bool {
        true
    }

    /// Stores an object whole or not at all; returns when it is durable and the store has confirmed its digest.
    ///
    /// `md5` is the digest of `body`, unless the store does not want it.
    async fn put(
        &self,
        context: &RequestContext,
        container: &str,
        name: &str,
        body: Bytes,
        md5: [u8; 16],
    ) -> Result<()>;

    /// The whole object. Fewer bytes than the store announced is an error, never a short answer.
    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes>;

    /// The whole object, of which a sound store cannot hold more than `max` bytes. More is `integrity`.
    ///
    /// Stores read no further than that: what somebody else made of an object must not fill the memory.
    async fn get_at_most(&self, context: &RequestContext, container: &str, name: &str, max: u64) -> Result<Bytes> {
        let body = self.get(context, container, name).await?;
        if body.len() as u64 > max { Err(too_long(name, max)) } else { Ok(body) }
    }

    /// How objects are written and read in pieces, if this store can do that.
    fn pieces(&self) -> Option<&dyn Pieces> {
        None
    }

    /// Removes an object; one that is not there is a success.
    async fn delete(&self, context: &RequestContext, container: &str, name: &str) -> Result<()>;

    /// Removes what a crashed run left of a put to names with `prefix`, where such a thing can exist and is not listed.
    async fn discard_partial(&self, _context: &RequestContext, _container: &str, _prefix: &str) -> Result<()> {
        Ok(())
    }
}

/// An object that is longer than it can be.
pub(crate) fn too_long(name: &str, max: u64) -> Error {
    Error::new(Kind::Integrity, format!("object {name} has more than the {max} bytes that make sense"))
}
