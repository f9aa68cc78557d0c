//! File operations of the repository: atomic writes, durable renames, errors in our own words.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use clinker_env::{Env, File, Fs};

use crate::chunked::store::too_long;
use crate::{Error, Kind, Result};

const FILE_MODE: u32 = 0o660;
const DIRECTORY_MODE: u32 = 0o770;

/// What begins the name of a file that is not complete. No object's name begins so.
const TEMPORARY: &str = ".tmp-";

const PROBE: &[u8] = b"clinker probe\n";

pub(super) struct Client {
    fs: Arc<dyn Fs>,
    repository: String,
}

impl Client {
    pub fn new(env: &Env, repository: String) -> Client {
        Client { fs: Arc::clone(&env.fs), repository }
    }

    pub fn repository(&self) -> &str {
        &self.repository
    }

    fn path(&self, container: &str, name: &str) -> String {
        format!("{}/{container}/{name}", self.repository)
    }

    fn directory(&self, container: &str) -> String {
        format!("{}/{container}", self.repository)
    }

    /// Writes, reads and removes one file at the repository's root.
    pub async fn probe(&self, name: &str) -> Result<()> {
        let path = format!("{}/{name}", self.repository);
        let failed = |verb: &'static str| {
            move |error| failure(&format!("posix could not {verb} {name} in {}", self.repository), error)
        };
        self.write_file(&path, PROBE.into()).await.map_err(failed("write"))?;
        let read = self.read_file(&path).await;
        let removed = self.remove_file(&path).await;
        let read = read.map_err(failed("read"))?;
        removed.map_err(failed("remove"))?;
        if read != PROBE {
            let what = format!("{name} in {} does not read back as it was written", self.repository);
            return Err(Error::new(Kind::Integrity, what));
        }
        Ok(())
    }

    /// Makes sure that the directory exists; a missing one is created if `create`, a missing repository never.
    pub async fn make_directory(&self, container: &str, create: bool) -> Result<()> {
        let failed = |error| failure(&format!("posix could not create directory {container}"), error);
        self.check_repository().await?;
        let path = self.directory(container);
        match self.fs.metadata(&path).await {
            Ok(found) if found.is_dir => return Ok(()),
            Ok(_) => {
                let what = format!("posix could not create directory {container}: a file has its name");
                return Err(Error::new(Kind::Conflict, what));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && create => {}
            Err(error) => return Err(failure(&format!("posix could not find directory {container}"), error)),
        }
        self.fs.create_dir_all(&path, DIRECTORY_MODE).await.map_err(failed)?;
        // Each new directory is an entry of the one above it, which must become durable too.
        let mut above = self.repository.clone();
        for part in container.split('/') {
            self.fs.sync_dir(&above).await.map_err(failed)?;
            above = format!("{above}/{part}");
        }
        Ok(())
    }

    async fn check_repository(&self) -> Result<()> {
        let what = format!("posix could not find repository {}", self.repository);
        match self.fs.metadata(&self.repository).await {
            Ok(found) if found.is_dir => Ok(()),
            Ok(_) => Err(Error::new(Kind::NotFound, format!("{what}: not a directory"))),
            Err(error) => Err(failure(&what, error)),
        }
    }

    /// All names in the directory, sorted. A missing directory is empty, a missing repository an error.
    pub async fn list(&self, container: &str) -> Result<Vec<String>> {
        match self.fs.list(&self.directory(container)).await {
            Ok(names) => Ok(names),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.check_repository().await?;
                Ok(Vec::new())
            }
            Err(error) => Err(failure(&format!("posix could not list directory {container}"), error)),
        }
    }

    /// Stores the file under its name whole and durable, or not at all.
    pub async fn write(&self, container: &str, name: &str, body: Bytes) -> Result<()> {
        let mut unfinished = self.begin(container, name).await?;
        match unfinished.write(body).await {
            Ok(()) => unfinished.finish().await,
            Err(error) => {
                unfinished.abandon().await;
                Err(error)
            }
        }
    }

    /// Begins a file, which has its name only when it is finished.
    pub async fn begin(&self, container: &str, name: &str) -> Result<Unfinished> {
        let temporary = self.path(container, &format!("{TEMPORARY}{name}"));
        let file = match self.fs.create(&temporary, FILE_MODE).await {
            Ok(file) => file,
            Err(error) => {
                // Best effort: what remains, the backup's removal finds.
                let _ = self.fs.remove_file(&temporary).await;
                return Err(cannot_write(name, error));
            }
        };
        let (directory, path) = (self.directory(container), self.path(container, name));
        let fs = Arc::clone(&self.fs);
        Ok(Unfinished { fs, file, temporary, directory, path, name: name.to_owned(), written: 0 })
    }

    /// Opens a file of at most `max` bytes.
    pub async fn open(&self, container: &str, name: &str, max: u64) -> Result<Opened> {
        let path = self.path(container, name);
        let opened = async {
            let file = self.fs.open(&path).await?;
            let len = file.len().await?;
            Ok((file, len))
        };
        let (file, len) = opened.await.map_err(|error| cannot_read(name, error))?;
        if len > max {
            return Err(too_long(name, max));
        }
        Ok(Opened { file, name: name.to_owned(), len, offset: 0 })
    }

    /// The whole file, of at most `max` bytes.
    pub async fn read(&self, container: &str, name: &str, max: u64) -> Result<Bytes> {
        let mut opened = self.open(container, name, max).await?;
        opened.read(opened.len).await
    }

    /// Removes the file; a missing one is fine.
    pub async fn remove(&self, container: &str, name: &str) -> Result<()> {
        let failed = |error| failure(&format!("posix could not remove object {name}"), error);
        self.remove_file(&self.path(container, name)).await.map_err(failed)?;
        match self.fs.sync_dir(&self.directory(container)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// Removes what crashed writes to names with `prefix` left.
    pub async fn remove_temporaries(&self, container: &str, prefix: &str) -> Result<()> {
        let prefix = format!("{TEMPORARY}{prefix}");
        for name in self.list(container).await?.iter().filter(|name| name.starts_with(&prefix)) {
            self.remove(container, name).await?;
        }
        Ok(())
    }

    async fn write_file(&self, path: &str, body: Bytes) -> io::Result<()> {
        let file = self.fs.create(path, FILE_MODE).await?;
        file.write_at(0, body).await?;
        file.sync_all().await
    }

    /// What there is of the file, as far as a probe may tell.
    async fn read_file(&self, path: &str) -> io::Result<Bytes> {
        self.fs.open(path).await?.read_at(0, PROBE.len() + 1).await
    }

    async fn remove_file(&self, path: &str) -> io::Result<()> {
        match self.fs.remove_file(path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// A file that is being written, under another name.
pub(super) struct Unfinished {
    fs: Arc<dyn Fs>,
    file: Box<dyn File>,
    temporary: String,
    directory: String,
    path: String,
    name: String,
    written: u64,
}

impl Unfinished {
    pub async fn write(&mut self, piece: Bytes) -> Result<()> {
        let len = piece.len() as u64;
        self.file.write_at(self.written, piece).await.map_err(|error| cannot_write(&self.name, error))?;
        self.written += len;
        Ok(())
    }

    pub async fn write_over_start(&mut self, start: Bytes) -> Result<()> {
        self.file.write_at(0, start).await.map_err(|error| cannot_write(&self.name, error))
    }

    /// Makes it durable and gives it its name.
    pub async fn finish(self) -> Result<()> {
        let named = async {
            self.file.sync_all().await?;
            self.fs.rename(&self.temporary, &self.path).await
        };
        if let Err(error) = named.await {
            let error = cannot_write(&self.name, error);
            self.abandon().await;
            return Err(error);
        }
        self.fs.sync_dir(&self.directory).await.map_err(|error| cannot_write(&self.name, error))
    }

    /// Best effort: what remains, the backup's removal finds.
    pub async fn abandon(self) {
        let _ = self.fs.remove_file(&self.temporary).await;
    }
}

/// A file that is being read.
pub(super) struct Opened {
    file: Box<dyn File>,
    name: String,
    len: u64,
    offset: u64,
}

impl Opened {
    /// The next `len` bytes, fewer only at the end.
    pub async fn read(&mut self, len: u64) -> Result<Bytes> {
        let len = len.min(self.len - self.offset);
        let read = self.file.read_at(self.offset, len as usize).await.and_then(|read| match read.len() as u64 == len {
            true => Ok(read),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        });
        self.offset += len;
        read.map_err(|error| cannot_read(&self.name, error))
    }
}

fn cannot_write(name: &str, error: io::Error) -> Error {
    failure(&format!("posix could not write object {name}"), error)
}

fn cannot_read(name: &str, error: io::Error) -> Error {
    failure(&format!("posix could not read object {name}"), error)
}

/// Our words for an I/O error; the OS's stay in its source.
fn failure(what: &str, error: io::Error) -> Error {
    use io::ErrorKind;
    let definite = |kind, why: &str| Error::new(kind, format!("{what}: {why}"));
    let transient = |kind, why: &str| Error::transient(kind, format!("{what}: {why}"));
    let mapped = match error.kind() {
        ErrorKind::StorageFull => definite(Kind::Quota, "no space left"),
        ErrorKind::QuotaExceeded => definite(Kind::Quota, "quota used up"),
        ErrorKind::FileTooLarge => definite(Kind::Quota, "file too large"),
        ErrorKind::PermissionDenied => definite(Kind::Auth, "permission denied"),
        ErrorKind::ReadOnlyFilesystem => definite(Kind::Unreachable, "file system is read-only"),
        ErrorKind::NotFound => definite(Kind::NotFound, "not there"),
        ErrorKind::TimedOut => transient(Kind::Timeout, "no answer in time"),
        ErrorKind::UnexpectedEof => transient(Kind::Unreachable, "file ended early"),
        _ => transient(Kind::Unreachable, "input/output error"),
    };
    mapped.with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_get_a_kind_and_our_own_words() {
        let check = |kind: io::ErrorKind, expected: &str, retry| {
            let error = failure("posix could not write object o", io::Error::new(kind, "the system's own words"));
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.retry, retry, "{expected}");
        };
        use io::ErrorKind::*;
        check(StorageFull, "quota: posix could not write object o: no space left", false);
        check(QuotaExceeded, "quota: posix could not write object o: quota used up", false);
        check(PermissionDenied, "auth: posix could not write object o: permission denied", false);
        check(ReadOnlyFilesystem, "unreachable: posix could not write object o: file system is read-only", false);
        check(NotFound, "not_found: posix could not write object o: not there", false);
        check(TimedOut, "timeout: posix could not write object o: no answer in time", true);
        check(Other, "unreachable: posix could not write object o: input/output error", true);
    }
}
