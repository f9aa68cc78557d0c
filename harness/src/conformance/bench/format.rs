//! A second reader of the chunked format, written apart from the drivers': what a stored backup holds, and whether it is
//! what its documents say.

use std::collections::BTreeMap;
use std::io::Read as _;

use clinker_drivers::Backup;
use md5::{Digest as _, Md5};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::Bench;
use crate::conformance::outcome::{Outcome, Stop, ensure, equal};

/// What the metadata object says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Metadata {
    pub version: String,
    pub backup_id: String,
    pub volume_id: String,
    pub backup_name: Option<String>,
    pub backup_description: Option<String>,
    pub created_at: String,
    pub parent_id: Option<String>,
    #[serde(default)]
    pub volume_meta: Value,
    pub objects: Vec<BTreeMap<String, Extent>>,
}

/// What it says of one object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Extent {
    pub offset: u64,
    pub length: u64,
    pub compression: String,
    pub md5: String,
}

/// What the sha256file says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct HashList {
    pub version: String,
    pub backup_id: String,
    pub volume_id: String,
    pub chunk_size: u64,
    pub sha256s: Vec<String>,
}

impl Metadata {
    /// Names and extents in the order of the document.
    pub fn extents(&self) -> impl Iterator<Item = (&String, &Extent)> {
        self.objects.iter().flatten()
    }
}

fn document<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Outcome<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Stop::failed("a document cannot be read", format!("{name} as JSON in Cinder's form"), error.to_string())
    })
}

fn unpack(extent: &Extent, stored: &[u8]) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    match extent.compression.as_str() {
        "none" => return Ok(stored.to_vec()),
        "zlib" | "gzip" => flate2::read::ZlibDecoder::new(stored).read_to_end(&mut data),
        "bz2" | "bzip2" => bzip2::read::BzDecoder::new(stored).read_to_end(&mut data),
        "zstd" => zstd::stream::copy_decode(stored, &mut data).map(|()| 0),
        other => return Err(format!("compression {other}")),
    }
    .map_err(|error| error.to_string())?;
    Ok(data)
}

/// sha256 of each block, in hex.
pub fn hashes(bytes: &[u8], block: u64) -> Vec<String> {
    let block = usize::try_from(block.max(1)).expect("blocks are small");
    bytes.chunks(block).map(|block| hex::encode(Sha256::digest(block))).collect()
}

impl Bench {
    fn document_of(&self, backup: &Backup, ending: &str) -> Outcome<(String, Vec<u8>)> {
        let name = format!("{}{ending}", backup.service_metadata.as_deref().unwrap_or_default());
        let bytes = self.object(backup.container.as_deref().unwrap_or_default(), &name)?;
        Ok((name, bytes))
    }

    pub fn metadata(&self, backup: &Backup) -> Outcome<Metadata> {
        let (name, bytes) = self.document_of(backup, "_metadata")?;
        document(&name, &bytes)
    }

    pub fn hash_list(&self, backup: &Backup) -> Outcome<HashList> {
        let (name, bytes) = self.document_of(backup, "_sha256file")?;
        document(&name, &bytes)
    }

    /// Puts what one backup stores over `into`, checking every digest on the way.
    pub fn unpack_over(&self, backup: &Backup, into: &mut [u8]) -> Outcome<Metadata> {
        let metadata = self.metadata(backup)?;
        let container = backup.container.as_deref().unwrap_or_default();
        for (name, extent) in metadata.extents() {
            let stored = self.object(container, name)?;
            let data = unpack(extent, &stored).map_err(|why| {
                Stop::failed(
                    "a chunk is not packed as its tag says",
                    format!("{name} unpacks as {}", extent.compression),
                    why,
                )
            })?;
            equal("a chunk is not as long as the metadata say", &extent.length, &(data.len() as u64))?;
            equal("a chunk's md5 is not that of the metadata", &extent.md5, &hex::encode(Md5::digest(&data)))?;
            let (start, end) = (extent.offset as usize, (extent.offset + extent.length) as usize);
            ensure(
                end <= into.len(),
                "a chunk lies beyond the volume",
                format!("at most {} bytes", into.len()),
                || format!("{name} ends at {end}"),
            )?;
            into[start..end].copy_from_slice(&data);
        }
        Ok(metadata)
    }

    /// Fails unless the stored chain holds exactly these bytes and the last link's hash list is theirs.
    pub fn holds(&self, chain: &[&Backup], bytes: &[u8]) -> Outcome {
        let mut image = vec![0; bytes.len()];
        for link in chain {
            self.unpack_over(link, &mut image)?;
        }
        ensure(image == bytes, "the stored bytes are not the volume's", "the volume's bytes", || {
            first_difference(&image, bytes)
        })?;
        let last = chain.last().ok_or_else(|| Stop::Broken("an empty chain".to_owned()))?;
        let list = self.hash_list(last)?;
        ensure(
            list.sha256s == hashes(bytes, list.chunk_size),
            "the hash list is not the volume's",
            "a sha256 per block of the volume",
            || format!("{} hashes of {} bytes, others", list.sha256s.len(), list.chunk_size),
        )
    }
}

/// Where two images differ first.
pub fn first_difference(one: &[u8], other: &[u8]) -> String {
    match one.iter().zip(other).position(|(a, b)| a != b) {
        Some(at) => format!("they differ from byte {at} on"),
        None => format!("{} bytes against {}", one.len(), other.len()),
    }
}
