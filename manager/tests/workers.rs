//! Several hosts and workers, call by call: where requests go, who takes what, and what a worker cleans up.

mod support;

use clinker_manager::db::{
    Begin, Begun, Call, Cleaned, Deleted, HostChoice, RestoreTarget, ServiceView, Share, Taking,
};
use clinker_manager::model::{BackupRow, BackupStatus, Operation, VolumeRow, VolumeStatus};
use clinker_manager::notify::Attempt;
use serde_json::Value;
use support::{Database, POSIX, create, first_host, from};

const DOWN_AFTER: u64 = 60_000_000_000;

/// A worker that works.
fn works(database: &mut Database, host: &str, worker: u32, zone: &str, bound: bool) {
    let process = registers(database, host, worker, zone);
    let attempt = Attempt { number: 1, error: None, seconds: 0.0, next_attempt_in: None };
    let host = host.to_owned();
    database.call(Call::ServiceAttempt { host, worker, process, attempt, host_bound: Some(bound) });
}

/// A new process of the worker; its id.
fn registers(database: &mut Database, host: &str, worker: u32, zone: &str) -> String {
    let registration = |process: &str, replaces: Option<String>| Call::ServiceRegister {
        host: host.to_owned(),
        worker,
        process: process.to_owned(),
        replaces,
        driver: POSIX.to_owned(),
        availability_zone: zone.to_owned(),
    };
    let Some(holder) = from::<Option<String>>(database.call(registration("1", None))) else { return "1".to_owned() };
    let next = format!("{holder}1");
    assert_eq!(database.call(registration(&next, Some(holder))), Value::Null);
    next
}

fn fails(database: &mut Database, host: &str, worker: u32) {
    let attempt = Attempt { number: 0, error: Some("auth: x".to_owned()), seconds: 0.0, next_attempt_in: None };
    let (host, process) = (host.to_owned(), "1".to_owned());
    database.call(Call::ServiceAttempt { host, worker, process, attempt, host_bound: None });
}

fn volume(database: &mut Database, id: &str, zone: &str, host: Option<&str>) {
    let volume = VolumeRow {
        id: id.to_owned(),
        availability_zone: zone.to_owned(),
        host: host.map(str::to_owned),
        ..VolumeRow::default()
    };
    database.call(Call::VolumeCreate { volume });
}

fn new(id: &str, volume: &str, zone: Option<&str>, incremental: bool, choice: HostChoice) -> Call {
    let availability_zone = zone.map(str::to_owned);
    let request = clinker_manager::db::CreateRequest { availability_zone, incremental, ..create(id, volume) };
    Call::ApiCreate { request, choice }
}

/// Where a request goes, or the kind of the refusal.
fn goes(database: &mut Database, call: Call) -> String {
    match database.try_call(call) {
        Ok(answer) => from::<BackupRow>(answer).host.unwrap_or_default(),
        Err(error) => error.to_string(),
    }
}

fn same_host() -> HostChoice {
    HostChoice { same_host: true, ..first_host() }
}

fn restore(id: &str, volume: &str, choice: HostChoice) -> Call {
    let target = RestoreTarget::Existing { volume_id: volume.to_owned() };
    Call::ApiRestore { backup_id: id.to_owned(), target, choice }
}

#[test]
fn a_create_goes_to_the_zone_asked_for_else_to_the_volumes() {
    let mut database = Database::new();
    works(&mut database, "h1", 0, "az-1", false);
    works(&mut database, "h2", 0, "az-2", false);
    for (id, of_volume, asked, expected) in [
        ("a", "az-1", None, "h1"),
        ("b", "az-2", None, "h2"),
        ("c", "az-1", Some("az-2"), "h2"),
        ("d", "az-3", None, "service_down: api_create: no backup service is up in zone az-3"),
        ("e", "az-1", Some("az-3"), "service_down: api_create: no backup service is up in zone az-3"),
    ] {
        volume(&mut database, id, of_volume, None);
        assert_eq!(goes(&mut database, new(id, id, asked, false, first_host())), expected, "{id}");
    }
}

#[test]
fn with_backup_use_same_host_the_own_host_is_the_only_one() {
    let mut database = Database::new();
    works(&mut database, "h1", 0, "nova", false);
    works(&mut database, "h2", 0, "nova", false);
    volume(&mut database, "on-h2", "nova", Some("h2"));
    volume(&mut database, "nowhere", "nova", None);
    assert_eq!(goes(&mut database, new("a", "on-h2", None, false, same_host())), "h2");
    assert_eq!(goes(&mut database, new("b", "nowhere", None, false, same_host())), "h1");
    let status = BackupStatus::Available;
    database.call(Call::BackupSetStatus { backup_id: "a".into(), status });
    fails(&mut database, "h2", 0);
    volume(&mut database, "target", "nova", None);
    let refused = "service_down: api_restore: no backup service is up on h2";
    assert_eq!(goes(&mut database, restore("a", "target", same_host())), refused);
    assert_eq!(goes(&mut database, restore("a", "target", first_host())), "h1");
}

#[test]
fn what_only_one_host_reaches_stays_there() {
    let mut database = Database::new();
    works(&mut database, "h1", 0, "nova", true);
    works(&mut database, "h2", 0, "nova", true);
    volume(&mut database, "v", "nova", None);
    let second = HostChoice { pick: 1, ..first_host() };
    assert_eq!(goes(&mut database, new("full", "v", None, false, second.clone())), "h2");
    database.call(Call::BackupSetStatus { backup_id: "full".into(), status: BackupStatus::Available });
    database.call(Call::VolumeSetStatus { volume_id: "v".into(), status: VolumeStatus::Available });
    assert_eq!(goes(&mut database, new("child", "v", None, true, first_host())), "h2");
    // Its process ends and comes back: the row is new, what is known of its store is not lost.
    registers(&mut database, "h2", 0, "nova");
    volume(&mut database, "target", "nova", None);
    let refused = "service_down: api_restore: no backup service is up on h2";
    assert_eq!(goes(&mut database, restore("full", "target", first_host())), refused);
    works(&mut database, "h2", 0, "nova", true);
    assert_eq!(goes(&mut database, restore("full", "target", first_host())), "h2");
}

fn takes(database: &mut Database, worker: u32, operation: Operation, cast_id: &str) -> bool {
    asks(database, worker, operation, cast_id).unwrap()
}

fn asks(database: &mut Database, worker: u32, operation: Operation, cast_id: &str) -> Option<bool> {
    from(database.call(Call::WorkTake(Taking {
        backup_id: "b".to_owned(),
        operation,
        cast_id: cast_id.to_owned(),
        host: "h".to_owned(),
        worker,
        service_down_time: DOWN_AFTER,
    })))
}

fn begins(database: &mut Database, operation: Operation) -> Begun {
    from(database.call(Call::OpBegin(Begin {
        operation,
        backup_id: "b".to_owned(),
        host: "h".to_owned(),
        driver: POSIX.to_owned(),
        availability_zone: "nova".to_owned(),
        working: true,
        status: None,
        running_here: Vec::new(),
        cast: None,
    })))
}

/// Two workers of one host, and a backup whose create the first of them runs.
fn two_workers() -> Database {
    let mut database = Database::new();
    works(&mut database, "h", 0, "nova", false);
    works(&mut database, "h", 1, "nova", false);
    volume(&mut database, "v", "nova", None);
    database.call(new("b", "v", None, false, first_host()));
    assert!(takes(&mut database, 0, Operation::Create, "c1"));
    assert!(begins(&mut database, Operation::Create).ended.is_none());
    database.take_log();
    database
}

fn share(worker: u32) -> Share {
    Share { worker, workers: 2 }
}

fn unfinished(database: &mut Database, share: Share) -> Vec<String> {
    from(database.call(Call::CleanupList { host: "h".into(), share }))
}

#[test]
fn a_cast_that_comes_twice_is_run_by_one_worker() {
    let mut database = two_workers();
    assert!(!takes(&mut database, 1, Operation::Create, "c1"), "the first runs it");
    assert!(!takes(&mut database, 1, Operation::Create, "c2"), "asked for twice, run once");
    assert!(takes(&mut database, 1, Operation::Delete, "c3"), "another operation");
    fails(&mut database, "h", 0);
    assert!(takes(&mut database, 1, Operation::Create, "c1"), "the first is down");
}

#[test]
fn a_cast_that_was_noted_and_not_begun_is_waited_for() {
    let mut database = Database::new();
    works(&mut database, "h", 0, "nova", false);
    works(&mut database, "h", 1, "nova", false);
    volume(&mut database, "v", "nova", None);
    database.call(new("b", "v", None, false, first_host()));
    assert_eq!(asks(&mut database, 0, Operation::Create, "c1"), Some(true));
    assert_eq!(asks(&mut database, 1, Operation::Create, "c1"), None);
    fails(&mut database, "h", 0);
    assert_eq!(asks(&mut database, 1, Operation::Create, "c1"), Some(true));
    assert!(unfinished(&mut database, share(0)).is_empty(), "it is the other's now");
}

#[test]
fn an_operation_that_has_ended_is_not_run_again_by_its_cast() {
    let mut database = two_workers();
    let finish = clinker_manager::db::Finish {
        operation: Operation::Create,
        backup_id: "b".to_owned(),
        host: "h".to_owned(),
        error: None,
        object_count: 1,
        restored: None,
    };
    database.call(Call::OpFinish(finish));
    assert!(!takes(&mut database, 1, Operation::Create, "c1"), "the same cast");
    assert!(takes(&mut database, 1, Operation::Create, "c2"), "another one");
}

#[test]
fn a_worker_cleans_up_its_own_part() {
    let mut database = two_workers();
    assert!(unfinished(&mut database, share(1)).is_empty());
    let other: Cleaned =
        from(database.call(Call::CleanupOne { backup_id: "b".into(), host: "h".into(), share: share(1) }));
    assert_eq!((other.backup.status, other.backup.open_events), (BackupStatus::Creating, vec![Operation::Create]));
    assert_eq!(unfinished(&mut database, share(0)), ["b"]);
    let own: Cleaned =
        from(database.call(Call::CleanupOne { backup_id: "b".into(), host: "h".into(), share: share(0) }));
    assert_eq!(own.backup.status, BackupStatus::Error);
}

#[test]
fn the_first_worker_cleans_up_what_a_worker_that_is_no_more_had() {
    let mut database = two_workers();
    // The fourth worker takes the delete; then two of the four are configured away.
    assert!(takes(&mut database, 3, Operation::Delete, "c2"));
    let force = Call::ApiDelete { backup_id: "b".into(), force: true, api_host: "api".into(), choice: first_host() };
    assert!(!from::<Deleted>(database.call(force)).done);
    assert_eq!(unfinished(&mut database, Share { worker: 3, workers: 4 }), ["b"]);
    assert!(unfinished(&mut database, share(1)).is_empty());
    let cleaned: Cleaned =
        from(database.call(Call::CleanupOne { backup_id: "b".into(), host: "h".into(), share: share(0) }));
    assert!(cleaned.resume_delete);
}

#[test]
fn a_request_that_nobody_has_taken_stays_queued() {
    let mut database = Database::new();
    works(&mut database, "h", 0, "nova", false);
    volume(&mut database, "v", "nova", None);
    database.call(new("b", "v", None, false, first_host()));
    assert!(unfinished(&mut database, share(0)).is_empty() && unfinished(&mut database, share(1)).is_empty());
    assert_eq!(unfinished(&mut database, Share::default()), ["b"]);
}

#[test]
fn a_delete_waits_for_a_neighbour_that_is_up_and_closes_what_one_that_is_down_left() {
    let mut database = two_workers();
    let force = Call::ApiDelete { backup_id: "b".into(), force: true, api_host: "api".into(), choice: first_host() };
    database.call(force);
    assert!(takes(&mut database, 1, Operation::Delete, "c2"));
    let asks = || Call::WorkElsewhere { backup_id: "b".into(), host: "h".into(), worker: 1 };
    begins(&mut database, Operation::Delete);
    assert_eq!(database.take_events(), ["delete.start(deleting)"]);
    assert_eq!(from::<Vec<Operation>>(database.call(asks())), [Operation::Create]);
    fails(&mut database, "h", 0);
    database.take_log();
    assert!(from::<Vec<Operation>>(database.call(asks())).is_empty());
    begins(&mut database, Operation::Delete);
    assert_eq!(database.take_events(), ["create.error(deleting): cancelled"]);
}

/// What a process sent before it ended may come after its successor has registered: no news, and no harm.
#[test]
fn a_process_that_has_been_followed_is_not_heard() {
    let mut database = Database::new();
    works(&mut database, "h1", 0, "nova", false);
    let second = registers(&mut database, "h1", 0, "nova");
    let row = |database: &mut Database| {
        let list = database.call(Call::ServiceList { service_down_time: DOWN_AFTER });
        from::<Vec<ServiceView>>(list).remove(0).row
    };
    let registered = row(&mut database);
    let late = |process: &str, replaces: &str| Call::ServiceRegister {
        host: "h1".to_owned(),
        worker: 0,
        process: process.to_owned(),
        replaces: Some(replaces.to_owned()),
        driver: POSIX.to_owned(),
        availability_zone: "nova".to_owned(),
    };
    // One that never got its answer had seen the first process in the row.
    assert_eq!(database.call(late("lost", "1")), Value::String(second.clone()));
    let attempt = Attempt { number: 1, error: None, seconds: 0.0, next_attempt_in: None };
    let (host, first) = ("h1".to_owned(), "1".to_owned());
    let refused = format!("conflict: service h1: process 1 has been followed by {second}");
    let calls = [
        Call::ServiceAttempt { host: host.clone(), worker: 0, process: first.clone(), attempt, host_bound: None },
        Call::ServiceHeartbeat { host, worker: 0, process: first, working: true },
    ];
    for call in calls {
        let name = call.name();
        database.refused(call, &refused.replace("conflict: ", &format!("conflict: {name}: ")));
    }
    assert_eq!(row(&mut database), registered);
}
