//! The folder in memory in which an adapter's devices are. A driver that syncs each write would wait on a disk for
//! whatever else the disk does.
//!
//! The harness holds a lock on the folder while it lives. So the next one can tell what a harness that was killed left.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::running;

const MEMORY: &str = "/dev/shm";
const PREFIX: &str = "clinker-devices-";

/// A folder for devices; one in memory is removed when dropped.
pub(super) struct Devices {
    path: PathBuf,
    /// Of a folder in memory.
    lock: Option<File>,
}

impl Devices {
    /// In memory where there is some, else in the adapter's own folder; `pid` is the adapter's.
    pub fn new(pid: u32, otherwise: &Path) -> Devices {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| sweep(Path::new(MEMORY)));
        let path = Path::new(MEMORY).join(format!("{PREFIX}{pid}"));
        match made(&path) {
            Ok(lock) => {
                running::add_folder(&path);
                Devices { path, lock: Some(lock) }
            }
            Err(_) => Devices { path: otherwise.to_owned(), lock: None },
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // It is in memory: nothing of it outlives the machine.
            let _ = std::fs::remove_dir_all(&self.path);
            running::forget_folder(&self.path);
        }
    }
}

fn made(path: &Path) -> io::Result<File> {
    std::fs::create_dir(path)?;
    locked(path)
}

/// Opens and locks a folder; an error if somebody else has it.
fn locked(path: &Path) -> io::Result<File> {
    let folder = File::open(path)?;
    folder.try_lock()?;
    Ok(folder)
}

/// Removes the folders of harnesses that are gone.
fn sweep(memory: &Path) {
    let entries = std::fs::read_dir(memory).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    // A link or a pipe of that name is none of ours.
    for folder in ours.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()) {
        if let Ok(_lock) = locked(&folder) {
            // Somebody else's stays.
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_harness_left_is_swept_away_and_what_is_in_use_stays() {
        let memory = tempfile::tempdir().expect("a folder");
        let path = |name: &str| memory.path().join(name);
        let lock = made(&path("clinker-devices-1")).expect("a folder");
        // Unlocked, not closed: a child that another test has just forked holds the file until it runs its program.
        let unlock = |lock: File| lock.unlock().expect("it is locked");
        unlock(made(&path("clinker-devices-2")).expect("a folder"));
        std::fs::write(path("clinker-devices-2").join("device-0.img"), "bytes").expect("a file");
        std::fs::create_dir(path("somebody-elses")).expect("a folder");
        sweep(memory.path());
        let left = ["clinker-devices-1", "clinker-devices-2", "somebody-elses"].map(|name| path(name).exists());
        assert_eq!(left, [true, false, true]);
        unlock(lock);
        sweep(memory.path());
        assert!(!path("clinker-devices-1").exists());
    }
}
