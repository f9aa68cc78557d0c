//! The back end of a bench: the servers of the candidate's preset, or a disk, and a look behind them.

use std::collections::BTreeMap;
use std::sync::Arc;

use clinker_drivers::RequestContext;
use clinker_drivers::Secret;
use clinker_env::{Env, Fs};
use clinker_fakes::TokenRegistry;
use clinker_model::{FaultTarget, StoredObject};
use clinker_world::{SimDisk, World};

use super::{Bench, HOST};
use crate::conformance::candidate::Candidate;
use crate::conformance::outcome::{Outcome, Stop};
use crate::run::servers::Particulars;
use crate::run::{RunError, scene, servers};

use super::folder::Folder;
use super::relays::Relays;

/// How the probe object of a set-up check begins (D11): it explains itself.
const PROBE: &str = ".clinker-probe-";

/// The servers or the disk.
pub(super) struct Backend {
    /// By host.
    targets: BTreeMap<String, Arc<dyn FaultTarget>>,
    /// Which of them holds the objects.
    store: &'static str,
    disk: Option<SimDisk>,
    folder: Option<Arc<Folder>>,
    client_tokens: Option<Arc<TokenRegistry>>,
}

impl Backend {
    /// Puts them into the world; `page` is how many names a listing gives at most.
    pub fn add(world: &mut dyn World, candidate: &Candidate, page: Option<usize>) -> Result<Backend, RunError> {
        let preset = candidate.preset;
        let strangers = candidate.adapter.is_some();
        let mut backend =
            Backend { targets: BTreeMap::new(), store: preset.store, disk: None, folder: None, client_tokens: None };
        if preset.store == "store" && strangers {
            let folder = Folder::new(world.journal()).map_err(|error| RunError::Fixture(error.to_string()))?;
            let folder = Arc::new(folder);
            backend.targets.insert("store".to_owned(), Arc::clone(&folder) as Arc<dyn FaultTarget>);
            backend.folder = Some(folder);
            return Ok(backend);
        }
        if preset.store == "store" {
            let root =
                preset.options.iter().find(|(name, _)| *name == "backup_posix_path").map_or("/", |(_, root)| root);
            let disk = world.fabric().new_disk("store", root);
            backend.targets.insert("store".to_owned(), Arc::new(disk.clone()));
            backend.disk = Some(disk);
            return Ok(backend);
        }
        let journal = world.journal();
        let particulars = Particulars { page, called_by_strangers: strangers };
        let servers = match &candidate.server {
            Some(own) => servers::add_own(world, preset.store, own, &journal)?,
            None => servers::add_all(world, preset.name, &journal, particulars)?,
        };
        backend.targets = servers.targets;
        backend.client_tokens = servers.client_tokens;
        Ok(backend)
    }

    pub fn fs(&self) -> Option<Arc<dyn Fs>> {
        self.disk.as_ref().map(|disk| disk.mount(HOST))
    }

    /// Changes options to what they must be for a process outside of the world.
    pub fn adapt(&self, options: &mut BTreeMap<String, String>, relays: &Relays) {
        for value in options.values_mut() {
            *value = relays.translated(value);
        }
        if let (Some(folder), Some(path)) = (&self.folder, options.get_mut("backup_posix_path")) {
            *path = folder.path().display().to_string();
        }
    }

    pub fn context(&self, env: &Env) -> RequestContext {
        let token = self.client_tokens.as_ref();
        let token = token.map(|tokens| Secret::new(tokens.issue(env, scene::PROJECT, scene::USER)));
        RequestContext {
            user_id: scene::USER.to_owned(),
            project_id: scene::PROJECT.to_owned(),
            token,
            ..RequestContext::default()
        }
    }

    /// The world's name of a host: `store` is the back end.
    pub fn host<'h>(&'h self, name: &'h str) -> &'h str {
        if name == "store" { self.store } else { name }
    }

    pub fn target(&self, host: &str) -> Result<&Arc<dyn FaultTarget>, String> {
        let known = || self.targets.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.targets.get(self.host(host)).ok_or_else(|| format!("there is no host {host} here: {}", known()))
    }

    pub fn store(&self) -> &dyn FaultTarget {
        &**self.targets.get(self.store).expect("every preset has its store among its servers")
    }

    pub fn end(&self, id: clinker_model::FaultId) {
        self.targets.values().for_each(|target| target.end(id));
    }
}

/// A look behind the store.
impl Bench {
    /// Everything that is stored, but for the probe of set-up checks.
    pub fn ledger(&self) -> Vec<StoredObject> {
        let stored = self.shared.backend.store().stored().into_iter();
        stored.filter(|object| !object.name.contains(PROBE)).collect()
    }

    /// Everything that is stored, the probe of a set-up check too.
    pub fn everything(&self) -> Vec<StoredObject> {
        self.shared.backend.store().stored()
    }

    /// Names of stored objects that no backup explains.
    pub fn unexplained(&self) -> Vec<String> {
        let known = self.shared.known.lock().expect("no panic while the lock is held");
        let names = self.ledger().into_iter().map(|object| object.name);
        names.filter(|name| !known.iter().any(|id| name.contains(id.as_str()))).collect()
    }

    /// Names of stored objects that contain the backup's id or lie in a container that does, sorted.
    pub fn objects_of(&self, backup_id: &str) -> Vec<String> {
        let ledger = self.ledger().into_iter();
        ledger.map(|object| object.name).filter(|name| name.contains(backup_id)).collect()
    }

    /// Permission bits of a file or folder of the repository.
    pub fn mode(&self, path: &str) -> Outcome<u32> {
        let backend = &self.shared.backend;
        let mode = match (&backend.disk, &backend.folder) {
            (Some(disk), _) => disk.mode(path),
            (None, Some(folder)) => folder.mode(path),
            (None, None) => return Err(Stop::Broken(format!("{path}: the back end is no disk"))),
        };
        mode.ok_or_else(|| Stop::failed("a file or folder is missing", format!("{path} is there"), "it is not"))
    }

    /// An object's bytes.
    pub fn object(&self, container: &str, name: &str) -> Outcome<Vec<u8>> {
        let found = self.shared.backend.store().object_bytes(container, name);
        found.ok_or_else(|| Stop::failed("an object is missing", format!("{container}/{name} is stored"), "it is not"))
    }

    /// Puts other bytes into an object, or a new one there.
    ///
    /// # Errors
    /// A failure if there is no such container: it is for the driver to make it, and to say where it has stored.
    pub fn put_object(&self, container: &str, name: &str, bytes: &[u8]) -> Outcome {
        let nowhere = |why: String| {
            Stop::failed("nothing is stored where the driver says", format!("container \"{container}\""), why)
        };
        if container.is_empty() {
            return Err(nowhere("no location of the backup was saved".to_owned()));
        }
        let put = self.shared.backend.store().put_bytes(container, name, bytes);
        // A folder is made if it is missing: what goes wrong there is this machine's doing.
        put.map_err(|why| if self.on_disk() { Stop::Broken(why) } else { nowhere(why) })
    }
}
