//! Drivers by name: Cinder's class paths and their short names, each with its constructor.

use std::sync::Arc;

use clinker_env::Env;

use crate::chunked::ChunkedDriver;
use crate::chunked::decisions::{EngineDecisions, Production};
use crate::chunked::store::ChunkStore;
use crate::posix::PosixStore;
use crate::s3::S3Store;
use crate::swift::SwiftStore;
use crate::{BackupDriver, Error, Kind, Options, Result};

/// A driver that can be named in `backup_driver`.
#[derive(Debug)]
pub struct DriverInfo {
    pub short_name: &'static str,
    /// What rows and events carry.
    pub class_path: &'static str,
    store: fn(&Options, &Env) -> Result<Arc<dyn ChunkStore>>,
}

/// Every driver.
pub static DRIVERS: &[DriverInfo] = &[
    DriverInfo {
        short_name: "swift",
        class_path: "cinder.backup.drivers.swift.SwiftBackupDriver",
        store: |options, env| Ok(Arc::new(SwiftStore::new(options, env)?)),
    },
    DriverInfo {
        short_name: "s3",
        class_path: "cinder.backup.drivers.s3.S3BackupDriver",
        store: |options, env| Ok(Arc::new(S3Store::new(options, env)?)),
    },
    DriverInfo {
        short_name: "posix",
        class_path: "cinder.backup.drivers.posix.PosixBackupDriver",
        store: |options, env| Ok(Arc::new(PosixStore::new(options, env))),
    },
];

/// The driver of this class path or short name.
pub fn find(name: &str) -> Result<&'static DriverInfo> {
    if let Some(info) = DRIVERS.iter().find(|info| info.short_name == name || info.class_path == name) {
        return Ok(info);
    }
    // Compared with the kind of name that was tried: a class path is far from every short name.
    let candidates = |info: &'static DriverInfo| if name.contains('.') { info.class_path } else { info.short_name };
    let near = DRIVERS.iter().map(candidates).min_by_key(|known| strsim::damerau_levenshtein(name, known));
    let near = near.filter(|known| strsim::damerau_levenshtein(name, known) <= 2.max(name.len() / 4));
    let hint = match near {
        Some(near) => format!("did you mean {near}?"),
        None => {
            let known: Vec<_> = DRIVERS.iter().map(|info| info.short_name).collect();
            format!("expected one of {} or its class path", known.join(", "))
        }
    };
    let what = format!("option backup_driver: no driver \"{}\"; {hint}", name.escape_debug());
    Err(Error::new(Kind::InvalidConfig, what))
}

/// The store of the configured driver.
pub fn store(options: &Options, env: &Env) -> Result<Arc<dyn ChunkStore>> {
    (find(&options.backup_driver)?.store)(options, env)
}

/// The configured driver, not yet set up.
pub fn build(options: &Options, env: &Env) -> Result<Arc<dyn BackupDriver>> {
    build_with(options, env, Arc::new(Production))
}

/// The configured driver with other decisions: how a planted bug gets in.
pub fn build_with(options: &Options, env: &Env, decisions: Arc<dyn EngineDecisions>) -> Result<Arc<dyn BackupDriver>> {
    Ok(Arc::new(ChunkedDriver::new(store(options, env)?, env.clone(), options, decisions)))
}

/// Whether a backup whose row names `service` is one of the driver with this class path.
///
/// Old rows name the module without the class: any leading part of the path is accepted.
pub fn accepts(service: &str, class_path: &str) -> bool {
    class_path.starts_with(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_found_by_class_path_and_short_name() {
        for info in DRIVERS {
            assert_eq!(find(info.short_name).expect("known").class_path, info.class_path);
            assert_eq!(find(info.class_path).expect("known").short_name, info.short_name);
        }
    }

    #[test]
    fn an_unknown_driver_gets_a_suggestion() {
        let check = |name: &str, expected: &str| {
            let error = find(name).expect_err("unknown");
            assert_eq!(error.kind, Kind::InvalidConfig);
            assert_eq!(error.what, format!("option backup_driver: no driver \"{name}\"; {expected}"));
        };
        check("posx", "did you mean posix?");
        check("cinder.backup.drivers.posix.PosixDriver", "did you mean cinder.backup.drivers.posix.PosixBackupDriver?");
        check("tape", "expected one of swift, s3, posix or its class path");
    }

    #[test]
    fn a_backup_is_ours_if_its_service_is_a_leading_part_of_our_path() {
        let ours = "cinder.backup.drivers.posix.PosixBackupDriver";
        assert!(accepts(ours, ours));
        assert!(accepts("cinder.backup.drivers.posix", ours));
        assert!(!accepts("cinder.backup.drivers.swift.SwiftBackupDriver", ours));
        assert!(!accepts("cinder.backup.drivers.posix.PosixBackupDriver2", ours));
    }
}
