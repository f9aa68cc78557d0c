//! The digests that the format asks for: sha256 of every block, md5 of every object.

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest as _, Sha256};

/// Computes digests. A benchmark that describes its content instead of having it brings digests it knows already.
pub trait Digests: Send + Sync {
    /// The sha256 of each block of so many bytes; the last may be short.
    fn sha256s(&self, data: &Bytes, block: usize) -> Vec<[u8; 32]>;

    fn md5(&self, data: &Bytes) -> [u8; 16];
}

/// Computes them from the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Computed;

impl Digests for Computed {
    fn sha256s(&self, data: &Bytes, block: usize) -> Vec<[u8; 32]> {
        data.chunks(block).map(|block| Sha256::digest(block).into()).collect()
    }

    fn md5(&self, data: &Bytes) -> [u8; 16] {
        Md5::digest(data).into()
    }
}
