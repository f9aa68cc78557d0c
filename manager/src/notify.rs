//! Notifications: event types, priorities, payloads (D5, `reference/04` §4.3).

use serde_json::{Map, Value, json};

use crate::model::{BackupRow, Operation, ServiceRow, Stamp};

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// The goal was reached.
    End,
    Error,
}

/// A notification before it has an identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub event_type: String,
    pub payload: Value,
}

impl Event {
    pub fn start(operation: Operation, backup: &BackupRow) -> Event {
        Event { event_type: format!("backup.{operation}.start"), payload: payload(backup) }
    }

    /// The terminal event. `reason` replaces the row's `fail_reason` in the payload of an error.
    pub fn terminal(operation: Operation, terminal: Terminal, backup: &BackupRow, reason: Option<&str>) -> Event {
        let mut payload = payload(backup);
        let word = match terminal {
            Terminal::End => "end",
            Terminal::Error => {
                if let Some(reason) = reason {
                    payload["fail_reason"] = json!(reason);
                }
                "error"
            }
        };
        Event { event_type: format!("backup.{operation}.{word}"), payload }
    }

    /// Progress; `event_type` is `backup_progress_event_type`.
    pub fn progress(event_type: &str, backup: &BackupRow, percent: f64) -> Event {
        let mut payload = payload(backup);
        payload["backup_percent"] = json!(percent);
        Event { event_type: event_type.to_owned(), payload }
    }

    /// The outcome of one initialisation attempt, or (attempt 0) of a failed health check.
    pub fn init(service: &ServiceRow, attempt: &Attempt) -> Event {
        let word = if attempt.error.is_none() { "end" } else { "error" };
        Event {
            event_type: format!("backup.init.{word}"),
            payload: json!({
                "host": service.host,
                "driver": service.driver,
                "availability_zone": service.availability_zone,
                "attempt": attempt.number,
                "reason": attempt.error,
                "seconds": attempt.seconds,
                "next_attempt_in": attempt.next_attempt_in,
            }),
        }
    }

    pub fn priority(&self) -> &'static str {
        if self.event_type.ends_with(".error") { "ERROR" } else { "INFO" }
    }

    /// The notifier's message (`reference/04` §4.6).
    pub fn message(&self, message_id: &str, publisher_id: &str, now: Stamp) -> Value {
        json!({
            "message_id": message_id,
            "publisher_id": publisher_id,
            "event_type": self.event_type,
            "priority": self.priority(),
            "payload": self.payload,
            "timestamp": now.iso().replacen('T', " ", 1).trim_end_matches("+00:00"),
        })
    }
}

/// One initialisation attempt as it ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Attempt {
    /// From 1, anew after each time the driver worked; 0 = a health check.
    pub number: u32,
    /// Why it failed.
    pub error: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// Seconds from its end to the next attempt; null if none will follow.
    pub next_attempt_in: Option<f64>,
}

/// The 16 fields of the reference, in its order.
fn payload(backup: &BackupRow) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("tenant_id", json!(backup.project_id));
    put("user_id", json!(backup.user_id));
    put("availability_zone", json!(backup.availability_zone));
    put("backup_id", json!(backup.id));
    put("host", json!(backup.host));
    put("display_name", json!(backup.display_name));
    put("created_at", json!(backup.created_at.iso()));
    put("status", json!(backup.status));
    put("volume_id", json!(backup.volume_id));
    put("size", json!(backup.size));
    put("service_metadata", json!(backup.service_metadata));
    put("service", json!(backup.service));
    put("fail_reason", json!(backup.fail_reason));
    put("parent_id", json!(backup.parent_id));
    put("num_dependent_backups", json!(backup.num_dependent_backups));
    put("snapshot_id", json!(backup.snapshot_id));
    Value::Object(fields)
}
