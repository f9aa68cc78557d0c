//! A folder of this machine as a back end: what an adapter of a POSIX driver writes to. Few faults are possible here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clinker_model::fault::{Stored, Swap};
use clinker_model::{Fault, FaultId, FaultTarget, Journal, StoredObject};
use clinker_world::SimJournal;

use crate::adapter::running;

/// The repository folder; it is removed when dropped.
pub(super) struct Folder {
    root: tempfile::TempDir,
    journal: Arc<SimJournal>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        running::forget_folder(self.root.path());
    }
}

impl Folder {
    pub fn new(journal: Arc<SimJournal>) -> std::io::Result<Folder> {
        let root = tempfile::tempdir()?;
        running::add_folder(root.path());
        Ok(Folder { root, journal })
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Permission bits of a path.
    pub fn mode(&self, path: &str) -> Option<u32> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777)
    }

    fn files(&self) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![self.root.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }

    fn named(&self, backup: &str, end: &str) -> Result<PathBuf, String> {
        let matches = |path: &PathBuf| {
            let name = path.to_string_lossy();
            name.contains(backup) && name.ends_with(end)
        };
        self.files().into_iter().find(matches).ok_or_else(|| format!("no object \"…{backup}…{end}\" is stored"))
    }

    fn damage(&self, fault: &Fault) -> Result<(), String> {
        let io = |error: std::io::Error| error.to_string();
        match fault {
            Fault::Corrupt(Stored { backup, object }) => {
                let path = self.named(backup, object)?;
                let mut bytes = std::fs::read(&path).map_err(io)?;
                let middle = bytes.len() / 2;
                *bytes.get_mut(middle).ok_or("the object is empty")? ^= 1;
                std::fs::write(&path, bytes).map_err(io)
            }
            Fault::Truncate(Stored { backup, object }) => {
                let path = self.named(backup, object)?;
                let bytes = std::fs::read(&path).map_err(io)?;
                std::fs::write(&path, &bytes[..bytes.len() / 2]).map_err(io)
            }
            Fault::Lose(Stored { backup, object }) => std::fs::remove_file(self.named(backup, object)?).map_err(io),
            Fault::Swap(Swap { backup, object, with }) => {
                let (one, other) = (self.named(backup, object)?, self.named(backup, with)?);
                let (first, second) = (std::fs::read(&one).map_err(io)?, std::fs::read(&other).map_err(io)?);
                std::fs::write(&one, second).and_then(|()| std::fs::write(&other, first)).map_err(io)
            }
            other => Err(format!("a folder of this machine has no fault {}", other.name())),
        }
    }
}

impl FaultTarget for Folder {
    fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        self.damage(fault)?;
        // Who reads a file is not seen here: the damage itself counts.
        self.journal.bite(id, "store", "a file was changed");
        Ok(())
    }

    fn end(&self, _: FaultId) {}

    fn stored(&self) -> Vec<StoredObject> {
        let of = |path: PathBuf| {
            let relative = path.strip_prefix(self.root.path()).unwrap_or(&path);
            let name = relative.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let container = relative.parent().unwrap_or(Path::new("")).to_string_lossy().into_owned();
            let len = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            StoredObject { container, name, len }
        };
        self.files().into_iter().map(of).collect()
    }

    fn object_bytes(&self, container: &str, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root.path().join(container).join(name)).ok()
    }

    fn put_bytes(&self, container: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        let folder = self.root.path().join(container);
        let path = folder.join(name);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
        written.map_err(|error| format!("write {}: {error}", path.display()))
    }
}
