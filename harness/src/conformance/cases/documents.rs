//! CHK: the documents of a backup, metadata object and hash list, against the format and against cinder's own.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clinker_drivers::{Backup, BackupDriver, Error, Kind, RestoreControl};
use serde_json::{Map, Value};

use super::{Bench, CaseBody, case};
use crate::conformance::bench::device::Volume;
use crate::conformance::bench::format::hashes;
use crate::conformance::bench::{Call, Order, Which, untouched};
use crate::conformance::outcome::{Outcome, Stop, ensure, equal, fixture, refused};
use crate::fixtures::{Link, links};
use crate::loader::presets::{BLOCK, CHUNK};

pub(super) static CASES: &[CaseBody] = &[
    case("B-CHK-004", |bench| Box::pin(metadata_schema(bench))),
    case("B-CHK-005", |bench| Box::pin(sha_file(bench))),
    case("B-CHK-009", |bench| Box::pin(version_gate(bench))),
    case("B-CHK-010", |bench| Box::pin(read_write_both_ways(bench))),
    case("B-CHK-011", |bench| Box::pin(volume_meta(bench))),
];

const TAIL: u64 = 12_345;
/// Sizes with which the fixtures were made.
const FIXTURE_CHUNK: &str = "131072";
const FIXTURE_BLOCK: &str = "32768";

/// Fields of the metadata object, in their order, and what each may be.
const METADATA: &[(&str, &[&str])] = &[
    ("backup_description", &["text", "null"]),
    ("backup_id", &["text"]),
    ("backup_name", &["text", "null"]),
    ("created_at", &["text"]),
    ("objects", &["list"]),
    ("parent_id", &["text", "null"]),
    ("version", &["text"]),
    ("volume_id", &["text"]),
    ("volume_meta", &["text", "null"]),
];
const HASH_LIST: &[(&str, &[&str])] = &[
    ("backup_description", &["text", "null"]),
    ("backup_id", &["text"]),
    ("backup_name", &["text", "null"]),
    ("chunk_size", &["whole number"]),
    ("created_at", &["text"]),
    ("sha256s", &["list"]),
    ("version", &["text"]),
    ("volume_id", &["text"]),
];
const EXTENT: &[(&str, &[&str])] =
    &[("compression", &["text"]), ("length", &["whole number"]), ("md5", &["text"]), ("offset", &["whole number"])];

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_u64() => "whole number",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Fails unless a document has exactly these fields, of these types.
fn has_fields<'v>(what: &str, value: &'v Value, fields: &[(&str, &[&str])]) -> Outcome<&'v Map<String, Value>> {
    let other = || Stop::failed(format!("{what} is no object"), "an object", kind(value));
    let object = value.as_object().ok_or_else(other)?;
    let mut found: Vec<&str> = object.keys().map(String::as_str).collect();
    found.sort_unstable();
    let expected: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    equal(&format!("{what} has other fields"), &expected, &found)?;
    for (name, kinds) in fields {
        let found = kind(&object[*name]);
        ensure(kinds.contains(&found), &format!("{name} of {what} is a {found}"), kinds.join(" or "), || {
            object[*name].to_string()
        })?;
    }
    Ok(object)
}

/// A document of a backup as it is stored.
fn document(bench: &Bench, backup: &Backup, ending: &str) -> Outcome<Value> {
    let name = format!("{}{ending}", backup.service_metadata.as_deref().unwrap_or_default());
    let bytes = bench.object(backup.container.as_deref().unwrap_or_default(), &name)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Stop::failed("a document is not JSON", format!("{name} as JSON"), error.to_string()))
}

/// What every document says of its backup.
fn is_of(what: &str, object: &Map<String, Value>, backup: &Backup) -> Outcome {
    let says = |name: &str| object[name].as_str().map(str::to_owned);
    let facts = [
        ("version", Some("1.0.0".to_owned())),
        ("backup_id", Some(backup.id.clone())),
        ("volume_id", Some(backup.volume_id.clone())),
        ("backup_name", backup.display_name.clone()),
        ("backup_description", backup.display_description.clone()),
        ("created_at", Some(backup.created_at.strftime("%Y-%m-%d %H:%M:%S+00:00").to_string())),
    ];
    for (name, expected) in facts {
        equal(&format!("{name} of {what} is another"), &expected, &says(name))?;
    }
    Ok(())
}

async fn metadata_schema(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = Volume::text(2 * CHUNK + TAIL);
    let meta = r#"{"version": 2, "volume-base-metadata": {"display_name": "a \"quoted\" näme"}}"#;
    let order = Order { volume_meta: Some(meta), ..Order::default() };
    let full = bench.backup(&*driver, &volume, order).await.stored()?;
    schema_of(&bench, &full, Some(meta))?;
    if bench.needs("incremental").is_ok() {
        volume.edit(BLOCK, &[0x44; BLOCK as usize]);
        let increment = bench.increment(&*driver, &volume, &full).await?;
        schema_of(&bench, &increment, None)?;
    }
    Ok(())
}

fn schema_of(bench: &Bench, backup: &Backup, meta: Option<&str>) -> Outcome {
    let metadata = document(bench, backup, "_metadata")?;
    let metadata = has_fields("the metadata object", &metadata, METADATA)?;
    is_of("the metadata object", metadata, backup)?;
    equal(
        "parent_id of the metadata object is another",
        &backup.parent_id.as_deref(),
        &metadata["parent_id"].as_str(),
    )?;
    equal("volume_meta of the metadata object is another", &meta, &metadata["volume_meta"].as_str())?;
    let objects = metadata["objects"].as_array().into_iter().flatten();
    for (number, entry) in (1..).zip(objects) {
        let prefix = backup.service_metadata.as_deref().unwrap_or_default();
        let name = format!("{prefix}-{number:05}");
        let keys: Vec<&String> = entry.as_object().into_iter().flat_map(Map::keys).collect();
        equal("an entry of objects does not have one key, the object's name", &vec![&name], &keys)?;
        let extent = has_fields("an entry of objects", &entry[&name], EXTENT)?;
        let md5 = extent["md5"].as_str().unwrap_or_default();
        let digits = md5.len() == 32 && md5.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        ensure(digits, "an md5 has another form", "32 hexadecimal digits in lower case", || md5.to_owned())?;
    }
    let list = document(bench, backup, "_sha256file")?;
    is_of("the hash list", has_fields("the hash list", &list, HASH_LIST)?, backup)
}

async fn sha_file(bench: Bench) -> Outcome {
    for (chunk, block) in [(CHUNK, BLOCK), (CHUNK, CHUNK), (CHUNK, 1024)] {
        let preset = bench.candidate().preset;
        let sizes = [(preset.chunk_option, chunk.to_string()), (preset.block_option, block.to_string())];
        let driver = bench.driver_with(&sizes.each_ref().map(|(name, value)| (*name, &value[..]))).await?;
        for len in [1, block - 1, block, block + 1, 2 * CHUNK + TAIL] {
            let volume = bench.volume(len);
            let full = bench.full(&*driver, &volume).await?;
            hash_list_is(&bench, &full, &volume, block)?;
            if bench.needs("incremental").is_ok() {
                volume.edit(len / 2, &[0x55]);
                let increment = bench.increment(&*driver, &volume, &full).await?;
                hash_list_is(&bench, &increment, &volume, block)?;
            }
        }
    }
    Ok(())
}

/// The hashes of a whole volume, of an increment too.
fn hash_list_is(bench: &Bench, backup: &Backup, volume: &Volume, block: u64) -> Outcome {
    let list = bench.hash_list(backup)?;
    let bytes = volume.bytes();
    equal("chunk_size of the hash list is not the block's", &block, &list.chunk_size)?;
    let expected = hashes(&bytes, block);
    equal("the hash list has another number of hashes", &expected.len(), &list.sha256s.len())?;
    let wrong = expected.iter().zip(&list.sha256s).position(|(expected, found)| expected != found);
    equal("a hash is not that of its block", &None, &wrong)
}

/// Changes a document of a backup behind the driver's back.
fn rewrite(bench: &Bench, backup: &Backup, ending: &str, change: impl FnOnce(&mut Value)) -> Outcome {
    let mut value = document(bench, backup, ending)?;
    change(&mut value);
    let name = format!("{}{ending}", backup.service_metadata.as_deref().unwrap_or_default());
    bench.put_object(backup.container.as_deref().unwrap_or_default(), &name, value.to_string().as_bytes())
}

async fn version_gate(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(CHUNK + TAIL);
    for version in ["2.0.0", "1.0.1", "0.9", "", "1.0.0\u{0}"] {
        let backup = bench.full(&*driver, &volume).await?;
        rewrite(&bench, &backup, "_metadata", |document| document["version"] = Value::from(version))?;
        let what = format!("a restore of version {version:?}");
        refused_untouched(&bench, &*driver, &what, &[&backup], volume.bytes().len()).await?;
    }
    if bench.needs("incremental").is_err() {
        return Ok(());
    }
    let full = bench.full(&*driver, &volume).await?;
    volume.edit(0, &[0x66; 100]);
    let increment = bench.increment(&*driver, &volume, &full).await?;
    rewrite(&bench, &full, "_metadata", |document| document["version"] = Value::from("7"))?;
    refused_untouched(
        &bench,
        &*driver,
        "a restore upon a parent of version 7",
        &[&full, &increment],
        volume.bytes().len(),
    )
    .await?;
    rewrite(&bench, &full, "_sha256file", |document| document["version"] = Value::from("7"))?;
    let made = bench.backup(&*driver, &volume, Order { parent: Some(&full), ..Order::default() }).await;
    refused("an increment upon a hash list of version 7", made.result, &[Kind::InvalidBackup])?;
    bench.holds_nothing_of(&made.backup.id, "a refused increment left objects")
}

async fn refused_untouched(
    bench: &Bench,
    driver: &dyn BackupDriver,
    what: &str,
    chain: &[&Backup],
    len: usize,
) -> Outcome {
    let target = Volume::zeros(len as u64);
    refused(what, bench.restore(driver, chain, &target, false).await, &[Kind::InvalidBackup])?;
    untouched(&format!("{what} writes"), &target)
}

/// A document with a word for the type of every value, in its own order: equal for documents of one form.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let renamed = |name: &str| {
                if name.starts_with("volume_") && name.contains("_backup_") {
                    "<name>".to_owned()
                } else {
                    name.to_owned()
                }
            };
            Value::Object(object.iter().map(|(name, value)| (renamed(name), shape(value))).collect())
        }
        Value::Array(list) => {
            let mut shapes: Vec<Value> = list.iter().map(shape).collect();
            shapes.dedup();
            Value::Array(shapes)
        }
        other => Value::from(kind(other)),
    }
}

/// Puts a fixture's repository into the store; gives the rows of its chain as they are there.
async fn put_fixture(bench: &Bench, link: &Link) -> Outcome<Vec<Backup>> {
    let mut chain = fixture(link.chain())?;
    if bench.on_disk() {
        for (path, bytes) in link.files() {
            let (container, name) = path.rsplit_once('/').unwrap_or(("", path));
            bench.put_object(container, name, bytes)?;
        }
        return Ok(chain);
    }
    // Containers of servers have no slash, and somebody has to make them.
    let container = "written-by-cinder";
    let maker = bench.driver().await?;
    let order = Order { container: Some(container), ..Order::default() };
    bench.backup(&*maker, &bench.volume(1), order).await.stored()?;
    for (path, bytes) in link.files() {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        bench.put_object(container, name, bytes)?;
    }
    chain.iter_mut().for_each(|row| row.container = Some(container.to_owned()));
    Ok(chain)
}

async fn read_write_both_ways(bench: Bench) -> Outcome {
    let driver = bench.driver_with(&[]).await?;
    for name in links() {
        let link = Link::named(&name).ok_or_else(|| Stop::Broken(format!("there is no fixture {name}")))?;
        let device = fixture(link.device())?;
        let chain = put_fixture(&bench, &link).await?;
        let chain: Vec<&Backup> = chain.iter().collect();
        let seen = bench.restores(&*driver, &chain, &device).await?;
        equal("a backup of cinder's restores with warnings", &Vec::<String>::new(), &seen.warnings)?;
        let last = name.ends_with("/2");
        if last && bench.needs("incremental").is_ok() {
            upon_cinders(&bench, &chain, device).await?;
        }
    }
    written_alike(&bench, &*driver).await
}

/// An increment of ours upon a chain of cinder's.
async fn upon_cinders(bench: &Bench, chain: &[&Backup], device: Vec<u8>) -> Outcome {
    let preset = bench.candidate().preset;
    let sizes = [(preset.chunk_option, FIXTURE_CHUNK), (preset.block_option, FIXTURE_BLOCK)];
    let driver = bench.driver_with(&sizes).await?;
    let volume = Volume::holding(device);
    volume.edit(100_000, b"one byte and a few more");
    let parent = chain.last().ok_or_else(|| Stop::Broken("a fixture has no chain".to_owned()))?;
    let order = Order {
        parent: Some(parent),
        container: parent.container.as_deref().filter(|_| !bench.on_disk()),
        ..Order::default()
    };
    let increment = bench.backup(&*driver, &volume, order).await.stored()?;
    let extents: Vec<(u64, u64)> =
        bench.metadata(&increment)?.extents().map(|(_, extent)| (extent.offset, extent.length)).collect();
    equal("an increment upon cinder's stores other blocks", &vec![(3 * 32_768, 32_768)], &extents)?;
    let mut chain = chain.to_vec();
    chain.push(&increment);
    bench.restores(&*driver, &chain, &volume.bytes()).await.map(drop)
}

/// Our documents have the form of cinder's, field by field and in its order; that cinder reads them is shown with cinder.
async fn written_alike(bench: &Bench, driver: &dyn BackupDriver) -> Outcome {
    let volume = bench.volume(2 * CHUNK);
    let order = || Order { volume_meta: Some(r#"{"version": 2}"#), ..Order::default() };
    let full = bench.backup(driver, &volume, order()).await.stored()?;
    let mut ours = vec![("small_zlib/0", full.clone())];
    if bench.needs("incremental").is_ok() {
        volume.edit(0, &[0x77; 10]);
        let order = Order { parent: Some(&full), ..order() };
        ours.push(("small_zlib/1", bench.backup(driver, &volume, order).await.stored()?));
    }
    for (name, backup) in ours {
        let link = Link::named(name).ok_or_else(|| Stop::Broken(format!("there is no fixture {name}")))?;
        for ending in ["_metadata", "_sha256file"] {
            let wanted = format!("{}{ending}", link.backup_id());
            let file = link.files().find(|(path, _)| path.ends_with(&wanted));
            let (_, bytes) = file.ok_or_else(|| Stop::Broken(format!("fixture {name} has no {ending}")))?;
            let theirs: Value = fixture(serde_json::from_slice(bytes))?;
            let (theirs, ours) = (shape(&theirs).to_string(), shape(&document(bench, &backup, ending)?).to_string());
            equal(&format!("{ending} has another form than cinder's"), &theirs, &ours)?;
        }
    }
    Ok(())
}

/// A service that cannot do anything with the volume's metadata.
#[derive(Default)]
struct Refusing {
    asked: Mutex<Vec<Option<String>>>,
}

#[async_trait]
impl RestoreControl for Refusing {
    async fn check_cancelled(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn volume_meta(&self, volume_meta: Option<&str>) -> Result<(), Error> {
        self.asked.lock().expect("no panic while the lock is held").push(volume_meta.map(str::to_owned));
        Err(Error::new(Kind::InvalidBackup, "volume metadata of version 99 cannot be read"))
    }

    fn warn(&self, _finding: &str) {}
}

async fn volume_meta(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(CHUNK + TAIL);
    let (first, second) = (r#"{"version": 2, "n": 1}"#, r#"{"version": 2, "n": "zwölf"}"#);
    let full =
        bench.backup(&*driver, &volume, Order { volume_meta: Some(first), ..Order::default() }).await.stored()?;
    equal("the volume's metadata are not stored", &Value::from(first), &bench.metadata(&full)?.volume_meta)?;
    let brought_back = "a restore does not bring the volume's metadata back once";
    let seen = bench.restores(&*driver, &[&full], &volume.bytes()).await?;
    equal(brought_back, &vec![Some(first.to_owned())], &seen.volume_meta)?;
    if bench.needs("incremental").is_ok() {
        volume.edit(7, b"changed");
        let order = Order { parent: Some(&full), volume_meta: Some(second), ..Order::default() };
        let increment = bench.backup(&*driver, &volume, order).await.stored()?;
        let seen = bench.restores(&*driver, &[&full, &increment], &volume.bytes()).await?;
        equal(brought_back, &vec![Some(second.to_owned())], &seen.volume_meta)?;
    }
    let without = bench.full(&*driver, &volume).await?;
    let seen = bench.restores(&*driver, &[&without], &volume.bytes()).await?;
    ensure(seen.volume_meta.iter().all(Option::is_none), "metadata come from nowhere", "none", || {
        format!("{:?}", seen.volume_meta)
    })?;
    let (target, control) = (Volume::zeros(CHUNK + TAIL), Arc::new(Refusing::default()));
    let chain = [full.clone()];
    let restored = driver.restore(&bench.context(), &chain, &target, false, control.clone()).await;
    refused("a restore whose metadata cannot be read", restored, &[Kind::InvalidBackup])?;
    untouched("a restore whose metadata cannot be read writes", &target)?;
    let asked = control.asked.lock().expect("no panic while the lock is held").clone();
    equal(brought_back, &vec![Some(first.to_owned())], &asked)?;
    let which = Which { call: Call::Put, about: "_metadata", nth: 1, times: 0 };
    let fault = bench.fail(which, 403).await?;
    let made = bench.backup(&*driver, &volume, Order { volume_meta: Some(first), ..Order::default() }).await;
    bench.heal(&fault).await;
    refused("a backup whose metadata cannot be stored", made.result, &[Kind::Auth])?;
    bench.holds_nothing_of(&made.backup.id, "a backup whose metadata could not be stored left objects")
}
