//! A file system whose calls fail when told to: what a status of an HTTP server is to an object store.

use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_env::{File, Fs, Metadata};
use clinker_model::{FaultId, Journal};
use clinker_world::SimJournal;

/// The calls that a case may break, whatever the back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// An object is stored.
    Put,
    /// An object is read.
    Get,
    /// An object is removed.
    Delete,
    /// Names are listed.
    List,
}

impl Call {
    /// As requests of object stores are named in faults.
    pub fn method(self) -> &'static str {
        match self {
            Call::Put => "PUT",
            Call::Get => "GET",
            Call::Delete => "DELETE",
            Call::List => "LIST",
        }
    }
}

/// One rule of failing calls.
pub struct Rule {
    pub id: FaultId,
    pub call: Call,
    /// Text that the path contains.
    pub path: String,
    /// The first matching call that fails, counted from 1.
    pub nth: u64,
    /// How many in a row; 0 = all from then on.
    pub times: u64,
    /// Kind of the error.
    pub error: io::ErrorKind,
    seen: u64,
}

/// The rules of a bench, shared by all its file systems.
#[derive(Clone)]
pub struct Failing {
    rules: Arc<Mutex<Vec<Rule>>>,
    journal: Arc<SimJournal>,
}

impl Failing {
    pub fn new(journal: Arc<SimJournal>) -> Failing {
        Failing { rules: Arc::default(), journal }
    }

    pub fn begin(&self, id: FaultId, call: Call, path: &str, nth: u64, times: u64, error: io::ErrorKind) {
        self.journal.declare_fault(id, "eio");
        let rule = Rule { id, call, path: path.to_owned(), nth, times, error, seen: 0 };
        self.rules.lock().expect("no panic while the lock is held").push(rule);
    }

    pub fn end(&self, id: FaultId) {
        self.rules.lock().expect("no panic while the lock is held").retain(|rule| rule.id != id);
    }

    pub fn over(&self, inner: Arc<dyn Fs>) -> Arc<dyn Fs> {
        Arc::new(FailingFs { inner, failing: self.clone() })
    }

    fn check(&self, call: Call, path: &str) -> io::Result<()> {
        let mut rules = self.rules.lock().expect("no panic while the lock is held");
        for rule in rules.iter_mut().filter(|rule| rule.call == call && path.contains(rule.path.as_str())) {
            rule.seen += 1;
            if rule.seen >= rule.nth && (rule.times == 0 || rule.seen < rule.nth + rule.times) {
                self.journal.bite(rule.id, "store", &format!("{} {path} failed", call.method()));
                return Err(io::Error::new(rule.error, format!("{path}: the disk fails")));
            }
        }
        Ok(())
    }
}

struct FailingFs {
    inner: Arc<dyn Fs>,
    failing: Failing,
}

#[async_trait]
impl Fs for FailingFs {
    async fn create_dir_all(&self, path: &str, mode: u32) -> io::Result<()> {
        self.inner.create_dir_all(path, mode).await
    }
    async fn create(&self, path: &str, mode: u32) -> io::Result<Box<dyn File>> {
        let inner = self.inner.create(path, mode).await?;
        Ok(Box::new(FailingFile { inner, path: path.to_owned(), failing: self.failing.clone() }))
    }
    async fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        self.failing.check(Call::Get, path)?;
        self.inner.open(path).await
    }
    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to).await
    }
    async fn remove_file(&self, path: &str) -> io::Result<()> {
        self.failing.check(Call::Delete, path)?;
        self.inner.remove_file(path).await
    }
    async fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.failing.check(Call::List, path)?;
        self.inner.list(path).await
    }
    async fn metadata(&self, path: &str) -> io::Result<Metadata> {
        self.inner.metadata(path).await
    }
    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.inner.sync_dir(path).await
    }
}

struct FailingFile {
    inner: Box<dyn File>,
    path: String,
    failing: Failing,
}

#[async_trait]
impl File for FailingFile {
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.inner.read_at(offset, len).await
    }
    async fn write_at(&self, offset: u64, data: Bytes) -> io::Result<()> {
        self.failing.check(Call::Put, &self.path)?;
        self.inner.write_at(offset, data).await
    }
    async fn sync_all(&self) -> io::Result<()> {
        self.inner.sync_all().await
    }
    async fn len(&self) -> io::Result<u64> {
        self.inner.len().await
    }
}
