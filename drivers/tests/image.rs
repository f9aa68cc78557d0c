//! A real file system, made by mkfs.ext4 and edited by debugfs, goes through backup, increment and restore unharmed.
//!
//! `data/make-image.sh` makes the two states.

mod support;

use std::path::Path;
use std::sync::Arc;

use clinker_drivers::{Backup, BackupDriver, Options, registry};
use support::{BackupRecorder, MemoryDevice, MemoryStore, context, row};

const CHUNK: u64 = 256 << 10;
const BLOCK: u64 = 4 << 10;

fn image(state: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{state}.img.zst"));
    let image = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    assert_eq!(image.len(), 4 << 20);
    assert_eq!(image[0x438..0x43a], [0x53, 0xef], "the magic number of ext4");
    image
}

fn driver(repository: &Path, compression: &str) -> Arc<dyn BackupDriver> {
    let options = Options {
        backup_driver: "cinder.backup.drivers.posix.PosixBackupDriver".into(),
        backup_posix_path: repository.to_str().unwrap().into(),
        backup_file_size: CHUNK,
        backup_sha_block_size_bytes: BLOCK,
        ..support::options(compression)
    };
    registry::build(&options, &clinker_env::real::env()).unwrap()
}

/// Bytes of all files of a backup.
fn stored_bytes(repository: &Path, backup: &Backup) -> u64 {
    let directory = repository.join(backup.container.as_deref().unwrap());
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn it_survives_backup_increment_and_restore_with_every_compression() {
    let (before, after) = (image("before"), image("after"));
    assert_ne!(before, after);
    for compression in ["none", "zlib", "gzip", "bz2", "bzip2", "zstd"] {
        let repository = tempfile::tempdir().unwrap();
        let driver = driver(repository.path(), compression);
        driver.do_setup().await.unwrap();
        driver.check_for_setup_error().await.unwrap();
        let full = support::store_backup(&*driver, "full-backup", None, &before).await.unwrap();
        let increment = support::store_backup(&*driver, "increment", Some(&full), &after).await.unwrap();
        let (of_full, of_increment) =
            (stored_bytes(repository.path(), &full), stored_bytes(repository.path(), &increment));
        assert!(of_increment < of_full, "{compression}: {of_increment} of {of_full} bytes");
        // Most of the image is free space.
        assert!(compression == "none" || of_full < (before.len() / 4) as u64, "{compression}: {of_full} bytes");

        let chain = [full, increment];
        assert!(support::restore_new(&*driver, &chain[..1], before.len()).await.unwrap() == before, "{compression}");
        assert!(support::restore_new(&*driver, &chain, after.len()).await.unwrap() == after, "{compression}");
        assert!(support::restore_over(&*driver, &chain, after.len()).await.unwrap() == after, "{compression}");
        for backup in &chain {
            driver.delete_backup(&context(), backup).await.unwrap();
            assert_eq!(stored_bytes(repository.path(), backup), 0);
        }
    }
}

#[test]
fn free_space_of_a_new_volume_stays_unwritten() {
    support::run(async {
        let before = image("before");
        let store = MemoryStore::shared(4 << 20, BLOCK);
        let driver = support::driver(&store, &support::options("zstd"));
        let control = Arc::new(BackupRecorder::default());
        let device = MemoryDevice::new(before.clone());
        driver.backup(&context(), &row("b1"), None, &device, control.clone()).await.unwrap();
        let (container, prefix) = control.location().unwrap();
        let chain = [Backup { container: Some(container), service_metadata: Some(prefix), ..row("b1") }];
        let target = MemoryDevice::new(vec![0; before.len()]);
        let control = Arc::new(support::RestoreRecorder::default());
        driver.restore(&context(), &chain, &target, true, control).await.unwrap();
        assert!(target.data() == before);
        let written: u64 = target.writes.lock().unwrap().iter().map(|(start, end)| end - start).sum();
        assert!(written < before.len() as u64, "{written} bytes");
    });
}
