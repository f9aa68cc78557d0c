//! The lines of the protocol, as both sides write and read them. `docs/adapter-protocol.md` is for those who write one.

use std::collections::BTreeMap;

use clinker_drivers::context::CatalogEntry;
use clinker_drivers::{Backup, Error, Kind, RequestContext, Secret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the protocol that this harness speaks.
pub const PROTOCOL: u32 = 1;
/// Bytes of a line at most, its end included.
pub const LINE_MAX: usize = 32 << 20;
/// Questions and events during one request, or between two, at most.
pub const MESSAGES_MAX: u64 = 10_000;
/// Bytes of them at most.
pub const MESSAGE_BYTES_MAX: u64 = 8 << 20;
/// The event type of progress notes that are told to the service.
pub const PROGRESS: &str = "backup.createprogress";

/// What an adapter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A whole driver: it reads and writes devices.
    Driver,
    /// A store of objects below the harness's chunk engine.
    Store,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Driver => "driver",
            Role::Store => "store",
        }
    }
}

/// A request of the harness: a line with `id` and these fields.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    Hello { protocol: u32, role: Role, folder: String },
    Configure { options: BTreeMap<String, String> },
    // the role `driver`
    DoSetup {},
    CheckForSetupError {},
    Backup { context: Caller, backup: Row, parent: Option<Row>, device: String, volume_size: u64 },
    Restore { context: Caller, chain: Vec<Row>, device: String, volume_size: u64, volume_is_new: bool },
    DeleteBackup { context: Caller, backup: Row },
    ExportRecord { backup: Row },
    ImportRecord { backup: Row, driver_info: Map<String, Value> },
    Verify { context: Caller, backup: Row, object_count: u64 },
    // the role `store`, besides check_for_setup_error
    CheckOptions {},
    ContainerFor { backup: Row },
    ObjectPrefix { backup: Row, now: Timestamp },
    PutContainer { context: Caller, container: String },
    List { context: Caller, container: String, prefix: String },
    Put { context: Caller, container: String, name: String, body: String, md5: String },
    Get { context: Caller, container: String, name: String },
    Delete { context: Caller, container: String, name: String },
    DiscardPartial { context: Caller, container: String, prefix: String },
}

impl Op {
    /// The value of `op`.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Hello { .. } => "hello",
            Op::Configure { .. } => "configure",
            Op::DoSetup {} => "do_setup",
            Op::CheckForSetupError {} => "check_for_setup_error",
            Op::Backup { .. } => "backup",
            Op::Restore { .. } => "restore",
            Op::DeleteBackup { .. } => "delete_backup",
            Op::ExportRecord { .. } => "export_record",
            Op::ImportRecord { .. } => "import_record",
            Op::Verify { .. } => "verify",
            Op::CheckOptions {} => "check_options",
            Op::ContainerFor { .. } => "container_for",
            Op::ObjectPrefix { .. } => "object_prefix",
            Op::PutContainer { .. } => "put_container",
            Op::List { .. } => "list",
            Op::Put { .. } => "put",
            Op::Get { .. } => "get",
            Op::Delete { .. } => "delete",
            Op::DiscardPartial { .. } => "discard_partial",
        }
    }

    /// The backup that it makes or restores: the only one about which questions may be asked meanwhile.
    pub fn about(&self) -> Option<&str> {
        match self {
            Op::Backup { backup, .. } => Some(&backup.id),
            Op::Restore { chain, .. } => chain.last().map(|row| row.id.as_str()),
            _ => None,
        }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    id: u64,
    #[serde(flatten)]
    op: &'a Op,
}

/// The line of a request, without its end.
pub fn request_line(id: u64, op: &Op) -> String {
    serde_json::to_string(&Request { id, op }).expect("all keys are strings")
}

/// What an adapter says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    /// Of the driver: `cinder-swift`.
    pub name: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// What a store answers to `configure`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoreFacts {
    pub chunk: u64,
    pub block: u64,
    pub progress_timer: bool,
    #[serde(default)]
    pub host_bound: bool,
}

/// On whose behalf.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Caller {
    pub user_id: String,
    pub project_id: String,
    pub token: Option<String>,
    #[serde(default)]
    pub catalog: Vec<CatalogEntry>,
}

impl From<&RequestContext> for Caller {
    fn from(context: &RequestContext) -> Caller {
        Caller {
            user_id: context.user_id.clone(),
            project_id: context.project_id.clone(),
            token: context.token.as_ref().map(|token| token.expose().to_owned()),
            catalog: context.catalog.clone(),
        }
    }
}

impl From<Caller> for RequestContext {
    fn from(caller: Caller) -> RequestContext {
        RequestContext {
            user_id: caller.user_id,
            project_id: caller.project_id,
            token: caller.token.map(Secret::new),
            catalog: caller.catalog,
            ..RequestContext::default()
        }
    }
}

/// The fields of a backup's row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    pub id: String,
    pub volume_id: String,
    /// GiB.
    pub size: u64,
    pub display_name: Option<String>,
    pub display_description: Option<String>,
    pub created_at: Timestamp,
    pub availability_zone: String,
    pub container: Option<String>,
    pub service_metadata: Option<String>,
    pub parent_id: Option<String>,
    pub volume_meta: Option<String>,
}

impl From<&Backup> for Row {
    fn from(backup: &Backup) -> Row {
        Row {
            id: backup.id.clone(),
            volume_id: backup.volume_id.clone(),
            size: backup.size,
            display_name: backup.display_name.clone(),
            display_description: backup.display_description.clone(),
            created_at: backup.created_at,
            availability_zone: backup.availability_zone.clone(),
            container: backup.container.clone(),
            service_metadata: backup.service_metadata.clone(),
            parent_id: backup.parent_id.clone(),
            volume_meta: backup.volume_meta.clone(),
        }
    }
}

impl From<Row> for Backup {
    fn from(row: Row) -> Backup {
        Backup {
            id: row.id,
            volume_id: row.volume_id,
            size: row.size,
            display_name: row.display_name,
            display_description: row.display_description,
            created_at: row.created_at,
            availability_zone: row.availability_zone,
            container: row.container,
            service_metadata: row.service_metadata,
            parent_id: row.parent_id,
            volume_meta: row.volume_meta,
        }
    }
}

/// An error on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failed {
    pub kind: Kind,
    pub message: String,
    pub definite: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operation: String,
}

impl From<&Error> for Failed {
    fn from(error: &Error) -> Failed {
        Failed {
            kind: error.kind,
            message: error.what.clone(),
            definite: !error.retry,
            operation: error.operation.clone(),
        }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Error {
        let Failed { kind, message, definite, operation } = failed;
        let error = if definite { Error::new(kind, message) } else { Error::transient(kind, message) };
        error.during(&operation)
    }
}

/// A question of the adapter while it works on a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Question {
    Cancelled { backup: String },
    SaveLocation { backup: String, container: String, service_metadata: String },
    VolumeMeta { backup: String, volume_meta: Option<String> },
}

impl Question {
    pub fn backup(&self) -> &str {
        match self {
            Question::Cancelled { backup }
            | Question::SaveLocation { backup, .. }
            | Question::VolumeMeta { backup, .. } => backup,
        }
    }
}

/// Something the adapter tells without being asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Notification { backup: String, event_type: String, payload: Map<String, Value> },
    Warning { backup: String, finding: String },
    Log { level: String, text: String },
}

/// A line of an adapter.
#[derive(Clone, Debug)]
pub enum FromAdapter {
    Answer(u64, Result<Value, Failed>),
    Ask(u64, Question),
    Event(Event),
}

impl FromAdapter {
    /// Reads a line; the error says what is wrong with it.
    pub fn parse(line: &str) -> Result<FromAdapter, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| format!("which is no JSON ({error})"))?;
        let Value::Object(mut fields) = value else { return Err("which is no JSON object".to_owned()) };
        let number = |fields: &Map<String, Value>, name: &str| {
            fields[name].as_u64().ok_or_else(|| format!("whose \"{name}\" is no positive number"))
        };
        if fields.contains_key("ask") {
            let ask = number(&fields, "ask")?;
            return Ok(FromAdapter::Ask(ask, read("question", Value::Object(fields))?));
        }
        if fields.contains_key("event") {
            return Ok(FromAdapter::Event(read("event", Value::Object(fields))?));
        }
        if !fields.contains_key("id") {
            return Err("which has none of \"id\", \"ask\" and \"event\"".to_owned());
        }
        let id = number(&fields, "id")?;
        match (fields.remove("ok"), fields.remove("error")) {
            (Some(ok), None) => Ok(FromAdapter::Answer(id, Ok(ok))),
            (None, Some(error)) => Ok(FromAdapter::Answer(id, Err(read("error", error)?))),
            _ => Err("which has not just one of \"ok\" and \"error\"".to_owned()),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(what: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("whose {what} is wrong ({error})"))
}

/// The line by which the harness answers a question, without its end.
pub fn answer_line(ask: u64, value: Result<Value, &Error>) -> String {
    match value {
        Ok(value) => serde_json::json!({ "answer": ask, "value": value }),
        Err(error) => serde_json::json!({ "answer": ask, "error": Failed::from(error) }),
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_adapter_is_read_or_named() {
        let check = |line: &str, expected: &str| {
            let found = match FromAdapter::parse(line) {
                Ok(FromAdapter::Answer(id, Ok(value))) => format!("{id} ok {value}"),
                Ok(FromAdapter::Answer(id, Err(failed))) => format!("{id} {}", Error::from(failed)),
                Ok(FromAdapter::Ask(ask, question)) => format!("{ask} {question:?}"),
                Ok(FromAdapter::Event(event)) => format!("{event:?}"),
                Err(wrong) => wrong,
            };
            assert!(found.starts_with(expected), "{line}\n{found}");
        };
        check(r#"{"id":3,"ok":{}}"#, "3 ok {}");
        check(r#"{"id":3,"error":{"kind":"timeout","message":"swift","definite":false}}"#, "3 timeout: swift");
        check(r#"{"ask":1,"what":"cancelled","backup":"b"}"#, "1 Cancelled");
        check(r#"{"event":"log","level":"info","text":"x"}"#, "Log");
        check("y", "which is no JSON (");
        check("[]", "which is no JSON object");
        check("{}", "which has none of \"id\"");
        check(r#"{"id":3}"#, "which has not just one of");
        check(r#"{"id":"3","ok":1}"#, "whose \"id\" is no positive number");
        check(
            r#"{"id":3,"error":{"kind":"odd","message":"","definite":true}}"#,
            "whose error is wrong (unknown variant",
        );
        check(r#"{"ask":1,"what":"odd"}"#, "whose question is wrong (unknown variant");
    }

    #[test]
    fn an_op_is_named_on_the_wire_as_in_the_program() {
        let op = Op::Verify { context: Caller::default(), backup: Row::default(), object_count: 3 };
        let line: Value = serde_json::from_str(&request_line(7, &op)).expect("a line is JSON");
        assert_eq!((line["id"].as_u64(), line["op"].as_str()), (Some(7), Some(op.name())));
    }
}
