//! The file system itself: what is there now, and what would be there after a power loss.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use clinker_env::Metadata;

/// Names are absolute and normal: no empty, `.` or `..` parts; the root is the empty text.
pub(super) struct Tree {
    live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    /// Every appearance (true) and disappearance of a file, for listings that lag.
    changes: Vec<(Duration, String, bool)>,
}

#[derive(Clone)]
pub(super) enum Node {
    Dir { mode: u32 },
    File(Arc<Inode>),
}

/// A file's contents; open files keep it alive after its name is gone.
pub(super) struct Inode {
    mode: u32,
    content: Mutex<Content>,
}

/// Copied on write, so that what is synced costs nothing until it is overwritten.
#[derive(Default)]
struct Content {
    data: Arc<Vec<u8>>,
    synced: Arc<Vec<u8>>,
    /// Who has written what is not synced.
    writers: BTreeSet<Arc<str>>,
}

fn error(kind: io::ErrorKind, what: &str, path: &str) -> io::Error {
    io::Error::new(kind, format!("{what}: {path}"))
}

fn missing(path: &str) -> io::Error {
    error(io::ErrorKind::NotFound, "no such file or directory", path)
}

pub(super) fn normal(path: &str) -> io::Result<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if !path.starts_with('/') || parts.contains(&"..") {
        return Err(error(io::ErrorKind::InvalidInput, "not an absolute path without `..`", path));
    }
    Ok(parts.iter().map(|part| format!("/{part}")).collect())
}

/// The directory that an entry lies in.
pub(super) fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..slash])
}

pub(super) fn name(path: &str) -> &str {
    path.rfind('/').map_or(path, |slash| &path[slash + 1..])
}

impl Tree {
    /// A disk on which `root` is there already.
    pub(super) fn new(root: &str) -> Tree {
        let mut tree = Tree { live: BTreeMap::new(), durable: BTreeMap::new(), changes: Vec::new() };
        tree.live.insert(String::new(), Node::Dir { mode: 0o755 });
        if let Ok(root) = normal(root) {
            tree.create_dir_all(&root, 0o750).expect("an empty disk has no file in the way");
        }
        tree.durable = tree.live.clone();
        tree
    }

    pub(super) fn create_dir_all(&mut self, path: &str, mode: u32) -> io::Result<()> {
        let ends = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
        let ends: Vec<usize> = ends.chain([path.len()]).collect();
        for end in ends {
            let dir = &path[..end];
            match self.live.get(dir) {
                Some(Node::Dir { .. }) => {}
                Some(Node::File(_)) => return Err(error(io::ErrorKind::NotADirectory, "not a directory", dir)),
                None => {
                    let mode = if end == path.len() { mode } else { 0o755 };
                    self.live.insert(dir.to_owned(), Node::Dir { mode });
                }
            }
        }
        Ok(())
    }

    /// Creates or truncates.
    pub(super) fn create(&mut self, path: &str, mode: u32, now: Duration) -> io::Result<Arc<Inode>> {
        self.require_dir(parent(path))?;
        match self.live.get(path) {
            Some(Node::Dir { .. }) => Err(error(io::ErrorKind::IsADirectory, "is a directory", path)),
            Some(Node::File(inode)) => {
                inode.content().data = Arc::default();
                Ok(Arc::clone(inode))
            }
            None => {
                let inode = Arc::new(Inode { mode, content: Mutex::default() });
                self.live.insert(path.to_owned(), Node::File(Arc::clone(&inode)));
                self.changes.push((now, path.to_owned(), true));
                Ok(inode)
            }
        }
    }

    /// A file that has always been there.
    pub(super) fn put(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = normal(path)?;
        self.create_dir_all(parent(&path), 0o770)?;
        self.create(&path, 0o660, Duration::ZERO)?.damage(|data| *data = bytes.to_vec());
        self.durable = self.live.clone();
        Ok(())
    }

    pub(super) fn open(&self, path: &str) -> io::Result<Arc<Inode>> {
        match self.live.get(path) {
            Some(Node::File(inode)) => Ok(Arc::clone(inode)),
            Some(Node::Dir { .. }) => Err(error(io::ErrorKind::IsADirectory, "is a directory", path)),
            None => Err(missing(path)),
        }
    }

    /// Files only: nothing in a backup repository renames directories.
    pub(super) fn rename(&mut self, from: &str, to: &str, now: Duration) -> io::Result<()> {
        let inode = self.open(from)?;
        self.require_dir(parent(to))?;
        if let Some(Node::Dir { .. }) = self.live.get(to) {
            return Err(error(io::ErrorKind::IsADirectory, "is a directory", to));
        }
        if from != to {
            self.live.remove(from);
            self.changes.push((now, from.to_owned(), false));
            if self.live.insert(to.to_owned(), Node::File(inode)).is_none() {
                self.changes.push((now, to.to_owned(), true));
            }
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &str, now: Duration) -> io::Result<()> {
        self.open(path)?;
        self.live.remove(path);
        self.changes.push((now, path.to_owned(), false));
        Ok(())
    }

    pub(super) fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.require_dir(path)?;
        Ok(children(&self.live, path).map(|child| name(child).to_owned()).collect())
    }

    /// The listing as it was at `then`.
    pub(super) fn list_at(&self, path: &str, then: Duration) -> io::Result<Vec<String>> {
        let mut names: BTreeSet<String> = self.list(path)?.into_iter().collect();
        for (_, changed, appeared) in self.changes.iter().rev().filter(|(at, ..)| *at > then) {
            if parent(changed) == path {
                if *appeared {
                    names.remove(name(changed))
                } else {
                    names.insert(name(changed).to_owned())
                };
            }
        }
        Ok(names.into_iter().collect())
    }

    pub(super) fn metadata(&self, path: &str) -> io::Result<Metadata> {
        match self.live.get(path) {
            Some(Node::Dir { .. }) => Ok(Metadata { is_dir: true, len: 0 }),
            Some(Node::File(inode)) => Ok(Metadata { is_dir: false, len: inode.len() }),
            None => Err(missing(path)),
        }
    }

    pub(super) fn sync_dir(&mut self, path: &str) -> io::Result<()> {
        self.require_dir(path)?;
        let gone: Vec<String> = children(&self.durable, path).cloned().collect();
        for child in gone {
            self.durable.remove(&child);
        }
        let here: Vec<String> = children(&self.live, path).cloned().collect();
        for child in here {
            let node = self.live[&child].clone();
            self.durable.insert(child, node);
        }
        Ok(())
    }

    pub(super) fn power_loss(&mut self) {
        self.live.clear();
        for (path, node) in &self.durable {
            // Parents sort before their children; an entry without its directory cannot be reached.
            if path.is_empty() || self.live.contains_key(parent(path)) {
                self.live.insert(path.clone(), node.clone());
            }
        }
        self.durable = self.live.clone();
        for inode in self.live.values().filter_map(Node::file) {
            inode.content().revert();
        }
    }

    /// Drops the bytes that `host` has written and not synced, as the lost cache of a network file system's client. Names
    /// are the server's and stay.
    pub(super) fn client_lost(&mut self, host: &str) {
        for inode in self.live.values().filter_map(Node::file) {
            let mut content = inode.content();
            if content.writers.contains(host) {
                content.revert();
            }
        }
    }

    /// Puts a file's name away for good, on the platters too.
    pub(super) fn lose(&mut self, path: &str, now: Duration) {
        self.live.remove(path);
        self.durable.remove(path);
        self.changes.push((now, path.to_owned(), false));
    }

    /// All files below a directory, sorted by path.
    pub(super) fn files(&self, root: &str) -> Vec<(&str, &Arc<Inode>)> {
        let below = format!("{root}/");
        let files = self.live.range(below.clone()..).take_while(|(path, _)| path.starts_with(&below));
        files.filter_map(|(path, node)| Some((path.as_str(), node.file()?))).collect()
    }

    /// Bytes of all files.
    pub(super) fn used(&self) -> u64 {
        self.live.values().filter_map(Node::file).map(|inode| inode.len()).sum()
    }

    pub(super) fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let inode = self.open(&normal(path).ok()?).ok()?;
        let data = Arc::clone(&inode.content().data);
        Some(data.to_vec())
    }

    pub(super) fn mode(&self, path: &str) -> Option<u32> {
        match self.live.get(&normal(path).ok()?)? {
            Node::Dir { mode } => Some(*mode),
            Node::File(inode) => Some(inode.mode),
        }
    }

    fn require_dir(&self, path: &str) -> io::Result<()> {
        match self.live.get(path) {
            Some(Node::Dir { .. }) => Ok(()),
            Some(Node::File(_)) => Err(error(io::ErrorKind::NotADirectory, "not a directory", path)),
            None => Err(missing(path)),
        }
    }
}

/// The entries of a directory, sorted.
fn children<'a>(nodes: &'a BTreeMap<String, Node>, dir: &str) -> impl Iterator<Item = &'a String> {
    let below = format!("{dir}/");
    let len = below.len();
    nodes
        .range::<str, _>((Bound::Excluded(below.as_str()), Bound::Unbounded))
        .map(|(path, _)| path)
        .take_while(move |path| path.starts_with(&below))
        .filter(move |path| !path[len..].contains('/'))
}

impl Node {
    fn file(&self) -> Option<&Arc<Inode>> {
        match self {
            Node::File(inode) => Some(inode),
            Node::Dir { .. } => None,
        }
    }
}

impl Content {
    fn revert(&mut self) {
        self.data = Arc::clone(&self.synced);
        self.writers.clear();
    }
}

impl Inode {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("no panic while the lock is held")
    }

    pub(super) fn len(&self) -> u64 {
        self.content().data.len() as u64
    }

    pub(super) fn read_at(&self, offset: u64, len: usize) -> Bytes {
        let content = self.content();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.data.len());
        let end = start.saturating_add(len).min(content.data.len());
        Bytes::copy_from_slice(&content.data[start..end])
    }

    pub(super) fn write_at(&self, writer: &Arc<str>, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut content = self.content();
        content.writers.insert(Arc::clone(writer));
        let data = Arc::make_mut(&mut content.data);
        let start = usize::try_from(offset).expect("files of a simulation fit into memory");
        if data.len() < start + bytes.len() {
            data.resize(start + bytes.len(), 0);
        }
        data[start..start + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn sync(&self) {
        let mut content = self.content();
        content.synced = Arc::clone(&content.data);
        content.writers.clear();
    }

    /// Changes the bytes behind everybody's back, durably.
    pub(super) fn damage(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut content = self.content();
        change(Arc::make_mut(&mut content.data));
        content.synced = Arc::clone(&content.data);
    }

    pub(super) fn swap(&self, other: &Inode) {
        let theirs = Arc::clone(&other.content().data);
        let mine = std::mem::replace(&mut self.content().data, Arc::clone(&theirs));
        self.content().synced = theirs;
        let mut content = other.content();
        content.data = Arc::clone(&mine);
        content.synced = mine;
    }
}
