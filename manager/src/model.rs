//! Rows of the database and the statuses in them, under Cinder's column names.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::volumes::{Temporary, TemporaryKind};

/// A status column: an enum whose words are Cinder's.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $(#[serde(rename = $word)] $variant,)*
        }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The status of that name.
            pub fn parse(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|status| status.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// `backups.status` (`reference/02` §2.1).
    BackupStatus {
        Creating = "creating",
        Available = "available",
        Deleting = "deleting",
        Deleted = "deleted",
        Restoring = "restoring",
        Error = "error",
        ErrorDeleting = "error_deleting",
    }
}

words! {
    /// `volumes.status` and `volumes.previous_status`; `error_backing-up` appears only in the latter.
    VolumeStatus {
        Available = "available",
        InUse = "in-use",
        BackingUp = "backing-up",
        RestoringBackup = "restoring-backup",
        ErrorRestoring = "error_restoring",
        Error = "error",
        Creating = "creating",
        ErrorBackingUp = "error_backing-up",
    }
}

words! {
    /// `snapshots.status`
    SnapshotStatus {
        Available = "available",
        BackingUp = "backing-up",
    }
}

words! {
    /// An operation that opens with a `start` event.
    Operation {
        Create = "create",
        Restore = "restore",
        Delete = "delete",
        ResetStatus = "reset_status",
    }
}

/// One backup service process. Stamps are nanoseconds of the database's clock (D1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// `<host>` for worker 0, `<host>#<n>` for the others.
    pub id: String,
    pub host: String,
    pub binary: String,
    pub worker: u32,
    /// An id of the process that has registered last; what others send is late and no news of it.
    pub process: String,
    /// The driver's class path.
    pub driver: String,
    pub availability_zone: String,
    /// When this process registered; registration is not a check-in.
    pub started_at: u64,
    pub working: bool,
    /// Why it is not working; null while the first attempt runs.
    pub reason: Option<String>,
    pub last_heartbeat: Option<u64>,
    /// Attempts since registration or since it last worked.
    pub attempt: u32,
    /// When the row was last written, by the wall clock of the database's host: for people, no decision reads it.
    pub updated_at: Option<Stamp>,
    /// Whether only this host reaches what its driver stores; known since the driver first worked.
    pub host_bound: bool,
}

/// One backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackupRow {
    pub id: String,
    pub user_id: String,
    pub project_id: String,
    pub volume_id: String,
    pub host: Option<String>,
    pub availability_zone: Option<String>,
    pub display_name: Option<String>,
    pub display_description: Option<String>,
    pub container: Option<String>,
    pub parent_id: Option<String>,
    pub status: BackupStatus,
    pub fail_reason: Option<String>,
    /// The object-name prefix.
    pub service_metadata: Option<String>,
    /// The driver's class path; null until a manager has accepted the create.
    pub service: Option<String>,
    /// GiB.
    pub size: u64,
    pub object_count: u64,
    pub num_dependent_backups: u64,
    pub snapshot_id: Option<String>,
    /// A copy of a volume in use, while there is one.
    pub temp_volume_id: Option<String>,
    pub temp_snapshot_id: Option<String>,
    pub data_timestamp: Stamp,
    pub restore_volume_id: Option<String>,
    /// A key of its own, made from its volume's; named before it is made, until it is gone.
    #[serde(default)]
    pub encryption_key_id: Option<String>,
    pub created_at: Stamp,
    pub updated_at: Option<Stamp>,
    pub deleted_at: Option<Stamp>,
    pub deleted: bool,
    /// Operations whose `start` has been emitted and whose terminal event has not (D5), oldest first.
    pub open_events: Vec<Operation>,
}

/// One volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeRow {
    pub id: String,
    pub display_name: Option<String>,
    /// GiB.
    pub size: u64,
    pub status: VolumeStatus,
    pub previous_status: Option<VolumeStatus>,
    pub availability_zone: String,
    /// The host it lives on, which `backup_use_same_host` asks for.
    pub host: Option<String>,
    /// The backup it was last restored from, when that is of another volume.
    pub src_backup_id: Option<String>,
    #[serde(default)]
    pub display_description: Option<String>,
    #[serde(default)]
    pub volume_type_id: Option<String>,
    #[serde(default)]
    pub encryption_key_id: Option<String>,
    /// A key that a restore has named and not made its key yet, or replaced and not deleted yet.
    #[serde(default)]
    pub spare_key_id: Option<String>,
    #[serde(default)]
    pub bootable: bool,
    /// The user's.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The image's that it was made from.
    #[serde(default)]
    pub volume_glance_metadata: BTreeMap<String, String>,
}

impl Default for VolumeRow {
    /// An available volume of 1 GiB without a name.
    fn default() -> VolumeRow {
        VolumeRow {
            id: String::new(),
            display_name: None,
            size: 1,
            status: VolumeStatus::Available,
            previous_status: None,
            availability_zone: "nova".to_owned(),
            host: None,
            src_backup_id: None,
            display_description: None,
            volume_type_id: None,
            encryption_key_id: None,
            spare_key_id: None,
            bootable: false,
            metadata: BTreeMap::new(),
            volume_glance_metadata: BTreeMap::new(),
        }
    }
}

/// One snapshot of a volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotRow {
    pub id: String,
    pub volume_id: String,
    pub display_name: Option<String>,
    /// GiB.
    pub size: u64,
    pub status: SnapshotStatus,
    pub created_at: Stamp,
}

/// A moment of wall-clock time; as text in the database always with six fractional digits, so that it sorts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub Timestamp);

impl Stamp {
    pub(crate) fn text(self) -> String {
        self.0.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
    }

    /// As records carry it: without fractions.
    pub fn seconds(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// As notifications carry it: with offset, and with microseconds only when there are any.
    pub fn iso(self) -> String {
        let text = self.text();
        text.replacen(".000000", "", 1)
    }
}

impl Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Stamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Stamp).map_err(serde::de::Error::custom)
    }
}

impl BackupRow {
    /// The temporary copy that the row names.
    pub fn temporary(&self) -> Option<Temporary> {
        let of =
            |id: &Option<String>, kind| id.clone().map(|id| Temporary { id, volume_id: self.volume_id.clone(), kind });
        of(&self.temp_snapshot_id, TemporaryKind::Snapshot).or(of(&self.temp_volume_id, TemporaryKind::Volume))
    }

    /// What a driver gets to see of it. `zone` is the service's.
    pub fn for_driver(&self, zone: &str) -> clinker_drivers::Backup {
        clinker_drivers::Backup {
            id: self.id.clone(),
            volume_id: self.volume_id.clone(),
            size: self.size,
            display_name: self.display_name.clone(),
            display_description: self.display_description.clone(),
            created_at: self.created_at.0,
            availability_zone: zone.to_owned(),
            container: self.container.clone(),
            service_metadata: self.service_metadata.clone(),
            parent_id: self.parent_id.clone(),
            volume_meta: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_shows_microseconds_only_when_there_are_any() {
        for (text, iso) in [
            ("2026-11-21T18:30:00Z", "2026-11-21T18:30:00+00:00"),
            ("2026-11-21T18:30:00.000123Z", "2026-11-21T18:30:00.000123+00:00"),
        ] {
            assert_eq!(Stamp(text.parse().unwrap()).iso(), iso);
        }
    }

    #[test]
    fn a_stored_stamp_reads_back() {
        let stamp = Stamp("2026-11-21T18:30:00.5Z".parse().unwrap());
        let text = serde_json::to_string(&stamp).unwrap();
        assert_eq!(text, "\"2026-11-21T18:30:00.500000+00:00\"");
        assert_eq!(serde_json::from_str::<Stamp>(&text).unwrap(), stamp);
    }

    #[test]
    fn statuses_are_cinders_words() {
        assert_eq!(serde_json::to_string(&VolumeStatus::ErrorBackingUp).unwrap(), "\"error_backing-up\"");
        assert_eq!(BackupStatus::parse("error_deleting"), Some(BackupStatus::ErrorDeleting));
        assert_eq!(BackupStatus::parse("error-deleting"), None);
    }
}
