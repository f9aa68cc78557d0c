//! Computing: hashing and compression leave the service's event loop through this port.

use async_trait::async_trait;

/// What kind of computing a job does; a simulation charges each at its own rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Digests: sha256 per block, md5 per chunk.
    Hash,
    /// zlib compression.
    Zlib,
    /// Everything else: decompression, bz2, zstd, JSON of large documents.
    Other,
}

/// Runs closures away from the event loop.
#[async_trait]
pub trait Cpu: Send + Sync {
    /// Returns after `job` has run. `bytes` is the amount of input.
    async fn run(&self, work: Work, bytes: u64, job: Box<dyn FnOnce() + Send>);
}
