//! What of adapters must not outlive the harness: processes, and folders that nobody else removes.
//!
//! Whoever ends the harness at once, without its destructors, calls [`end_all`] before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use super::failure::{AdapterFailure, How};
use super::state::Shared;

/// How often it is looked whether a process that was killed is gone, and how many times.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 200;

struct Running {
    processes: Vec<Weak<Shared>>,
    folders: BTreeSet<PathBuf>,
    /// The harness is ending: nothing begins any more.
    over: bool,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { processes: Vec::new(), folders: BTreeSet::new(), over: false });

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().expect("no panic while the lock is held")
}

fn ended() -> AdapterFailure {
    AdapterFailure::new(How::Died, "was ended with the harness")
}

/// Notes a process, or ends it if the harness is ending.
pub(super) fn add(process: &Arc<Shared>) -> Result<(), AdapterFailure> {
    let mut running = running();
    if running.over {
        process.end(ended());
        return Err(ended());
    }
    running.processes.retain(|process| process.strong_count() > 0);
    running.processes.push(Arc::downgrade(process));
    Ok(())
}

/// Notes a folder that is to be gone when the harness is.
pub fn add_folder(folder: &Path) {
    running().folders.insert(folder.to_owned());
}

/// Whoever owns the folder has removed it.
pub fn forget_folder(folder: &Path) {
    running().folders.remove(folder);
}

/// Whether [`end_all`] has been called.
pub fn is_over() -> bool {
    running().over
}

/// Kills all adapters, removes what they used, and lets none start any more.
pub fn end_all() {
    let (processes, folders) = {
        let mut running = running();
        running.over = true;
        (std::mem::take(&mut running.processes), std::mem::take(&mut running.folders))
    };
    let processes: Vec<Arc<Shared>> = processes.iter().filter_map(Weak::upgrade).collect();
    processes.iter().for_each(|process| process.end(ended()));
    for _ in 0..LOOKS {
        if processes.iter().all(|process| process.is_reaped()) {
            break;
        }
        std::thread::park_timeout(LOOK);
    }
    // One that cannot be removed is the user's to remove: there is nobody left to tell.
    folders.iter().for_each(|folder| drop(std::fs::remove_dir_all(folder)));
}
