//! Files and directories with durability: what is written is kept across a power loss only after a sync.
//!
//! Paths are absolute, `/`-separated text. Errors are `std::io::Error`s with a meaningful kind (`NotFound`,
//! `StorageFull`, `ReadOnlyFilesystem`, `AlreadyExists` …).

use std::io;

use async_trait::async_trait;
use bytes::Bytes;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub is_dir: bool,
    /// Length in bytes; 0 for a directory.
    pub len: u64,
}

/// A file system as one host sees it.
#[async_trait]
pub trait Fs: Send + Sync {
    /// Creates the directory and all missing parents; an existing directory is fine. `mode` applies to the last one, all
    /// of it, whatever the process's umask.
    async fn create_dir_all(&self, path: &str, mode: u32) -> io::Result<()>;
    /// Creates (or truncates) a file for writing; it has all of `mode` then, whatever the process's umask.
    async fn create(&self, path: &str, mode: u32) -> io::Result<Box<dyn File>>;
    /// Opens an existing file for reading.
    async fn open(&self, path: &str) -> io::Result<Box<dyn File>>;
    /// Atomically replaces `to` by `from`.
    async fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    async fn remove_file(&self, path: &str) -> io::Result<()>;
    /// Names (not paths) of the directory's entries, sorted.
    async fn list(&self, path: &str) -> io::Result<Vec<String>>;
    async fn metadata(&self, path: &str) -> io::Result<Metadata>;
    /// Makes the directory's entries (creations, renames, removals) durable.
    async fn sync_dir(&self, path: &str) -> io::Result<()>;
}

/// An open file.
#[async_trait]
pub trait File: Send + Sync {
    /// Reads up to `len` bytes at `offset`; fewer only at the end of the file.
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;
    /// Writes all of `data` at `offset`.
    async fn write_at(&self, offset: u64, data: Bytes) -> io::Result<()>;
    /// Makes the contents durable (fsync).
    async fn sync_all(&self) -> io::Result<()>;
    async fn len(&self) -> io::Result<u64>;
    async fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len().await? == 0)
    }
}
