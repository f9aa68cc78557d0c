//! Mutants of the file system's port.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_env::{File, Fs, Metadata};

use crate::run::{Parts, wrap_env};

/// Files are renamed to their names before their contents are on the disk.
pub(super) fn rename_without_sync(parts: &mut Parts) {
    parts.env = wrap_env(|mut env| {
        env.fs = Arc::new(Unsynced(env.fs));
        env
    });
}

struct Unsynced(Arc<dyn Fs>);

#[async_trait]
impl Fs for Unsynced {
    async fn create_dir_all(&self, path: &str, mode: u32) -> io::Result<()> {
        self.0.create_dir_all(path, mode).await
    }
    async fn create(&self, path: &str, mode: u32) -> io::Result<Box<dyn File>> {
        Ok(Box::new(UnsyncedFile(self.0.create(path, mode).await?)))
    }
    async fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        self.0.open(path).await
    }
    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to).await
    }
    async fn remove_file(&self, path: &str) -> io::Result<()> {
        self.0.remove_file(path).await
    }
    async fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.0.list(path).await
    }
    async fn metadata(&self, path: &str) -> io::Result<Metadata> {
        self.0.metadata(path).await
    }
    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.0.sync_dir(path).await
    }
}

struct UnsyncedFile(Box<dyn File>);

#[async_trait]
impl File for UnsyncedFile {
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.0.read_at(offset, len).await
    }
    async fn write_at(&self, offset: u64, data: Bytes) -> io::Result<()> {
        self.0.write_at(offset, data).await
    }
    async fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
    async fn len(&self) -> io::Result<u64> {
        self.0.len().await
    }
}
