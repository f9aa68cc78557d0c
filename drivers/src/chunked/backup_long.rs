//! Storing a volume whose chunks are too long for the memory: pieces of them are read and hashed ahead, packed, and written
//! while the next are computed. One long object is written at a time.
//!
//! The objects are those that whole chunks would give: a run of changed blocks is one, however many pieces it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use clinker_env::Work;
use futures_util::future::{join, join3};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use md5::{Digest as _, Md5};

use super::backup::{Job, Stored};
use super::compress::{Algorithm, Packer};
use super::cut::{Run, Uncut};
use super::format::{self, DataObject};
use super::pieces::{Pieces, Upload};
use super::progress::Progress;
use crate::{BackupControl, Device, Error, Kind, Result};

/// Pieces that are read and hashed ahead of the one that is being stored.
const AHEAD: usize = 2;
/// Objects within one piece that are on their way at once.
const PUTS: usize = 16;

pub(super) struct Long<'a, 's> {
    job: &'a Job<'a>,
    pieces: &'a dyn Pieces,
    device: &'a dyn Device,
    control: &'a dyn BackupControl,
    progress: &'s mut Progress,
    stored: &'s mut Stored,
    /// Objects that have names.
    named: u64,
}

struct Hashed {
    uncut: Uncut,
    sha256s: Vec<[u8; 32]>,
}

impl<'a, 's> Long<'a, 's> {
    pub fn new(
        job: &'a Job<'a>,
        pieces: &'a dyn Pieces,
        device: &'a dyn Device,
        control: &'a dyn BackupControl,
        progress: &'s mut Progress,
        stored: &'s mut Stored,
    ) -> Long<'a, 's> {
        Long { job, pieces, device, control, progress, stored, named: 0 }
    }

    /// Stores the whole volume.
    pub async fn run(&mut self) -> Result<()> {
        let mut open = None;
        let done = self.store_in_pieces(&mut open).await;
        if let Some(unfinished) = open {
            unfinished.upload.abandon().await;
        }
        done
    }

    async fn store_in_pieces(&mut self, open: &mut Option<Unfinished>) -> Result<()> {
        let (job, device, control) = (self.job, self.device, self.control);
        let step = job.driver.settings.sizes.of_blocks(job.cutter.block);
        let hash = async move |(offset, len)| {
            control.check_cancelled().await?;
            let uncut = job.read(device, offset, len).await?;
            let (digests, block, data) =
                (Arc::clone(job.cutter.digests), job.cutter.block as usize, uncut.data.clone());
            let sha256s = job.driver.env.compute(Work::Hash, len, move || digests.sha256s(&data, block)).await;
            Ok(Hashed { uncut, sha256s })
        };
        let mut hashed = stream::iter(ranges(device.len(), job.cutter.chunk, step)).map(hash).buffered(AHEAD);
        let mut piece = hashed.try_next().await?;
        while let Some(Hashed { uncut, sha256s }) = piece {
            self.progress.check().await?;
            self.stored.hashes.push(&sha256s);
            self.stored.hashes.write_out().await?;
            let end = uncut.offset + uncut.data.len() as u64;
            let runs = job.cutter.runs(&uncut, &sha256s);
            let (stored, next) = join(self.store_piece(uncut.offset..end, runs, open), hashed.try_next()).await;
            stored?;
            piece = next?;
        }
        Ok(())
    }

    /// Stores what is new in a piece of the volume. What goes on in the next piece is left open.
    async fn store_piece(
        &mut self,
        piece: std::ops::Range<u64>,
        runs: Vec<Run>,
        open: &mut Option<Unfinished>,
    ) -> Result<()> {
        let ends_chunk = piece.end == self.device.len() || piece.end.is_multiple_of(self.job.cutter.chunk);
        let goes_on = |run: &Run| run.end() == piece.end && !ends_chunk;
        let mut short = Vec::new();
        let mut runs = runs.into_iter().peekable();
        if let Some(unfinished) = open {
            let more = runs.next_if(|run| run.offset == piece.start);
            let ends = more.as_ref().is_none_or(|run| !goes_on(run));
            if let Some(run) = more {
                unfinished.write(self.job, run.data).await?;
            }
            if ends && let Some(unfinished) = open.take() {
                self.finish(unfinished).await?;
            }
        }
        for run in runs {
            if goes_on(&run) {
                self.put(std::mem::take(&mut short)).await?;
                open.insert(self.begin(run.offset).await?).write(self.job, run.data).await?;
            } else {
                short.push(run);
            }
        }
        self.put(short).await?;
        if ends_chunk {
            self.progress.chunk_done(piece.end).await?;
        }
        Ok(())
    }

    /// Stores runs that are objects as they are.
    async fn put(&mut self, mut runs: Vec<Run>) -> Result<()> {
        let (job, many) = (self.job, runs.iter().map(|run| run.data.clone()).collect::<Vec<_>>());
        let digests = Arc::clone(job.cutter.digests);
        let md5s = job.driver.env.compute(Work::Hash, 0, move || digests.md5s(&many)).await;
        runs.iter_mut().zip(md5s).for_each(|(run, md5)| run.md5 = md5);
        let named: Vec<(String, Run)> = runs.into_iter().map(|run| (self.name_next(), run)).collect();
        // What is on its way when one fails is waited for: let go of, it might still be stored.
        let failed = AtomicBool::new(false);
        let has_failed = &failed;
        let put = async move |(name, run): (String, Run)| {
            if has_failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let cut = job.cutter.pack(run).await;
            let object = cut.described(name.clone());
            job.put(&name, cut.body, cut.body_md5).await.map(|()| Some(object))
        };
        let at_once = usize::try_from(job.driver.settings.inflight_max).unwrap_or(PUTS).clamp(1, PUTS);
        let mut puts = stream::iter(named).map(put).buffered(at_once);
        let mut outcome = Ok(());
        while let Some(put) = puts.next().await {
            match put {
                Ok(object) => self.stored.objects.extend(object),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        outcome
    }

    /// The next object's name, noted first: a put that fails may have stored the object all the same.
    fn name_next(&mut self) -> String {
        self.named += 1;
        let name = format::object_name(&self.job.prefix, self.named);
        self.stored.names.push(name.clone());
        name
    }

    async fn begin(&mut self, offset: u64) -> Result<Unfinished> {
        let name = self.name_next();
        let upload = self.pieces.begin(&self.job.container, &name).await?;
        let packer = Packer::new(self.job.cutter.algorithm);
        Ok(Unfinished { name, offset, length: 0, md5: Md5::new(), packer, unwritten: Bytes::new(), written: 0, upload })
    }

    async fn finish(&mut self, mut unfinished: Unfinished) -> Result<()> {
        let cutter = &self.job.cutter;
        if let Err(error) = unfinished.end(self.job).await {
            unfinished.upload.abandon().await;
            return Err(error);
        }
        let Unfinished { name, offset, length, md5, written, upload, .. } = unfinished;
        let md5: [u8; 16] = md5.finalize().into();
        let stored_raw = cutter.algorithm != Algorithm::None && written >= length;
        if stored_raw {
            upload.abandon().await;
            self.store_raw(&name, offset, length, md5).await?;
        } else {
            upload.finish().await?;
        }
        let compression = cutter.tag(stored_raw);
        self.stored.objects.push(DataObject { name, offset, length, compression, md5 });
        Ok(())
    }

    /// Stores what packing did not make smaller: only when all of it was packed is that known.
    async fn store_raw(&mut self, name: &str, offset: u64, length: u64, md5: [u8; 16]) -> Result<()> {
        let mut upload = self.pieces.begin(&self.job.container, name).await?;
        let written = async {
            let mut hasher = Md5::new();
            for (at, len) in ranges(length, length, self.job.driver.settings.sizes.of_blocks(1)) {
                self.progress.check().await?;
                self.control.check_cancelled().await?;
                let data = self.job.read(self.device, offset + at, len).await?.data;
                let bytes = data.clone();
                let update = move || hasher.chain_update(&bytes);
                let (updated, written) =
                    join(self.job.driver.env.compute(Work::Hash, 0, update), upload.write(data)).await;
                (hasher, ()) = (updated, written?);
            }
            if <[u8; 16]>::from(hasher.finalize()) != md5 {
                let id = &self.job.backup.volume_id;
                let what =
                    format!("volume {id} changed between offsets {offset} and {} while it was read", offset + length);
                return Err(Error::new(Kind::InvalidVolume, what));
            }
            Ok(())
        };
        match written.await {
            Ok(()) => upload.finish().await,
            Err(error) => {
                upload.abandon().await;
                Err(error)
            }
        }
    }
}

/// Pieces of `step` bytes that make up chunks, as offsets and lengths.
fn ranges(volume_len: u64, chunk: u64, step: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let chunk_end = volume_len.min((offset / chunk + 1) * chunk);
        let range = (offset, step.min(chunk_end - offset));
        offset += range.1;
        (range.1 > 0).then_some(range)
    })
}

/// A long object on its way.
struct Unfinished {
    name: String,
    /// In the volume.
    offset: u64,
    length: u64,
    md5: Md5,
    packer: Option<Packer>,
    /// What is written while the next piece is packed.
    unwritten: Bytes,
    /// Bytes of the object as stored, those included.
    written: u64,
    upload: Box<dyn Upload>,
}

impl Unfinished {
    async fn write(&mut self, job: &Job<'_>, data: Bytes) -> Result<()> {
        let env = &job.driver.env;
        self.length += data.len() as u64;
        let (hasher, bytes) = (std::mem::take(&mut self.md5), data.clone());
        let md5 = env.compute(Work::Hash, 0, move || hasher.chain_update(&bytes));
        let packer = self.packer.take();
        let packed = async {
            match packer {
                None => (None, data),
                Some(mut packer) => {
                    let (work, len) = (job.cutter.algorithm.work(), data.len() as u64);
                    let pack = move || (packer.write(&data), packer);
                    let (packed, packer) = env.compute(work, len, pack).await;
                    (Some(packer), packed)
                }
            }
        };
        let before = std::mem::take(&mut self.unwritten);
        let (md5, (packer, packed), written) = join3(md5, packed, self.upload.write(before)).await;
        self.written += packed.len() as u64;
        (self.md5, self.packer, self.unwritten) = (md5, packer, packed);
        written
    }

    /// Writes what is left.
    async fn end(&mut self, job: &Job<'_>) -> Result<()> {
        self.upload.write(std::mem::take(&mut self.unwritten)).await?;
        let Some(packer) = self.packer.take() else { return Ok(()) };
        let rest = job.driver.env.compute(job.cutter.algorithm.work(), 0, move || packer.finish()).await;
        let (rest, start) = rest;
        self.written += rest.len() as u64;
        self.upload.write(rest).await?;
        match start {
            Some(start) => self.upload.write_over_start(start).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_with_their_chunk() {
        let check = |volume, chunk, step, expected: &[(u64, u64)]| {
            assert_eq!(ranges(volume, chunk, step).collect::<Vec<_>>(), expected, "{volume} / {chunk} / {step}");
        };
        check(25, 30, 10, &[(0, 10), (10, 10), (20, 5)]);
        check(15, 14, 10, &[(0, 10), (10, 4), (14, 1)]);
        check(50, 40, 20, &[(0, 20), (20, 20), (40, 10)]);
        check(0, 10, 1, &[]);
    }
}
