//! Which host is running on this thread, for whoever is called without being told: log layers, panic reports.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::runtime::{Handle, Id};

thread_local! {
    /// One runtime per host and life; the newest is last.
    static RUNTIMES: RefCell<Vec<(Id, Arc<str>)>> = const { RefCell::new(Vec::new()) };
}

/// The name of the host whose code calls this, if any does.
pub fn current_host() -> Option<Arc<str>> {
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
