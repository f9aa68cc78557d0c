//! Crash points: where a port call may be the last thing a process does.
//!
//! A parked host makes no further port call, so nothing that the process would have done after the point has an effect,
//! although an engine with ticks ends the process only at the end of the tick.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use clinker_model::fault::When;
use clinker_model::{FaultId, Journal as _, Points};

use crate::journal::SimJournal;
use crate::world::{Signal, Signals};

/// The gates of all hosts. Cheap to clone.
#[derive(Clone)]
pub struct Gates(Arc<Inner>);

struct Inner {
    journal: Arc<SimJournal>,
    signals: Signals,
    hosts: Mutex<BTreeMap<String, Arc<State>>>,
    /// What has been passed, while that is recorded.
    passed: Mutex<Option<Vec<Passed>>>,
}

/// A point that a host has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Virtual time.
    pub at: Duration,
    pub host: String,
    /// `<port>.<call>`
    pub point: String,
    pub when: When,
}

/// The crash points of one host. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    state: Arc<State>,
    gates: Gates,
}

struct State {
    host: Arc<str>,
    parked: AtomicBool,
    armed: Mutex<BTreeMap<FaultId, Armed>>,
}

struct Armed {
    point: String,
    when: When,
    /// Passes until it fires.
    left: u64,
}

impl Gates {
    pub(crate) fn new(journal: Arc<SimJournal>, signals: Signals) -> Gates {
        Gates(Arc::new(Inner { journal, signals, hosts: Mutex::default(), passed: Mutex::default() }))
    }

    pub fn gate(&self, host: &str) -> Gate {
        Gate { state: self.state(host), gates: self.clone() }
    }

    /// From here on every pass is kept.
    pub fn record(&self) {
        self.passed().get_or_insert_default();
    }

    /// What has been passed since [`Gates::record`], in order.
    pub fn take_passed(&self) -> Vec<Passed> {
        self.passed().take().unwrap_or_default()
    }

    fn passed(&self) -> MutexGuard<'_, Option<Vec<Passed>>> {
        self.0.passed.lock().expect("no panic while the lock is held")
    }

    fn note(&self, host: &str, point: &str, when: When) {
        if self.passed().is_none() {
            return;
        }
        let at = self.0.journal.now();
        let passed = Passed { at, host: host.to_owned(), point: point.to_owned(), when };
        self.passed().get_or_insert_default().push(passed);
    }

    fn state(&self, host: &str) -> Arc<State> {
        let mut hosts = self.0.hosts.lock().expect("no panic while the lock is held");
        let state = hosts.entry(host.to_owned()).or_insert_with(|| {
            Arc::new(State { host: host.into(), parked: AtomicBool::new(false), armed: Mutex::default() })
        });
        Arc::clone(state)
    }

    pub(crate) fn arm(&self, id: FaultId, host: &str, point: &str, when: When, nth: u64) {
        let armed = Armed { point: point.to_owned(), when, left: nth.max(1) };
        self.state(host).armed.lock().expect("no panic while the lock is held").insert(id, armed);
    }

    pub(crate) fn disarm(&self, id: FaultId) {
        for state in self.0.hosts.lock().expect("no panic while the lock is held").values() {
            state.armed.lock().expect("no panic while the lock is held").remove(&id);
        }
    }

    pub(crate) fn unpark(&self, host: &str) {
        self.state(host).parked.store(false, Ordering::Relaxed);
    }
}

impl Gate {
    pub fn host(&self) -> &str {
        &self.state.host
    }

    pub(crate) fn shared_host(&self) -> &Arc<str> {
        &self.state.host
    }

    /// Passes a point: `<port>.<call>` before or after the call. Never returns when the process ends here.
    pub async fn pass(&self, port_call: &str, when: When) {
        if !self.is_parked() {
            self.gates.note(self.host(), port_call, when);
        }
        if !self.is_parked()
            && let Some(fault) = self.fires(port_call, when)
        {
            self.state.parked.store(true, Ordering::Relaxed);
            let side = if when == When::Before { "before" } else { "after" };
            self.gates.0.journal.bite(fault, self.host(), &format!("the process ended {side} {port_call}"));
            self.gates.0.signals.raise(Signal::PointReached { host: self.host().to_owned(), fault });
        }
        self.hold_if_parked().await;
    }

    /// Whether the process has reached its end and only waits for being dropped.
    pub fn is_parked(&self) -> bool {
        self.state.parked.load(Ordering::Relaxed)
    }

    /// Never returns on a parked host; for ports that are no points themselves.
    pub async fn hold_if_parked(&self) {
        if self.is_parked() {
            pending::<()>().await;
        }
    }

    fn fires(&self, port_call: &str, when: When) -> Option<FaultId> {
        let mut armed = self.state.armed.lock().expect("no panic while the lock is held");
        let mut fired = None;
        for (id, one) in armed.iter_mut().filter(|(_, one)| one.point == port_call && one.when == when) {
            one.left = one.left.saturating_sub(1);
            if one.left == 0 && fired.is_none() {
                fired = Some(*id);
            }
        }
        if let Some(id) = fired {
            armed.remove(&id);
        }
        fired
    }
}

impl Points for Gate {
    fn pass<'a>(&'a self, point: &'a str, when: When) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(Gate::pass(self, point, when))
    }
}
