//! Storing a volume: reads it chunk by chunk, hashes, packs and puts what must be kept; removes it all on a failure.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clinker_env::Work;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::ChunkedDriver;
use super::compress::Algorithm;
use super::decisions::MetadataAt;
use super::format::{self, DataObject, HashList};
use super::progress::{Progress, Schedule};
use super::store::Geometry;
use crate::{Backup, BackupControl, BackupUpdate, Device, Error, Kind, RequestContext, Result};

/// About what one hash takes in a sha256file, and one object in the metadata: the work of writing them.
const SHA256_LINE: u64 = 72;
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
    let mut run = Run {
        driver,
        context,
        backup,
        container,
        prefix,
        geometry,
        algorithm,
        parent_hashes,
        names: Vec::new(),
        objects: Vec::new(),
        hashes: Vec::new(),
    };
    match run.store_everything(device, control).await {
        Ok(()) => Ok(BackupUpdate { object_count: driver.decisions.object_count(run.objects.len() as u64) }),
        Err(error) => {
            run.clean_up().await;
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
    let body = driver.store.get(context, container, &name).await.map_err(|error| {
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

/// One backup under way.
struct Run<'a> {
    driver: &'a ChunkedDriver,
    context: &'a RequestContext,
    backup: &'a Backup,
    container: String,
    prefix: String,
    geometry: Geometry,
    algorithm: Algorithm,
    parent_hashes: Option<Arc<[[u8; 32]]>>,
    /// Every object whose put was begun, in that order.
    names: Vec<String>,
    objects: Vec<DataObject>,
    /// Of the blocks so far.
    hashes: Vec<[u8; 32]>,
}

impl Run<'_> {
    async fn store_everything(&mut self, device: &dyn Device, control: Arc<dyn BackupControl>) -> Result<()> {
        let settings = &self.driver.settings;
        let schedule = Schedule {
            device_len: device.len(),
            chunks_total: device.len().div_ceil(self.geometry.chunk),
            every: settings.chunks_per_note,
            timer: self.geometry.progress_timer.then_some(Duration::from_secs(settings.timer_interval)),
        };
        let decisions = Arc::clone(&self.driver.decisions);
        let mut progress = Progress::start(schedule, Arc::clone(&control), decisions, self.driver.env.tasks).await?;
        match self.store_in_order(device, &*control, &mut progress).await {
            Ok(()) => progress.finish().await,
            Err(error) => {
                progress.abandon().await;
                Err(error)
            }
        }
    }

    async fn store_in_order(
        &mut self,
        device: &dyn Device,
        control: &dyn BackupControl,
        progress: &mut Progress,
    ) -> Result<()> {
        if self.driver.decisions.metadata_at() == MetadataAt::BeforeChunks {
            self.put_metadata().await?;
        }
        let device_len = device.len();
        let mut offset = 0;
        while offset < device_len {
            progress.check().await?;
            control.check_cancelled().await?;
            let len = self.geometry.chunk.min(device_len - offset);
            let data = device.read_at(offset, len as usize).await?;
            if data.len() as u64 != len {
                let (id, held) = (&self.backup.volume_id, data.len());
                let what = format!("volume {id} gave {held} of {len} bytes at offset {offset}");
                return Err(Error::new(Kind::InvalidVolume, what));
            }
            self.store_chunk(offset, data).await?;
            offset += len;
            progress.chunk_done(offset).await?;
        }
        let hashes = HashList { block: self.geometry.block, sha256s: std::mem::take(&mut self.hashes) };
        let (name, bytes) = (format::sha256file_name(&self.prefix), hashes.sha256s.len() as u64 * SHA256_LINE);
        self.put_document(name, bytes, move |backup| format::encode_hash_list(backup, &hashes)).await?;
        self.put_metadata().await
    }

    async fn store_chunk(&mut self, offset: u64, data: Bytes) -> Result<()> {
        let first = self.hashes.len();
        let parent = self.parent_hashes.clone();
        let (block, bytes) = (self.geometry.block as usize, data.clone());
        let job = move || hash_chunk(&bytes, block, parent.as_deref().map(|hashes| &hashes[first..]));
        let hashed = self.driver.env.compute(Work::Hash, data.len() as u64, job).await;
        self.hashes.extend(hashed.sha256s);
        for (range, md5) in hashed.to_store {
            self.store_object(offset + range.start as u64, data.slice(range), md5).await?;
        }
        Ok(())
    }

    async fn store_object(&mut self, offset: u64, data: Bytes, md5: [u8; 16]) -> Result<()> {
        let algorithm = self.algorithm;
        let length = data.len() as u64;
        let packed = if algorithm == Algorithm::None {
            None
        } else {
            let data = data.clone();
            let job = move || algorithm.pack(&data).map(|packed| (md5_of(&packed), packed));
            self.driver.env.compute(algorithm.work(), length, job).await
        };
        let configured = &self.driver.settings.compression;
        let raw = packed.is_none();
        let tag =
            if algorithm == Algorithm::None { "none" } else { self.driver.decisions.compression_tag(configured, raw) };
        let (stored_md5, body) = packed.unwrap_or((md5, data));
        let name = format::object_name(&self.prefix, self.objects.len() as u64 + 1);
        let object = DataObject { name: name.clone(), offset, length, compression: tag.to_owned(), md5 };
        self.put(name, body, stored_md5).await?;
        self.objects.push(object);
        Ok(())
    }

    async fn put_metadata(&mut self) -> Result<()> {
        let objects = self.objects.clone();
        let (name, bytes) = (format::metadata_name(&self.prefix), objects.len() as u64 * METADATA_ENTRY);
        self.put_document(name, bytes, move |backup| format::encode_metadata(backup, &objects)).await
    }

    /// Makes and puts a document of about so many bytes.
    async fn put_document(
        &mut self,
        name: String,
        bytes: u64,
        encode: impl FnOnce(&Backup) -> Vec<u8> + Send + 'static,
    ) -> Result<()> {
        let backup = self.backup.clone();
        let job = move || {
            let document = encode(&backup);
            (md5_of(&document), document)
        };
        let (md5, document) = self.driver.env.compute(Work::Other, bytes, job).await;
        self.put(name, document.into(), md5).await
    }

    /// Remembers the name first: a put that fails may have stored the object all the same.
    async fn put(&mut self, name: String, body: Bytes, md5: [u8; 16]) -> Result<()> {
        self.names.push(name.clone());
        self.driver.store.put(self.context, &self.container, &name, body, md5).await
    }

    /// One pass, the marks of completeness first; what an unreachable store keeps, the later delete removes (D7).
    async fn clean_up(&self) {
        for name in self.names.iter().rev() {
            if let Err(error) = self.driver.store.delete(self.context, &self.container, name).await {
                tracing::warn!(object = %name, %error, "clean-up could not remove an object");
                if matches!(error.kind, Kind::Unreachable | Kind::Timeout) {
                    return;
                }
            }
        }
    }
}

struct HashedChunk {
    /// One per block.
    sha256s: Vec<[u8; 32]>,
    /// The byte ranges of the chunk to store, each with its md5.
    to_store: Vec<(Range<usize>, [u8; 16])>,
}

/// All of the chunk is to be stored, or what differs from the parent's blocks at the same place.
fn hash_chunk(data: &[u8], block: usize, parent: Option<&[[u8; 32]]>) -> HashedChunk {
    let sha256s: Vec<[u8; 32]> = data.chunks(block).map(|block| Sha256::digest(block).into()).collect();
    let runs = changed_runs(&sha256s, parent);
    let with_md5 = |run: Range<usize>| {
        let range = run.start * block..data.len().min(run.end * block);
        let md5 = md5_of(&data[range.clone()]);
        (range, md5)
    };
    HashedChunk { to_store: runs.into_iter().map(with_md5).collect(), sha256s }
}

/// The maximal runs of blocks whose hash differs from the parent's at the same index; without a parent, all blocks.
fn changed_runs(now: &[[u8; 32]], parent: Option<&[[u8; 32]]>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, hash) in now.iter().enumerate() {
        if parent.and_then(|parent| parent.get(index)) == Some(hash) {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.end == index => run.end += 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

fn md5_of(data: &[u8]) -> [u8; 16] {
    Md5::digest(data).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_maximal_run_of_changed_blocks_is_one_object() {
        let hashes = |text: &str| text.bytes().map(|byte| [byte; 32]).collect::<Vec<_>>();
        let check = |now: &str, parent: Option<&str>, expected: &[(usize, usize)]| {
            let parent = parent.map(hashes);
            let runs = changed_runs(&hashes(now), parent.as_deref());
            let runs: Vec<(usize, usize)> = runs.into_iter().map(|run| (run.start, run.end)).collect();
            assert_eq!(runs, expected, "{now}");
        };
        check("aaaa", Some("aaaa"), &[]);
        check("baaa", Some("aaaa"), &[(0, 1)]);
        check("abba", Some("aaaa"), &[(1, 3)]);
        check("babb", Some("aaaa"), &[(0, 1), (2, 4)]);
        check("bbbb", Some("aaaa"), &[(0, 4)]);
        check("aa", Some("aaaa"), &[]);
        check("aaaa", None, &[(0, 4)]);
    }

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
