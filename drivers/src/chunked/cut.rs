//! Cutting a volume into objects: what of a chunk must be stored, hashed and packed, ready to be put.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use clinker_env::{Env, Work};

use super::compress::Algorithm;
use super::decisions::EngineDecisions;
use super::digests::Digests;
use crate::{Error, Kind, Result};

/// How volumes are cut.
pub(super) struct Cutter<'a> {
    pub env: &'a Env,
    pub decisions: &'a dyn EngineDecisions,
    pub digests: &'a Arc<dyn Digests>,
    /// For error texts.
    pub volume_id: &'a str,
    /// Bytes of the volume per chunk and per hash.
    pub chunk: u64,
    pub block: u64,
    pub algorithm: Algorithm,
    /// As it is configured, in lower case.
    pub compression: &'a str,
    pub parent_hashes: Option<Arc<[[u8; 32]]>>,
}

/// A chunk of the volume.
pub(super) struct Chunk {
    /// One per block.
    pub sha256s: Vec<[u8; 32]>,
    /// What of it must be stored, in ascending order.
    pub objects: Vec<Cut>,
}

/// An object that has no name yet.
pub(super) struct Cut {
    /// In the volume.
    pub offset: u64,
    pub length: u64,
    pub compression: String,
    /// Of the bytes before they were packed.
    pub md5: [u8; 16],
    pub body: Bytes,
    pub body_md5: [u8; 16],
    /// Bytes of memory that are free when the body is no longer needed.
    pub held: u64,
}

impl Cutter<'_> {
    /// Cuts the chunk at `offset`. That the device has given less of it is an `invalid_volume` error.
    pub async fn cut(&self, offset: u64, len: u64, data: Bytes) -> Result<Chunk> {
        if data.len() as u64 != len {
            let (id, held) = (self.volume_id, data.len());
            let what = format!("volume {id} gave {held} of {len} bytes at offset {offset}");
            return Err(Error::new(Kind::InvalidVolume, what));
        }
        let (block, bytes, parent) = (self.block as usize, data.clone(), self.parent_hashes.clone());
        let first = (offset / self.block) as usize;
        let digests = Arc::clone(self.digests);
        let job = move || {
            let parent = parent.as_deref().map(|hashes| hashes.get(first..).unwrap_or_default());
            hash_chunk(&*digests, &bytes, block, parent)
        };
        let Hashed { sha256s, runs } = self.env.compute(Work::Hash, data.len() as u64, job).await;
        // A few changed blocks must not keep the whole chunk in memory.
        let changed: usize = runs.iter().map(|(run, _)| run.len()).sum();
        let copies = changed < data.len() / 2;
        let mut objects = Vec::with_capacity(runs.len());
        for (run, md5) in runs {
            let start = offset + run.start as u64;
            let part = if copies { Bytes::copy_from_slice(&data[run]) } else { data.slice(run) };
            objects.push(self.pack(start, part, md5).await);
        }
        if let Some(first) = objects.first_mut().filter(|_| !copies) {
            first.held += (data.len() - changed) as u64;
        }
        Ok(Chunk { sha256s, objects })
    }

    async fn pack(&self, offset: u64, data: Bytes, md5: [u8; 16]) -> Cut {
        let (algorithm, length) = (self.algorithm, data.len() as u64);
        let packed = if algorithm == Algorithm::None {
            None
        } else {
            let (data, digests) = (data.clone(), Arc::clone(self.digests));
            let job = move || algorithm.pack(&data).map(|packed| (digests.md5(&packed), packed));
            self.env.compute(algorithm.work(), length, job).await
        };
        let compression = match (algorithm, &packed) {
            (Algorithm::None, _) => "none",
            (_, packed) => self.decisions.compression_tag(self.compression, packed.is_none()),
        };
        let compression = compression.to_owned();
        let (body_md5, body) = packed.unwrap_or((md5, data));
        Cut { offset, length, compression, md5, held: body.len() as u64, body, body_md5 }
    }
}

struct Hashed {
    /// One per block.
    sha256s: Vec<[u8; 32]>,
    /// The byte ranges of the chunk to store, each with its md5.
    runs: Vec<(Range<usize>, [u8; 16])>,
}

/// All of the chunk is to be stored, or what differs from the parent's blocks at the same place.
fn hash_chunk(digests: &dyn Digests, data: &Bytes, block: usize, parent: Option<&[[u8; 32]]>) -> Hashed {
    let sha256s = digests.sha256s(data, block);
    let runs = changed_runs(&sha256s, parent);
    let with_md5 = |run: Range<usize>| {
        let range = run.start * block..data.len().min(run.end * block);
        let md5 = digests.md5(&data.slice(range.clone()));
        (range, md5)
    };
    Hashed { runs: runs.into_iter().map(with_md5).collect(), sha256s }
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
}
