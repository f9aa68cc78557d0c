//! The state of the network that faults change: which hosts run, which links are held, who refuses, what is connected.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use clinker_model::fault::Dns;
use clinker_model::{Fault, FaultId, Journal as _};
use tokio::sync::Notify;

use crate::journal::SimJournal;

pub(crate) struct Links {
    journal: Arc<SimJournal>,
    state: Mutex<State>,
    /// Told whenever a link may have become unreachable.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// All hosts, and whether their process runs.
    hosts: BTreeMap<String, bool>,
    holds: BTreeMap<FaultId, String>,
    refusals: BTreeMap<FaultId, String>,
    /// What else is wrong with links and names.
    others: BTreeMap<FaultId, Fault>,
    /// Open connections by the engine's key.
    conns: BTreeMap<u128, Arc<Conn>>,
    last_number: u32,
}

/// A connection, shared by its two ends.
pub(crate) struct Conn {
    pub(crate) number: u32,
    server: String,
    reset: AtomicBool,
    /// Whoever waits on either end, for reading and for writing.
    wakers: Mutex<[Option<Waker>; 4]>,
}

impl Links {
    pub(crate) fn new(journal: Arc<SimJournal>) -> Links {
        Links { journal, state: Mutex::default(), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }

    pub(crate) fn hosts(&self) -> Vec<String> {
        self.state().hosts.keys().cloned().collect()
    }

    pub(crate) fn is_running(&self, host: &str) -> bool {
        self.state().hosts.get(host).copied().unwrap_or(false)
    }

    /// Sets whether a host's process runs; returns whether it did.
    pub(crate) fn set_running(&self, host: &str, runs: bool) -> bool {
        let ran = self.state().hosts.insert(host.to_owned(), runs).unwrap_or(false);
        self.changed.notify_waiters();
        ran
    }

    pub(crate) fn hold(&self, id: FaultId, host: &str) {
        self.state().holds.insert(id, host.to_owned());
    }

    pub(crate) fn is_held(&self, a: &str, b: &str) -> bool {
        !self.state().holding(a, b).is_empty()
    }

    /// Counts an operation between two hosts as a bite of every hold between them.
    pub(crate) fn bite_holds(&self, host: &str, peer: &str, what: &str) {
        let holding = self.state().holding(host, peer);
        for id in holding {
            self.journal.bite(id, host, &format!("{what} {peer} was held"));
        }
    }

    /// Refuses connections to `host` from here on and resets the open ones.
    pub(crate) fn refuse(&self, id: FaultId, host: &str) {
        let open: Vec<Arc<Conn>> = {
            let mut state = self.state();
            state.refusals.insert(id, host.to_owned());
            state.conns.values().filter(|conn| conn.server == host).cloned().collect()
        };
        let mut open: Vec<_> = open.into_iter().filter(|conn| !conn.reset.load(Ordering::Relaxed)).collect();
        open.sort_by_key(|conn| conn.number);
        for conn in open {
            self.journal.bite(id, host, "an open connection was reset");
            conn.break_off();
        }
        self.changed.notify_waiters();
    }

    /// Puts a fault of the links into force that only some engines know, or one of names.
    pub(crate) fn begin(&self, id: FaultId, fault: &Fault) {
        self.state().others.insert(id, fault.clone());
    }

    /// What [`Links::begin`] has put into force, in order of the faults' numbers.
    pub(crate) fn others(&self) -> Vec<(FaultId, Fault)> {
        self.state().others.iter().map(|(id, fault)| (*id, fault.clone())).collect()
    }

    /// What is wrong with a host's name.
    pub(crate) fn dns(&self, host: &str) -> Option<(FaultId, Dns)> {
        self.state().others.iter().find_map(|(id, fault)| match fault {
            Fault::Dns(dns) if dns.host == host => Some((*id, dns.clone())),
            _ => None,
        })
    }

    pub(crate) fn is_refusing(&self, host: &str) -> bool {
        !self.state().refusing(host).is_empty()
    }

    /// Counts a refused connect.
    pub(crate) fn bite_refusals(&self, from: &str, host: &str) {
        let refusing = self.state().refusing(host);
        for id in refusing {
            self.journal.bite(id, from, &format!("connect to {host} was refused"));
        }
    }

    pub(crate) fn end(&self, id: FaultId) {
        let mut state = self.state();
        state.holds.remove(&id);
        state.refusals.remove(&id);
        state.others.remove(&id);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Returns when a connect from `from` gets a refusal for an answer: the host refuses, or its process is gone (its
    /// kernel is not), and the link lets the answer through.
    pub(crate) async fn refused(&self, from: &str, to: &str) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !self.is_held(from, to) && (self.is_refusing(to) || !self.is_running(to)) {
                return;
            }
            changed.await;
        }
    }

    /// The connection with this key; whichever end comes first numbers it.
    pub(crate) fn connection(&self, key: u128, server: &str) -> Arc<Conn> {
        let mut state = self.state();
        if let Some(conn) = state.conns.get(&key) {
            return Arc::clone(conn);
        }
        state.last_number += 1;
        let conn = Arc::new(Conn {
            number: state.last_number,
            server: server.to_owned(),
            reset: AtomicBool::new(false),
            wakers: Mutex::default(),
        });
        state.conns.insert(key, Arc::clone(&conn));
        conn
    }

    /// Forgets a connection once an end is gone; the other keeps its share.
    pub(crate) fn forget(&self, key: u128, conn: &Arc<Conn>) {
        let mut state = self.state();
        if state.conns.get(&key).is_some_and(|known| Arc::ptr_eq(known, conn)) {
            state.conns.remove(&key);
        }
    }
}

impl State {
    fn holding(&self, a: &str, b: &str) -> Vec<FaultId> {
        if a == b {
            return Vec::new();
        }
        self.holds.iter().filter(|(_, host)| *host == a || *host == b).map(|(id, _)| *id).collect()
    }

    fn refusing(&self, host: &str) -> Vec<FaultId> {
        self.refusals.iter().filter(|(_, refused)| *refused == host).map(|(id, _)| *id).collect()
    }
}

impl Conn {
    pub(crate) fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }

    /// Leaves a waker in one of the four places.
    pub(crate) fn wait(&self, place: usize, waker: &Waker) {
        let slot = &mut self.wakers.lock().expect("no panic while the lock is held")[place];
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn break_off(&self) {
        self.reset.store(true, Ordering::Relaxed);
        let wakers = std::mem::take(&mut *self.wakers.lock().expect("no panic while the lock is held"));
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}
