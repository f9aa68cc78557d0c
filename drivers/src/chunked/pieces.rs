//! Objects that are never whole in memory: what a store offers that can write and read them piece by piece.

use async_trait::async_trait;
use bytes::Bytes;

use super::flight::BUDGET;
use crate::Result;

/// What goes in pieces, and in which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Chunks and objects that are longer than that go in pieces, bytes.
    pub whole_max: u64,
    /// Bytes that are read, computed and written at a time; at least a block.
    pub piece: u64,
}

impl Default for Sizes {
    /// Whole is what there is memory for two of.
    fn default() -> Sizes {
        Sizes { whole_max: BUDGET / 2, piece: 8 << 20 }
    }
}

impl Sizes {
    /// Whether blocks of that length are verified piece by piece: longer ones would fill the memory.
    pub(super) fn verify(self, block: u64) -> bool {
        block <= self.whole_max.max(self.piece)
    }

    /// A piece of whole blocks.
    pub(super) fn of_blocks(self, block: u64) -> u64 {
        (self.piece / block).max(1).saturating_mul(block)
    }
}

/// A store whose objects can be written and read in pieces.
#[async_trait]
pub trait Pieces: Send + Sync {
    /// Begins an object. Until it is finished there is none of that name, or the one before.
    async fn begin(&self, container: &str, name: &str) -> Result<Box<dyn Upload>>;

    /// Opens an object of at most `max` bytes. A longer one is `integrity`.
    async fn open(&self, container: &str, name: &str, max: u64) -> Result<Box<dyn Download>>;
}

/// An object on its way into the store. Dropped, it leaves what [`super::store::ChunkStore::discard_partial`] removes.
#[async_trait]
pub trait Upload: Send + Sync {
    async fn write(&mut self, piece: Bytes) -> Result<()>;

    /// Writes over its first bytes.
    async fn write_over_start(&mut self, start: Bytes) -> Result<()>;

    /// Makes it an object; returns when it is durable.
    async fn finish(self: Box<Self>) -> Result<()>;

    /// Removes what there is of it, as well as that can be done.
    async fn abandon(self: Box<Self>);
}

/// An object on its way out of the store.
#[async_trait]
pub trait Download: Send + Sync {
    /// The next `len` bytes; fewer only at its end.
    async fn read(&mut self, len: u64) -> Result<Bytes>;
}
