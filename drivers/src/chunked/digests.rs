//! The digests that the format asks for: sha256 of every block, md5 of every object.

use bytes::Bytes;
use clinker_kernels::{md5, sha256};

/// Computes digests. A benchmark that describes its content instead of having it brings digests it knows already.
pub trait Digests: Send + Sync {
    /// The sha256 of each block of so many bytes; the last may be short.
    fn sha256s(&self, data: &Bytes, block: usize) -> Vec<[u8; 32]>;

    fn md5(&self, data: &Bytes) -> [u8; 16];

    /// The md5 of each of several objects. Together they may take far less time than one after the other.
    fn md5s(&self, many: &[Bytes]) -> Vec<[u8; 16]> {
        many.iter().map(|data| self.md5(data)).collect()
    }
}

/// Computes them from the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Computed;

impl Digests for Computed {
    fn sha256s(&self, data: &Bytes, block: usize) -> Vec<[u8; 32]> {
        sha256::blocks(data, block)
    }

    fn md5(&self, data: &Bytes) -> [u8; 16] {
        md5::one(data)
    }

    fn md5s(&self, many: &[Bytes]) -> Vec<[u8; 16]> {
        md5::many(&many.iter().map(|data| &data[..]).collect::<Vec<_>>())
    }
}
