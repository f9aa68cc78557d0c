//! User messages (`reference/02` §2.12): what a project is told of an operation that failed after it was accepted.
//!
//! The texts are constants, one for each pair of action and detail: nothing of a reason, and so no secret, gets into them.

use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::model::{Operation, Stamp};
use crate::transitions::Case;

/// What a message is about.
pub const RESOURCE_TYPE: &str = "VOLUME_BACKUP";

/// What went wrong, under Cinder's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    InvalidState,
    ServiceDown,
    CreateDevice,
    CreateDriver,
    Attach,
    Detach,
    DeleteDriver,
    RestoreDriver,
}

impl Detail {
    pub const ALL: [Detail; 8] = [
        Detail::InvalidState,
        Detail::ServiceDown,
        Detail::CreateDevice,
        Detail::CreateDriver,
        Detail::Attach,
        Detail::Detach,
        Detail::DeleteDriver,
        Detail::RestoreDriver,
    ];

    pub fn id(self) -> &'static str {
        match self {
            Detail::InvalidState => "017",
            Detail::ServiceDown => "018",
            Detail::CreateDevice => "019",
            Detail::CreateDriver => "020",
            Detail::Attach => "021",
            Detail::Detach => "022",
            Detail::DeleteDriver => "025",
            Detail::RestoreDriver => "026",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Detail::InvalidState => "the backup or its volume is not in the status that this needs",
            Detail::ServiceDown => "the backup service is down",
            Detail::CreateDevice => "the volume in use could not be copied",
            Detail::CreateDriver => "the backup driver could not store the backup",
            Detail::Attach => "the volume could not be attached to the backup service",
            Detail::Detach => "the volume could not be detached from the backup service",
            Detail::DeleteDriver => "the backup driver could not remove the backup",
            Detail::RestoreDriver => "the backup driver could not restore the backup",
        }
    }
}

/// Cinder's number of an operation that messages are about.
pub fn action_id(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::Create => Some("013"),
        Operation::Delete => Some("014"),
        Operation::Restore => Some("015"),
        Operation::ResetStatus => None,
    }
}

/// The text of an action and a detail, by their numbers; empty for others.
pub fn user_message(action: &str, detail: &str) -> String {
    let action = match action {
        "013" => "create backup",
        "014" => "delete backup",
        "015" => "restore backup",
        _ => return String::new(),
    };
    let detail = Detail::ALL.iter().find(|known| known.id() == detail);
    detail.map_or_else(String::new, |detail| format!("{action}: {}", detail.text()))
}

/// A row of `messages`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageRow {
    pub id: String,
    pub project_id: String,
    /// Of the request that failed, as its cast carries it.
    pub request_id: Option<String>,
    pub resource_type: String,
    /// The backup.
    pub resource_uuid: String,
    pub action_id: String,
    pub detail_id: String,
    pub event_id: String,
    pub message_level: String,
    pub created_at: Stamp,
    /// The database's clock, which decides when it expires.
    pub at: u64,
}

/// A message as its user sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserMessage {
    pub id: String,
    pub event_id: String,
    pub message_level: String,
    pub request_id: Option<String>,
    pub resource_type: String,
    pub resource_uuid: String,
    pub user_message: String,
    pub created_at: Stamp,
    /// Until when it is kept at least.
    pub guaranteed_until: Stamp,
}

impl MessageRow {
    /// `message_ttl` in nanoseconds.
    pub fn shown(&self, message_ttl: u64) -> UserMessage {
        let ttl = jiff::SignedDuration::from_nanos(i64::try_from(message_ttl).unwrap_or(i64::MAX));
        UserMessage {
            id: self.id.clone(),
            event_id: self.event_id.clone(),
            message_level: self.message_level.clone(),
            request_id: self.request_id.clone(),
            resource_type: self.resource_type.clone(),
            resource_uuid: self.resource_uuid.clone(),
            user_message: user_message(&self.action_id, &self.detail_id),
            created_at: self.created_at,
            guaranteed_until: Stamp(self.created_at.0.saturating_add(ttl).unwrap_or(jiff::Timestamp::MAX)),
        }
    }
}

/// Who is told what: [`Production`], or a planted bug.
pub trait UserMessages: Send + Sync {
    /// What the user is told when an operation ends in this case; `reason` is `kind: operation: what`.
    fn detail(&self, case: Case, reason: &str) -> Option<Detail>;

    /// Whether a request of which the user has been told is told of again.
    fn repeats(&self) -> bool {
        false
    }
}

/// Every failure but a cancel: whoever cancelled an operation need not be told that it did not happen.
pub struct Production;

impl UserMessages for Production {
    fn detail(&self, case: Case, reason: &str) -> Option<Detail> {
        match case {
            Case::CreateFailed => Some(cause(reason, Detail::CreateDriver)),
            Case::RestoreFailed | Case::RestoreNotWorking => Some(cause(reason, Detail::RestoreDriver)),
            Case::DeleteFailed => Some(cause(reason, Detail::DeleteDriver)),
            Case::CreateVolumeNotBackingUp
            | Case::CreateBackupNotCreating
            | Case::RestoreVolumeInWrongStatus
            | Case::RestoreBackupNotRestoring
            | Case::DeleteBackupNotDeleting => Some(Detail::InvalidState),
            Case::CreateOk | Case::RestoreOk | Case::DeleteOk | Case::ResetOk | Case::ResetRefused => None,
            Case::CreateStatusChanged
            | Case::CreateForceDeleted
            | Case::RestoreCancelled
            | Case::DeleteStatusChanged => None,
        }
    }
}

/// What failed, by where the reason comes from; the driver if from nowhere else.
fn cause(reason: &str, driver: Detail) -> Detail {
    let mut parts = reason.split(": ");
    let (kind, operation) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match operation {
        _ if kind == Kind::ServiceDown.as_str() => Detail::ServiceDown,
        "init_host" => Detail::ServiceDown,
        "get_backup_device" => Detail::CreateDevice,
        "attach_volume" => Detail::Attach,
        "detach_volume" => Detail::Detach,
        _ => driver,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(case: Case, reason: &str, expected: Option<&str>) {
        assert_eq!(Production.detail(case, reason).map(Detail::id), expected, "{case:?} {reason}");
    }

    #[test]
    fn a_failure_is_told_by_what_failed() {
        check(Case::CreateFailed, "service_down: create_backup: the backup service's driver …", Some("018"));
        check(Case::CreateFailed, "internal: init_host: the service restarted …", Some("018"));
        check(Case::CreateFailed, "timeout: get_backup_device: volume did not answer", Some("019"));
        check(Case::CreateFailed, "quota: backup: put of o: swift answered 507", Some("020"));
        check(Case::CreateFailed, "unreachable: attach_volume: volume refused", Some("021"));
        check(Case::RestoreFailed, "unreachable: detach_volume: volume refused", Some("022"));
        check(Case::RestoreFailed, "integrity: restore: o: …", Some("026"));
        check(Case::DeleteFailed, "auth: delete_backup: list of o: …", Some("025"));
        check(Case::RestoreNotWorking, "service_down: restore_backup: …", Some("018"));
        check(Case::DeleteBackupNotDeleting, "invalid_backup: delete_backup: …", Some("017"));
    }

    #[test]
    fn nobody_is_told_of_a_success_or_of_a_cancel() {
        for case in Case::ALL.into_iter().filter(|case| case.is_cancel()) {
            check(case, "cancelled", None);
        }
        for case in [Case::CreateOk, Case::RestoreOk, Case::DeleteOk, Case::ResetOk, Case::ResetRefused] {
            check(case, "", None);
        }
    }

    #[test]
    fn every_pair_has_a_text() {
        for action in ["013", "014", "015"] {
            for detail in Detail::ALL {
                assert!(user_message(action, detail.id()).contains(": the "), "{action} {}", detail.id());
            }
        }
        assert_eq!(user_message("013", "018"), "create backup: the backup service is down");
        assert_eq!(user_message("013", "999"), "");
    }
}
