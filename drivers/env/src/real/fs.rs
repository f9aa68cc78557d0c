//! The host's file system, through tokio's blocking pool.

use std::fs::{File as StdFile, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Buffers;
use crate::{File, Fs, Metadata};

#[derive(Default)]
pub(super) struct HostFs(Arc<Buffers>);

/// Runs a blocking call on the pool.
#[expect(clippy::disallowed_methods, reason = "the real file system is where blocking belongs")]
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(call).await.map_err(io::Error::other)?
}

#[async_trait]
impl Fs for HostFs {
    async fn create_dir_all(&self, path: &str, mode: u32) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || {
            let path = Path::new(&path);
            if path.is_dir() {
                return Ok(());
            }
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            match std::fs::DirBuilder::new().mode(mode).create(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                // The process's umask has taken bits away.
                created => created.and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(mode))),
            }
        })
        .await
    }

    async fn create(&self, path: &str, mode: u32) -> io::Result<Box<dyn File>> {
        let path = path.to_owned();
        let file = blocking(move || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(mode).open(path)?;
            file.set_permissions(Permissions::from_mode(mode)).map(|()| file)
        })
        .await?;
        Ok(Box::new(HostFile { file: Arc::new(file), buffers: Arc::clone(&self.0) }))
    }

    async fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        let path = path.to_owned();
        let file = blocking(move || StdFile::open(path)).await?;
        Ok(Box::new(HostFile { file: Arc::new(file), buffers: Arc::clone(&self.0) }))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        blocking(move || std::fs::rename(from, to)).await
    }

    async fn remove_file(&self, path: &str) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || std::fs::remove_file(path)).await
    }

    async fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let path = path.to_owned();
        blocking(move || {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(path)? {
                let name = entry?.file_name();
                names.push(name.into_string().map_err(|name| {
                    io::Error::new(io::ErrorKind::InvalidData, format!("file name is not UTF-8: {name:?}"))
                })?);
            }
            names.sort();
            Ok(names)
        })
        .await
    }

    async fn metadata(&self, path: &str) -> io::Result<Metadata> {
        let path = path.to_owned();
        blocking(move || {
            let found = std::fs::metadata(path)?;
            let is_dir = found.is_dir();
            Ok(Metadata { is_dir, len: if is_dir { 0 } else { found.len() } })
        })
        .await
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        let path = path.to_owned();
        blocking(move || StdFile::open(path)?.sync_all()).await
    }
}

struct HostFile {
    file: Arc<StdFile>,
    buffers: Arc<Buffers>,
}

#[async_trait]
impl File for HostFile {
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let (file, buffers) = (Arc::clone(&self.file), Arc::clone(&self.buffers));
        let read = move |data: &mut [u8]| {
            let mut filled = 0;
            while filled < data.len() {
                match file.read_at(&mut data[filled..], offset + filled as u64) {
                    Ok(0) => break,
                    Ok(n) => filled += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(filled)
        };
        blocking(move || buffers.read(len, read)).await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        blocking(move || file.write_all_at(&data, offset)).await
    }

    async fn sync_all(&self) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        blocking(move || file.sync_all()).await
    }

    async fn len(&self) -> io::Result<u64> {
        let file = Arc::clone(&self.file);
        blocking(move || Ok(file.metadata()?.len())).await
    }
}
