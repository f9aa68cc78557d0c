//! Faults of stored objects: applied once, at the start of the fault; its end heals nothing.
//!
//! A damaged object carries the fault's number until a client overwrites or deletes it; whoever reads or lists it until
//! then is bitten.

use std::collections::BTreeMap;

use bytes::Bytes;
use clinker_model::fault::Stored;
use clinker_model::{Fault, FaultId};
use hyper::Method;

use crate::disk::{Container, Disk, Entry, Object};
use crate::server::Core;
use crate::stamp::Stamp;

impl Disk {
    pub fn damage(&mut self, id: FaultId, fault: &Fault) -> Result<(), String> {
        let name = fault.name();
        match fault {
            Fault::Corrupt(stored) => flip(self.named(name, &stored.backup, &stored.object)?, id)
                .ok_or_else(|| format!("apply fault `{name}`: {} is empty", described(stored))),
            Fault::Truncate(stored) => {
                let object = self.named(name, &stored.backup, &stored.object)?;
                object.damage(object.data.slice(..object.data.len() / 2), id);
                Ok(())
            }
            Fault::Lose(stored) => self.lose(id, stored),
            Fault::Swap(swap) => {
                let other = self.named(name, &swap.backup, &swap.with)?.clone();
                let one = self.named(name, &swap.backup, &swap.object)?;
                let was = one.clone();
                exchange(one, other, id);
                exchange(self.named(name, &swap.backup, &swap.with)?, was, id);
                Ok(())
            }
            _ => Err(format!("apply fault `{name}`: it is not one of stored objects")),
        }
    }

    fn lose(&mut self, id: FaultId, stored: &Stored) -> Result<(), String> {
        let containers = self.accounts.values_mut().flat_map(|account| account.containers.values_mut());
        for container in containers {
            let found = container.objects.keys().find(|name| matches(name, &stored.backup, &stored.object)).cloned();
            if let Some(name) = found {
                container.objects.remove(&name);
                container.lost.insert(name, id);
                return Ok(());
            }
        }
        Err(format!("apply fault `lose`: no {} is stored", described(stored)))
    }

    /// The first object of that backup with that end of its name.
    fn named(&mut self, fault: &str, backup: &str, end: &str) -> Result<&mut Object, String> {
        let containers = self.accounts.values_mut().flat_map(|account| account.containers.values_mut());
        let mut objects = containers.flat_map(|container| container.objects.iter_mut());
        let found = objects.find(|(name, _)| matches(name, backup, end)).map(|(_, object)| object);
        found.ok_or_else(|| {
            let stored = Stored { backup: backup.to_owned(), object: end.to_owned() };
            format!("apply fault `{fault}`: no {} is stored", described(&stored))
        })
    }
}

fn matches(name: &str, backup: &str, end: &str) -> bool {
    name.contains(backup) && name.ends_with(end)
}

fn described(stored: &Stored) -> String {
    format!("object \"…{}…{}\"", stored.backup, stored.object)
}

/// Flips the lowest bit of the byte in the middle; none if there is no byte.
fn flip(object: &mut Object, id: FaultId) -> Option<()> {
    let mut data = object.data.to_vec();
    let middle = data.len() / 2;
    *data.get_mut(middle)? ^= 1;
    object.damage(Bytes::from(data), id);
    Some(())
}

/// Gives `object` the contents of `other`.
fn exchange(object: &mut Object, other: Object, id: FaultId) {
    object.damage(other.data, id);
    object.content_type = other.content_type;
    object.meta = other.meta;
    object.damage.insert(id);
}

impl Core {
    /// What the container's listing shows: its contents, or under a lag what they were.
    pub fn view(&self, now: Stamp, held: &Container, target: &str) -> BTreeMap<String, Entry> {
        let entries = held.entries();
        let Some((id, by)) = self.faults.lag() else { return entries };
        let stale = held.entries_at(now.ago(by));
        if stale != entries {
            self.bite(id, &format!("{target} shows the container of {} s ago", by.as_secs_f64()));
        }
        stale
    }

    /// A page that shows a damaged object, or would show a lost one, is a bite.
    pub fn bite_listed(&self, held: &Container, wants: impl Fn(&str) -> bool, target: &str) {
        let damaged = held.objects.iter().flat_map(|(name, object)| object.damage.iter().map(move |id| (name, id)));
        for (name, &id) in damaged.chain(&held.lost).filter(|(name, _)| wants(name)) {
            self.bite(id, &format!("{target} lists {name}"));
        }
    }

    /// A damaged object that is read, or a lost one that is looked for, is a bite.
    pub fn bite_touched(&self, held: &Container, name: &str, method: &Method) {
        let damage = held.objects.get(name).map(|object| &object.damage);
        let read = matches!(method.as_str(), "GET" | "HEAD");
        let damage = damage.filter(|_| read).into_iter().flatten();
        for &id in damage.chain(held.lost.get(name)) {
            self.bite(id, &format!("{method} {name}"));
        }
    }
}
