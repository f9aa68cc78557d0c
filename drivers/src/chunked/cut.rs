//! Cutting a volume into objects: what of its chunks must be stored, hashed and packed, ready to be put.
//!
//! Several chunks at once take less computing than one after the other, since MD5 is fast only side by side.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use clinker_env::{Env, Work};
use futures_util::future::{BoxFuture, FutureExt as _, join};

use super::compress::Algorithm;
use super::decisions::EngineDecisions;
use super::digests::Digests;
use super::format::DataObject;

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

/// Bytes of the volume that become an object.
pub(super) struct Run {
    pub offset: u64,
    pub data: Bytes,
    pub md5: [u8; 16],
    /// Bytes of the chunk that are not of the object, and stay in memory as long as `data` does.
    beside: u64,
}

impl Run {
    /// The first byte after it, in the volume.
    pub fn end(&self) -> u64 {
        self.offset + self.data.len() as u64
    }
}

impl Cut {
    /// What the metadata say of it.
    pub fn described(&self, name: String) -> DataObject {
        let Cut { offset, length, md5, .. } = *self;
        DataObject { name, offset, length, compression: self.compression.clone(), md5 }
    }
}

impl<'a> Cutter<'a> {
    /// Whether several chunks at once take less computing than one after the other.
    pub fn hashes_side_by_side(&self) -> bool {
        self.parent_hashes.is_none()
    }

    /// Bytes of memory that a chunk of `len` bytes takes while it is cut: its own, and of those that are being packed, which
    /// are a few at a time, what is packed by then.
    pub fn memory(&self, len: u64) -> u64 {
        if self.algorithm == Algorithm::None { len } else { len + len / 4 }
    }

    /// The chunks that are to be cut together, each as a future of its own: one that is done need not wait for others. Those
    /// of a volume without a parent share the computing of their md5s.
    pub fn cut(&'a self, uncut: Vec<Uncut>) -> Vec<BoxFuture<'a, Chunk>> {
        let md5s = (uncut.len() > 1 && self.hashes_side_by_side()).then(|| {
            let (many, digests) =
                (uncut.iter().map(|uncut| uncut.data.clone()).collect::<Vec<_>>(), self.digests.clone());
            // Their bytes are charged with their sha256s.
            self.env.compute(Work::Hash, 0, move || Arc::new(digests.md5s(&many))).boxed().shared()
        });
        let cut = |(n, uncut)| match md5s.clone() {
            Some(md5s) => self.cut_whole(uncut, md5s, n).boxed(),
            None => self.cut_one(uncut).boxed(),
        };
        uncut.into_iter().enumerate().map(cut).collect()
    }

    /// All of a chunk, which is the `n`-th of those that are hashed side by side.
    async fn cut_whole(&self, uncut: Uncut, md5s: impl Future<Output = Arc<Vec<[u8; 16]>>>, n: usize) -> Chunk {
        let Uncut { offset, data } = uncut;
        let (digests, block, bytes) = (Arc::clone(self.digests), self.block as usize, data.clone());
        let sha256s = self.env.compute(Work::Hash, data.len() as u64, move || digests.sha256s(&bytes, block));
        let (sha256s, md5s) = join(sha256s, md5s).await;
        let object = self.pack(Run { offset, data, md5: md5s[n], beside: 0 }).await;
        Chunk { sha256s, objects: vec![object] }
    }

    /// What of a chunk must be stored.
    async fn cut_one(&self, Uncut { offset, data }: Uncut) -> Chunk {
        let cuts = self.cuts(offset);
        let (digests, bytes) = (Arc::clone(self.digests), data.len() as u64);
        let job = move || {
            let sha256s = digests.sha256s(&data, cuts.block);
            let mut runs = cuts.runs(&sha256s, &data);
            let md5s = digests.md5s(&runs.iter().map(|run| run.data.clone()).collect::<Vec<_>>());
            runs.iter_mut().zip(md5s).for_each(|(run, md5)| run.md5 = md5);
            (sha256s, runs)
        };
        let (sha256s, runs) = self.env.compute(Work::Hash, bytes, job).await;
        let mut objects = Vec::with_capacity(runs.len());
        for run in runs {
            objects.push(self.pack(run).await);
        }
        Chunk { sha256s, objects }
    }

    /// What of a piece of the volume must be stored, without md5s.
    pub fn runs(&self, Uncut { offset, data }: &Uncut, sha256s: &[[u8; 32]]) -> Vec<Run> {
        self.cuts(*offset).runs(sha256s, data)
    }

    fn cuts(&self, offset: u64) -> Cuts {
        Cuts { offset, block: self.block as usize, parent_hashes: self.parent_hashes.clone() }
    }

    /// The tag of an object; `stored_raw` if packing it saved nothing.
    pub fn tag(&self, stored_raw: bool) -> String {
        match self.algorithm {
            Algorithm::None => "none".to_owned(),
            _ => self.decisions.compression_tag(self.compression, stored_raw).to_owned(),
        }
    }

    pub async fn pack(&self, Run { offset, data, md5, beside }: Run) -> Cut {
        let (algorithm, length) = (self.algorithm, data.len() as u64);
        let packed = if algorithm == Algorithm::None {
            None
        } else {
            let (data, digests, with_md5) = (data.clone(), Arc::clone(self.digests), self.body_md5);
            let md5 = move |packed: &Bytes| if with_md5 { digests.md5(packed) } else { [0; 16] };
            let job = move || algorithm.pack(&data).map(|packed| (md5(&packed), packed));
            self.env.compute(algorithm.work(), length, job).await
        };
        let compression = self.tag(packed.is_none());
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
