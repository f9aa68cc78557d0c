//! What a backup keeps of its volume besides the bytes (`reference/05` §5.8): text in, checked values out; no I/O.
//!
//! A JSON text in the metadata object: version, base metadata (the volume's columns), the user's metadata, the image's.

use std::collections::BTreeMap;

use clinker_drivers::error::shown;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::VolumeRow;
use crate::{Error, Kind, Result};

/// The newest readable version: the first one whose base metadata restore the key.
pub const NEWEST: u64 = 2;

/// Volumes that a restore made for itself are called so, and get the name of the volume that was backed up.
const PASSING_NAME: &str = "restore_backup_";

/// Under this name Cinder's volumes carry in their metadata what is a column here.
const SRC_BACKUP_ID: &str = "src_backup_id";

type Texts = BTreeMap<String, String>;

/// The document for a backup of this volume.
pub fn write(volume: &VolumeRow, version: u64) -> String {
    let mut container = Map::new();
    let mut put = |name: &str, value: Value| drop(container.insert(name.to_owned(), value));
    put("version", json!(version));
    put("volume-base-metadata", base(volume));
    let mut metadata = volume.metadata.clone();
    if let Some(id) = &volume.src_backup_id {
        metadata.insert(SRC_BACKUP_ID.to_owned(), id.clone());
    }
    for (name, texts) in [("volume-metadata", &metadata), ("volume-glance-metadata", &volume.volume_glance_metadata)] {
        if !texts.is_empty() {
            put(name, json!(texts));
        }
    }
    Value::Object(container).to_string()
}

fn base(volume: &VolumeRow) -> Value {
    json!({
        "id": volume.id,
        "host": volume.host,
        "size": volume.size,
        "availability_zone": volume.availability_zone,
        "status": volume.status,
        "display_name": volume.display_name,
        "display_description": volume.display_description,
        "volume_type_id": volume.volume_type_id,
        "encryption_key_id": volume.encryption_key_id,
        "bootable": volume.bootable,
        "previous_status": volume.previous_status,
    })
}

/// What a restore puts on its target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    pub display_name: Option<String>,
    pub display_description: Option<String>,
    pub volume_type_id: Option<String>,
    /// The key of the volume that was backed up. Its absence says that the version has none, null that the volume had
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub encryption_key_id: Option<Option<String>>,
    /// None leaves the target's as they are.
    pub metadata: Option<Texts>,
    pub volume_glance_metadata: Option<Texts>,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Reads a document of any readable version; `invalid_backup` says what about it cannot be read.
pub fn read(text: &str) -> Result<Restored> {
    let container: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| invalid("it is not a JSON object".into()).with_source(error))?;
    let version = container.get("version").and_then(Value::as_u64);
    let Some(version) = version.filter(|version| (1..=NEWEST).contains(version)) else {
        let found = described(container.get("version").unwrap_or(&Value::Null));
        return Err(invalid(format!("version {found} cannot be read, only 1 to {NEWEST}")));
    };
    let empty = Map::new();
    let base = match container.get("volume-base-metadata") {
        None => &empty,
        Some(Value::Object(base)) => base,
        Some(_) => return Err(invalid("volume-base-metadata is not an object".into())),
    };
    let mut metadata = texts(&container, "volume-metadata")?;
    if let Some(metadata) = &mut metadata {
        metadata.remove(SRC_BACKUP_ID);
    }
    let key = base.contains_key("encryption_key_id").then(|| column(base, "encryption_key_id")).transpose()?;
    Ok(Restored {
        display_name: column(base, "display_name")?.filter(|name| !name.is_empty()),
        display_description: column(base, "display_description")?,
        volume_type_id: column(base, "volume_type_id")?,
        encryption_key_id: key.filter(|_| version >= 2),
        metadata,
        volume_glance_metadata: texts(&container, "volume-glance-metadata")?,
    })
}

/// What an error shows of a value, which may be anything.
fn described(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", shown(text)),
        Value::Array(_) => "list".to_owned(),
        Value::Object(_) => "object".to_owned(),
        plain => plain.to_string(),
    }
}

fn column(base: &Map<String, Value>, name: &str) -> Result<Option<String>> {
    match base.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(format!("{name} is neither a text nor null"))),
    }
}

fn texts(container: &Map<String, Value>, name: &str) -> Result<Option<Texts>> {
    let Some(value) = container.get(name) else { return Ok(None) };
    let wrong = || invalid(format!("{name} is not an object of texts"));
    let object = value.as_object().ok_or_else(wrong)?;
    let text = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        Value::Bool(_) | Value::Number(_) => Ok((name.clone(), value.to_string())),
        _ => Err(wrong()),
    };
    object.iter().map(text).collect::<Result<Texts>>().map(Some)
}

impl Restored {
    /// Whether the target can take an encrypted volume's bytes: its type is that volume's, or it has none yet.
    pub fn check(&self, target: &VolumeRow) -> Result<()> {
        let encrypted = self.key().is_some();
        if !encrypted || target.volume_type_id.is_none() || target.volume_type_id == self.volume_type_id {
            return Ok(());
        }
        let of = |id: &Option<String>| id.clone().unwrap_or_else(|| "none".to_owned());
        let (own, saved) = (of(&target.volume_type_id), of(&self.volume_type_id));
        let what = format!("volume is of type {own}, the encrypted volume of the backup was of type {saved}");
        Err(Error::new(Kind::InvalidVolume, what))
    }

    /// The key of the volume that was backed up, if it had one.
    pub fn key(&self) -> Option<&String> {
        self.encryption_key_id.iter().flatten().next()
    }

    /// Puts all but the key on the volume.
    pub fn apply(&self, volume: &mut VolumeRow) {
        let own_name = volume.display_name.as_deref().unwrap_or_default();
        if self.display_name.is_some() && (own_name.is_empty() || own_name.starts_with(PASSING_NAME)) {
            volume.display_name = self.display_name.clone();
            volume.display_description = self.display_description.clone();
        }
        if self.key().is_some() && volume.volume_type_id.is_none() {
            volume.volume_type_id = self.volume_type_id.clone();
        }
        if let Some(metadata) = &self.metadata {
            volume.metadata = metadata.clone();
        }
        if let Some(image) = &self.volume_glance_metadata {
            volume.volume_glance_metadata = image.clone();
            volume.bootable = true;
        }
    }
}

fn invalid(what: String) -> Error {
    Error::new(Kind::InvalidBackup, format!("volume_meta: {what}"))
}

#[cfg(test)]
mod tests;
