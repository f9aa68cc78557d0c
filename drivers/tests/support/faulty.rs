//! A file system with one fault.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_env::{Env, File, Fs, Metadata};

use super::env;

/// A file system in which one operation fails.
struct Faulty {
    inner: Arc<dyn Fs>,
    operation: &'static str,
    kind: io::ErrorKind,
    /// Only paths that contain this are affected.
    path: &'static str,
}

impl Faulty {
    fn check(&self, operation: &str, path: &str) -> io::Result<()> {
        if operation == self.operation && path.contains(self.path) { Err(self.kind.into()) } else { Ok(()) }
    }
}

#[async_trait]
impl Fs for Faulty {
    async fn create_dir_all(&self, path: &str, mode: u32) -> io::Result<()> {
        self.check("create_dir_all", path)?;
        self.inner.create_dir_all(path, mode).await
    }
    async fn create(&self, path: &str, mode: u32) -> io::Result<Box<dyn File>> {
        self.check("create", path)?;
        let inner = self.inner.create(path, mode).await?;
        let failure = |operation| self.check(operation, path).err().map(|error| error.kind());
        Ok(Box::new(FaultyFile { inner, write: failure("write_at"), sync: failure("sync_all") }))
    }
    async fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        self.check("open", path)?;
        self.inner.open(path).await
    }
    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.check("rename", from)?;
        self.inner.rename(from, to).await
    }
    async fn remove_file(&self, path: &str) -> io::Result<()> {
        self.check("remove_file", path)?;
        self.inner.remove_file(path).await
    }
    async fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.check("list", path)?;
        self.inner.list(path).await
    }
    async fn metadata(&self, path: &str) -> io::Result<Metadata> {
        self.check("metadata", path)?;
        self.inner.metadata(path).await
    }
    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.check("sync_dir", path)?;
        self.inner.sync_dir(path).await
    }
}

struct FaultyFile {
    inner: Box<dyn File>,
    write: Option<io::ErrorKind>,
    sync: Option<io::ErrorKind>,
}

#[async_trait]
impl File for FaultyFile {
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.inner.read_at(offset, len).await
    }
    async fn write_at(&self, offset: u64, data: Bytes) -> io::Result<()> {
        match self.write {
            Some(kind) => {
                // Half of it arrives, as on a disk that fills up.
                self.inner.write_at(offset, data.slice(..data.len() / 2)).await?;
                Err(kind.into())
            }
            None => self.inner.write_at(offset, data).await,
        }
    }
    async fn sync_all(&self) -> io::Result<()> {
        match self.sync {
            Some(kind) => Err(kind.into()),
            None => self.inner.sync_all().await,
        }
    }
    async fn len(&self) -> io::Result<u64> {
        self.inner.len().await
    }
}

pub fn faulty(operation: &'static str, kind: io::ErrorKind, path: &'static str) -> Env {
    let inner = env();
    Env { fs: Arc::new(Faulty { inner: Arc::clone(&inner.fs), operation, kind, path }), ..inner }
}
