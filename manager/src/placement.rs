//! Where a request may go: hosts that are up, in the zone asked for, and where the backup can be reached (D1, D4).
//!
//! Plain functions of the service rows; [`crate::db`] asks inside the transaction that changes the backup's status.

use std::collections::BTreeSet;

use crate::db::ServiceView;
use crate::state::ServiceState;

/// What a request needs of its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// The zone; none matches all.
    pub zone: Option<String>,
    /// The only host that will do, because nobody else reaches the store, or because `backup_use_same_host` says so.
    pub host: Option<String>,
}

/// Where the decision comes from: [`Production`], or a planted bug.
pub trait Placement: Send + Sync {
    /// Whether this worker's host may take the request.
    fn takes(&self, worker: &ServiceView, need: &Need) -> bool;
}

/// D1: by state and zone alone, but for stores that only one host can reach.
pub struct Production;

impl Placement for Production {
    fn takes(&self, worker: &ServiceView, need: &Need) -> bool {
        let zone = need.zone.as_deref().is_none_or(|zone| zone.is_empty() || worker.row.availability_zone == zone);
        let host = need.host.as_deref().is_none_or(|host| worker.row.host == host);
        worker.state == ServiceState::Up && zone && host
    }
}

/// The hosts that may take a request, each once, by name.
pub(crate) fn eligible(placement: &dyn Placement, workers: &[ServiceView], need: &Need) -> Vec<String> {
    let hosts: BTreeSet<&str> =
        workers.iter().filter(|worker| placement.takes(worker, need)).map(|worker| worker.row.host.as_str()).collect();
    hosts.into_iter().map(str::to_owned).collect()
}

/// Whether only `host` reaches what it has stored: its driver said so when it last worked.
pub(crate) fn is_host_bound(workers: &[ServiceView], host: &str) -> bool {
    workers.iter().any(|worker| worker.row.host == host && worker.row.host_bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceRow;

    fn worker(host: &str, number: u32, zone: &str, state: ServiceState) -> ServiceView {
        let row = ServiceRow {
            id: format!("{host}#{number}"),
            host: host.to_owned(),
            binary: "cinder-backup".to_owned(),
            worker: number,
            process: "p".to_owned(),
            driver: "d".to_owned(),
            availability_zone: zone.to_owned(),
            started_at: 0,
            working: state == ServiceState::Up,
            reason: None,
            last_heartbeat: None,
            attempt: 1,
            updated_at: None,
            host_bound: host == "bound",
        };
        ServiceView { row, state }
    }

    fn check(zone: Option<&str>, host: Option<&str>, expected: &[&str]) {
        use ServiceState::{Down, Initializing, Up};
        let workers = [
            worker("a", 0, "az-1", Down),
            worker("a", 1, "az-1", Up),
            worker("b", 0, "az-1", Up),
            worker("b", 1, "az-1", Up),
            worker("bound", 0, "az-2", Up),
            worker("dead", 0, "az-1", Down),
            worker("young", 0, "az-2", Initializing),
        ];
        let need = Need { zone: zone.map(str::to_owned), host: host.map(str::to_owned) };
        assert_eq!(eligible(&Production, &workers, &need), expected, "{need:?}");
        assert!(is_host_bound(&workers, "bound") && !is_host_bound(&workers, "a"));
    }

    #[test]
    fn hosts_are_chosen_by_state_and_zone() {
        check(None, None, &["a", "b", "bound"]);
        check(Some(""), None, &["a", "b", "bound"]);
        check(Some("az-1"), None, &["a", "b"]);
        check(Some("az-2"), None, &["bound"]);
        check(Some("az-3"), None, &[]);
    }

    #[test]
    fn a_needed_host_is_the_only_one() {
        check(None, Some("bound"), &["bound"]);
        check(Some("az-1"), Some("bound"), &[]);
        check(None, Some("dead"), &[]);
        check(None, Some("young"), &[]);
    }
}
