//! Storing a volume: its chunks, then what describes them; removes it all on a failure.
//!
//! What becomes of a chunk is in [`super::cut`], how many are under way in [`super::flight`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clinker_env::Work;

use super::ChunkedDriver;
use super::backup_long::Long;
use super::cut::{Cutter, Uncut};
use super::decisions::MetadataAt;
use super::flight::{Flight, Puts};
use super::format::{self, DataObject};
use super::hashes::Hashes;
use super::pieces::Pieces;
use super::progress::{Progress, Schedule};
use super::store::Geometry;
use crate::{Backup, BackupControl, BackupUpdate, Device, Error, Kind, RequestContext, Result, Stop};

/// About what one object takes in the metadata: the work of writing them.
const METADATA_ENTRY: u64 = 300;

pub(super) async fn backup(
    driver: &ChunkedDriver,
    context: &RequestContext,
    backup: &Backup,
    parent: Option<&Backup>,
    device: &dyn Device,
    control: Arc<dyn BackupControl>,
) -> Result<BackupUpdate> {
    let algorithm = driver.algorithm()?;
    let geometry = checked_geometry(driver.store.geometry())?;
    if device.is_empty() {
        return Err(Error::new(Kind::InvalidVolume, format!("volume {} is empty", backup.volume_id)));
    }
    let parent_hashes = match parent {
        Some(parent) => Some(parent_hashes(driver, context, backup, parent, device.len(), geometry.block).await?),
        None => None,
    };
    let container = driver.store.container_for(backup)?;
    let prefix = driver.store.object_prefix(backup, driver.env.clock.now());
    control.save_location(&container, &prefix).await?;
    driver.store.put_container(context, &container).await.map_err(|error| error.during("put_container"))?;
    let cutter = Cutter {
        env: &driver.env,
        decisions: &*driver.decisions,
        digests: &driver.digests,
        body_md5: driver.store.wants_md5(),
        chunk: geometry.chunk,
        block: geometry.block,
        algorithm,
        compression: &driver.settings.compression,
        parent_hashes,
    };
    let stopped_by = RequestContext { stop: Stop::new(), ..context.clone() };
    let job = Job { driver, context: stopped_by, clean_up_context: context, backup, container, prefix, cutter };
    let hashes = Hashes::begin(&job, device.len()).await?;
    let mut stored = Stored { names: Vec::new(), objects: Vec::new(), hashes };
    match job.store_everything(&mut stored, device, geometry.progress_timer, control).await {
        Ok(()) => Ok(BackupUpdate { object_count: driver.decisions.object_count(stored.objects.len() as u64) }),
        Err(error) => {
            stored.hashes.abandon().await;
            job.clean_up(&stored.names).await;
            Err(error)
        }
    }
}

fn checked_geometry(geometry: Geometry) -> Result<Geometry> {
    let Geometry { chunk, block, .. } = geometry;
    if chunk == 0 || block == 0 || chunk % block != 0 {
        let what = format!("chunk size {chunk} is not a multiple of the hash block size {block}");
        return Err(Error::new(Kind::InvalidBackup, what));
    }
    Ok(geometry)
}

/// The parent's hashes, once it is clear that an increment can build on them.
async fn parent_hashes(
    driver: &ChunkedDriver,
    context: &RequestContext,
    backup: &Backup,
    parent: &Backup,
    device_len: u64,
    block: u64,
) -> Result<Arc<[[u8; 32]]>> {
    let unusable =
        |kind, what: String| Error::new(kind, format!("parent backup {}: {what}; a full backup is needed", parent.id));
    let (container, prefix) = super::location(parent)?;
    let name = format::sha256file_name(prefix);
    let body = driver.document(context, parent, container, &name).await.map_err(|error| {
        if error.kind != Kind::NotFound {
            return error;
        }
        unusable(Kind::NotFound, format!("object {name} is missing")).with_source(error)
    })?;
    let hashes = driver.hash_list(name, body).await?;
    if hashes.block != block {
        let what = format!("its hash block size is {}, now {block} is set", hashes.block);
        return Err(unusable(Kind::InvalidBackup, what));
    }
    let blocks = device_len.div_ceil(block);
    if backup.size > parent.size || blocks > hashes.sha256s.len() as u64 {
        let what = format!("volume {} has grown since", backup.volume_id);
        return Err(unusable(Kind::InvalidBackup, what));
    }
    Ok(hashes.sha256s.into())
}

/// A backup under way: what does not change.
pub(super) struct Job<'a> {
    pub driver: &'a ChunkedDriver,
    /// Its puts end when it has failed; its clean-up does not.
    context: RequestContext,
    clean_up_context: &'a RequestContext,
    pub backup: &'a Backup,
    pub container: String,
    pub prefix: String,
    pub cutter: Cutter<'a>,
}

/// What there is of it so far.
pub(super) struct Stored {
    /// Every object whose put was begun, in that order.
    pub names: Vec<String>,
    pub objects: Vec<DataObject>,
    /// Of the blocks so far.
    pub hashes: Hashes,
}

impl Job<'_> {
    async fn store_everything(
        &self,
        stored: &mut Stored,
        device: &dyn Device,
        timer: bool,
        control: Arc<dyn BackupControl>,
    ) -> Result<()> {
        let settings = &self.driver.settings;
        let schedule = Schedule {
            device_len: device.len(),
            chunks_total: device.len().div_ceil(self.cutter.chunk),
            every: settings.chunks_per_note,
            timer: timer.then_some(Duration::from_secs(settings.timer_interval)),
        };
        let decisions = Arc::clone(&self.driver.decisions);
        let mut progress = Progress::start(schedule, Arc::clone(&control), decisions, self.driver.env.tasks).await?;
        let mut puts = Puts::default();
        match self.store_in_order(stored, device, &*control, &mut progress, &mut puts).await {
            Ok(()) => progress.finish().await,
            Err(error) => {
                progress.abandon().await;
                self.context.stop.set();
                puts.settle().await;
                Err(error)
            }
        }
    }

    async fn store_in_order<'a>(
        &'a self,
        stored: &mut Stored,
        device: &'a dyn Device,
        control: &'a dyn BackupControl,
        progress: &mut Progress,
        puts: &mut Puts<'a>,
    ) -> Result<()> {
        if self.driver.decisions.metadata_at() == MetadataAt::BeforeChunks {
            self.put_metadata(stored).await?;
        }
        match self.in_pieces(device) {
            Some(pieces) => Long::new(self, pieces, device, control, progress, stored).run().await?,
            None => Flight::new(self, device, control, progress, stored).run(puts).await?,
        }
        stored.hashes.finish(self, &mut stored.names).await?;
        self.put_metadata(stored).await
    }

    /// How the chunks are to be cut in pieces, if they are.
    fn in_pieces(&self, device: &dyn Device) -> Option<&dyn Pieces> {
        let longest = self.cutter.chunk.min(device.len());
        if longest > self.driver.settings.sizes.whole_max { self.driver.store.pieces() } else { None }
    }

    /// A chunk of the volume; an `invalid_volume` error if the device gives less of it.
    pub async fn read(&self, device: &dyn Device, offset: u64, len: u64) -> Result<Uncut> {
        let data = device.read_at(offset, len as usize).await?;
        if data.len() as u64 == len {
            return Ok(Uncut { offset, data });
        }
        let (id, held) = (&self.backup.volume_id, data.len());
        Err(Error::new(Kind::InvalidVolume, format!("volume {id} gave {held} of {len} bytes at offset {offset}")))
    }

    async fn put_metadata(&self, stored: &mut Stored) -> Result<()> {
        let objects = stored.objects.clone();
        let (name, bytes) = (format::metadata_name(&self.prefix), objects.len() as u64 * METADATA_ENTRY);
        let backup = self.backup.clone();
        self.put_document(&mut stored.names, name, bytes, move || format::encode_metadata(&backup, &objects)).await
    }

    /// Makes and puts a document of about so many bytes.
    pub async fn put_document(
        &self,
        names: &mut Vec<String>,
        name: String,
        bytes: u64,
        make: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> Result<()> {
        let digests = Arc::clone(&self.driver.digests);
        let job = move || {
            let document = Bytes::from(make());
            (digests.md5(&document), document)
        };
        let (md5, document) = self.driver.env.compute(Work::Other, bytes, job).await;
        names.push(name.clone());
        self.put(&name, document, md5).await
    }

    pub async fn put(&self, name: &str, body: Bytes, md5: [u8; 16]) -> Result<()> {
        self.driver.store.put(&self.context, &self.container, name, body, md5).await
    }

    /// One pass, the marks of completeness first; what an unreachable store keeps, the later delete removes (D7).
    async fn clean_up(&self, names: &[String]) {
        for name in names.iter().rev() {
            if let Err(error) = self.driver.store.delete(self.clean_up_context, &self.container, name).await {
                tracing::warn!(object = %name, %error, "clean-up could not remove an object");
                if matches!(error.kind, Kind::Unreachable | Kind::Timeout) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chunk_must_be_a_multiple_of_the_block() {
        let check = |chunk, block, valid| {
            let geometry = Geometry { chunk, block, progress_timer: true };
            assert_eq!(checked_geometry(geometry).is_ok(), valid, "{chunk} / {block}");
        };
        check(8, 4, true);
        check(4, 4, true);
        check(6, 4, false);
        check(2, 4, false);
        check(0, 4, false);
        check(4, 0, false);
    }
}
