//! The host's file system through the port: what callers rely on, on a real directory.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use clinker_env::{Fs, Metadata, real};
use tempfile::TempDir;

struct Fixture {
    root: TempDir,
    fs: Arc<dyn Fs>,
}

fn fixture() -> Fixture {
    Fixture { root: tempfile::tempdir().unwrap(), fs: real::env().fs }
}

impl Fixture {
    fn path(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }
}

#[tokio::test]
async fn what_is_written_is_read_at_any_offset() {
    let t = fixture();
    let file = t.fs.create(&t.path("f"), 0o600).await.unwrap();
    file.write_at(4, "world".into()).await.unwrap();
    file.write_at(0, "hey ".into()).await.unwrap();
    file.sync_all().await.unwrap();
    assert_eq!(file.len().await.unwrap(), 9);
    let file = t.fs.open(&t.path("f")).await.unwrap();
    assert_eq!(file.read_at(0, 9).await.unwrap(), "hey world");
    assert_eq!(file.read_at(4, 3).await.unwrap(), "wor");
    assert_eq!(file.read_at(7, 100).await.unwrap(), "ld", "fewer bytes only at the end");
    assert_eq!(file.read_at(100, 1).await.unwrap(), "");
}

#[tokio::test]
async fn creating_truncates_and_sets_the_mode() {
    let t = fixture();
    t.fs.create(&t.path("f"), 0o600).await.unwrap().write_at(0, "old".into()).await.unwrap();
    assert_eq!(t.mode("f"), 0o600);
    let file = t.fs.create(&t.path("f"), 0o666).await.unwrap();
    assert_eq!(file.len().await.unwrap(), 0);
    assert_eq!(t.mode("f"), 0o666, "whatever the umask");
}

#[tokio::test]
async fn directories_are_made_with_their_parents_and_may_exist() {
    let t = fixture();
    for _ in 0..2 {
        t.fs.create_dir_all(&t.path("a/b/c"), 0o700).await.unwrap();
    }
    assert_eq!(t.mode("a/b/c"), 0o700);
    t.fs.create_dir_all(&t.path("a/b/d"), 0o777).await.unwrap();
    assert_eq!(t.mode("a/b/d"), 0o777, "whatever the umask");
    assert_eq!(t.fs.metadata(&t.path("a/b")).await.unwrap(), Metadata { is_dir: true, len: 0 });
    t.fs.create(&t.path("file"), 0o600).await.unwrap();
    assert_eq!(t.fs.create_dir_all(&t.path("file"), 0o700).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_rename_replaces_and_a_listing_is_sorted() {
    let t = fixture();
    for name in ["b", "a", "c"] {
        t.fs.create(&t.path(name), 0o600).await.unwrap().write_at(0, name.into()).await.unwrap();
    }
    t.fs.rename(&t.path("c"), &t.path("a")).await.unwrap();
    t.fs.sync_dir(&t.path("")).await.unwrap();
    assert_eq!(t.fs.list(&t.path("")).await.unwrap(), ["a", "b"]);
    assert_eq!(t.fs.open(&t.path("a")).await.unwrap().read_at(0, 9).await.unwrap(), "c");
    assert_eq!(t.fs.metadata(&t.path("a")).await.unwrap(), Metadata { is_dir: false, len: 1 });
    t.fs.remove_file(&t.path("a")).await.unwrap();
    assert_eq!(t.fs.list(&t.path("")).await.unwrap(), ["b"]);
}

#[tokio::test]
async fn what_is_missing_is_not_found() {
    let t = fixture();
    let gone = t.path("gone");
    assert_eq!(t.fs.open(&gone).await.err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(t.fs.list(&gone).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(t.fs.metadata(&gone).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(t.fs.remove_file(&gone).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(t.fs.rename(&gone, &t.path("x")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(t.fs.sync_dir(&gone).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(t.fs.create(&t.path("gone/f"), 0o600).await.err().unwrap().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_opened_file_cannot_be_written() {
    let t = fixture();
    t.fs.create(&t.path("f"), 0o600).await.unwrap();
    let file = t.fs.open(&t.path("f")).await.unwrap();
    file.write_at(0, "x".into()).await.unwrap_err();
}
