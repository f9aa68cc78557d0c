//! Backups that real Cinder wrote (29.0.0, POSIX driver) restore byte for byte, at every link of every chain.
//!
//! Each fixture is a full backup and two increments of a 398,216-byte volume in 128 KiB chunks and 32 KiB blocks.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clinker_drivers::{Backup, BackupDriver, Kind, Options, registry};
use sha2::{Digest, Sha256};
use support::{MemoryDevice, RestoreRecorder, context};

const FIXTURES: [&str; 4] = ["small_none", "small_zlib", "small_bz2", "small_zstd"];

struct Record {
    backup: Backup,
    device_bytes: usize,
    device_sha256: String,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn records(name: &str) -> Vec<Record> {
    let text = std::fs::read_to_string(fixture(name).join("records.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let record = |record: &serde_json::Value| {
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        let backup = Backup {
            id: text("id").unwrap(),
            volume_id: text("volume_id").unwrap(),
            size: record["size"].as_u64().unwrap(),
            display_name: text("display_name"),
            display_description: text("display_description"),
            created_at: text("created_at").unwrap().replace(' ', "T").parse().unwrap(),
            availability_zone: text("availability_zone").unwrap(),
            container: text("container"),
            service_metadata: text("service_metadata"),
            parent_id: text("parent_id"),
            volume_meta: None,
        };
        let device_bytes = record["device_bytes"].as_u64().unwrap() as usize;
        Record { backup, device_bytes, device_sha256: text("device_sha256").unwrap() }
    };
    document["records"].as_array().unwrap().iter().map(record).collect()
}

fn posix(repository: &Path) -> Arc<dyn BackupDriver> {
    let options = Options {
        backup_driver: "posix".into(),
        backup_posix_path: repository.to_str().unwrap().into(),
        backup_file_size: 128 << 10,
        ..Options::default()
    };
    registry::build(&options, &clinker_env::real::env()).unwrap()
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn check_every_link(name: &str, volume_is_new: bool) {
    let repository = tempfile::tempdir().unwrap();
    copy_tree(&fixture(name).join("posix"), repository.path());
    let driver = posix(repository.path());
    let records = records(name);
    let chain: Vec<Backup> = records.iter().map(|record| record.backup.clone()).collect();
    assert_eq!(chain.len(), 3, "a full backup and two incrementals");
    for (link, record) in records.iter().enumerate() {
        let before = if volume_is_new { 0 } else { 0xee };
        let device = MemoryDevice::new(vec![before; record.device_bytes]);
        let control = Arc::new(RestoreRecorder::default());
        driver.restore(&context(), &chain[..=link], &device, volume_is_new, control.clone()).await.unwrap();
        assert_eq!(hex::encode(Sha256::digest(device.data())), record.device_sha256, "{name}, link {link}");
        assert_eq!(control.warnings(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn every_link_of_every_chain_restores_to_a_new_volume() {
    for name in FIXTURES {
        check_every_link(name, true).await;
    }
}

#[tokio::test]
async fn every_link_of_every_chain_restores_over_other_data() {
    for name in FIXTURES {
        check_every_link(name, false).await;
    }
}

#[tokio::test]
async fn an_increment_builds_on_cinders_own_backup() {
    let repository = tempfile::tempdir().unwrap();
    copy_tree(&fixture("small_zlib").join("posix"), repository.path());
    let driver = posix(repository.path());
    let records = records("small_zlib");
    let mut chain: Vec<Backup> = records.iter().map(|record| record.backup.clone()).collect();
    let last = records.last().unwrap();
    let mut data = support::restore_new(&*driver, &chain, last.device_bytes).await.unwrap();
    // One byte of the fourth block changes, so exactly one block is stored.
    data[100_000] ^= 1;
    let parent = chain.last().unwrap().clone();
    let increment = support::store_backup(&*driver, "abcd-increment", Some(&parent), &data).await.unwrap();
    assert_eq!(increment.container.as_deref(), Some("ab/cd/abcd-increment"));
    let directory = repository.path().join("ab/cd/abcd-increment");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 3, "one data object and the two special ones");
    chain.push(increment);
    assert_eq!(support::restore_over(&*driver, &chain, data.len()).await.unwrap(), data);
}

#[tokio::test]
async fn what_cinder_wrote_is_removed_whole() {
    let repository = tempfile::tempdir().unwrap();
    copy_tree(&fixture("small_none").join("posix"), repository.path());
    let driver = posix(repository.path());
    for Record { backup, .. } in records("small_none") {
        driver.delete_backup(&context(), &backup).await.unwrap();
        let directory = repository.path().join(backup.container.as_deref().unwrap());
        assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
        let control = Arc::new(RestoreRecorder::default());
        let device = MemoryDevice::new(vec![0; 1 << 20]);
        let error = driver.restore(&context(), &[backup], &device, true, control).await.unwrap_err();
        assert_eq!(error.kind, Kind::InvalidBackup, "{error}");
    }
}
