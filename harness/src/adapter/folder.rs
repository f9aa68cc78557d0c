//! A real folder as what a POSIX driver in another process stores in: its ledger, and damage behind the driver's back.
//!
//! What a disk refuses (no space, read only) or delays cannot be played on a folder of this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clinker_model::fault::Stored;
use clinker_model::{Fault, FaultId, FaultTarget, Journal, StoredObject};

/// A repository below a folder.
pub struct FolderTarget {
    root: PathBuf,
    /// The name that it goes by in the history.
    name: String,
    journal: Arc<dyn Journal>,
}

impl FolderTarget {
    pub fn new(root: &Path, name: &str, journal: Arc<dyn Journal>) -> FolderTarget {
        FolderTarget { root: root.to_owned(), name: name.to_owned(), journal }
    }

    fn path_of(&self, container: &str, name: &str) -> PathBuf {
        self.root.join(container).join(name)
    }

    /// The first file whose name contains the backup's id and ends with `object`.
    fn find(&self, backup: &str, object: &str) -> Result<PathBuf, String> {
        let files = self.stored().into_iter();
        let mut fitting = files.filter(|file| file.name.contains(backup) && file.name.ends_with(object));
        let found = fitting.next().map(|file| self.path_of(&file.container, &file.name));
        found.ok_or_else(|| format!("no object of backup {backup} ends with `{object}`"))
    }

    fn damage(&self, fault: &Fault) -> Result<(), String> {
        let (first, change): (_, fn(&mut Vec<u8>)) = match fault {
            Fault::Corrupt(Stored { backup, object }) => (self.find(backup, object)?, |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }),
            Fault::Truncate(Stored { backup, object }) => {
                (self.find(backup, object)?, |bytes| bytes.truncate(bytes.len() / 2))
            }
            Fault::Lose(Stored { backup, object }) => {
                let path = self.find(backup, object)?;
                return fs::remove_file(&path).map_err(|error| format!("remove {}: {error}", path.display()));
            }
            Fault::Swap(swap) => {
                let (one, other) = (self.find(&swap.backup, &swap.object)?, self.find(&swap.backup, &swap.with)?);
                let (bytes, others) = (read(&one)?, read(&other)?);
                return write(&one, &others).and_then(|()| write(&other, &bytes));
            }
            other => return Err(format!("a folder of this machine has no fault `{}`", other.name())),
        };
        let mut bytes = read(&first)?;
        if bytes.is_empty() {
            return Err(format!("object {} is empty: it has nothing to damage", first.display()));
        }
        change(&mut bytes);
        write(&first, &bytes)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("read {}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("write {}: {error}", path.display()))
}

impl FaultTarget for FolderTarget {
    /// A folder has `corrupt`, `truncate`, `lose` and `swap`, which are done at once and stay. Each counts as a bite when it
    /// is done: nobody sees who reads a real file.
    fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        self.damage(fault)?;
        self.journal.bite(id, &self.name, "an object was damaged");
        Ok(())
    }

    fn end(&self, _: FaultId) {}

    /// Every file of the folder; the container is its directory, relative to the root.
    fn stored(&self) -> Vec<StoredObject> {
        let mut stored = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let container = folder.strip_prefix(&self.root).unwrap_or(&folder).display().to_string();
            // What vanishes while it is listed is not stored.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(found) = entry.metadata() else { continue };
                match found.is_dir() {
                    true => folders.push(entry.path()),
                    false => stored.push(StoredObject {
                        container: container.clone(),
                        name: entry.file_name().to_string_lossy().into_owned(),
                        len: found.len(),
                    }),
                }
            }
        }
        stored.sort_by(|a, b| (&a.container, &a.name).cmp(&(&b.container, &b.name)));
        stored
    }

    fn object_bytes(&self, container: &str, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path_of(container, name)).ok()
    }

    fn put_bytes(&self, container: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.path_of(container, name);
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        let done: io::Result<()> = folder.and_then(|()| fs::write(&path, bytes));
        done.map_err(|error| format!("write {}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use clinker_model::Entry;
    use clinker_model::fault::Swap;

    use super::*;

    #[derive(Default)]
    struct Bites(Mutex<u64>);

    impl Journal for Bites {
        fn record(&self, _: &str, _: Entry) {}

        fn bite(&self, _: FaultId, _: &str, _: &str) {
            *self.0.lock().expect("no panic while the lock is held") += 1;
        }
    }

    #[test]
    fn damage_is_done_to_the_files_and_the_ledger_shows_them() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let bites = Arc::new(Bites::default());
        let target = FolderTarget::new(folder.path(), "store", bites.clone());
        let put = |name: &str, bytes: &[u8]| target.put_bytes("a/b", name, bytes).expect("it can be written");
        put("x_backup_1-00001", b"one");
        put("x_backup_1-00002", b"two!");
        put("x_backup_2-00001", b"other");
        let of = |backup: &str, object: &str| Stored { backup: backup.into(), object: object.into() };
        let swap = Swap { backup: "_1".into(), object: "-00001".into(), with: "-00002".into() };
        target.begin(1, &Fault::Swap(swap)).expect("both are there");
        target.begin(2, &Fault::Corrupt(of("_1", "-00002"))).expect("it is there");
        target.begin(3, &Fault::Truncate(of("_1", "-00001"))).expect("it is there");
        target.begin(4, &Fault::Lose(of("_2", "-00001"))).expect("it is there");
        let missing = target.begin(5, &Fault::Lose(of("_2", "-00001"))).expect_err("it is lost");
        assert_eq!(missing, "no object of backup _2 ends with `-00001`");
        let stored: Vec<_> = target.stored().into_iter().map(|file| (file.container, file.name, file.len)).collect();
        let file = |name: &str, len| ("a/b".to_owned(), name.to_owned(), len);
        assert_eq!(stored, [file("x_backup_1-00001", 2), file("x_backup_1-00002", 3)]);
        assert_eq!(target.object_bytes("a/b", "x_backup_1-00002").as_deref(), Some(b"ooe".as_slice()));
        assert_eq!(*bites.0.lock().expect("no panic while the lock is held"), 4);
    }
}
