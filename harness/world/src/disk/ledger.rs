//! The disk as a fault target, with the ledger of what its repository holds.

use clinker_model::{Fault, FaultId, FaultTarget, StoredObject};

use super::tree::{name, parent};
use super::{SimDisk, State};

impl FaultTarget for SimDisk {
    /// A disk has `slow`, `silent`, `full`, `read_only`, `lag`, `corrupt`, `truncate`, `lose` and `swap`. Damage stays when
    /// its fault ends.
    fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        self.0.journal.declare_fault(id, fault.name());
        let now = self.0.time.now();
        let State { tree, faults } = &mut *self.0.state();
        faults.begin(id, fault, tree, &self.0.root, now).map_err(|why| format!("{}: {why}", self.0.name))
    }

    fn end(&self, id: FaultId) {
        self.0.state().faults.end(id);
        self.0.changed.notify_waiters();
    }

    /// Every file of the repository, temporaries included; the container is its directory, relative to the root.
    fn stored(&self) -> Vec<StoredObject> {
        let state = self.0.state();
        let files = state.tree.files(&self.0.root).into_iter();
        let mut stored: Vec<StoredObject> = files
            .map(|(path, inode)| {
                let container = parent(path).strip_prefix(&self.0.root).unwrap_or_default().trim_start_matches('/');
                StoredObject { container: container.to_owned(), name: name(path).to_owned(), len: inode.len() }
            })
            .collect();
        stored.sort_by(|a, b| (&a.container, &a.name).cmp(&(&b.container, &b.name)));
        stored
    }

    fn object_bytes(&self, container: &str, name: &str) -> Option<Vec<u8>> {
        self.0.state().tree.contents(&self.path_of(container, name))
    }

    fn put_bytes(&self, container: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.path_of(container, name);
        self.put(&path, bytes).map_err(|error| format!("put {path}: {error}"))
    }
}

impl SimDisk {
    fn path_of(&self, container: &str, name: &str) -> String {
        format!("{}/{container}/{name}", self.0.root)
    }
}
