//! What a volume has besides bytes and a status: names, metadata, a type, a key.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::record::Import;

/// All absent or empty, unless a scenario says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
    /// It is encrypted with this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_id: Option<String>,
    /// The user's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The image's that it was made from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub glance_metadata: BTreeMap<String, String>,
}

impl Traits {
    pub fn is_empty(&self) -> bool {
        *self == Traits::default()
    }
}

/// The keys that exist at the start: those of the volumes, and those that imported backups speak of.
///
/// A world without any has no key manager.
pub fn given_keys<'a>(
    volumes: impl Iterator<Item = &'a String>,
    imports: impl Iterator<Item = &'a Import>,
) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = volumes.cloned().collect();
    for import in imports {
        keys.extend(import.with.get("encryption_key_id").and_then(toml::Value::as_str).map(str::to_owned));
        let document = import.volume_meta.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let document: serde_json::Value = document.unwrap_or_default();
        let saved = document["volume-base-metadata"]["encryption_key_id"].as_str();
        keys.extend(saved.map(str::to_owned));
    }
    keys
}
