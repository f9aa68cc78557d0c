//! The journal of a simulated run: history records, bites, the trace, and one rolling hash over all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use clinker_model::history::FaultPhase;
use clinker_model::{Entry, FaultId, Journal, Record};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::fabric::Time;
use crate::trace::{Kind, Trace, TraceEvent};
use crate::world::Tracing;

/// How many bites of a fault become records; all are counted.
const RECORDED_BITES: u64 = 3;

/// Takes everything that happens, from any host and from log layers.
pub struct SimJournal {
    time: Arc<dyn Time>,
    tracing: Tracing,
    state: Mutex<State>,
}

struct State {
    hash: Xxh3,
    tracing: Tracing,
    trace: Trace,
    events: u64,
    hosts: BTreeMap<String, u16>,
    faults: BTreeMap<FaultId, Bites>,
    /// Room for a record's text, used again and again.
    text: Vec<u8>,
}

#[derive(Default)]
struct Bites {
    name: String,
    count: u64,
}

impl SimJournal {
    pub(crate) fn new(time: Arc<dyn Time>, tracing: Tracing) -> SimJournal {
        let state = State {
            hash: Xxh3::new(),
            tracing,
            trace: Trace::default(),
            events: 0,
            hosts: BTreeMap::new(),
            faults: BTreeMap::new(),
            text: Vec::new(),
        };
        SimJournal { time, tracing, state: Mutex::new(state) }
    }

    /// Names a fault, for the records of its bites. The world and its disks do it for their own.
    pub fn declare_fault(&self, id: FaultId, name: &str) {
        name.clone_into(&mut self.state().faults.entry(id).or_default().name);
    }

    /// All records so far, sorted by (`t_ns`, `n`).
    pub fn records(&self) -> Vec<Record> {
        let mut records = self.state().trace.records.clone();
        records.sort_by_key(|record| (record.t_ns, record.n));
        records
    }

    /// How often a fault hit something.
    pub fn bites(&self, fault: FaultId) -> u64 {
        self.state().faults.get(&fault).map_or(0, |bites| bites.count)
    }

    /// Hash over all events so far: time, kind, host, connection, payload.
    pub fn hash(&self) -> u64 {
        self.state().hash.digest()
    }

    /// How many events there were so far.
    pub fn events(&self) -> u64 {
        self.state().events
    }

    /// All events so far; none if the world was configured not to keep them.
    pub fn trace(&self) -> Trace {
        self.state().trace.clone()
    }

    /// As [`SimJournal::records`], and forgets them: a long run's are too many to hold twice.
    pub fn take_records(&self) -> Vec<Record> {
        let mut records = std::mem::take(&mut self.state().trace.records);
        records.sort_by_key(|record| (record.t_ns, record.n));
        records
    }

    /// Notes an event that is not a record.
    pub(crate) fn event(&self, host: &str, kind: Kind, conn: u32, len: u64, payload: u64) {
        if self.tracing == Tracing::Off {
            return;
        }
        let t_ns = self.t_ns();
        self.state().push(t_ns, host, kind, conn, len, payload);
    }

    /// Notes an event with the hash of what it moved.
    pub(crate) fn event_of(&self, host: &str, kind: Kind, conn: u32, payload: &[u8]) {
        if self.tracing != Tracing::Off {
            let hash = if payload.is_empty() { 0 } else { xxh3_64(payload) };
            self.event(host, kind, conn, payload.len() as u64, hash);
        }
    }

    /// Virtual time since the start of the run.
    pub fn now(&self) -> Duration {
        self.time.now()
    }

    fn t_ns(&self) -> u64 {
        u64::try_from(self.time.now().as_nanos()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }
}

impl Journal for SimJournal {
    fn record(&self, host: &str, entry: Entry) {
        // The time is asked for before the lock is taken: an engine's clock may itself want to log.
        let t_ns = self.t_ns();
        self.state().record(t_ns, host, entry);
    }

    fn bite(&self, fault: FaultId, host: &str, what: &str) {
        let t_ns = self.t_ns();
        let mut state = self.state();
        let bites = state.faults.entry(fault).or_default();
        bites.count += 1;
        let (count, name) = (bites.count, bites.name.clone());
        state.push(t_ns, host, Kind::Bite, fault as u32, count, xxh3_64(what.as_bytes()));
        if count <= RECORDED_BITES {
            state.record(t_ns, host, Entry::Fault { fault, name, phase: FaultPhase::Bite, what: what.to_owned() });
        }
    }
}

impl State {
    fn record(&mut self, t_ns: u64, host: &str, entry: Entry) {
        let n = self.trace.records.len() as u64;
        if self.tracing != Tracing::Off {
            let mut text = std::mem::take(&mut self.text);
            text.clear();
            serde_json::to_writer(&mut text, &entry).expect("an entry is plain data with text keys");
            self.push(t_ns, host, Kind::Record, n as u32, text.len() as u64, xxh3_64(&text));
            self.text = text;
        }
        self.trace.records.push(Record { n, t_ns, host: host.to_owned(), entry });
    }

    fn push(&mut self, t_ns: u64, host: &str, kind: Kind, conn: u32, len: u64, payload: u64) {
        let mut bytes = [0; 29];
        bytes[..8].copy_from_slice(&t_ns.to_le_bytes());
        bytes[8] = kind as u8;
        bytes[9..13].copy_from_slice(&conn.to_le_bytes());
        bytes[13..21].copy_from_slice(&len.to_le_bytes());
        bytes[21..].copy_from_slice(&payload.to_le_bytes());
        if self.tracing == Tracing::Off {
            return;
        }
        self.events += 1;
        self.hash.update(&bytes);
        self.hash.update(host.as_bytes());
        if self.tracing == Tracing::Kept {
            let host = self.host_number(host);
            self.trace.events.push(TraceEvent { t_ns, host, kind, conn, len, payload });
        }
    }

    fn host_number(&mut self, host: &str) -> u16 {
        if let Some(number) = self.hosts.get(host) {
            return *number;
        }
        let number = u16::try_from(self.hosts.len()).unwrap_or(u16::MAX);
        self.hosts.insert(host.to_owned(), number);
        self.trace.hosts.push(host.to_owned());
        number
    }
}
