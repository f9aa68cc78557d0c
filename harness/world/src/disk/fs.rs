//! The file-system port: the tree with faults, crash points and the trace over it.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_env::{File, Fs, Metadata};
use clinker_model::fault::When;
use clinker_model::{FaultId, Journal as _};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::faults::Op;
use super::tree::{Inode, normal};
use super::{Disk, State};
use crate::gate::Gate;
use crate::trace::Kind;

/// A disk as one host sees it.
#[derive(Clone)]
pub(super) struct Mount {
    disk: Arc<Disk>,
    gate: Gate,
}

impl Mount {
    pub(super) fn new(disk: Arc<Disk>, gate: Gate) -> Mount {
        Mount { disk, gate }
    }

    fn bite(&self, ids: &[FaultId], what: &str, path: &str) {
        for id in ids {
            self.disk.journal.bite(*id, self.gate.host(), &format!("{what} {path}"));
        }
    }

    /// A call from its beginning to its end. `bytes` is what it moves.
    async fn call<T>(
        &self,
        op: Op,
        path: &str,
        data: &[u8],
        bytes: u64,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        self.gate.pass(op.point(), When::Before).await;
        self.wait_while_silent(op, path).await;
        let (delay, slow) = self.disk.state().faults.delay(op, path, bytes);
        if !delay.is_zero() {
            self.bite(&slow, &format!("slow {}", op.point()), path);
            tokio::time::sleep(delay).await;
        }
        self.gate.hold_if_parked().await;
        let result = match self.refusal(op, path) {
            Some(refusal) => Err(refusal),
            None => {
                let result = act(&mut self.disk.state());
                self.note_missing(&result, path);
                result
            }
        };
        let hash = xxh3_64_with_seed(data, xxh3_64(path.as_bytes()));
        self.disk.journal.event(self.gate.host(), Kind::Fs, op as u32, bytes, hash);
        self.gate.pass(op.point(), When::After).await;
        result
    }

    async fn wait_while_silent(&self, op: Op, path: &str) {
        let mut bitten = false;
        loop {
            let changed = self.disk.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let silent = self.disk.state().faults.silent();
            if silent.is_empty() {
                return;
            }
            if !bitten {
                self.bite(&silent, &format!("no answer to {}", op.point()), path);
                bitten = true;
            }
            changed.await;
        }
    }

    fn refusal(&self, op: Op, path: &str) -> Option<io::Error> {
        let read_only = self.disk.state().faults.read_only();
        if !op.writes() || read_only.is_empty() {
            return None;
        }
        // Making a directory that is there already writes nothing.
        if op == Op::CreateDir && self.disk.state().tree.metadata(path).is_ok_and(|found| found.is_dir) {
            return None;
        }
        self.bite(&read_only, &format!("read-only: {}", op.point()), path);
        Some(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, format!("read-only file system: {path}")))
    }

    fn note_missing<T>(&self, result: &io::Result<T>, path: &str) {
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let lost = self.disk.state().faults.in_missing(path);
            self.bite(&lost, "lost:", path);
        }
    }

    fn file(&self, path: String, inode: Arc<Inode>, writable: bool) -> Box<dyn File> {
        Box::new(OpenFile { mount: self.clone(), path, inode, writable })
    }
}

#[async_trait]
impl Fs for Mount {
    async fn create_dir_all(&self, path: &str, mode: u32) -> io::Result<()> {
        let path = normal(path)?;
        self.call(Op::CreateDir, &path, &[], 0, |state| state.tree.create_dir_all(&path, mode)).await
    }

    async fn create(&self, path: &str, mode: u32) -> io::Result<Box<dyn File>> {
        let path = normal(path)?;
        let inode =
            self.call(Op::Create, &path, &[], 0, |state| state.tree.create(&path, mode, self.disk.time.now())).await?;
        Ok(self.file(path, inode, true))
    }

    async fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        let path = normal(path)?;
        let inode = self.call(Op::Open, &path, &[], 0, |state| state.tree.open(&path)).await?;
        Ok(self.file(path, inode, false))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (normal(from)?, normal(to)?);
        self.call(Op::Rename, &from, to.as_bytes(), 0, |state| state.tree.rename(&from, &to, self.disk.time.now()))
            .await
    }

    async fn remove_file(&self, path: &str) -> io::Result<()> {
        let path = normal(path)?;
        self.call(Op::Remove, &path, &[], 0, |state| state.tree.remove_file(&path, self.disk.time.now())).await
    }

    async fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let path = normal(path)?;
        let (names, bites) = self
            .call(Op::List, &path, &[], 0, |state| {
                let mut names = state.tree.list(&path)?;
                let mut bites = state.faults.in_listing(&path);
                if let Some((id, by)) = state.faults.lag() {
                    let then = state.tree.list_at(&path, self.disk.time.now().saturating_sub(by))?;
                    if then != names {
                        bites.push(id);
                        names = then;
                    }
                }
                Ok((names, bites))
            })
            .await?;
        self.bite(&bites, "an untrue listing of", &path);
        Ok(names)
    }

    async fn metadata(&self, path: &str) -> io::Result<Metadata> {
        let path = normal(path)?;
        let (found, bites) = self
            .call(Op::Metadata, &path, &[], 0, |state| {
                let found = state.tree.metadata(&path)?;
                let inode = state.tree.open(&path).ok();
                Ok((found, inode.map(|inode| state.faults.in_len(&inode)).unwrap_or_default()))
            })
            .await?;
        self.bite(&bites, "the damaged length of", &path);
        Ok(found)
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        let path = normal(path)?;
        self.call(Op::SyncDir, &path, &[], 0, |state| state.tree.sync_dir(&path)).await
    }
}

struct OpenFile {
    mount: Mount,
    path: String,
    inode: Arc<Inode>,
    writable: bool,
}

#[async_trait]
impl File for OpenFile {
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let bytes = self.inode.len().saturating_sub(offset).min(len as u64);
        let (data, bites) = self
            .mount
            .call(Op::Read, &self.path, &[], bytes, |state| {
                let bites = state.faults.in_read(&self.inode, offset, len as u64);
                Ok((self.inode.read_at(offset, len), bites))
            })
            .await?;
        self.mount.bite(&bites, "damaged bytes of", &self.path);
        Ok(data)
    }

    /// When space runs out, the part that fits is written, as a real disk does.
    async fn write_at(&self, offset: u64, data: Bytes) -> io::Result<()> {
        let written = self
            .mount
            .call(Op::Write, &self.path, &data, data.len() as u64, |state| {
                if !self.writable {
                    let text = format!("open for reading only: {}", self.path);
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
                }
                let Some((id, limit)) = state.faults.limit() else {
                    self.inode.write_at(self.mount.gate.shared_host(), offset, &data);
                    return Ok(Ok(()));
                };
                let room = limit.saturating_sub(state.tree.used()) + self.inode.len().saturating_sub(offset);
                let fits = usize::try_from(room).unwrap_or(usize::MAX).min(data.len());
                self.inode.write_at(self.mount.gate.shared_host(), offset, &data[..fits]);
                Ok(if fits == data.len() { Ok(()) } else { Err(id) })
            })
            .await?;
        written.map_err(|id| {
            self.mount.bite(&[id], "no space for", &self.path);
            io::Error::new(io::ErrorKind::StorageFull, format!("no space left on device: {}", self.path))
        })
    }

    async fn sync_all(&self) -> io::Result<()> {
        self.mount
            .call(Op::Sync, &self.path, &[], 0, |_| {
                self.inode.sync();
                Ok(())
            })
            .await
    }

    async fn len(&self) -> io::Result<u64> {
        let (len, bites) = self
            .mount
            .call(Op::Metadata, &self.path, &[], 0, |state| Ok((self.inode.len(), state.faults.in_len(&self.inode))))
            .await?;
        self.mount.bite(&bites, "the damaged length of", &self.path);
        Ok(len)
    }
}
