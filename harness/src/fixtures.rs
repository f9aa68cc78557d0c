//! Repositories that real Cinder wrote (29.0.0, POSIX driver), with the records of their backups.
//!
//! The devices' bytes are put together here from the stored objects, independently of the drivers that are judged by
//! them, and held against the digests that were taken from the devices themselves.

use std::collections::BTreeMap;
use std::io::Read;

use clinker_drivers::Backup;
use clinker_manager::record::{Record, encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/fixtures.rs"));
}

const RECORDS: &str = "records.json";
const REPOSITORY: &str = "posix/";

/// `<fixture>/<link>` of every backup; link 0 is the full one.
pub fn links() -> Vec<String> {
    let documents = embedded::FIXTURES.iter().filter_map(|(path, bytes)| Some((path.strip_suffix(RECORDS)?, bytes)));
    let of = |(folder, bytes): (&str, &&[u8])| {
        let count = records(bytes).len();
        (0..count).map(|link| format!("{folder}{link}")).collect::<Vec<_>>()
    };
    documents.flat_map(of).collect()
}

/// One backup of a fixture.
pub struct Link {
    fixture: String,
    number: usize,
    /// Those of the fixture, in the order of the chain.
    records: Vec<Value>,
}

impl Link {
    pub fn named(name: &str) -> Option<Link> {
        let (fixture, number) = name.split_once('/')?;
        let document = file(fixture, RECORDS)?;
        let (fixture, number) = (fixture.to_owned(), number.parse().ok()?);
        let records = records(document);
        (number < records.len()).then_some(Link { fixture, number, records })
    }

    fn own(&self) -> &Value {
        &self.records[self.number]
    }

    pub fn backup_id(&self) -> &str {
        self.own()["id"].as_str().unwrap_or_default()
    }

    pub fn volume_id(&self) -> &str {
        self.own()["volume_id"].as_str().unwrap_or_default()
    }

    /// The record as the original would export it.
    pub fn record(&self) -> Record {
        let own = self.own();
        let mut fields = serde_json::Map::from_iter([("driver_info".to_owned(), json!({}))]);
        fields.extend(own.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        fields.retain(|name, _| !name.starts_with("device_"));
        // Exports are to the second.
        let created_at = own["created_at"].as_str().unwrap_or_default().get(..19).unwrap_or_default();
        let created_at = format!("{}Z", created_at.replace(' ', "T"));
        fields.insert("created_at".to_owned(), json!(created_at));
        fields.insert("data_timestamp".to_owned(), json!(created_at));
        let backup_service = own["service"].as_str().unwrap_or_default().to_owned();
        Record { backup_service, backup_url: encode(&fields) }
    }

    /// The rows of the chain up to this backup, the full one first.
    ///
    /// # Errors
    /// What of the fixture is not as it should be.
    pub fn chain(&self) -> Result<Vec<Backup>, String> {
        self.records[..=self.number].iter().map(row).collect()
    }

    /// The files of the whole repository, by their path in it.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &'static [u8])> {
        let folder = format!("{}/{REPOSITORY}", self.fixture);
        embedded::FIXTURES.iter().filter_map(move |(path, bytes)| Some((path.strip_prefix(&folder)?, *bytes)))
    }

    /// The backup's metadata object with another text about its volume: its path in the repository, and its bytes.
    pub fn with_volume_meta(&self, volume_meta: &str) -> Result<(String, Vec<u8>), String> {
        let text = |name: &str| self.own()[name].as_str().unwrap_or_default();
        let path = format!("{}/{}_metadata", text("container"), text("service_metadata"));
        let stored = file(&self.fixture, &format!("{REPOSITORY}{path}"));
        let stored = stored.ok_or_else(|| format!("fixture {}: no {path}", self.fixture))?;
        let mut document: Value = serde_json::from_slice(stored).map_err(|error| error.to_string())?;
        document["volume_meta"] = json!(volume_meta);
        Ok((path, document.to_string().into_bytes()))
    }

    /// The device's bytes; an error says what of the fixture is not as it should be.
    pub fn device(&self) -> Result<Vec<u8>, String> {
        let len = self.own()["device_bytes"].as_u64().and_then(|len| usize::try_from(len).ok()).unwrap_or_default();
        let mut device = vec![0; len];
        for record in &self.records[..=self.number] {
            self.overlay(record, &mut device)?;
        }
        match hex::encode(Sha256::digest(&device)) == self.own()["device_sha256"].as_str().unwrap_or_default() {
            true => Ok(device),
            false => Err(format!("fixture {}/{} does not hold its device", self.fixture, self.number)),
        }
    }

    fn overlay(&self, record: &Value, device: &mut [u8]) -> Result<(), String> {
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        let object = |name: &str| {
            let path = format!("{REPOSITORY}{}/{name}", text("container"));
            file(&self.fixture, &path).ok_or_else(|| format!("fixture {}: no {path}", self.fixture))
        };
        let metadata: Value = serde_json::from_slice(object(&format!("{}_metadata", text("service_metadata")))?)
            .map_err(|error| error.to_string())?;
        for entry in metadata["objects"].as_array().into_iter().flatten() {
            let single: BTreeMap<String, Value> = serde_json::from_value(entry.clone()).map_err(|e| e.to_string())?;
            for (name, about) in single {
                let data = unpacked(about["compression"].as_str().unwrap_or_default(), object(&name)?)?;
                let offset = about["offset"].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
                let place = device.get_mut(offset..offset.saturating_add(data.len()));
                place.ok_or_else(|| format!("object {name} lies beyond the device"))?.copy_from_slice(&data);
            }
        }
        Ok(())
    }
}

fn row(record: &Value) -> Result<Backup, String> {
    let text = |name: &str| record[name].as_str().map(str::to_owned);
    let must = |name: &str| text(name).ok_or_else(|| format!("a fixture's record has no {name}"));
    let created_at = must("created_at")?.replace(' ', "T");
    Ok(Backup {
        id: must("id")?,
        volume_id: must("volume_id")?,
        size: record["size"].as_u64().unwrap_or_default(),
        display_name: text("display_name"),
        display_description: text("display_description"),
        created_at: created_at.parse().map_err(|error| format!("created_at {created_at}: {error}"))?,
        availability_zone: must("availability_zone")?,
        container: text("container"),
        service_metadata: text("service_metadata"),
        parent_id: text("parent_id"),
        volume_meta: None,
    })
}

fn records(document: &[u8]) -> Vec<Value> {
    let document: Value = serde_json::from_slice(document).expect("the committed fixtures are JSON");
    document["records"].as_array().cloned().unwrap_or_default()
}

fn file(fixture: &str, path: &str) -> Option<&'static [u8]> {
    let wanted = format!("{fixture}/{path}");
    embedded::FIXTURES.iter().find(|(path, _)| *path == wanted).map(|(_, bytes)| *bytes)
}

fn unpacked(tag: &str, stored: &[u8]) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    let read = match tag {
        "none" => return Ok(stored.to_vec()),
        "zlib" => flate2::read::ZlibDecoder::new(stored).read_to_end(&mut data),
        "bz2" => bzip2::read::BzDecoder::new(stored).read_to_end(&mut data),
        "zstd" => return zstd::decode_all(stored).map_err(|error| error.to_string()),
        other => return Err(format!("unknown compression {other}")),
    };
    read.map(|_| data).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clinker_manager::metadata;
    use clinker_manager::model::VolumeRow;

    use super::*;

    #[test]
    fn what_the_original_keeps_of_a_volume_is_read_and_restored() {
        for name in links() {
            let link = Link::named(&name).unwrap();
            let (path, _) = link.with_volume_meta("").unwrap();
            let stored: Value =
                serde_json::from_slice(file(&link.fixture, &format!("{REPOSITORY}{path}")).unwrap()).unwrap();
            let restored = metadata::read(stored["volume_meta"].as_str().unwrap()).unwrap();
            assert_eq!(restored.encryption_key_id, Some(None), "{name}: version 2, not encrypted");
            let mut volume = VolumeRow::default();
            restored.check(&volume).unwrap();
            restored.apply(&mut volume);
            assert_eq!(volume.display_name.as_deref(), Some("vol"), "{name}");
            assert_eq!(volume.display_description.as_deref(), Some("oracle volume"), "{name}");
        }
    }

    #[test]
    fn every_fixture_holds_the_device_that_was_backed_up() {
        let links = links();
        assert_eq!(links.len(), 12, "four fixtures of three links: {links:?}");
        for name in links {
            let link = Link::named(&name).unwrap();
            assert_eq!(link.device().map(|device| device.len()), Ok(398_216), "{name}");
        }
    }
}
