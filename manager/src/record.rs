//! Records of backups, as one service exports and another imports them (`reference/05` §5.9): text in, rows out, no I/O.
//!
//! `backup_url` is base64 of a JSON object: `driver_info` and the row's fields.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::{BackupRow, Stamp};
use crate::{Error, Kind, Result};

/// No record of ours comes near it.
const URL_MAX: usize = 1 << 20;
/// Columns of text hold so many characters.
const TEXT_MAX: usize = 255;

/// The volume of a backup whose record has not been read yet.
pub const NO_VOLUME: &str = "00000000-0000-0000-0000-000000000000";

/// What `GET /backups/{id}/export_record` answers and `POST /backups/import_record` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The driver's class path.
    pub backup_service: String,
    pub backup_url: String,
}

/// The fields of a record, as an object with the names of the row's columns.
pub type Fields = Map<String, Value>;

/// A row's fields in the original's order, `driver_info` first.
pub fn fields(backup: &BackupRow, driver_info: Map<String, Value>) -> Fields {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("driver_info", Value::Object(driver_info));
    put("id", json!(backup.id));
    put("user_id", json!(backup.user_id));
    put("project_id", json!(backup.project_id));
    put("volume_id", json!(backup.volume_id));
    put("host", json!(backup.host));
    put("availability_zone", json!(backup.availability_zone));
    put("container", json!(backup.container));
    put("parent_id", json!(backup.parent_id));
    put("status", json!(backup.status));
    put("fail_reason", json!(backup.fail_reason));
    put("size", json!(backup.size));
    put("display_name", json!(backup.display_name));
    put("display_description", json!(backup.display_description));
    put("service_metadata", json!(backup.service_metadata));
    put("service", json!(backup.service));
    put("object_count", json!(backup.object_count));
    put("temp_volume_id", json!(backup.temp_volume_id));
    put("temp_snapshot_id", json!(backup.temp_snapshot_id));
    put("num_dependent_backups", json!(backup.num_dependent_backups));
    put("snapshot_id", json!(backup.snapshot_id));
    put("data_timestamp", json!(backup.data_timestamp.seconds()));
    put("restore_volume_id", json!(backup.restore_volume_id));
    put("metadata", json!({}));
    put("encryption_key_id", json!(backup.encryption_key_id));
    put("created_at", json!(backup.created_at.seconds()));
    put("updated_at", json!(backup.updated_at.map(Stamp::seconds)));
    put("deleted_at", json!(backup.deleted_at.map(Stamp::seconds)));
    put("deleted", json!(backup.deleted));
    fields
}

/// The text of a record's fields.
pub fn encode(fields: &Fields) -> String {
    STANDARD.encode(Value::Object(fields.clone()).to_string())
}

/// The fields in a record's text; `invalid_backup` says what about it cannot be read.
pub fn decode(backup_url: &str) -> Result<Fields> {
    if backup_url.len() > URL_MAX {
        return Err(invalid(format!("backup_url has {} bytes, at most {URL_MAX} are read", backup_url.len())));
    }
    let text: String = backup_url.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(text).map_err(|error| invalid("backup_url is not base64".into()).with_source(error))?;
    let object = serde_json::from_slice(&bytes);
    object.map_err(|error| invalid("backup_url does not hold a JSON object".into()).with_source(error))
}

/// What the API needs of a record: whose it is, and its size in GiB.
pub fn identity(fields: &Fields) -> Result<(String, u64)> {
    let id = fields.get("id").and_then(Value::as_str).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if id.is_empty() || id.len() > 36 || !id.chars().all(plain) {
        return Err(invalid("id is not of 1 to 36 letters, digits and dashes".into()));
    }
    Ok((id.to_owned(), size(fields)?))
}

fn size(fields: &Fields) -> Result<u64> {
    let size = fields.get("size").and_then(Value::as_u64).filter(|size| *size <= u64::from(u32::MAX));
    size.ok_or_else(|| invalid("size is not a number of GiB".into()))
}

/// What an import takes from a record. The rest is the importing service's own, or counted anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    pub id: String,
    pub volume_id: String,
    pub display_name: Option<String>,
    pub display_description: Option<String>,
    pub container: Option<String>,
    pub parent_id: Option<String>,
    pub service_metadata: Option<String>,
    /// GiB.
    pub size: u64,
    pub object_count: u64,
    pub snapshot_id: Option<String>,
    #[serde(default)]
    pub encryption_key_id: Option<String>,
    /// None: that of the row stays.
    pub data_timestamp: Option<Stamp>,
    pub created_at: Option<Stamp>,
    pub driver_info: Map<String, Value>,
}

/// Without these a backup cannot be used.
const REQUIRED: [&str; 7] =
    ["display_name", "display_description", "container", "size", "service_metadata", "object_count", "id"];

impl Imported {
    /// The record of backup `id`.
    pub fn of(fields: &Fields, id: &str) -> Result<Imported> {
        let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| !fields.contains_key(*name)).collect();
        if !missing.is_empty() {
            return Err(invalid(format!("fields are missing: {}", missing.join(", "))));
        }
        let (recorded, size) = identity(fields)?;
        if recorded != id {
            return Err(invalid(format!("the record is of backup {recorded}, not of {id}")));
        }
        let count = fields.get("object_count").and_then(Value::as_u64);
        Ok(Imported {
            id: recorded,
            volume_id: text(fields, "volume_id")?.unwrap_or_else(|| NO_VOLUME.to_owned()),
            display_name: text(fields, "display_name")?,
            display_description: text(fields, "display_description")?,
            container: text(fields, "container")?,
            parent_id: text(fields, "parent_id")?,
            service_metadata: text(fields, "service_metadata")?,
            size,
            object_count: count.ok_or_else(|| invalid("object_count is not a number".into()))?,
            snapshot_id: text(fields, "snapshot_id")?,
            encryption_key_id: text(fields, "encryption_key_id")?,
            data_timestamp: stamp(fields, "data_timestamp")?,
            created_at: stamp(fields, "created_at")?,
            driver_info: fields.get("driver_info").and_then(Value::as_object).cloned().unwrap_or_default(),
        })
    }

    /// Takes the place of what the row has.
    pub fn apply(&self, row: &mut BackupRow) {
        let of = self.clone();
        row.volume_id = of.volume_id;
        row.display_name = of.display_name;
        row.display_description = of.display_description;
        row.container = of.container;
        row.parent_id = of.parent_id;
        row.service_metadata = of.service_metadata;
        row.size = of.size;
        row.object_count = of.object_count;
        row.snapshot_id = of.snapshot_id;
        row.encryption_key_id = of.encryption_key_id;
        row.data_timestamp = of.data_timestamp.unwrap_or(row.data_timestamp);
        row.created_at = of.created_at.unwrap_or(row.created_at);
    }
}

fn text(fields: &Fields, name: &str) -> Result<Option<String>> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= TEXT_MAX => Ok(Some(text.clone())),
        Some(_) => Err(invalid(format!("{name} is not a text of at most {TEXT_MAX} characters"))),
    }
}

/// A moment of the years that rows can hold; without an offset it is UTC.
fn stamp(fields: &Fields, name: &str) -> Result<Option<Stamp>> {
    let Some(text) = text(fields, name)? else { return Ok(None) };
    let parsed = text.parse().or_else(|_| format!("{text}Z").parse()).ok();
    let moment = parsed.filter(|moment: &Timestamp| moment.to_zoned(TimeZone::UTC).year() > 0);
    moment.map(|moment| Some(Stamp(moment))).ok_or_else(|| invalid(format!("{name} is not a moment of time")))
}

fn invalid(what: String) -> Error {
    Error::new(Kind::InvalidBackup, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `backup_url` of a record as the original makes them.
    const URL: &str = include_str!("../tests/data/backup-url.txt");
    const RECORD: &str = include_str!("../tests/data/backup-record.json");

    fn original() -> Fields {
        serde_json::from_str(RECORD).unwrap()
    }

    #[test]
    fn the_originals_records_are_read() {
        let decoded = decode(URL).unwrap();
        assert_eq!(decoded, original());
        let imported = Imported::of(&decoded, "7f3d2c1a-58b4-4e6f-8d90-1a2b3c4d5e6f").unwrap();
        assert_eq!(imported.container.as_deref(), Some("volumebackups"));
        assert_eq!(imported.object_count, 21);
        assert_eq!(imported.created_at.map(Stamp::seconds).as_deref(), Some("2027-03-04T05:06:05Z"));
    }

    #[test]
    fn what_is_written_has_the_originals_fields_in_their_order() {
        let fields = |object: &Fields| object.keys().cloned().collect::<Vec<_>>();
        let written = super::fields(&row(), Map::new());
        assert_eq!(fields(&written), fields(&original()));
        assert_eq!(decode(&encode(&written)).unwrap(), written);
    }

    fn row() -> BackupRow {
        let mut row = original();
        row.retain(|name, _| !["driver_info", "metadata"].contains(&name.as_str()));
        row.insert("open_events".into(), json!([]));
        serde_json::from_value(Value::Object(row)).unwrap()
    }

    #[test]
    fn an_imported_row_exports_as_the_record_it_came_from() {
        let mut imported = row();
        imported.container = None;
        imported.object_count = 0;
        Imported::of(&original(), &row().id).unwrap().apply(&mut imported);
        assert_eq!(imported, row());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_field() {
        let check = |change: fn(&mut Fields), expected: &str| {
            let mut fields = original();
            change(&mut fields);
            let found = Imported::of(&fields, "7f3d2c1a-58b4-4e6f-8d90-1a2b3c4d5e6f").unwrap_err();
            assert_eq!(found.what, expected);
        };
        check(|fields| drop(fields.remove("object_count")), "fields are missing: object_count");
        check(
            |fields| drop(fields.insert("id".into(), json!("x"))),
            "the record is of backup x, not of \
             7f3d2c1a-58b4-4e6f-8d90-1a2b3c4d5e6f",
        );
        check(
            |fields| drop(fields.insert("id".into(), json!("../x"))),
            "id is not of 1 to 36 letters, digits and dashes",
        );
        check(|fields| drop(fields.insert("size".into(), json!(-1))), "size is not a number of GiB");
        check(|fields| drop(fields.insert("object_count".into(), json!("21"))), "object_count is not a number");
        check(|fields| drop(fields.insert("created_at".into(), json!("soon"))), "created_at is not a moment of time");
        check(
            |fields| drop(fields.insert("container".into(), json!("c".repeat(256)))),
            "container is not a text of at most 255 characters",
        );
    }

    #[test]
    fn a_text_that_is_no_record_is_refused() {
        let check = |url: &str, expected: &str| assert_eq!(decode(url).unwrap_err().what, expected);
        check("!", "backup_url is not base64");
        check(&STANDARD.encode("[1]"), "backup_url does not hold a JSON object");
        check(&"A".repeat(URL_MAX + 4), "backup_url has 1048580 bytes, at most 1048576 are read");
    }
}
