//! Folders and files below one root: writes that are whole and durable or not there, errors with a kind.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use clinker_drivers::{Error, Kind, Result};
use clinker_env::{Env, Fs};

use crate::INCOMING;

/// The suite counts no file with this name as an object.
const PARTIAL: &str = ".tmp-";
const FOLDER_MODE: u32 = 0o770;
const FILE_MODE: u32 = 0o660;

pub(crate) struct Files {
    fs: Arc<dyn Fs>,
    root: String,
}

impl Files {
    pub fn new(env: &Env, root: &str) -> Files {
        Files { fs: Arc::clone(&env.fs), root: root.trim_end_matches('/').to_owned() }
    }

    pub fn root(&self) -> &str {
        &self.root
    }

    /// A folder below the root; the root itself if it has no name.
    fn folder(&self, name: &str) -> String {
        if name.is_empty() { self.root.clone() } else { format!("{}/{name}", self.root) }
    }

    /// Makes sure that the folder is there. A root that is not there is never created: it may be a disk not mounted.
    pub async fn make_folder(&self, name: &str, create: bool) -> Result<()> {
        self.check_root().await?;
        let mut above = self.root.clone();
        for part in name.split('/') {
            let path = format!("{above}/{part}");
            match self.fs.metadata(&path).await {
                Ok(found) if found.is_dir => {}
                Ok(_) => {
                    return Err(Error::new(Kind::Conflict, format!("could not create {name}: a file has its name")));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && create => {
                    let made = self.fs.create_dir_all(&path, FOLDER_MODE).await;
                    made.map_err(|error| failure("create folder", name, error))?;
                    self.fs.sync_dir(&above).await.map_err(|error| failure("create folder", name, error))?;
                }
                Err(error) => return Err(failure("find folder", name, error)),
            }
            above = path;
        }
        Ok(())
    }

    async fn check_root(&self) -> Result<()> {
        let found = self.fs.metadata(&self.root).await;
        found.map(|_| ()).map_err(|error| failure("find the folder of backups", &self.root, error))
    }

    /// Names in a folder, sorted; none where there is no such folder.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>> {
        match self.fs.list(&self.folder(folder)).await {
            // An empty answer says that there is nothing to delete: not where the disk is not mounted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.check_root().await.map(|()| Vec::new()),
            listed => listed.map_err(|error| failure("list folder", folder, error)),
        }
    }

    /// Stores a file: first completely in `incoming`, then under its name.
    pub async fn write(&self, folder: &str, name: &str, body: Bytes) -> Result<()> {
        let partial = format!("{}/{PARTIAL}{name}", self.folder(INCOMING));
        let mut written = self.write_through(&partial, folder, name, body.clone()).await;
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            self.make_folder(INCOMING, true).await?;
            written = self.write_through(&partial, folder, name, body).await;
        }
        if written.is_err() {
            // Best effort: what stays there goes when the backup is deleted.
            let _ = self.fs.remove_file(&partial).await;
        }
        written.map_err(|error| failure("write", name, error))
    }

    async fn write_through(&self, partial: &str, folder: &str, name: &str, body: Bytes) -> io::Result<()> {
        let file = self.fs.create(partial, FILE_MODE).await?;
        file.write_at(0, body).await?;
        file.sync_all().await?;
        let folder = self.folder(folder);
        self.fs.rename(partial, &format!("{folder}/{name}")).await?;
        self.fs.sync_dir(&folder).await
    }

    /// All of a file, or an error.
    pub async fn read(&self, folder: &str, name: &str) -> Result<Bytes> {
        let read = async {
            let file = self.fs.open(&format!("{}/{name}", self.folder(folder))).await?;
            let len = file.len().await?;
            let body = file.read_at(0, usize::try_from(len).unwrap_or(usize::MAX)).await?;
            if body.len() as u64 == len { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        };
        read.await.map_err(|error| failure("read", name, error))
    }

    /// Removes a file for good; one that is not there is fine.
    pub async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        let folder = self.folder(folder);
        match self.fs.remove_file(&format!("{folder}/{name}")).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failure("remove", name, error)),
            _ => {}
        }
        match self.fs.sync_dir(&folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failure("remove", name, error)),
            _ => Ok(()),
        }
    }

    /// Removes what writes of files with this prefix have left behind when the service or its host ended.
    pub async fn remove_incoming(&self, prefix: &str) -> Result<()> {
        let begin = format!("{PARTIAL}{prefix}");
        for name in self.list(INCOMING).await?.iter().filter(|name| name.starts_with(&begin)) {
            self.remove(INCOMING, name).await?;
        }
        Ok(())
    }
}

/// The kind decides what the service does; the text is for its administrator. The system's own words stay its source.
fn failure(verb: &str, name: &str, error: io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, why, retry) = match error.kind() {
        Io::NotFound => (Kind::NotFound, "it is not there", false),
        Io::PermissionDenied => (Kind::Auth, "not permitted", false),
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => (Kind::Quota, "the disk is full", false),
        Io::ReadOnlyFilesystem => (Kind::Unreachable, "the disk is read-only", false),
        Io::TimedOut => (Kind::Timeout, "the disk does not answer", true),
        Io::UnexpectedEof => (Kind::Unreachable, "it ended early", true),
        _ => (Kind::Unreachable, "the disk fails", true),
    };
    let what = format!("could not {verb} {name}: {why}");
    let mapped = if retry { Error::transient(kind, what) } else { Error::new(kind, what) };
    mapped.with_source(error)
}
