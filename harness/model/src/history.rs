//! The history: everything a run leaves for the checkers, as JSON lines.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::FaultId;

/// One line of the history. Sorted by (`t_ns`, `n`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Append number.
    pub n: u64,
    /// Virtual nanoseconds since the start of the run.
    pub t_ns: u64,
    pub host: String,
    #[serde(flatten)]
    pub entry: Entry,
}

/// How far an operation is: asked for, or ended well, badly, or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Invoke,
    Ok,
    Fail,
    /// The outcome is unknown: the caller went away.
    Info,
}

/// An error as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A kind of D10, e.g. `unreachable`.
    pub kind: String,
    /// The whole reason text, `kind: operation: what`.
    pub reason: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// A step of the workload: a call of the API. `step` is its position in the scenario, from 0.
    Op {
        phase: Phase,
        step: usize,
        /// `create`, `restore`, `delete`, `force_delete`, `reset_status`, `write` …
        op: String,
        /// On `invoke` the arguments, on `ok` the result.
        value: Value,
        failure: Option<Failure>,
    },
    /// A call of the driver by the service (recorded by a wrapper around the driver, not by the service).
    Driver {
        phase: Phase,
        /// Number of the call, the same in its `invoke` and its end.
        call: u64,
        /// `do_setup`, `check_for_setup_error`, `backup`, `restore`, `delete_backup`.
        method: String,
        backup_id: Option<String>,
        failure: Option<Failure>,
    },
    /// A call of a manager over the message bus, as its caller sees it (recorded by a wrapper around the bus).
    Call {
        phase: Phase,
        /// Names the call, the same in its `invoke` and its end.
        call: String,
        /// The host that is asked.
        to: String,
        /// On `ok` the answer.
        value: Value,
        failure: Option<Failure>,
    },
    /// A manager hands its answer to a call to the bus; again, if it could not be sent.
    Answer {
        /// Names the call.
        call: String,
        value: Value,
        failure: Option<Failure>,
    },
    /// A transaction of the database.
    Commit {
        /// Name of the `Db` call.
        call: String,
        changes: Vec<RowChange>,
        outbox: Vec<OutboxRow>,
    },
    /// A notification as it arrived at the collector (the whole message).
    Event { message: Value },
    /// A request that a fake answered (or dropped).
    Request {
        method: String,
        path: String,
        /// The status answered; 0 when the connection was cut or stayed silent.
        status: u16,
        request_bytes: u64,
        response_bytes: u64,
    },
    /// A fault begins, ends, or bites.
    Fault { fault: FaultId, name: String, phase: FaultPhase, what: String },
    /// A host's process: `started`, `crashed`, `restarted`, `ended` (by itself).
    Host { what: String },
    /// A log line of the service or a driver.
    Log { level: String, target: String, message: String },
    /// A secret that came into being during the run (an issued token): it may appear nowhere.
    Secret { value: String },
    /// A device's contents at a moment: `attach` (for a backup), `detach` (after a restore, as many bytes as the
    /// backup has), `final`.
    Device {
        volume_id: String,
        moment: String,
        backup_id: Option<String>,
        /// Bytes digested, from the start of the device.
        len: u64,
        /// xxh3 of 128 bits, in hex.
        digest: String,
    },
    /// At the end: a device that is still attached to a backup host.
    Attached {
        volume_id: String,
        backup_id: String,
        /// The backup host's name.
        to: String,
        /// `backup` or `restore`.
        purpose: String,
    },
    /// A key of the key manager: `given` (at the start), `made`, `deleted`, `living` (at the end).
    Key { key_id: String, what: String },
    /// At the end: one row of the database.
    FinalRow { table: String, id: String, row: Value },
    /// At the end: one object that a store holds.
    Stored { store: String, container: String, name: String, len: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultPhase {
    Begin,
    End,
    Bite,
}

/// A row before and after a transaction; null where it did not exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowChange {
    /// `services`, `backups`, `volumes`, `snapshots`, `records`.
    pub table: String,
    pub id: String,
    pub before: Value,
    pub after: Value,
}

/// A notification as it was put into the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Position in the outbox of the whole database.
    pub seq: u64,
    pub publisher_id: String,
    /// The message as in `reference/04` §4.6: message_id, publisher_id, event_type, priority, payload, timestamp.
    pub message: Value,
}

/// First line of a history file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub format: u32,
    pub scenario: String,
    pub driver: String,
    pub seed: u64,
    pub engine: String,
    pub plan: crate::plan::Plan,
    /// Configured secrets: passwords, keys. Issued tokens follow as `secret` records.
    pub secrets: Vec<String>,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    pub header: Header,
    pub records: Vec<Record>,
}
