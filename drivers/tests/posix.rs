//! The POSIX store on a real directory: names, modes, atomic writes, refusals, and failing disks.

mod support;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::posix::PosixStore;
use clinker_drivers::{Backup, Error, Kind, Options, registry};
use support::faulty::faulty;
use support::{context, env, noise, row};
use tempfile::TempDir;

const ID: &str = "3f2a9c10-0000-4000-8000-000000000001";

fn options(repository: &Path) -> Options {
    Options {
        backup_driver: "posix".into(),
        backup_posix_path: repository.to_str().unwrap().into(),
        backup_file_size: 1024,
        backup_sha_block_size_bytes: 256,
        host: "backup-host-1".into(),
        ..support::options("none")
    }
}

fn store(repository: &Path) -> PosixStore {
    PosixStore::new(&options(repository), &env())
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_lies_in_nested_directories_named_by_its_id() {
    let repository = tempfile::tempdir().unwrap();
    let driver = registry::build(&options(repository.path()), &env()).unwrap();
    let backup = support::store_backup(&*driver, ID, None, &noise(2000, 1)).await.unwrap();
    assert_eq!(backup.container.as_deref(), Some(format!("3f/2a/{ID}").as_str()));
    let prefix = format!("volume_vol-1_20270304050605_backup_{ID}");
    assert_eq!(backup.service_metadata.as_deref(), Some(prefix.as_str()));
    let directory = repository.path().join("3f/2a").join(ID);
    let expected = ["-00001", "-00002", "_metadata", "_sha256file"].map(|suffix| format!("{prefix}{suffix}"));
    assert_eq!(files(&directory), expected);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // Whatever the process's umask: the group of the repository is to read what another host's service wrote.
    assert_eq!(mode(&directory), 0o770);
    assert_eq!(mode(&directory.join(&expected[0])), 0o660);
}

#[tokio::test]
async fn an_asked_container_is_a_directory_below_the_repository() {
    let repository = tempfile::tempdir().unwrap();
    let store = store(repository.path());
    let asked = Backup { container: Some("mine/deep".into()), ..row(ID) };
    assert_eq!(store.container_for(&asked).unwrap(), "mine/deep");
    store.put_container(&context(), "mine/deep").await.unwrap();
    assert!(repository.path().join("mine/deep").is_dir());
    let configured = Options { backup_container: Some("ours".into()), ..options(repository.path()) };
    assert_eq!(PosixStore::new(&configured, &env()).container_for(&row(ID)).unwrap(), "ours");
}

#[tokio::test]
async fn names_that_leave_the_repository_are_refused_by_every_operation() {
    let root = tempfile::tempdir().unwrap();
    let repository = root.path().join("repository");
    std::fs::create_dir(&repository).unwrap();
    let outside = root.path().join("outside");
    std::fs::write(&outside, "untouched").unwrap();
    let (store, context) = (store(&repository), context());
    for bad in ["/etc", "..", "../x", "a/../b", "a//b", "a/", "./a", "", "a\0b"] {
        let refused = |result: Result<(), Error>| {
            let error = result.expect_err(bad);
            assert_eq!(error.kind, Kind::InvalidBackup, "{error}");
            assert!(error.what.starts_with(&format!("container \"{}\" is not", bad.escape_debug())), "{error}");
        };
        if !bad.is_empty() {
            let asked = Backup { container: Some(bad.into()), ..row(ID) };
            refused(store.container_for(&asked).map(drop));
        }
        refused(store.put_container(&context, bad).await);
        refused(store.list(&context, bad, "p").await.map(drop));
        refused(store.put(&context, bad, "p", Bytes::new(), [0; 16]).await);
        refused(store.get(&context, bad, "p").await.map(drop));
        refused(store.delete(&context, bad, "p").await);
        refused(store.discard_partial(&context, bad, "p").await);
    }
    for bad in ["../../outside", "a/b", "..", "", "a\0"] {
        let refused = |result: Result<(), Error>| assert_eq!(result.expect_err(bad).kind, Kind::InvalidBackup);
        refused(store.list(&context, "c", bad).await.map(drop));
        refused(store.put(&context, "c", bad, Bytes::new(), [0; 16]).await);
        refused(store.get(&context, "c", bad).await.map(drop));
        refused(store.delete(&context, "c", bad).await);
        refused(store.discard_partial(&context, "c", bad).await);
    }
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "untouched");
    assert_eq!(files(&repository), Vec::<String>::new());
    let error = store.container_for(&row("é1")).unwrap_err();
    assert_eq!(error.kind, Kind::InvalidBackup, "{error}");
}

#[tokio::test]
async fn a_failing_write_leaves_neither_object_nor_temporary() {
    use io::ErrorKind::*;
    for (operation, kind, expected) in [
        ("create", PermissionDenied, "auth: posix could not write object o-00001: permission denied"),
        ("write_at", StorageFull, "quota: posix could not write object o-00001: no space left"),
        ("sync_all", QuotaExceeded, "quota: posix could not write object o-00001: quota used up"),
        ("rename", ReadOnlyFilesystem, "unreachable: posix could not write object o-00001: file system is read-only"),
    ] {
        let repository = tempfile::tempdir().unwrap();
        let store = PosixStore::new(&options(repository.path()), &faulty(operation, kind, ".tmp-"));
        store.put_container(&context(), "c").await.unwrap();
        let error = store.put(&context(), "c", "o-00001", Bytes::from(vec![7; 100]), [0; 16]).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(files(&repository.path().join("c")), Vec::<String>::new(), "{operation}");
    }
}

#[tokio::test]
async fn a_put_replaces_the_whole_object() {
    let repository = tempfile::tempdir().unwrap();
    let (store, context) = (store(repository.path()), context());
    store.put_container(&context, "c").await.unwrap();
    for body in [vec![1; 5000], vec![2; 10]] {
        store.put(&context, "c", "o", body.clone().into(), [0; 16]).await.unwrap();
        assert_eq!(store.get(&context, "c", "o").await.unwrap(), body);
    }
    assert_eq!(store.list(&context, "c", "o").await.unwrap(), ["o"]);
    assert_eq!(store.get(&context, "c", "missing").await.unwrap_err().kind, Kind::NotFound);
    store.delete(&context, "c", "o").await.unwrap();
    store.delete(&context, "c", "o").await.unwrap();
    store.delete(&context, "never-made", "o").await.unwrap();
}

#[tokio::test]
async fn leftover_temporaries_are_not_listed_and_go_with_their_backup() {
    let repository = tempfile::tempdir().unwrap();
    let driver = registry::build(&options(repository.path()), &env()).unwrap();
    let backup = support::store_backup(&*driver, ID, None, &noise(2000, 1)).await.unwrap();
    let directory = repository.path().join(backup.container.as_deref().unwrap());
    let prefix = backup.service_metadata.clone().unwrap();
    std::fs::write(directory.join(format!(".tmp-{prefix}-00003")), "half").unwrap();
    std::fs::write(directory.join(".tmp-other-00001"), "half").unwrap();
    let chain = [backup.clone()];
    support::restore_new(&*driver, &chain, 2000).await.expect("a temporary does not disturb");
    driver.delete_backup(&context(), &backup).await.unwrap();
    assert_eq!(files(&directory), [".tmp-other-00001"]);
}

#[tokio::test]
async fn a_missing_directory_is_empty_but_a_missing_repository_is_an_error() {
    let repository = tempfile::tempdir().unwrap();
    assert_eq!(store(repository.path()).list(&context(), "c", "p").await.unwrap(), Vec::<String>::new());
    let gone = repository.path().join("gone");
    let store = store(&gone);
    let expected = format!("not_found: posix could not find repository {}: not there", gone.display());
    assert_eq!(store.list(&context(), "c", "p").await.unwrap_err().to_string(), expected);
    assert_eq!(store.put_container(&context(), "c").await.unwrap_err().to_string(), expected);
    assert!(!gone.exists());
    let lost = Backup { container: Some("c".into()), service_metadata: Some("p".into()), ..row(ID) };
    let driver = registry::build(&options(&gone), &env()).unwrap();
    assert_eq!(driver.delete_backup(&context(), &lost).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn directories_are_made_only_if_allowed() {
    let repository = tempfile::tempdir().unwrap();
    let forbidden = Options { backup_create_containers: false, ..options(repository.path()) };
    let store = PosixStore::new(&forbidden, &env());
    let error = store.put_container(&context(), "c").await.unwrap_err();
    assert_eq!(error.to_string(), "not_found: posix could not find directory c: not there");
    std::fs::create_dir(repository.path().join("c")).unwrap();
    store.put_container(&context(), "c").await.unwrap();
    std::fs::write(repository.path().join("file"), "").unwrap();
    assert_eq!(store.put_container(&context(), "file").await.unwrap_err().kind, Kind::Conflict);
}

#[tokio::test]
async fn the_set_up_check_writes_reads_and_removes_one_probe() {
    let repository = tempfile::tempdir().unwrap();
    let driver = registry::build(&options(repository.path()), &env()).unwrap();
    driver.do_setup().await.unwrap();
    driver.check_for_setup_error().await.unwrap();
    assert_eq!(files(repository.path()), Vec::<String>::new());

    let path = repository.path().display();
    let check = async |operation, kind, expected: &str| {
        let driver = registry::build(&options(repository.path()), &faulty(operation, kind, ".clinker-probe-")).unwrap();
        let error = driver.check_for_setup_error().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    use io::ErrorKind::*;
    let text = |kind: &str, verb: &str, why: &str| {
        format!("{kind}: check_for_setup_error: posix could not {verb} .clinker-probe-backup-host-1 in {path}: {why}")
    };
    check("create", PermissionDenied, &text("auth", "write", "permission denied")).await;
    check("write_at", StorageFull, &text("quota", "write", "no space left")).await;
    check("sync_all", ReadOnlyFilesystem, &text("unreachable", "write", "file system is read-only")).await;
    check("open", Other, &text("unreachable", "read", "input/output error")).await;
    check("remove_file", PermissionDenied, &text("auth", "remove", "permission denied")).await;
}

#[tokio::test]
async fn a_relative_repository_is_an_invalid_option() {
    let driver = registry::build(&options(Path::new("relative/path")), &env()).unwrap();
    assert_eq!(
        driver.do_setup().await.unwrap_err().to_string(),
        "invalid_config: do_setup: option backup_posix_path: found \"relative/path\", expected an absolute path"
    );
    let options = Options { backup_posix_path: "$state_path/backup".into(), ..Options::default() };
    PosixStore::new(&options, &env()).check_options().expect("the default expands to an absolute path");
}

#[tokio::test]
async fn a_disk_that_fills_up_fails_the_backup_and_keeps_nothing() {
    for (suffix, operation) in [("-00002", "write_at"), ("_sha256file", "sync_all"), ("_metadata", "rename")] {
        let repository: TempDir = tempfile::tempdir().unwrap();
        let env = faulty(operation, io::ErrorKind::StorageFull, suffix);
        let driver = registry::build(&options(repository.path()), &env).unwrap();
        let error = support::store_backup(&*driver, ID, None, &noise(3000, 1)).await.unwrap_err();
        assert!(error.to_string().starts_with("quota: backup: posix could not write object volume_"), "{error}");
        assert_eq!(files(&repository.path().join("3f/2a").join(ID)), Vec::<String>::new(), "{suffix}");
    }
}

#[tokio::test]
async fn a_file_longer_than_it_can_be_is_not_read() {
    let repository = tempfile::tempdir().unwrap();
    let store = store(repository.path());
    store.put_container(&context(), "c").await.unwrap();
    // A hole of 1 TiB: whoever reads it whole does not come back.
    let file = std::fs::File::create(repository.path().join("c/o")).unwrap();
    file.set_len(1 << 40).unwrap();
    let error = store.get_at_most(&context(), "c", "o", 4096).await.unwrap_err();
    assert_eq!(error.to_string(), "integrity: object o has more than the 4096 bytes that make sense");
    file.set_len(4096).unwrap();
    assert_eq!(store.get_at_most(&context(), "c", "o", 4096).await.unwrap(), vec![0; 4096]);
}
