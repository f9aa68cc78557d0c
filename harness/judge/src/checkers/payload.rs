//! The schema of payloads: names, order and types of the fields of each event type.

use clinker_model::history::History;
use clinker_model::verdict::Finding;
use serde_json::{Map, Value};

use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::{Note, notes, progress_type};

pub const CHECKER: Checker = Checker {
    name: "payload",
    about: "every message has exactly its fields, in the reference's order and with its types",
    source: "D5; spec backup-notification; B-NOTE-005",
    check,
};

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Is {
    Text,
    /// Text that is never empty, or null.
    TextOrNull,
    Uuid,
    UuidOrNull,
    Int,
    Number,
    NumberOrNull,
    /// A JSON float, from 0 to 100.
    Percent,
    /// `2026-11-21T18:30:00+00:00`, with microseconds when they are not zero.
    Iso,
    /// `2026-11-21 18:30:00.000123`, without microseconds when they are zero.
    Stamp,
    Object,
}

const MESSAGE: &[(&str, Is)] = &[
    ("message_id", Is::Uuid),
    ("publisher_id", Is::Text),
    ("event_type", Is::Text),
    ("priority", Is::Text),
    ("payload", Is::Object),
    ("timestamp", Is::Stamp),
];

const BACKUP: &[(&str, Is)] = &[
    ("tenant_id", Is::Text),
    ("user_id", Is::Text),
    ("availability_zone", Is::TextOrNull),
    ("backup_id", Is::Uuid),
    ("host", Is::TextOrNull),
    ("display_name", Is::TextOrNull),
    ("created_at", Is::Iso),
    ("status", Is::Text),
    ("volume_id", Is::Uuid),
    ("size", Is::Int),
    ("service_metadata", Is::TextOrNull),
    ("service", Is::TextOrNull),
    ("fail_reason", Is::TextOrNull),
    ("parent_id", Is::UuidOrNull),
    ("num_dependent_backups", Is::Int),
    ("snapshot_id", Is::UuidOrNull),
];

const PROGRESS: (&str, Is) = ("backup_percent", Is::Percent);

const INIT: &[(&str, Is)] = &[
    ("host", Is::Text),
    ("driver", Is::Text),
    ("availability_zone", Is::Text),
    ("attempt", Is::Int),
    ("reason", Is::TextOrNull),
    ("seconds", Is::Number),
    ("next_attempt_in", Is::NumberOrNull),
];

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let progress_type = progress_type(history);
    for note in notes(history) {
        let name = format!("{} at {}", note.event_type(), at(note.t_ns));
        fields(&mut tally, &note, &name, &note.row.message, MESSAGE);
        let mut schema = BACKUP.to_vec();
        match note.parts(&progress_type) {
            Some((_, "progress")) => schema.push(PROGRESS),
            Some(("init", _)) => schema = INIT.to_vec(),
            _ => {}
        }
        fields(&mut tally, &note, &name, note.field("payload"), &schema);
        host(&mut tally, &note, &name);
    }
    tally.finish()
}

fn fields(tally: &mut Tally, note: &Note<'_>, name: &str, value: &Value, schema: &[(&str, Is)]) {
    let empty = Map::new();
    let map = value.as_object().unwrap_or(&empty);
    let names: Vec<&str> = map.keys().map(String::as_str).collect();
    let wanted: Vec<&str> = schema.iter().map(|(field, _)| *field).collect();
    tally.require(
        names == wanted,
        note.t_ns,
        "a message has exactly its fields, in the reference's order [D5]",
        || format!("{name}: {}", wanted.join(", ")),
        || names.join(", "),
    );
    for (field, is) in schema {
        let Some(value) = map.get(*field) else { continue };
        tally.require(
            holds(*is, value),
            note.t_ns,
            "every field has its type [D5]",
            || format!("{name}: {field} is {is:?}"),
            || value.to_string(),
        );
    }
}

/// A create is reported by the host that makes it, an attempt by the host that makes it.
fn host(tally: &mut Tally, note: &Note<'_>, name: &str) {
    let host = note.payload("host");
    let own = note.event_type() == "backup.create.end" || note.event_type().starts_with("backup.init.");
    tally.require(
        !own || host == note.host(),
        note.t_ns,
        "the payload's host is the publisher's [D5]",
        || format!("{name}: host {}", note.host()),
        || host.to_string(),
    );
}

fn holds(is: Is, value: &Value) -> bool {
    let text = |fits: fn(&str) -> bool| value.as_str().is_some_and(fits);
    match is {
        Is::Text => text(|text| !text.is_empty()),
        Is::TextOrNull => value.is_null() || text(|text| !text.is_empty()),
        Is::Uuid => text(is_uuid),
        Is::UuidOrNull => value.is_null() || text(is_uuid),
        Is::Int => value.is_u64(),
        Is::Number => value.as_f64().is_some_and(|number| number >= 0.0),
        Is::NumberOrNull => value.is_null() || value.as_f64().is_some_and(|number| number >= 0.0),
        Is::Percent => value.is_f64() && value.as_f64().is_some_and(|percent| (0.0..=100.0).contains(&percent)),
        Is::Iso => text(|text| text.strip_suffix("+00:00").is_some_and(|moment| is_moment(moment, 'T'))),
        Is::Stamp => text(|text| is_moment(text, ' ')),
        Is::Object => value.is_object(),
    }
}

/// Whether a text has the form of a UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(hex)
}

/// `2026-11-21?18:30:00` and, unless they are zero, six digits of microseconds.
fn is_moment(text: &str, between: char) -> bool {
    let (seconds, micros) = text.split_once('.').unwrap_or((text, ""));
    let shape: String = seconds.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let whole = shape == format!("0000-00-00{between}00:00:00");
    let fraction = micros.len() == 6 && micros.bytes().all(|byte| byte.is_ascii_digit()) && micros != "000000";
    whole && (fraction || !text.contains('.'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn with(patch: Value) -> Script {
        script().note_with("backup.create.start", patch)
    }

    #[test]
    fn the_reference_payload_passes() {
        judge("start", with(json!({})), "ok");
        judge("progress", script().progress(12.34), "ok");
        judge("init", script().outcome(1, Some("unreachable: x")), "ok");
        judge("nothing", script(), "none");
    }

    #[test]
    fn fields_are_exact_and_in_order() {
        judge("extra", with(json!({ "list": [] })), "exactly its fields");
        judge("no percent", script().note("backup.createprogress", "creating"), "exactly its fields");
        let mut swapped = testing::backup_payload();
        let tenant = swapped.as_object_mut().and_then(|map| map.shift_remove("tenant_id"));
        swapped["tenant_id"] = tenant.unwrap_or_default();
        let mut script = script();
        let message = script.message("backup.backup-host-1", "backup.create.start", swapped);
        judge("order", script.commit(vec![], vec![message]), "exactly its fields");
    }

    #[test]
    fn types_are_checked() {
        for (field, good, bad) in [
            ("backup_id", json!(testing::BACKUP), json!("b-1")),
            ("created_at", json!("2026-11-21T18:30:00.000123+00:00"), json!("2026-11-21T18:30:00Z")),
            ("fail_reason", json!("unreachable: backup: x"), json!("")),
            ("size", json!(0), json!("1")),
            ("parent_id", json!(testing::BACKUP), json!("")),
            ("status", json!("deleting"), json!(null)),
        ] {
            judge(field, with(json!({ field: good })), "ok");
            judge(field, with(json!({ field: bad })), "every field has its type");
        }
        let whole = script().note_with("backup.createprogress", json!({ "backup_percent": 100 }));
        judge("integer percent", whole, "every field has its type");
    }

    #[test]
    fn an_end_comes_from_the_backups_own_host() {
        judge("own", script().note("backup.create.end", "available"), "ok");
        judge("other", script().note_with("backup.create.end", json!({ "host": "b" })), "host is the publisher's");
    }

    #[test]
    fn stamps_drop_zero_microseconds() {
        for (text, expected) in [
            ("2026-11-21 18:30:00", true),
            ("2026-11-21 18:30:00.000001", true),
            ("2026-11-21 18:30:00.000000", false),
            ("2026-11-21T18:30:00", false),
            ("2026-11-21 18:30:00.", false),
        ] {
            assert_eq!(is_moment(text, ' '), expected, "{text}");
        }
    }
}
