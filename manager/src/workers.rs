//! Several workers of one host (`backup_workers`): one queue, and whoever works takes from it.
//!
//! A worker that does not work leaves the queue to one that does; if none works, any of them takes a request, so that it
//! ends as section 5 says. What a worker has taken is noted before the cast is acknowledged ([`crate::db::Taking`]).

use std::time::Duration;

use tokio::time::sleep;

use crate::Result;
use crate::bus::{Cast, Method};
use crate::db::{Call, ServiceView, Share, Taking};
use crate::model::Operation;
use crate::operation::Manager;
use crate::state::ServiceState;

/// How often a worker looks what has become of a neighbour's work.
const LOOK: Duration = Duration::from_secs(1);

/// This worker's part in the clean-up of its host.
pub(crate) fn share(manager: &Manager) -> Share {
    let workers = u32::try_from(manager.options.backup_workers).unwrap_or(u32::MAX);
    Share { worker: manager.worker, workers: workers.max(1) }
}

fn is_alone(manager: &Manager) -> bool {
    share(manager).is_whole()
}

/// Whether this worker may take a request: it works, or no other worker of its host is up.
pub(crate) async fn may_take(manager: &Manager) -> bool {
    if is_alone(manager) || manager.is_working() {
        return true;
    }
    let service_down_time = down_time(manager);
    let listed = manager.ask::<Vec<ServiceView>>(Call::ServiceList { service_down_time }).await;
    // Without the database nothing can begin here either.
    listed.is_ok_and(|views| !manager.lifecycle.defers(&views, &manager.options.host, manager.worker))
}

/// Whether a worker of the host other than `worker` is up.
pub(crate) fn another_is_up(views: &[ServiceView], host: &str, worker: u32) -> bool {
    views.iter().any(|view| view.row.host == host && view.row.worker != worker && view.state == ServiceState::Up)
}

/// Waits until this worker may take requests (`true`) or no more (`false`).
pub(crate) async fn turn(manager: &Manager, wanted: bool) {
    let mut working = manager.watch_working();
    while may_take(manager).await != wanted {
        tokio::select! {
            biased;
            _ = working.changed() => {}
            () = sleep(Duration::from_secs(manager.options.report_interval)) => {}
        }
    }
}

/// As [`turn`] towards losing it, which a worker without neighbours never does.
pub(crate) async fn turn_lost(manager: &Manager) {
    if is_alone(manager) {
        std::future::pending::<()>().await;
    }
    turn(manager, false).await;
}

/// Whose a cast is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Its consumer's, once it is acknowledged: there is no other.
    Unrecorded,
    /// This worker's, by the database.
    Recorded,
    /// A neighbour runs what it asks for, or has ended it.
    ByAnother,
    /// A neighbour has noted it and not begun; if it has died of that, its row will say so.
    Undecided,
}

/// Notes that this worker takes a cast.
pub(crate) async fn take(manager: &Manager, cast: &Cast) -> Result<Taken> {
    let operation = match cast.method {
        // An import is a create as far as clean-up and deletes are concerned.
        Method::CreateBackup | Method::ImportRecord => Operation::Create,
        Method::RestoreBackup => Operation::Restore,
        Method::DeleteBackup => Operation::Delete,
        Method::ResetStatus { .. } | Method::ExportRecord | Method::CheckSupportToForceDelete | Method::Unknown => {
            return Ok(Taken::Unrecorded);
        }
    };
    if is_alone(manager) {
        return Ok(Taken::Unrecorded);
    }
    let taking = Taking {
        backup_id: cast.backup_id.clone(),
        operation,
        cast_id: cast.id.clone(),
        host: manager.options.host.clone(),
        worker: manager.worker,
        service_down_time: down_time(manager),
    };
    let is_mine: Option<bool> = manager.persist(&Call::WorkTake(taking)).await?;
    Ok(match is_mine {
        Some(true) => Taken::Recorded,
        Some(false) => Taken::ByAnother,
        None => Taken::Undecided,
    })
}

/// Waits until it is decided whose the cast is; whether it is this worker's.
pub(crate) async fn is_mine(manager: &Manager, cast: &Cast, mut taken: Taken) -> bool {
    while taken == Taken::Undecided {
        sleep(LOOK).await;
        taken = take(manager, cast).await.unwrap_or(Taken::ByAnother);
    }
    taken != Taken::ByAnother
}

/// Waits until no neighbour that is up works on the backup. Whether there was one: what it left open, if it went down
/// meanwhile, is then nobody's.
pub(crate) async fn wait_for_neighbours(manager: &Manager, backup_id: &str) -> bool {
    if is_alone(manager) {
        return false;
    }
    let mut waited = false;
    loop {
        let (host, worker) = (manager.options.host.clone(), manager.worker);
        let call = Call::WorkElsewhere { backup_id: backup_id.to_owned(), host, worker };
        let running: Vec<Operation> = manager.persist(&call).await.unwrap_or_default();
        if running.is_empty() {
            return waited;
        }
        waited = true;
        sleep(LOOK).await;
    }
}

/// Nanoseconds.
fn down_time(manager: &Manager) -> u64 {
    manager.options.service_down_time.saturating_mul(1_000_000_000)
}
