//! Mutants of several services: where requests go, and what the workers of one host leave to each other.

use std::sync::Arc;

use clinker_manager::db::{ServiceView, Share};
use clinker_manager::lifecycle::{Ended, Lifecycle, Next, Production, Timing};
use clinker_manager::placement::{self, Need, Placement};
use clinker_manager::state::ServiceState;

use crate::run::Parts;

/// Makes a placement whose one decision is wrong.
macro_rules! placement_bug {
    ($(#[$doc:meta])* $name:ident, |$worker:ident, $need:ident| $takes:expr) => {
        $(#[$doc])*
        pub(super) fn $name(parts: &mut Parts) {
            struct Bug;
            impl Placement for Bug {
                fn takes(&self, $worker: &ServiceView, $need: &Need) -> bool {
                    $takes
                }
            }
            parts.placement = Arc::new(Bug);
        }
    };
}

placement_bug!(
    /// The original's scheduler: what a host once reported counts for ever.
    dead_hosts_are_chosen,
    |worker, need| {
        let alive = ServiceView { state: ServiceState::Up, ..worker.clone() };
        placement::Production.takes(&alive, need)
    }
);

placement_bug!(zones_are_ignored, |worker, need| placement::Production
    .takes(worker, &Need { zone: None, ..need.clone() }));

placement_bug!(
    /// The original chooses any host of the zone, whoever reaches the store.
    bound_stores_are_ignored,
    |worker, need| placement::Production.takes(worker, &Need { host: None, ..need.clone() })
);

/// The original: whichever worker gets a request fails it if its own driver is not initialised.
pub(super) fn idle_worker_takes_requests(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn next(&self, timing: &Timing, ended: Ended) -> Next {
            Production.next(timing, ended)
        }
        fn beats(&self, working: bool) -> bool {
            Production.beats(working)
        }
        fn defers(&self, _services: &[ServiceView], _host: &str, _worker: u32) -> bool {
            false
        }
    }
    parts.lifecycle = Arc::new(Bug);
}

/// The original until 2018: every process cleans up all of its host's operations.
pub(super) fn clean_up_takes_the_neighbours_work(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn next(&self, timing: &Timing, ended: Ended) -> Next {
            Production.next(timing, ended)
        }
        fn beats(&self, working: bool) -> bool {
            Production.beats(working)
        }
        fn cleans_up(&self, share: Share) -> Share {
            Share { workers: 1, ..share }
        }
    }
    parts.lifecycle = Arc::new(Bug);
}
