//! The database call by call: what the API checks, how hosts are chosen, repetition, the clock of D1.

mod support;

use std::time::Duration;

use clinker_manager::db::{
    Begin, Begun, Call, CreateRequest, Deleted, Finish, HostChoice, RestoreTarget, ServiceView, Share,
};
use clinker_manager::model::{BackupRow, BackupStatus, Operation, VolumeRow, VolumeStatus};
use clinker_manager::state::ServiceState;
use support::{Database, POSIX, create, first_host, from};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn api_create(request: CreateRequest) -> Call {
    Call::ApiCreate { request, choice: first_host() }
}

fn api_delete(backup_id: &str, force: bool) -> Call {
    Call::ApiDelete { backup_id: backup_id.into(), force, api_host: "api".into(), choice: first_host() }
}

fn begin(operation: Operation, backup_id: &str) -> Call {
    Call::OpBegin(Begin {
        operation,
        backup_id: backup_id.into(),
        host: "h1".into(),
        driver: POSIX.into(),
        availability_zone: "nova".into(),
        working: true,
        status: None,
        running_here: Vec::new(),
        cast: None,
    })
}

fn finish(operation: Operation, backup_id: &str) -> Call {
    Call::OpFinish(Finish {
        operation,
        backup_id: backup_id.into(),
        host: "h1".into(),
        error: None,
        object_count: 1,
        restored: None,
    })
}

/// A finished backup, made as requested.
fn stored(database: &mut Database, request: CreateRequest) -> BackupRow {
    let row: BackupRow = from(database.call(api_create(request)));
    database.call(begin(Operation::Create, &row.id));
    database.call(finish(Operation::Create, &row.id));
    backup(database, &row.id)
}

fn backup(database: &mut Database, id: &str) -> BackupRow {
    from(database.call(Call::BackupGet { backup_id: id.into() }))
}

fn volume(database: &mut Database, id: &str) -> VolumeRow {
    from(database.call(Call::VolumeGet { volume_id: id.into() }))
}

/// A database with one volume and one service that is up.
fn ready() -> Database {
    let mut database = Database::new();
    database.add_volume("v");
    database.add_service("h1", None);
    database
}

#[tokio::test(start_paused = true)]
async fn a_repeated_call_is_applied_once_and_answered_alike() {
    let mut database = ready();
    let call = api_create(create("b", "v"));
    let first = database.repeat("same key", call.clone()).unwrap();
    // Applied again it would be refused: the volume is backing-up by now.
    assert_eq!(database.repeat("same key", call.clone()).unwrap(), first);
    assert!(database.repeat("other key", call).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_call_is_known_or_never_applied() {
    let mut database = ready();
    let withdraw = |key: &str| Call::ApiWithdraw { withdrawn: key.into() };
    let accepted = database.repeat("applied", api_create(create("b", "v"))).unwrap();
    assert_eq!(database.call(withdraw("applied")), accepted);
    database.add_volume("other");
    assert!(database.call(withdraw("late")).is_null());
    assert!(database.repeat("late", api_create(create("c", "other"))).is_err());
    assert_eq!(volume(&mut database, "other").status, VolumeStatus::Available);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_operation_that_is_closed_changes_nothing() {
    // A create ended twice once, and the second end took the good backup for one whose status had been changed.
    let mut database = ready();
    stored(&mut database, create("b", "v"));
    database.take_log();
    assert!(database.call(finish(Operation::Create, "b")).is_null());
    assert!(database.take_log().is_empty());
    assert_eq!(backup(&mut database, "b").status, BackupStatus::Available);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_changes_nothing_and_emits_nothing() {
    let mut database = Database::new();
    database.add_volume("v");
    database.take_log();
    database.refused(api_create(create("b", "v")), "service_down: api_create: no backup service is up in zone nova");
    assert!(database.take_log().is_empty());
    assert_eq!(volume(&mut database, "v").status, VolumeStatus::Available);
}

#[tokio::test(start_paused = true)]
async fn a_create_needs_an_available_volume_or_force() {
    let mut database = ready();
    for (status, expected) in [
        (VolumeStatus::InUse, "invalid_volume: api_create: volume is in-use: force is needed to back it up"),
        (VolumeStatus::BackingUp, "invalid_volume: api_create: volume is backing-up, expected available"),
        (VolumeStatus::Error, "invalid_volume: api_create: volume is error, expected available"),
    ] {
        database.call(Call::VolumeSetStatus { volume_id: "v".into(), status });
        database.refused(api_create(create("b", "v")), expected);
    }
    database.refused(api_create(create("b", "nowhere")), "not_found: api_create: volume nowhere");
    database.call(Call::VolumeSetStatus { volume_id: "v".into(), status: VolumeStatus::InUse });
    stored(&mut database, CreateRequest { force: true, ..create("b", "v") });
    assert_eq!(volume(&mut database, "v").status, VolumeStatus::InUse);
}

#[tokio::test(start_paused = true)]
async fn a_request_never_goes_to_a_host_that_is_not_up() {
    let mut database = Database::new();
    database.add_volume("v");
    database.add_service("down", Some("unreachable: …"));
    database.add_service("h1", None);
    // Whatever is drawn, only one host is eligible.
    for pick in [0, 1, 7, u64::MAX] {
        let choice = HostChoice { pick, ..first_host() };
        let id = format!("b{pick}");
        let row: BackupRow = from(database.call(Call::ApiCreate { request: create(&id, "v"), choice }));
        assert_eq!(row.host.as_deref(), Some("h1"));
        database.call(Call::VolumeSetStatus { volume_id: "v".into(), status: VolumeStatus::Available });
    }
    // A minute later its heartbeat is stale.
    tokio::time::advance(Duration::from_secs(61)).await;
    database.refused(api_create(create("late", "v")), "service_down: api_create: no backup service is up in zone nova");
}

#[tokio::test(start_paused = true)]
async fn a_zone_without_service_refuses() {
    let mut database = ready();
    let elsewhere = CreateRequest { availability_zone: Some("mars".into()), ..create("b", "v") };
    database.refused(api_create(elsewhere), "service_down: api_create: no backup service is up in zone mars");
}

#[tokio::test(start_paused = true)]
async fn an_incremental_builds_upon_the_newest_available_backup_of_its_project() {
    let mut database = ready();
    let incremental = |id: &str| CreateRequest { incremental: true, ..create(id, "v") };
    database.refused(
        api_create(incremental("none")),
        "invalid_backup: api_create: no available backup of the volume to build upon: make a full one first",
    );
    stored(&mut database, create("old", "v"));
    stored(&mut database, create("new", "v"));
    stored(&mut database, CreateRequest { project_id: "another".into(), ..create("foreign", "v") });
    stored(&mut database, create("broken", "v"));
    database.call(Call::BackupSetStatus { backup_id: "broken".into(), status: BackupStatus::Error });
    let child = stored(&mut database, incremental("child"));
    assert_eq!(child.parent_id.as_deref(), Some("new"));
    assert_eq!(backup(&mut database, "new").num_dependent_backups, 1);
}

/// Deleting a failed increment lowered the parent's count although only a successful create had raised it.
#[tokio::test(start_paused = true)]
async fn a_failed_increment_never_counts_as_dependent() {
    let mut database = ready();
    let incremental = |id: &str| CreateRequest { incremental: true, ..create(id, "v") };
    stored(&mut database, create("full", "v"));
    let good = stored(&mut database, incremental("good"));
    assert_eq!(good.parent_id.as_deref(), Some("full"));
    database.call(Call::BackupSetStatus { backup_id: "good".into(), status: BackupStatus::Error });
    let bad: BackupRow = from(database.call(api_create(incremental("bad"))));
    assert_eq!(bad.parent_id.as_deref(), Some("full"));
    database.call(Call::BackupSetStatus { backup_id: "good".into(), status: BackupStatus::Available });
    database.call(begin(Operation::Create, "bad"));
    let failed = Finish {
        operation: Operation::Create,
        backup_id: "bad".into(),
        host: "h1".into(),
        error: Some("quota: backup: full".into()),
        object_count: 0,
        restored: None,
    };
    database.call(Call::OpFinish(failed));
    database.call(api_delete("bad", false));
    database.call(begin(Operation::Delete, "bad"));
    database.call(finish(Operation::Delete, "bad"));
    assert_eq!(backup(&mut database, "full").num_dependent_backups, 1);
}

#[tokio::test(start_paused = true)]
async fn a_backup_with_children_stays_and_the_leaf_goes() {
    let mut database = ready();
    stored(&mut database, create("full", "v"));
    stored(&mut database, CreateRequest { incremental: true, ..create("leaf", "v") });
    let expected = "invalid_backup: api_delete: 1 incremental backups depend on it: delete them first";
    database.refused(api_delete("full", false), expected);
    database.call(api_delete("leaf", false));
    database.call(begin(Operation::Delete, "leaf"));
    database.call(finish(Operation::Delete, "leaf"));
    assert_eq!(backup(&mut database, "full").num_dependent_backups, 0);
    database.call(api_delete("full", false));
    let gone = backup(&mut database, "leaf");
    assert!(gone.deleted && gone.deleted_at.is_some());
    database.refused(api_delete("leaf", false), "not_found: api_delete: backup leaf");
}

#[tokio::test(start_paused = true)]
async fn only_force_deletes_a_backup_that_is_being_made() {
    let mut database = ready();
    database.call(api_create(create("b", "v")));
    database.call(begin(Operation::Create, "b"));
    let expected = "invalid_backup: api_delete: backup is creating, expected available, error or error_deleting";
    database.refused(api_delete("b", false), expected);
    let deleted: Deleted = from(database.call(api_delete("b", true)));
    assert_eq!((deleted.backup.status, deleted.done), (BackupStatus::Deleting, false));
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_was_never_stored_is_deleted_by_the_api_itself() {
    let mut database = ready();
    database.call(api_create(create("b", "v")));
    database.call(Call::BackupSetStatus { backup_id: "b".into(), status: BackupStatus::Error });
    database.add_service("h1", Some("unreachable: …"));
    database.take_log();
    let deleted: Deleted = from(database.call(api_delete("b", false)));
    assert!(deleted.done);
    let log = database.take_log();
    let publishers: Vec<&str> =
        log.iter().flat_map(|commit| &commit.outbox).map(|queued| &*queued.publisher_id).collect();
    assert_eq!(publishers, ["backup.api", "backup.api"]);
    assert!(backup(&mut database, "b").deleted);
}

#[tokio::test(start_paused = true)]
async fn a_restore_needs_room_and_rest() {
    let mut database = ready();
    database.add_volume("target");
    stored(&mut database, create("b", "v"));
    let restore = |volume_id: &str| Call::ApiRestore {
        backup_id: "b".into(),
        target: RestoreTarget::Existing { volume_id: volume_id.into() },
        choice: first_host(),
    };
    let mut small = volume(&mut database, "target");
    small.size = 0;
    database.call(Call::VolumeCreate { volume: small });
    database.refused(restore("target"), "invalid_volume: api_restore: volume has 0 GiB, the backup needs 1");
    database.call(restore("v"));
    assert_eq!(volume(&mut database, "v").status, VolumeStatus::RestoringBackup);
    database.refused(restore("v"), "invalid_backup: api_restore: backup is restoring, expected available");
}

#[tokio::test(start_paused = true)]
async fn cleanup_closes_a_create_before_it_resumes_the_delete() {
    let mut database = ready();
    database.call(api_create(create("b", "v")));
    database.call(begin(Operation::Create, "b"));
    database.call(api_delete("b", true));
    database.take_log();
    let unfinished: Vec<String> = from(database.call(Call::CleanupList { host: "h1".into(), share: Share::default() }));
    assert_eq!(unfinished, ["b"]);
    database.call(Call::CleanupOne { backup_id: "b".into(), host: "h1".into(), share: Share::default() });
    assert_eq!(database.take_events(), ["create.error(deleting): cancelled", "delete.start(deleting)"]);
    // Resumed once more after another crash: its start is out already.
    database.call(Call::CleanupOne { backup_id: "b".into(), host: "h1".into(), share: Share::default() });
    assert_eq!(database.take_events(), [""; 0]);
    assert_eq!(volume(&mut database, "v").status, VolumeStatus::Available);
}

#[tokio::test(start_paused = true)]
async fn a_create_without_start_is_cleaned_up_without_events() {
    let mut database = ready();
    database.call(api_create(create("b", "v")));
    database.take_log();
    database.call(Call::CleanupOne { backup_id: "b".into(), host: "h1".into(), share: Share::default() });
    assert_eq!(database.take_events(), [""; 0]);
    assert_eq!(backup(&mut database, "b").status, BackupStatus::Error);
    // Its queued cast then ends as "backup not creating".
    let begun: Begun = from(database.call(begin(Operation::Create, "b")));
    assert!(begun.ended.is_some());
    assert_eq!(database.take_events().len(), 2);
}

#[test]
fn after_a_reboot_ages_count_from_the_last_stored_stamp() {
    let state = |database: &mut Database| {
        let list = Call::ServiceList { service_down_time: 60_000_000_000 };
        from::<Vec<ServiceView>>(database.call(list))[0].state
    };
    let mut database = runtime().block_on(async {
        let mut database = ready();
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(state(&mut database), ServiceState::Up);
        database
    });
    // The heartbeat's stamp is the last one stored; 60 s of the new boot are its age, whatever passed between.
    runtime().block_on(async {
        database.reopen();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(state(&mut database), ServiceState::Up);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(state(&mut database), ServiceState::Down);
    });
}
