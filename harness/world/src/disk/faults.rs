//! What goes wrong with a disk on purpose: which faults are on, and which of them an operation meets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clinker_model::fault::{Matching, Slow, Stored};
use clinker_model::{Fault, FaultId};

use super::POINTS;
use super::tree::{Inode, Tree, name, parent};

/// A call of the file system; its position in [`POINTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    CreateDir,
    Create,
    Open,
    Read,
    Write,
    Sync,
    Rename,
    Remove,
    List,
    Metadata,
    SyncDir,
}

impl Op {
    pub(super) fn point(self) -> &'static str {
        POINTS[self as usize]
    }

    pub(super) fn writes(self) -> bool {
        matches!(self, Op::CreateDir | Op::Create | Op::Write | Op::Rename | Op::Remove)
    }

    /// The HTTP method that asks an object store for the same, so that one scenario can mean both.
    fn method(self) -> &'static str {
        match self {
            Op::Open | Op::Read => "GET",
            Op::CreateDir | Op::Create | Op::Write | Op::Sync | Op::Rename | Op::SyncDir => "PUT",
            Op::Remove => "DELETE",
            Op::List => "LIST",
            Op::Metadata => "HEAD",
        }
    }

    fn is_named(self, method: &str) -> bool {
        let call = self.point().trim_start_matches("fs.");
        method.is_empty() || method.eq_ignore_ascii_case(call) || method.eq_ignore_ascii_case(self.method())
    }
}

#[derive(Default)]
pub(super) struct Faults(BTreeMap<FaultId, Active>);

enum Active {
    /// With the number of matching calls so far.
    Slow(Slow, u64),
    Silent,
    /// Bytes that all files together may have.
    Full(u64),
    ReadOnly,
    Lag(Duration),
    Flipped(Arc<Inode>, u64),
    Shortened(Arc<Inode>, u64),
    Lost(String),
    Swapped(Arc<Inode>, Arc<Inode>),
}

impl Faults {
    pub(super) fn begin(
        &mut self,
        id: FaultId,
        fault: &Fault,
        tree: &mut Tree,
        root: &str,
        now: Duration,
    ) -> Result<(), String> {
        let active = match fault {
            Fault::Slow(slow) => Active::Slow(slow.clone(), 0),
            Fault::Silent(_) => Active::Silent,
            Fault::Full(full) => Active::Full(tree.used().saturating_add(full.after.0)),
            Fault::ReadOnly(_) => Active::ReadOnly,
            Fault::Lag(lag) => Active::Lag(lag.by.0),
            Fault::Corrupt(stored) => {
                let (path, inode) = find(tree, root, &stored.backup, &stored.object)?;
                let len = inode.len();
                if len == 0 {
                    return Err(format!("object {path} is empty: it has no bit to flip"));
                }
                inode.damage(|data| data[(len / 2) as usize] ^= 1);
                Active::Flipped(inode, len / 2)
            }
            Fault::Truncate(Stored { backup, object }) => {
                let (_, inode) = find(tree, root, backup, object)?;
                let half = inode.len() / 2;
                inode.damage(|data| data.truncate(half as usize));
                Active::Shortened(inode, half)
            }
            Fault::Lose(Stored { backup, object }) => {
                let (path, _) = find(tree, root, backup, object)?;
                tree.lose(&path, now);
                Active::Lost(path)
            }
            Fault::Swap(swap) => {
                let (_, one) = find(tree, root, &swap.backup, &swap.object)?;
                let (_, other) = find(tree, root, &swap.backup, &swap.with)?;
                one.swap(&other);
                Active::Swapped(one, other)
            }
            other => return Err(format!("a disk has no fault `{}`", other.name())),
        };
        self.0.insert(id, active);
        Ok(())
    }

    /// What is damaged stays so.
    pub(super) fn end(&mut self, id: FaultId) {
        self.0.remove(&id);
    }

    pub(super) fn silent(&self) -> Vec<FaultId> {
        self.ids(|active| matches!(active, Active::Silent))
    }

    pub(super) fn read_only(&self) -> Vec<FaultId> {
        self.ids(|active| matches!(active, Active::ReadOnly))
    }

    /// How long a call is made to take, and by whom. Counts the call.
    pub(super) fn delay(&mut self, op: Op, path: &str, bytes: u64) -> (Duration, Vec<FaultId>) {
        let mut total = Duration::ZERO;
        let mut ids = Vec::new();
        for (id, active) in &mut self.0 {
            let Active::Slow(slow, seen) = active else { continue };
            let Matching { method, path: part, nth, times } = &slow.requests;
            if !op.is_named(method) || !path.contains(part.as_str()) {
                continue;
            }
            *seen += 1;
            if *seen < *nth || (*times > 0 && *seen >= nth.saturating_add(*times)) {
                continue;
            }
            let transfer_ns = (u128::from(bytes) * 1_000_000_000).checked_div(u128::from(slow.bytes_per_second));
            let transfer = Duration::from_nanos(u64::try_from(transfer_ns.unwrap_or(0)).unwrap_or(u64::MAX));
            let delay = slow.delay.0 + transfer;
            if !delay.is_zero() {
                total += delay;
                ids.push(*id);
            }
        }
        (total, ids)
    }

    /// The tightest limit on the bytes of all files.
    pub(super) fn limit(&self) -> Option<(FaultId, u64)> {
        let limits = self.0.iter().filter_map(|(id, active)| match active {
            Active::Full(limit) => Some((*id, *limit)),
            _ => None,
        });
        limits.min_by_key(|(_, limit)| *limit)
    }

    /// The longest lag of listings.
    pub(super) fn lag(&self) -> Option<(FaultId, Duration)> {
        let lags = self.0.iter().filter_map(|(id, active)| match active {
            Active::Lag(by) => Some((*id, *by)),
            _ => None,
        });
        lags.max_by_key(|(_, by)| *by)
    }

    /// Damage that a read meets.
    pub(super) fn in_read(&self, inode: &Arc<Inode>, offset: u64, len: u64) -> Vec<FaultId> {
        let end = offset.saturating_add(len);
        self.ids(|active| match active {
            Active::Flipped(hit, at) => Arc::ptr_eq(hit, inode) && (offset..end).contains(at),
            Active::Shortened(hit, half) => Arc::ptr_eq(hit, inode) && end > *half,
            Active::Swapped(one, other) => Arc::ptr_eq(one, inode) || Arc::ptr_eq(other, inode),
            _ => false,
        })
    }

    /// Damage that shows in a file's length.
    pub(super) fn in_len(&self, inode: &Arc<Inode>) -> Vec<FaultId> {
        self.ids(|active| matches!(active, Active::Shortened(hit, _) if Arc::ptr_eq(hit, inode)))
    }

    /// Damage that shows when a path is not found.
    pub(super) fn in_missing(&self, path: &str) -> Vec<FaultId> {
        self.ids(|active| matches!(active, Active::Lost(lost) if lost == path))
    }

    /// Damage that shows in a listing.
    pub(super) fn in_listing(&self, dir: &str) -> Vec<FaultId> {
        self.ids(|active| matches!(active, Active::Lost(lost) if parent(lost) == dir))
    }

    fn ids(&self, which: impl Fn(&Active) -> bool) -> Vec<FaultId> {
        self.0.iter().filter(|(_, active)| which(active)).map(|(id, _)| *id).collect()
    }
}

/// The first file of the repository whose name contains the backup's id and ends with `object`.
fn find(tree: &Tree, root: &str, backup: &str, object: &str) -> Result<(String, Arc<Inode>), String> {
    let files = tree.files(root).into_iter();
    let mut files = files.filter(|(path, _)| {
        let name = name(path);
        !name.starts_with(".tmp-") && name.contains(backup) && name.ends_with(object)
    });
    let found = files.next().map(|(path, inode)| (path.to_owned(), Arc::clone(inode)));
    found.ok_or_else(|| format!("no object of backup {backup} ends with `{object}`"))
}
