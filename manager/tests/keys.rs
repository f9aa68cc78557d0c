//! Which row names which key, call by call: at every moment at most one names it, and none is forgotten.

mod support;

use clinker_manager::db::keys::KeyCall;
use clinker_manager::db::{Begin, Call, Finish, RestoreTarget};
use clinker_manager::metadata;
use clinker_manager::model::{BackupRow, BackupStatus, Operation, VolumeRow};
use serde_json::{Value, json};
use support::{Database, POSIX, create, first_host, from};

fn save(key_id: &str) -> Call {
    Call::Keys(KeyCall::Save { backup_id: "b".into(), key_id: key_id.into() })
}

fn spare(key_id: &str) -> Call {
    Call::Keys(KeyCall::SpareSave { backup_id: "b".into(), volume_id: "target".into(), key_id: key_id.into() })
}

fn take(key_id: Option<&str>, gleaned: Option<&str>) -> Call {
    let (key_id, gleaned) = (key_id.map(str::to_owned), gleaned.map(str::to_owned));
    Call::Keys(KeyCall::Take { backup_id: "b".into(), volume_id: "target".into(), key_id, gleaned })
}

fn begin(operation: Operation) -> Call {
    Call::OpBegin(Begin {
        operation,
        backup_id: "b".into(),
        host: "h1".into(),
        driver: POSIX.into(),
        availability_zone: "nova".into(),
        working: true,
        status: None,
        running_here: Vec::new(),
        cast: None,
    })
}

fn finish(operation: Operation, restored: Option<metadata::Restored>) -> Call {
    Call::OpFinish(Finish {
        operation,
        backup_id: "b".into(),
        host: "h1".into(),
        error: None,
        object_count: 1,
        restored: restored.map(Box::new),
    })
}

fn row(database: &mut Database) -> BackupRow {
    from(database.call(Call::BackupGet { backup_id: "b".into() }))
}

fn target(database: &mut Database) -> VolumeRow {
    from(database.call(Call::VolumeGet { volume_id: "target".into() }))
}

/// A backup under way, of a volume with key `k`; beside it a volume with key `o`.
fn creating() -> Database {
    let mut database = Database::new();
    for (id, key) in [("v", "k"), ("target", "o")] {
        let volume = VolumeRow { id: id.into(), encryption_key_id: Some(key.into()), ..VolumeRow::default() };
        database.call(Call::VolumeCreate { volume });
    }
    database.add_service("h1", None);
    database.call(Call::ApiCreate { request: create("b", "v"), choice: first_host() });
    let begun = database.call(begin(Operation::Create));
    assert_eq!(begun["source"]["encryption_key_id"], "k", "whose key is to be cloned");
    database
}

/// The backup, with or without its own key, on its way to the other volume.
fn restoring(own: Option<&str>) -> Database {
    let mut database = creating();
    if let Some(key_id) = own {
        database.call(save(key_id));
    }
    database.call(finish(Operation::Create, None));
    let target = RestoreTarget::Existing { volume_id: "target".into() };
    database.call(Call::ApiRestore { backup_id: "b".into(), target, choice: first_host() });
    database.call(begin(Operation::Restore));
    database
}

#[tokio::test(start_paused = true)]
async fn a_backup_keeps_the_first_key_that_it_names() {
    let mut database = creating();
    assert_eq!(database.call(save("b1")), json!("b1"));
    assert_eq!(database.call(save("b2")), json!("b1"));
    database.call(Call::Keys(KeyCall::Drop { backup_id: "b".into(), key_id: "b2".into() }));
    assert_eq!(row(&mut database).encryption_key_id.as_deref(), Some("b1"));
    database.call(Call::Keys(KeyCall::Drop { backup_id: "b".into(), key_id: "b1".into() }));
    assert_eq!(row(&mut database).encryption_key_id, None);
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_is_not_to_be_made_gets_no_key() {
    let mut database = creating();
    database.call(Call::BackupSetStatus { backup_id: "b".into(), status: BackupStatus::Error });
    database.refused(save("b1"), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_restored_volume_names_the_old_key_until_it_is_gone() {
    let mut database = restoring(Some("b1"));
    database.call(spare("n"));
    assert_eq!(target(&mut database).spare_key_id.as_deref(), Some("n"));
    assert_eq!(database.call(take(Some("n"), None)), json!("o"));
    let volume = target(&mut database);
    assert_eq!((volume.encryption_key_id.as_deref(), volume.spare_key_id.as_deref()), (Some("n"), Some("o")));
    database.call(Call::Keys(KeyCall::SpareDrop { volume_id: "target".into(), key_id: "o".into() }));
    assert_eq!(target(&mut database).spare_key_id, None);
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_is_not_wanted_any_more_changes_no_key() {
    let mut database = restoring(Some("b1"));
    database.call(Call::BackupSetStatus { backup_id: "b".into(), status: BackupStatus::Error });
    database.refused(spare("n"), "cancelled");
    database.refused(take(Some("n"), None), "cancelled");
    assert_eq!(target(&mut database).encryption_key_id.as_deref(), Some("o"));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_gleaned_only_if_it_is_nobodys() {
    for (own, gleaned, expected) in
        [(None, "s", Some("s")), (None, "k", None), (None, "o", None), (Some("b1"), "s", Some("b1"))]
    {
        let mut database = restoring(own);
        database.call(take(Some("n"), Some(gleaned)));
        assert_eq!(row(&mut database).encryption_key_id.as_deref(), expected, "{own:?} gleans {gleaned}");
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_go_on_the_volume_with_the_end_of_a_good_restore() {
    let text = json!({ "version": 2, "volume-metadata": { "a": "1" } }).to_string();
    for (cancelled, expected) in [(false, json!({ "a": "1" })), (true, json!({}))] {
        let mut database = restoring(None);
        if cancelled {
            database.call(Call::BackupSetStatus { backup_id: "b".into(), status: BackupStatus::Error });
        }
        let ended: Value = database.call(finish(Operation::Restore, Some(metadata::read(&text).unwrap())));
        assert!(!ended.is_null());
        assert_eq!(json!(target(&mut database).metadata), expected, "cancelled: {cancelled}");
    }
}
