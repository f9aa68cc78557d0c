//! Steps about records of backups: an export, an import, a row that is lost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An administrator asks for a backup's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    pub backup: String,
    /// The name by which imports mean the record.
    #[serde(rename = "as")]
    pub name: String,
}

/// An administrator imports a record: an exported one, one of a fixture, or any text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The `as` of an export.
    pub record: Option<String>,
    /// `<fixture>/<link>`: what the original wrote, link 0 being the full backup.
    pub fixture: Option<String>,
    /// A text that need not be a record.
    pub url: Option<String>,
    /// The name by which later steps mean the imported backup.
    #[serde(rename = "as")]
    pub name: String,
    /// Another driver's class path in place of the record's.
    pub service: Option<String>,
    /// A field that the record lacks.
    pub without: Option<String>,
    /// Fields that the record has with other values.
    #[serde(default)]
    pub with: BTreeMap<String, toml::Value>,
    /// What the stored metadata object keeps of the volume, in place of what the fixture has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_meta: Option<String>,
}

impl Import {
    /// How many of the sources it names; a right one names exactly one.
    pub fn sources(&self) -> usize {
        [&self.record, &self.fixture, &self.url].into_iter().flatten().count()
    }
}
