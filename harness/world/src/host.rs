//! Which host is running on this thread, for whoever is called without being told: log layers, panic reports.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::runtime::{Handle, Id};

thread_local! {
    /// One runtime per host and life, for engines that have that; the newest is last.
    static RUNTIMES: RefCell<Vec<(Id, Arc<str>)>> = const { RefCell::new(Vec::new()) };
    /// The host that an engine with one runtime for all serves now.
    static RUNNING: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// The name of the host whose code calls this, if any does.
pub fn current_host() -> Option<Arc<str>> {
    if let Some(host) = RUNNING.with_borrow(Clone::clone) {
        return Some(host);
    }
    let id = Handle::try_current().ok()?.id();
    RUNTIMES
        .with_borrow(|runtimes| runtimes.iter().rev().find(|(known, _)| *known == id).map(|(_, host)| Arc::clone(host)))
}

/// Declares that the calling runtime is `host`'s. A host has one at a time, so its earlier ones are forgotten.
pub(crate) fn enter_host(host: &Arc<str>) {
    let id = Handle::current().id();
    RUNTIMES.with_borrow_mut(|runtimes| {
        runtimes.retain(|(known, name)| *known != id && name != host);
        runtimes.push((id, Arc::clone(host)));
    });
}

/// Runs `work` as code of `host`.
pub(crate) fn running<T>(host: &Arc<str>, work: impl FnOnce() -> T) -> T {
    let before = RUNNING.replace(Some(Arc::clone(host)));
    let result = work();
    RUNNING.set(before);
    result
}
