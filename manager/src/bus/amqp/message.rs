//! The body of a message: oslo.messaging's envelope, the context's keys, and JSON as Python writes it. [`super::answer`]
//! has the bodies of answers.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value, json};

use super::super::{CallerContext, Cast, Method, ReplyTo};
use crate::{Error, Kind, Result};

/// Key of the context's fields in a message.
const CONTEXT: &str = "_context_";
/// Version of the manager's RPC interface (`reference/07` §7.1).
const RPC_VERSION: &str = "2.4";

/// Who a message speaks of, as the sanitised request context that oslo.messaging sends along.
struct Context<'a> {
    user: Option<&'a str>,
    project: Option<&'a str>,
    /// Names the request.
    request: &'a str,
    /// ISO time, without a zone.
    timestamp: String,
    token: Option<&'a str>,
    catalog: Value,
}

impl Context<'_> {
    /// Adds its fields in the order of Cinder's context class.
    fn add_to(self, message: &mut Map<String, Value>) {
        let is_admin = self.user.is_none();
        let roles = if is_admin { json!(["admin"]) } else { json!(["member"]) };
        let word = |id: Option<&str>| id.unwrap_or("-").to_owned();
        let identity = format!("{} {} - - -", word(self.user), word(self.project));
        let mut add = |name: &str, value: Value| message.insert(format!("{CONTEXT}{name}"), value);
        add("user", json!(self.user));
        add("project_id", json!(self.project));
        add("system_scope", Value::Null);
        add("project", json!(self.project));
        add("domain", Value::Null);
        add("user_domain", Value::Null);
        add("project_domain", Value::Null);
        add("is_admin", json!(is_admin));
        add("read_only", json!(false));
        add("show_deleted", json!(false));
        add("auth_token", json!(self.token));
        add("request_id", json!(format!("req-{}", self.request)));
        add("global_request_id", Value::Null);
        add("resource_uuid", Value::Null);
        add("roles", roles);
        add("user_identity", json!(identity));
        add("is_admin_project", json!(true));
        add("user_id", json!(self.user));
        add("project_name", Value::Null);
        add("domain_id", Value::Null);
        add("read_deleted", json!("no"));
        add("remote_address", Value::Null);
        add("timestamp", json!(self.timestamp));
        add("quota_class", Value::Null);
        add("service_catalog", self.catalog);
        add("message_resource_id", Value::Null);
        add("message_resource_type", Value::Null);
        add("message_action", Value::Null);
    }
}

/// The body of a notification. Its context says whose backup it is; the request is named after the message, because the
/// outbox keeps no request.
pub(super) fn notification(message: &Value) -> Result<Vec<u8>> {
    let Some(fields) = message.as_object() else {
        return Err(Error::new(Kind::Internal, "a notification that is no object"));
    };
    let of_payload = |name: &str| message["payload"].get(name).and_then(Value::as_str);
    let context = Context {
        user: of_payload("user_id"),
        project: of_payload("tenant_id"),
        request: message["message_id"].as_str().unwrap_or_default(),
        timestamp: message["timestamp"].as_str().unwrap_or_default().replacen(' ', "T", 1),
        token: None,
        catalog: json!([]),
    };
    let mut fields = fields.clone();
    context.add_to(&mut fields);
    enveloped(&Value::Object(fields))
}

/// The body of a cast or a call, `now` being the ISO time without a zone. Its id travels as `_unique_id`, by which
/// receivers know a message that comes twice.
pub(super) fn cast(cast: &Cast, now: String) -> Result<Vec<u8>> {
    let method = serde_json::to_value(cast.method)
        .map_err(|error| Error::new(Kind::Internal, "a cast that is not JSON").with_source(error))?;
    let (name, mut args) = match &method {
        Value::String(name) => (name.clone(), Map::new()),
        Value::Object(call) => match call.iter().next() {
            Some((name, Value::Object(args))) => (name.clone(), args.clone()),
            _ => return Err(Error::new(Kind::Internal, "a cast of another form")),
        },
        _ => return Err(Error::new(Kind::Internal, "a cast of another form")),
    };
    args.insert("backup_id".to_owned(), json!(cast.backup_id));
    let mut fields = Map::new();
    fields.insert("method".to_owned(), json!(name));
    fields.insert("args".to_owned(), Value::Object(args));
    fields.insert("version".to_owned(), json!(RPC_VERSION));
    if let Some(ReplyTo { queue, call }) = &cast.reply_to {
        fields.insert("_msg_id".to_owned(), json!(call));
        fields.insert("_reply_q".to_owned(), json!(queue));
        // For callers that want signs of life while they wait, which none of ours does.
        fields.insert("_timeout".to_owned(), Value::Null);
    }
    fields.insert("_unique_id".to_owned(), json!(cast.id));
    let CallerContext { user_id, project_id, token, catalog } = &cast.context;
    let context = Context {
        user: Some(user_id),
        project: Some(project_id),
        request: &cast.id,
        timestamp: now,
        token: token.as_deref(),
        catalog: json!(catalog),
    };
    context.add_to(&mut fields);
    enveloped(&Value::Object(fields))
}

/// Reads the body of a cast or a call.
pub(super) fn read_cast(body: &[u8]) -> Result<Cast> {
    let bad = |what: &str| wrong("request", what);
    let inner = opened("request", body)?;
    let mut args = inner["args"].as_object().cloned().ok_or_else(|| bad("no args"))?;
    let backup_id = args.remove("backup_id").and_then(|id| id.as_str().map(str::to_owned));
    let name = inner["method"].as_str().ok_or_else(|| bad("no method"))?;
    let method = if args.is_empty() { json!(name) } else { json!({ name: args }) };
    let known = serde_json::from_value(method).ok();
    let known = known.filter(|method| backup_id.is_some() || *method == Method::CheckSupportToForceDelete);
    let text = |name: &str| inner[format!("{CONTEXT}{name}")].as_str().map(str::to_owned);
    let word = |name: &str| inner[name].as_str().map(str::to_owned);
    let reply_to = word("_reply_q").zip(word("_msg_id")).map(|(queue, call)| ReplyTo { queue, call });
    let method = match known {
        Some(method) => method,
        None if reply_to.is_some() => Method::Unknown,
        None => return Err(bad("no method of ours, or no backup_id")),
    };
    let catalog = Some(&inner[format!("{CONTEXT}service_catalog")]).filter(|catalog| !catalog.is_null());
    Ok(Cast {
        id: inner["_unique_id"].as_str().ok_or_else(|| bad("no _unique_id"))?.to_owned(),
        backup_id: backup_id.unwrap_or_default(),
        context: CallerContext {
            user_id: text("user_id").unwrap_or_default(),
            project_id: text("project_id").unwrap_or_default(),
            token: text("auth_token"),
            catalog: serde_json::from_value(catalog.cloned().unwrap_or_else(|| json!([])))
                .map_err(|_| bad("a catalog of another form"))?,
        },
        method,
        reply_to,
    })
}

/// The message out of its envelope; `what` it should be.
pub(super) fn opened(what: &str, body: &[u8]) -> Result<Value> {
    let envelope: Value = serde_json::from_slice(body).map_err(|_| wrong(what, "not JSON"))?;
    if envelope["oslo.version"] != "2.0" {
        return Err(wrong(what, "not an envelope of version 2.0"));
    }
    let inner = envelope["oslo.message"].as_str().ok_or_else(|| wrong(what, "an envelope without a message"))?;
    serde_json::from_str(inner).map_err(|_| wrong(what, "not JSON in its envelope"))
}

pub(super) fn wrong(what: &str, why: &str) -> Error {
    Error::new(Kind::Internal, format!("a message that is no {what}: {why}"))
}

pub(super) fn enveloped(message: &Value) -> Result<Vec<u8>> {
    let inner = python(message)?;
    python(&json!({ "oslo.version": "2.0", "oslo.message": inner })).map(String::into_bytes)
}

/// JSON as Python's `json.dumps` writes it.
fn python(value: &Value) -> Result<String> {
    let wrong = |error| Error::new(Kind::Internal, "a message that is not JSON").with_source(error);
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Python)).map_err(wrong)?;
    String::from_utf8(bytes).map_err(|error| Error::new(Kind::Internal, "JSON that is not UTF-8").with_source(error))
}

/// Separators with a blank; nothing but ASCII.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            if character.is_ascii() {
                write!(writer, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &Value, expected: &str) {
        let said = match read_cast(&enveloped(message).expect("it is JSON")) {
            Ok(cast) => format!("{:?} of {:?} by {:?}", cast.method, cast.backup_id, cast.context.user_id),
            Err(error) => error.what,
        };
        assert_eq!(said, expected, "{message}");
    }

    #[test]
    fn what_another_client_sends_is_read_and_its_calls_of_nothing_are_known_for_such() {
        let of =
            |method: &str, args: Value| json!({ "method": method, "args": args, "version": "2.4", "_unique_id": "u" });
        let call = |method: &str, args: Value| {
            let mut message = of(method, args);
            for (name, value) in [("_msg_id", "m"), ("_reply_q", "reply_1"), ("_context_user_id", "me")] {
                message[name] = json!(value);
            }
            message
        };
        let backup = || json!({ "backup_id": "b" });
        check(&call("export_record", backup()), r#"ExportRecord of "b" by "me""#);
        check(&call("check_support_to_force_delete", json!({})), r#"CheckSupportToForceDelete of "" by "me""#);
        check(&call("frobnicate", backup()), r#"Unknown of "b" by "me""#);
        check(&call("export_record", json!({ "backup": {} })), r#"Unknown of "" by "me""#);
        check(&of("export_record", backup()), r#"ExportRecord of "b" by """#);
        let dropped = "a message that is no request: no method of ours, or no backup_id";
        check(&of("frobnicate", backup()), dropped);
        check(&of("delete_backup", json!({})), dropped);
    }
}
