//! Cutting a volume into objects: what of its chunks must be stored, hashed and packed, ready to be put.
//!
//! Several chunks at once take less computing than one after the other, since MD5 is fast only side by side.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use clinker_env::{Env, Work};
use futures_util::future::{join, join_all};

use super::compress::Algorithm;
use super::decisions::EngineDecisions;
use super::digests::Digests;

/// How volumes are cut.
pub(super) struct Cutter<'a> {
    pub env: &'a Env,
    pub decisions: &'a dyn EngineDecisions,
    pub digests: &'a Arc<dyn Digests>,
    /// Whether the store asks for the md5 of a body.
    pub body_md5: bool,
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
    /// Zeros if the store does not ask for it.
    pub body_md5: [u8; 16],
    /// Bytes of memory that are free when the body is no longer needed.
    pub held: u64,
}

/// A chunk's bytes and where they are in the volume.
pub(super) struct Uncut {
    pub offset: u64,
    pub data: Bytes,
}

/// The md5 is of the data that are there, the sha256s of all blocks.
struct Hashed {
    sha256s: Vec<[u8; 32]>,
    runs: Vec<Run>,
}

/// Bytes of the volume that become an object.
struct Run {
    offset: u64,
    data: Bytes,
    md5: [u8; 16],
    /// Bytes of the chunk that are not of the object, and stay in memory as long as `data` does.
    beside: u64,
}

impl Cutter<'_> {
    pub async fn cut(&self, uncut: Vec<Uncut>) -> Vec<Chunk> {
        let several = uncut.len() > 1;
        let hashed = match <[Uncut; 1]>::try_from(uncut) {
            Ok([one]) => vec![self.hash(one).await],
            Err(several) => self.hash_side_by_side(several).await,
        };
        let (sha256s, runs): (Vec<_>, Vec<_>) = hashed.into_iter().map(|hashed| (hashed.sha256s, hashed.runs)).unzip();
        let counts: Vec<usize> = runs.iter().map(Vec::len).collect();
        let runs = runs.into_iter().flatten();
        let objects = if several {
            join_all(runs.map(|run| self.pack(run))).await
        } else {
            let mut objects = Vec::new();
            for run in runs {
                objects.push(self.pack(run).await);
            }
            objects
        };
        let mut objects = objects.into_iter();
        let with_objects = |(sha256s, count)| Chunk { sha256s, objects: objects.by_ref().take(count).collect() };
        sha256s.into_iter().zip(counts).map(with_objects).collect()
    }

    /// One chunk, in one job.
    async fn hash(&self, Uncut { offset, data }: Uncut) -> Hashed {
        let (cuts, bytes) = (self.cuts(offset), data.len() as u64);
        let digests = Arc::clone(self.digests);
        let job = move || {
            let sha256s = digests.sha256s(&data, cuts.block);
            let mut runs = cuts.runs(&sha256s, &data);
            runs.iter_mut().for_each(|run| run.md5 = digests.md5(&run.data));
            Hashed { sha256s, runs }
        };
        self.env.compute(Work::Hash, bytes, job).await
    }

    /// The md5 of all chunks in one job, beside a job for the sha256s of each; their bytes are charged once.
    async fn hash_side_by_side(&self, uncut: Vec<Uncut>) -> Vec<Hashed> {
        let md5s = |many: Vec<Bytes>| {
            let digests = Arc::clone(self.digests);
            self.env.compute(Work::Hash, 0, move || digests.md5s(&many))
        };
        let sha256s = join_all(uncut.iter().map(|Uncut { data, .. }| {
            let (digests, data, block) = (Arc::clone(self.digests), data.clone(), self.block as usize);
            self.env.compute(Work::Hash, data.len() as u64, move || digests.sha256s(&data, block))
        }));
        let whole = async {
            match &self.parent_hashes {
                None => Some(md5s(uncut.iter().map(|uncut| uncut.data.clone()).collect()).await),
                Some(_) => None,
            }
        };
        let (sha256s, whole) = join(sha256s, whole).await;
        let cut = |(uncut, sha256s): (&Uncut, Vec<[u8; 32]>)| {
            let runs = self.cuts(uncut.offset).runs(&sha256s, &uncut.data);
            Hashed { sha256s, runs }
        };
        let mut hashed: Vec<Hashed> = uncut.iter().zip(sha256s).map(cut).collect();
        let md5s = match whole {
            Some(md5s) => md5s,
            None => md5s(hashed.iter().flat_map(|hashed| &hashed.runs).map(|run| run.data.clone()).collect()).await,
        };
        let runs = hashed.iter_mut().flat_map(|hashed| &mut hashed.runs);
        runs.zip(md5s).for_each(|(run, md5)| run.md5 = md5);
        hashed
    }

    fn cuts(&self, offset: u64) -> Cuts {
        Cuts { offset, block: self.block as usize, parent_hashes: self.parent_hashes.clone() }
    }

    async fn pack(&self, Run { offset, data, md5, beside }: Run) -> Cut {
        let (algorithm, length) = (self.algorithm, data.len() as u64);
        let packed = if algorithm == Algorithm::None {
            None
        } else {
            let (data, digests, with_md5) = (data.clone(), Arc::clone(self.digests), self.body_md5);
            let md5 = move |packed: &Bytes| if with_md5 { digests.md5(packed) } else { [0; 16] };
            let job = move || algorithm.pack(&data).map(|packed| (md5(&packed), packed));
            self.env.compute(algorithm.work(), length, job).await
        };
        let compression = match (algorithm, &packed) {
            (Algorithm::None, _) => "none",
            (_, packed) => self.decisions.compression_tag(self.compression, packed.is_none()),
        };
        let compression = compression.to_owned();
        let beside = if packed.is_none() { beside } else { 0 };
        let (body_md5, body) = packed.unwrap_or((md5, data));
        Cut { offset, length, compression, md5, held: body.len() as u64 + beside, body, body_md5 }
    }
}

/// How one chunk is cut.
struct Cuts {
    /// Of the chunk in the volume.
    offset: u64,
    block: usize,
    parent_hashes: Option<Arc<[[u8; 32]]>>,
}

impl Cuts {
    /// All of the chunk is to be stored, or what differs from the parent's blocks at the same place. Without md5s.
    fn runs(&self, sha256s: &[[u8; 32]], data: &Bytes) -> Vec<Run> {
        let first = self.offset as usize / self.block;
        let parent = self.parent_hashes.as_deref().map(|hashes| hashes.get(first..).unwrap_or_default());
        let runs = changed_runs(sha256s, parent);
        let bytes = |run: &Range<usize>| run.start * self.block..data.len().min(run.end * self.block);
        let changed: usize = runs.iter().map(|run| bytes(run).len()).sum();
        // A few changed blocks must not keep the whole chunk in memory.
        let copies = changed < data.len() / 2;
        let run = |run: &Range<usize>| {
            let offset = self.offset + bytes(run).start as u64;
            let data = data.slice(bytes(run));
            Run { offset, data: if copies { Bytes::copy_from_slice(&data) } else { data }, md5: [0; 16], beside: 0 }
        };
        let mut runs: Vec<Run> = runs.iter().map(run).collect();
        if let Some(first) = runs.first_mut().filter(|_| !copies) {
            first.beside = (data.len() - changed) as u64;
        }
        runs
    }
}

/// The maximal runs of blocks whose hash differs from the parent's at the same index; without a parent, all blocks.
pub(crate) fn changed_runs(now: &[[u8; 32]], parent: Option<&[[u8; 32]]>) -> Vec<Range<usize>> {
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
