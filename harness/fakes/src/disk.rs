//! What a store of objects holds: accounts, containers, objects, and what it remembers of deleted ones.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use clinker_model::{FaultId, StoredObject};
use jiff::Timestamp;
use md5::{Digest, Md5};

use crate::stamp::Stamp;

#[derive(Default)]
pub(crate) struct Disk {
    pub accounts: BTreeMap<String, Account>,
    /// When each token was last found valid. (A cache rather than a disk, but it outlives a proxy too: memcached.)
    pub seen: BTreeMap<String, Timestamp>,
}

pub(crate) struct Account {
    pub created: Stamp,
    /// Values of `X-Account-Meta-*` by the rest of the name, lower case.
    pub meta: BTreeMap<String, String>,
    pub containers: BTreeMap<String, Container>,
}

pub(crate) struct Container {
    pub created: Stamp,
    /// Of the last PUT or POST.
    pub changed: Stamp,
    pub policy: String,
    pub meta: BTreeMap<String, String>,
    pub objects: BTreeMap<String, Object>,
    /// Objects as they were before they were overwritten or deleted, in that order.
    pub gone: Vec<Gone>,
    /// Names that a fault made disappear.
    pub lost: BTreeMap<String, FaultId>,
}

#[derive(Clone)]
pub(crate) struct Object {
    pub data: Bytes,
    /// Of what is served, damage included: bit rot below Swift would differ from the stored digest and be found by the
    /// auditor; here the client's own digests must find it.
    pub etag: String,
    pub content_type: String,
    pub meta: BTreeMap<String, String>,
    pub written: Stamp,
    /// Faults that changed `data`.
    pub damage: BTreeSet<FaultId>,
}

/// What a listing knows of an object.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub bytes: u64,
    pub hash: String,
    pub content_type: String,
    pub written: Stamp,
}

/// An object that is no longer there, or no longer as it was.
pub(crate) struct Gone {
    pub name: String,
    pub entry: Entry,
    pub until: Stamp,
}

impl Object {
    pub fn new(data: Bytes, content_type: String, written: Stamp) -> Object {
        let etag = hex::encode(Md5::digest(&data));
        Object { data, etag, content_type, meta: BTreeMap::new(), written, damage: BTreeSet::new() }
    }

    /// Replaces the contents, as fault `id`.
    pub fn damage(&mut self, data: Bytes, id: FaultId) {
        self.etag = hex::encode(Md5::digest(&data));
        self.data = data;
        self.damage.insert(id);
    }

    pub fn entry(&self) -> Entry {
        Entry {
            bytes: self.data.len() as u64,
            hash: self.etag.clone(),
            content_type: self.content_type.clone(),
            written: self.written,
        }
    }
}

impl Account {
    pub fn new(created: Stamp) -> Account {
        Account { created, meta: BTreeMap::new(), containers: BTreeMap::new() }
    }

    pub fn bytes(&self) -> u64 {
        self.containers.values().map(Container::bytes).sum()
    }
}

impl Container {
    pub fn new(now: Stamp, policy: &str) -> Container {
        Container {
            created: now,
            changed: now,
            policy: policy.to_owned(),
            meta: BTreeMap::new(),
            objects: BTreeMap::new(),
            gone: Vec::new(),
            lost: BTreeMap::new(),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.objects.values().map(|object| object.data.len() as u64).sum()
    }

    pub fn store(&mut self, name: &str, object: Object) {
        let now = object.written;
        self.lost.remove(name);
        if let Some(old) = self.objects.insert(name.to_owned(), object) {
            self.gone.push(Gone { name: name.to_owned(), entry: old.entry(), until: now });
        }
    }

    /// Whether there was such an object.
    pub fn remove(&mut self, name: &str, now: Stamp) -> bool {
        let Some(old) = self.objects.remove(name) else { return false };
        self.gone.push(Gone { name: name.to_owned(), entry: old.entry(), until: now });
        true
    }

    /// What a listing shows now.
    pub fn entries(&self) -> BTreeMap<String, Entry> {
        self.objects.iter().map(|(name, object)| (name.clone(), object.entry())).collect()
    }

    /// What a listing showed at `then`.
    pub fn entries_at(&self, then: Stamp) -> BTreeMap<String, Entry> {
        let before = self.gone.iter().filter(|gone| gone.entry.written <= then && gone.until > then);
        let mut entries: BTreeMap<String, Entry> = before.map(|gone| (gone.name.clone(), gone.entry.clone())).collect();
        let still = self.objects.iter().filter(|(_, object)| object.written <= then);
        entries.extend(still.map(|(name, object)| (name.clone(), object.entry())));
        entries
    }
}

impl Disk {
    /// The account; storing anything in it is what creates it.
    pub fn account(&mut self, name: &str, now: Stamp) -> &mut Account {
        self.accounts.entry(name.to_owned()).or_insert_with(|| Account::new(now))
    }

    pub fn container(&mut self, account: &str, name: &str) -> Option<&mut Container> {
        self.accounts.get_mut(account)?.containers.get_mut(name)
    }

    fn containers(&self) -> impl Iterator<Item = (&String, &Container)> {
        self.accounts.values().flat_map(|account| &account.containers)
    }

    /// The first object whose name contains `part` and ends with `end`: container, name, object.
    pub fn find(&self, part: &str, end: &str) -> Option<(&str, &str, &Object)> {
        let mut objects = self
            .containers()
            .flat_map(|(container, held)| held.objects.iter().map(move |(name, object)| (container, name, object)));
        let found = objects.find(|(_, name, _)| name.contains(part) && name.ends_with(end))?;
        Some((found.0, found.1, found.2))
    }

    pub fn contents(&self, container: &str, name: &str) -> Option<Vec<u8>> {
        let mut held = self.containers().filter(|(known, _)| *known == container);
        held.find_map(|(_, held)| held.objects.get(name)).map(|object| object.data.to_vec())
    }

    /// Puts an object into a container that exists, as if it had been written when the container last changed.
    pub fn replace(&mut self, container: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        let containers = self.accounts.values_mut().flat_map(|account| &mut account.containers);
        let found = containers.filter(|(known, _)| *known == container).map(|(_, held)| held).next();
        let held = found.ok_or_else(|| format!("put {container}/{name}: there is no such container"))?;
        let written = held.objects.get(name).map_or(held.changed, |object| object.written);
        let object = Object::new(Bytes::copy_from_slice(bytes), "application/octet-stream".to_owned(), written);
        held.objects.insert(name.to_owned(), object);
        Ok(())
    }

    /// Everything held, sorted by container and name.
    pub fn ledger(&self) -> Vec<StoredObject> {
        let mut ledger: Vec<StoredObject> = self
            .containers()
            .flat_map(|(container, held)| {
                held.objects.iter().map(move |(name, object)| StoredObject {
                    container: container.clone(),
                    name: name.clone(),
                    len: object.data.len() as u64,
                })
            })
            .collect();
        ledger.sort_by(|a, b| (&a.container, &a.name).cmp(&(&b.container, &b.name)));
        ledger
    }
}

/// Takes `<prefix><name>: value` headers over into `meta`; an empty value removes.
pub(crate) fn take_meta(meta: &mut BTreeMap<String, String>, prefix: &str, headers: &hyper::HeaderMap) {
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(prefix) else { continue };
        match value.to_str() {
            Ok("") | Err(_) => meta.remove(name),
            Ok(value) => meta.insert(name.to_owned(), value.to_owned()),
        };
    }
}
