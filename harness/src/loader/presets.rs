//! Driver presets: the options a scenario need not write, the hosts of each world, the standard geometry.

use std::collections::BTreeMap;

/// Standard chunk and hash block, in bytes.
pub const CHUNK: u64 = 64 << 10;
pub const BLOCK: u64 = 4 << 10;

/// The port of a preset's server, by its host.
pub fn port(server: &str) -> u16 {
    if server == "keystone" { 5000 } else { 8080 }
}

/// The message broker of every world, and who may log in there.
pub const BROKER_HOST: &str = "broker";
pub const BROKER_PORT: u16 = 5672;
pub const BROKER_USER: &str = "cinder";
pub const BROKER_PASSWORD: &str = "broker-secret-pass";

/// A driver with everything a scenario needs to run it.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    pub name: &'static str,
    /// The back end that the fault target `store` means.
    pub store: &'static str,
    /// Hosts besides `api`, `db`, `volume`, `broker`, `collector` and the backup hosts.
    pub servers: &'static [&'static str],
    pub chunk_option: &'static str,
    pub block_option: &'static str,
    /// How names of options begin that only this family of drivers reads.
    pub own_options: &'static [&'static str],
    /// Whether its servers issue tokens, which faults can end.
    pub tokens: bool,
    pub options: &'static [(&'static str, &'static str)],
}

const SWIFT_OPTIONS: &[&str] = &["backup_swift_", "swift_catalog_info", "keystone_catalog_info"];
const S3_OPTIONS: &[&str] = &["backup_s3_"];
const POSIX_OPTIONS: &[&str] =
    &["backup_file_size", "backup_sha_block_size_bytes", "backup_posix_", "backup_enable_progress_timer"];
const SWIFT_CLASS: &str = "cinder.backup.drivers.swift.SwiftBackupDriver";

const SWIFT: Preset = Preset {
    name: "swift",
    store: "swift",
    servers: &["store", "swift"],
    chunk_option: "backup_swift_object_size",
    block_option: "backup_swift_block_size",
    own_options: SWIFT_OPTIONS,
    tokens: true,
    options: &[
        ("backup_driver", SWIFT_CLASS),
        ("backup_swift_auth", "single_user"),
        ("backup_swift_auth_version", "1"),
        ("backup_swift_auth_url", "http://swift:8080/auth/v1.0"),
        ("backup_swift_user", "test:tester"),
        ("backup_swift_key", "testing-secret-key"),
    ],
};

/// Every preset, in the order in which lists show them.
pub const PRESETS: &[Preset] = &[
    SWIFT,
    Preset {
        name: "swift-v3",
        servers: &["store", "swift", "keystone"],
        options: &[
            ("backup_driver", SWIFT_CLASS),
            ("backup_swift_auth", "single_user"),
            ("backup_swift_auth_version", "3"),
            ("backup_swift_auth_url", "http://keystone:5000/v3"),
            ("backup_swift_user", "backup"),
            ("backup_swift_key", "backup-secret-pass"),
            ("backup_swift_project", "backups"),
            ("backup_swift_user_domain", "Default"),
            ("backup_swift_project_domain", "Default"),
        ],
        ..SWIFT
    },
    Preset {
        name: "swift-per-user",
        servers: &["store", "swift", "keystone"],
        options: &[
            ("backup_driver", SWIFT_CLASS),
            ("backup_swift_auth", "per_user"),
            ("backup_swift_url", "http://swift:8080/v1/AUTH_"),
        ],
        ..SWIFT
    },
    Preset {
        name: "s3",
        store: "s3",
        servers: &["store", "s3"],
        chunk_option: "backup_s3_object_size",
        block_option: "backup_s3_block_size",
        own_options: S3_OPTIONS,
        tokens: false,
        options: &[
            ("backup_driver", "cinder.backup.drivers.s3.S3BackupDriver"),
            ("backup_s3_endpoint_url", "http://s3:8080"),
            ("backup_s3_store_access_key", "backup-access-key"),
            ("backup_s3_store_secret_key", "s3-secret-access-key"),
            // As many requests as Swift sends by default: a scenario that counts them means the same to both.
            ("backup_s3_retry_max_attempts", "3"),
        ],
    },
    Preset {
        name: "posix",
        store: "store",
        servers: &["store"],
        chunk_option: "backup_file_size",
        block_option: "backup_sha_block_size_bytes",
        own_options: POSIX_OPTIONS,
        tokens: false,
        options: &[
            ("backup_driver", "cinder.backup.drivers.posix.PosixBackupDriver"),
            ("backup_posix_path", "/var/lib/cinder/backup"),
        ],
    },
];

/// The preset of a name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

pub fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

impl Preset {
    /// The world's hosts that a fault may name.
    pub fn hosts(&self, backup_hosts: u32) -> Vec<String> {
        let fixed =
            ["api", "db", "volume", BROKER_HOST, "collector"].iter().chain(self.servers).map(|host| (*host).to_owned());
        fixed.chain((1..=backup_hosts).map(|index| format!("backup-host-{index}"))).collect()
    }

    /// The world's name of a host: `store` is the back end.
    pub fn world_host<'h>(&self, host: &'h str) -> &'h str {
        if host == "store" { self.store } else { host }
    }

    /// The preset's options with a geometry in bytes.
    pub fn options(&self, chunk: u64, block: u64) -> BTreeMap<String, String> {
        let mut options: BTreeMap<String, String> =
            self.options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        options.insert(self.chunk_option.to_owned(), chunk.to_string());
        options.insert(self.block_option.to_owned(), block.to_string());
        options.insert("periodic_fuzzy_delay".to_owned(), "0".to_owned());
        // As Cinder does: a fault then meets the same request with every driver. Scenarios of transfers say otherwise.
        options.insert("backup_max_inflight_chunks".to_owned(), "1".to_owned());
        let broker = format!("rabbit://{BROKER_USER}:{BROKER_PASSWORD}@{BROKER_HOST}:{BROKER_PORT}//");
        options.insert("transport_url".to_owned(), broker);
        options
    }

    /// Whether a driver of this preset reads the option, as far as its name tells.
    pub fn reads(&self, option: &str) -> bool {
        let of = |preset: &Preset| preset.own_options.iter().any(|prefix| option.starts_with(prefix));
        of(self) || !PRESETS.iter().any(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_has_its_back_end_among_its_hosts() {
        for preset in PRESETS {
            assert!(preset.hosts(2).iter().any(|host| host == preset.store), "{}", preset.name);
            assert!(preset.hosts(2).iter().any(|host| host == "backup-host-2"), "{}", preset.name);
        }
    }

    #[test]
    fn options_of_another_family_are_not_read() {
        let posix = preset("posix").expect("posix is a preset");
        assert!(!posix.reads("backup_swift_url"));
        assert!(posix.reads("backup_posix_path"));
        assert!(posix.reads("backup_compression_algorithm"));
    }
}
