//! Outcomes: what the end of each operation means for events, backup, volume and `fail_reason`.
//!
//! This is the table of section 5 of the design as code, in one place. It is evaluated inside the database
//! transaction, on the rows as they are then (D8). Nothing here has an effect.

use crate::model::{BackupRow, BackupStatus, Operation, SnapshotStatus, VolumeRow, VolumeStatus};
use crate::notify::Terminal;

/// The rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    CreateOk,
    /// Not working, attach, driver or detach failed, or the process crashed.
    CreateFailed,
    CreateVolumeNotBackingUp,
    CreateBackupNotCreating,
    CreateStatusChanged,
    CreateForceDeleted,
    RestoreOk,
    /// Also: another driver's backup.
    RestoreNotWorking,
    RestoreFailed,
    RestoreCancelled,
    RestoreVolumeInWrongStatus,
    RestoreBackupNotRestoring,
    DeleteOk,
    /// Any failure, another driver's backup, or not working.
    DeleteFailed,
    DeleteBackupNotDeleting,
    DeleteStatusChanged,
    ResetOk,
    /// Another driver's backup, or the row is gone.
    ResetRefused,
}

/// What a case does to the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeChange {
    Unchanged,
    /// `status` becomes what it was before the backup; `previous_status` becomes this.
    AfterBackup {
        previous_status: VolumeStatus,
    },
    /// A target in `restoring-backup` or in `creating` takes these; any other status stays.
    AfterRestore {
        restoring: VolumeStatus,
        creating: VolumeStatus,
    },
}

/// What a case does to the row's `fail_reason`. An error event carries the reason in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonChange {
    Unchanged,
    Cleared,
    Set,
}

/// One row of the table, after its `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub terminal: Terminal,
    /// The backup's new status; `None` leaves it as it is.
    pub backup: Option<BackupStatus>,
    pub volume: VolumeChange,
    pub fail_reason: ReasonChange,
}

/// Where outcomes come from: [`Section5`], or a planted bug.
pub trait Transitions: Send + Sync {
    fn outcome(&self, case: Case) -> Outcome;
}

/// Section 5 of the design.
pub struct Section5;

impl Transitions for Section5 {
    fn outcome(&self, case: Case) -> Outcome {
        use BackupStatus as B;
        use ReasonChange as R;
        use Terminal::{End, Error};
        use VolumeChange::{AfterBackup, AfterRestore, Unchanged};
        use VolumeStatus as V;

        let as_before_failed = AfterBackup { previous_status: V::ErrorBackingUp };
        let as_before = AfterBackup { previous_status: V::BackingUp };
        let restore = |restoring, creating| AfterRestore { restoring, creating };
        let (terminal, backup, volume, fail_reason) = match case {
            Case::CreateOk => (End, Some(B::Available), as_before, R::Cleared),
            Case::CreateFailed => (Error, Some(B::Error), as_before_failed, R::Set),
            Case::CreateVolumeNotBackingUp => (Error, Some(B::Error), Unchanged, R::Set),
            Case::CreateBackupNotCreating => (Error, None, Unchanged, R::Unchanged),
            Case::CreateStatusChanged => (Error, None, as_before_failed, R::Unchanged),
            Case::CreateForceDeleted => (Error, None, as_before, R::Unchanged),
            Case::RestoreOk => (End, Some(B::Available), restore(V::Available, V::Available), R::Cleared),
            Case::RestoreNotWorking => (Error, Some(B::Available), restore(V::Available, V::Error), R::Unchanged),
            Case::RestoreFailed => (Error, Some(B::Available), restore(V::ErrorRestoring, V::Error), R::Unchanged),
            Case::RestoreCancelled => (Error, None, restore(V::Error, V::Error), R::Unchanged),
            Case::RestoreVolumeInWrongStatus => (Error, Some(B::Available), Unchanged, R::Unchanged),
            Case::RestoreBackupNotRestoring => (Error, None, restore(V::Available, V::Error), R::Unchanged),
            Case::DeleteOk => (End, Some(B::Deleted), Unchanged, R::Unchanged),
            Case::DeleteFailed => (Error, Some(B::ErrorDeleting), Unchanged, R::Set),
            Case::DeleteBackupNotDeleting => (Error, None, Unchanged, R::Unchanged),
            Case::DeleteStatusChanged => (Error, None, Unchanged, R::Unchanged),
            // The new status is the caller's and set before this is asked.
            Case::ResetOk => (End, None, Unchanged, R::Unchanged),
            Case::ResetRefused => (Error, None, Unchanged, R::Unchanged),
        };
        Outcome { terminal, backup, volume, fail_reason }
    }
}

/// What a manager knows when a request arrives.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The driver is initialised.
    pub working: bool,
    /// The backup is of this driver, or of none yet.
    pub ours: bool,
    /// Of the snapshot that a backup is made of.
    pub snapshot: Option<SnapshotStatus>,
}

/// Whether a request is refused on arrival, and with what reason; `None` = it goes on.
///
/// The backup's status is looked at first: a queued cast whose backup start-up clean-up has ended must end as "backup
/// not creating", whatever the volume does by then.
pub fn refusal(
    operation: Operation,
    backup: &BackupRow,
    volume: Option<&VolumeRow>,
    arrival: Arrival,
) -> Option<(Case, String)> {
    match operation {
        Operation::Create => refuse_create(backup, volume, arrival),
        Operation::Restore => refuse_restore(backup, volume, arrival),
        Operation::Delete => refuse_delete(backup, arrival),
        Operation::ResetStatus => {
            let gone = backup.deleted.then(|| "not_found: reset_status: the backup is deleted".to_owned());
            let other = (!arrival.ours).then(|| other_driver("reset_status"));
            gone.or(other).map(|reason| (Case::ResetRefused, reason))
        }
    }
}

fn refuse_create(backup: &BackupRow, volume: Option<&VolumeRow>, arrival: Arrival) -> Option<(Case, String)> {
    let method = "create_backup";
    if backup.status != BackupStatus::Creating {
        return Some((Case::CreateBackupNotCreating, wrong_backup(method, backup, BackupStatus::Creating)));
    }
    let (source, status) = match &backup.snapshot_id {
        Some(_) => ("snapshot", arrival.snapshot.map(SnapshotStatus::as_str)),
        None => ("volume", volume.map(|volume| volume.status.as_str())),
    };
    let Some(status) = status else {
        return Some((Case::CreateVolumeNotBackingUp, format!("invalid_volume: {method}: the {source} is gone")));
    };
    if status != VolumeStatus::BackingUp.as_str() {
        let reason = format!("invalid_volume: {method}: {source} is {status}, expected backing-up");
        return Some((Case::CreateVolumeNotBackingUp, reason));
    }
    (!arrival.working).then(|| (Case::CreateFailed, not_working(method)))
}

fn refuse_restore(backup: &BackupRow, volume: Option<&VolumeRow>, arrival: Arrival) -> Option<(Case, String)> {
    let method = "restore_backup";
    if backup.status != BackupStatus::Restoring {
        return Some((Case::RestoreBackupNotRestoring, wrong_backup(method, backup, BackupStatus::Restoring)));
    }
    let status = volume.map(|volume| volume.status);
    if !matches!(status, Some(VolumeStatus::RestoringBackup | VolumeStatus::Creating)) {
        let found = status.map_or("gone".to_owned(), |status| status.to_string());
        let reason = format!("invalid_volume: {method}: volume is {found}, expected restoring-backup or creating");
        return Some((Case::RestoreVolumeInWrongStatus, reason));
    }
    if !arrival.working {
        return Some((Case::RestoreNotWorking, not_working(method)));
    }
    (!arrival.ours).then(|| (Case::RestoreNotWorking, other_driver(method)))
}

fn refuse_delete(backup: &BackupRow, arrival: Arrival) -> Option<(Case, String)> {
    let method = "delete_backup";
    if backup.status != BackupStatus::Deleting {
        return Some((Case::DeleteBackupNotDeleting, wrong_backup(method, backup, BackupStatus::Deleting)));
    }
    // A backup that was never stored needs no driver (D4).
    backup.service.as_ref()?;
    if !arrival.ours {
        return Some((Case::DeleteFailed, other_driver(method)));
    }
    (!arrival.working).then(|| (Case::DeleteFailed, not_working(method)))
}

/// The case in which an accepted operation ends, seen from the status that the backup has by then.
pub fn ending(operation: Operation, status: BackupStatus, failed: bool) -> Case {
    use BackupStatus as B;
    match (operation, status, failed) {
        (Operation::Create, B::Creating, false) => Case::CreateOk,
        (Operation::Create, B::Creating, true) => Case::CreateFailed,
        (Operation::Create, B::Deleting | B::Deleted | B::ErrorDeleting, _) => Case::CreateForceDeleted,
        (Operation::Create, _, _) => Case::CreateStatusChanged,
        (Operation::Restore, B::Restoring, false) => Case::RestoreOk,
        (Operation::Restore, B::Restoring, true) => Case::RestoreFailed,
        (Operation::Restore, _, _) => Case::RestoreCancelled,
        (Operation::Delete, B::Deleting, false) => Case::DeleteOk,
        (Operation::Delete, B::Deleting, true) => Case::DeleteFailed,
        (Operation::Delete, _, _) => Case::DeleteStatusChanged,
        (Operation::ResetStatus, _, false) => Case::ResetOk,
        (Operation::ResetStatus, _, true) => Case::ResetRefused,
    }
}

impl Case {
    /// Every case.
    pub const ALL: [Case; 18] = [
        Case::CreateOk,
        Case::CreateFailed,
        Case::CreateVolumeNotBackingUp,
        Case::CreateBackupNotCreating,
        Case::CreateStatusChanged,
        Case::CreateForceDeleted,
        Case::RestoreOk,
        Case::RestoreNotWorking,
        Case::RestoreFailed,
        Case::RestoreCancelled,
        Case::RestoreVolumeInWrongStatus,
        Case::RestoreBackupNotRestoring,
        Case::DeleteOk,
        Case::DeleteFailed,
        Case::DeleteBackupNotDeleting,
        Case::DeleteStatusChanged,
        Case::ResetOk,
        Case::ResetRefused,
    ];

    /// Whether someone else moved the backup on while the operation ran.
    pub fn is_cancel(self) -> bool {
        matches!(
            self,
            Case::CreateStatusChanged | Case::CreateForceDeleted | Case::RestoreCancelled | Case::DeleteStatusChanged
        )
    }
}

impl VolumeChange {
    /// Applies the change to a row; a volume that another hand has moved on keeps its status (D8).
    pub fn apply(self, volume: &mut VolumeRow) {
        match self {
            VolumeChange::Unchanged => {}
            VolumeChange::AfterBackup { previous_status } => {
                if volume.status == VolumeStatus::BackingUp {
                    volume.status = volume.previous_status.unwrap_or(VolumeStatus::Available);
                    volume.previous_status = Some(previous_status);
                }
            }
            VolumeChange::AfterRestore { restoring, creating } => match volume.status {
                VolumeStatus::RestoringBackup => volume.status = restoring,
                VolumeStatus::Creating => volume.status = creating,
                _ => {}
            },
        }
    }
}

fn wrong_backup(method: &str, backup: &BackupRow, expected: BackupStatus) -> String {
    format!("invalid_backup: {method}: backup is {}, expected {expected}", backup.status)
}

fn not_working(method: &str) -> String {
    format!("service_down: {method}: the backup service's driver is not initialised")
}

fn other_driver(method: &str) -> String {
    format!("invalid_backup: {method}: the backup was made by another driver")
}
