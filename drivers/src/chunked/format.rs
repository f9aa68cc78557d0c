//! The documents of a chunked backup: names, metadata object, sha256file. Text in, checked values out; no I/O.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::hash_list::{HASH_TEXT, HashListText};
use self::parts::{Digest, Single};
use super::compress::Algorithm;
use crate::error::shown;
use crate::{Backup, Error, Kind, Result};

/// The only readable version.
pub const VERSION: &str = "1.0.0";

/// Bytes of an object's name: no store has objects with longer ones (Swift and S3 1,024, files 255).
const NAME_MAX: usize = 1024;

/// The name of the `index`-th data object, counted from 1.
pub fn object_name(prefix: &str, index: u64) -> String {
    format!("{prefix}-{index:05}")
}

pub fn sha256file_name(prefix: &str) -> String {
    format!("{prefix}_sha256file")
}

pub fn metadata_name(prefix: &str) -> String {
    format!("{prefix}_metadata")
}

/// One data object as the metadata list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataObject {
    pub name: String,
    /// Where its data begin in the volume, bytes.
    pub offset: u64,
    /// Bytes of the volume it holds, unpacked.
    pub length: u64,
    /// The tag, as written.
    pub compression: String,
    /// Of the unpacked data.
    pub md5: [u8; 16],
}

impl DataObject {
    /// The first byte after its data. Checked when the metadata were read.
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }

    /// The algorithm its tag names.
    pub fn algorithm(&self) -> Result<Algorithm> {
        Algorithm::named(&self.compression).ok_or_else(|| {
            let tag = shown(&self.compression);
            Error::new(Kind::InvalidBackup, format!("object {}: unknown compression algorithm \"{tag}\"", self.name))
        })
    }
}

/// The hashes of the whole volume, one per block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashList {
    /// Bytes per hash.
    pub block: u64,
    pub sha256s: Vec<[u8; 32]>,
}

// Fields stand in the order of their names: the documents have sorted keys.

#[derive(Serialize, Deserialize)]
struct Entry {
    compression: String,
    length: u64,
    md5: String,
    offset: u64,
}

#[derive(Serialize)]
struct MetadataOut<'a> {
    backup_description: Option<&'a str>,
    backup_id: &'a str,
    backup_name: Option<&'a str>,
    created_at: String,
    objects: Vec<BTreeMap<&'a str, Entry>>,
    parent_id: Option<&'a str>,
    version: &'static str,
    volume_id: &'a str,
    volume_meta: Option<&'a str>,
}

#[derive(Serialize)]
struct HashListOut<'a> {
    backup_description: Option<&'a str>,
    backup_id: &'a str,
    backup_name: Option<&'a str>,
    chunk_size: u64,
    created_at: String,
    sha256s: [&'static str; 0],
    version: &'static str,
    volume_id: &'a str,
}

#[derive(Deserialize)]
struct MetadataIn {
    version: String,
    objects: Vec<Single<Entry>>,
}

/// What a metadata object says of the backup that it was written for.
#[derive(Debug, Deserialize)]
pub struct Origin {
    pub backup_id: String,
    pub volume_id: String,
    pub parent_id: Option<String>,
}

#[derive(Deserialize)]
struct VolumeMetaIn {
    #[serde(default)]
    volume_meta: Option<String>,
}

#[derive(Deserialize)]
struct HashListIn {
    version: String,
    chunk_size: u64,
    sha256s: Vec<Digest<32>>,
}

/// The metadata object of a backup whose data objects, in write order, are `objects`.
pub fn encode_metadata(backup: &Backup, objects: &[DataObject]) -> Vec<u8> {
    let entry = |object: &DataObject| Entry {
        compression: object.compression.clone(),
        length: object.length,
        md5: hex::encode(object.md5),
        offset: object.offset,
    };
    encode(&MetadataOut {
        backup_description: backup.display_description.as_deref(),
        backup_id: &backup.id,
        backup_name: backup.display_name.as_deref(),
        created_at: timestamp_text(backup.created_at),
        objects: objects.iter().map(|object| BTreeMap::from([(object.name.as_str(), entry(object))])).collect(),
        parent_id: backup.parent_id.as_deref(),
        version: VERSION,
        volume_id: &backup.volume_id,
        volume_meta: backup.volume_meta.as_deref(),
    })
}

/// The sha256file of a backup.
pub fn encode_hash_list(backup: &Backup, hashes: &HashList) -> Vec<u8> {
    let mut text = HashListText::begin(backup, hashes.block, hashes.sha256s.len() as u64);
    text.push(&hashes.sha256s);
    text.finish()
}

/// The data objects that a metadata object lists. `name` is its own name, for the error.
pub fn decode_metadata(name: &str, body: &[u8]) -> Result<Vec<DataObject>> {
    let metadata: MetadataIn = decode(name, body)?;
    check_version(name, &metadata.version)?;
    metadata.objects.into_iter().map(|Single(object, entry)| data_object(name, object, entry)).collect()
}

/// What a metadata object keeps of the volume: a document of the service's own. `name` is its own name, for the error.
pub fn decode_volume_meta(name: &str, body: &[u8]) -> Result<Option<String>> {
    decode(name, body).map(|document: VolumeMetaIn| document.volume_meta)
}

/// Whose metadata object it is. `name` is its own name, for the error.
pub fn decode_origin(name: &str, body: &[u8]) -> Result<Origin> {
    decode(name, body)
}

fn data_object(name: &str, object: String, entry: Entry) -> Result<DataObject> {
    let shown = || shown(&object);
    if object.is_empty() || object.len() > NAME_MAX || object.contains(char::is_control) {
        return Err(invalid(name, &format!("\"{}\" is no name of an object", shown())));
    }
    let Some(md5) = hex_digest(&entry.md5) else {
        return Err(invalid(name, &format!("md5 of {} is not 32 hexadecimal digits", shown())));
    };
    if entry.length == 0 || entry.offset.checked_add(entry.length).is_none() {
        let (offset, length) = (entry.offset, entry.length);
        return Err(invalid(name, &format!("{} cannot hold {length} bytes at offset {offset}", shown())));
    }
    Ok(DataObject { name: object, offset: entry.offset, length: entry.length, compression: entry.compression, md5 })
}

/// The hashes in a sha256file. `name` is its own name, for the error.
pub fn decode_hash_list(name: &str, body: &[u8]) -> Result<HashList> {
    let list: HashListIn = decode(name, body)?;
    check_version(name, &list.version)?;
    let sha256s: Vec<[u8; 32]> = list.sha256s.into_iter().map(|Digest(sha256)| sha256).collect();
    if list.chunk_size == 0 || list.chunk_size.checked_mul(sha256s.len() as u64).is_none() {
        return Err(invalid(name, &format!("chunk_size cannot be {}", list.chunk_size)));
    }
    Ok(HashList { block: list.chunk_size, sha256s })
}

fn decode<'a, T: Deserialize<'a>>(name: &str, body: &'a [u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        invalid(name, &format!("not the expected document (line {line}, column {column})")).with_source(error)
    })
}

fn check_version(name: &str, version: &str) -> Result<()> {
    if version == VERSION {
        return Ok(());
    }
    Err(invalid(name, &format!("version \"{}\" cannot be read, only {VERSION}", shown(version))))
}

fn invalid(name: &str, what: &str) -> Error {
    Error::new(Kind::InvalidBackup, format!("object {name}: {what}"))
}

fn hex_digest<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut digest = [0; N];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

fn timestamp_text(time: Timestamp) -> String {
    if time.subsec_microsecond() == 0 {
        time.strftime("%Y-%m-%d %H:%M:%S+00:00").to_string()
    } else {
        time.strftime("%Y-%m-%d %H:%M:%S.%6f+00:00").to_string()
    }
}

/// JSON as Python's encoder writes it: indent 2, everything beyond printable ASCII escaped.
fn encode(document: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_string_pretty(document).expect("keys are strings and numbers are integers");
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if matches!(c, ' '..='~' | '\n') {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out.into_bytes()
}

mod hash_list;
mod parts;
#[cfg(test)]
mod tests;
