//! A project's account: usage is counted in the transaction that adds to it, and each failed request is told of once.

mod support;

use std::time::Duration;

use clinker_manager::bus::Method;
use clinker_manager::db::account::AccountCall;
use clinker_manager::db::record::{ImportRequest, RecordCall};
use clinker_manager::db::{ApiRequest, Begin, Call, CreateRequest, Finish, Sender};
use clinker_manager::messages::MessageRow;
use clinker_manager::model::{Operation, VolumeStatus};
use clinker_manager::quota::{Limits, QuotaSet};
use clinker_manager::record::Record;
use support::{Database, POSIX, create, first_host, from};

const DAY: u64 = 86_400 * 1_000_000_000;

fn limited(id: &str, volume: &str, backups: i64, gigabytes: i64) -> CreateRequest {
    CreateRequest { limits: Limits { backups, gigabytes }, ..create(id, volume) }
}

fn asked(request: CreateRequest) -> Call {
    Call::ApiCreate { request, choice: first_host() }
}

/// A database with three volumes of 1 GiB and one service that is up.
fn ready() -> Database {
    let mut database = Database::new();
    for volume in ["v1", "v2", "v3"] {
        database.add_volume(volume);
    }
    database.add_service("h1", None);
    database
}

fn in_use(database: &mut Database, project: &str) -> (u64, u64) {
    let call = AccountCall::Quotas { project_id: project.into(), limits: Limits::default() };
    let quotas: QuotaSet = from(database.call(Call::Account(call)));
    assert_eq!((quotas.backups.reserved, quotas.backup_gigabytes.reserved), (0, 0));
    (quotas.backups.in_use, quotas.backup_gigabytes.in_use)
}

fn messages(database: &mut Database, message_ttl: u64) -> Vec<MessageRow> {
    from(database.call(Call::Account(AccountCall::Messages { project_id: "project".into(), message_ttl })))
}

#[tokio::test(start_paused = true)]
async fn a_create_beyond_a_quota_changes_nothing() {
    let mut database = ready();
    database.call(asked(limited("a", "v1", 1, 5)));
    database.take_log();
    let refusal = "quota: api_create: quota_backups has 1 of 1 in use, 1 more asked for";
    database.refused(asked(limited("b", "v2", 1, 5)), refusal);
    let refusal = "quota: api_create: quota_backup_gigabytes has 1 of 1 in use, 1 more asked for";
    database.refused(asked(limited("b", "v2", 2, 1)), refusal);
    assert!(database.take_log().is_empty());
    assert_eq!(in_use(&mut database, "project"), (1, 1));
    database.call(asked(limited("b", "v2", -1, 2)));
    assert_eq!(in_use(&mut database, "project"), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn quotas_are_each_projects_own() {
    let mut database = ready();
    database.call(asked(limited("a", "v1", 1, 1)));
    let other = CreateRequest { project_id: "other".into(), ..limited("b", "v2", 1, 1) };
    database.call(asked(other));
    assert_eq!(in_use(&mut database, "project"), (1, 1));
    assert_eq!(in_use(&mut database, "other"), (1, 1));
    assert_eq!(in_use(&mut database, "nobody"), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_forgotten_counts_no_more_and_an_import_counts_again() {
    let mut database = ready();
    database.call(asked(limited("a", "v1", 1, 9)));
    database.call(Call::BackupForget { backup_id: "a".into() });
    assert_eq!(in_use(&mut database, "project"), (0, 0));
    let import = |size| {
        let record = Record { backup_service: POSIX.into(), backup_url: String::new() };
        let request = ImportRequest {
            backup_id: "a".into(),
            size,
            user_id: "user".into(),
            project_id: "project".into(),
            record,
            limits: Limits { backups: 1, gigabytes: 9 },
        };
        Call::Record(RecordCall::ApiImport { request, choice: first_host() })
    };
    let refusal = "quota: api_import: quota_backup_gigabytes has 0 of 9 in use, 10 more asked for";
    database.refused(import(10), refusal);
    database.call(import(9));
    assert_eq!(in_use(&mut database, "project"), (1, 9));
}

/// A create asked for through the API, and begun.
fn begins(database: &mut Database, id: &str, volume: &str) {
    let sender = Sender { host: "api".into(), process: "one".into() };
    let cast = format!("cast-of-{id}");
    let request = Call::ApiCreate { request: create(id, volume), choice: first_host() };
    let (user_id, project_id, method) = ("user".into(), "project".into(), Method::CreateBackup);
    let asked = ApiRequest { sender, cast: cast.clone(), user_id, project_id, method, request };
    database.call(Call::ApiStarted { sender: asked.sender.clone() });
    database.call(Call::Api(Box::new(asked)));
    database.call(Call::CastsSent { ids: vec![cast.clone()] });
    begin(database, id, &cast);
}

fn fails(database: &mut Database, id: &str, error: &str) {
    database.call(Call::OpFinish(Finish {
        operation: Operation::Create,
        backup_id: id.into(),
        host: "h1".into(),
        error: Some(error.into()),
        object_count: 0,
        restored: None,
    }));
}

fn begin(database: &mut Database, id: &str, cast: &str) {
    database.call(Call::OpBegin(Begin {
        operation: Operation::Create,
        backup_id: id.into(),
        host: "h1".into(),
        driver: POSIX.into(),
        availability_zone: "nova".into(),
        working: true,
        status: None,
        running_here: Vec::new(),
        cast: Some(cast.into()),
    }));
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_is_told_of_once_without_its_reason() {
    let mut database = ready();
    begins(&mut database, "a", "v1");
    fails(&mut database, "a", "auth: backup: swift refused user alice with password open-sesame");
    let told = messages(&mut database, DAY);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event_id, "VOLUME_VOLUME_BACKUP_013_020");
    assert_eq!(told[0].request_id.as_deref(), Some("req-cast-of-a"));
    assert!(!serde_json::to_string(&told[0].shown(DAY)).unwrap().contains("open-sesame"));
    // The same request comes once more, under another cast's id: the row is in error by now.
    begin(&mut database, "a", "another");
    assert_eq!(messages(&mut database, DAY), told);
}

#[tokio::test(start_paused = true)]
async fn a_message_expires_and_is_removed() {
    let mut database = ready();
    begins(&mut database, "a", "v1");
    begins(&mut database, "b", "v2");
    fails(&mut database, "a", "quota: backup: full");
    tokio::time::advance(Duration::from_secs(86_401)).await;
    fails(&mut database, "b", "timeout: attach_volume: volume did not answer");
    let shown: Vec<String> = messages(&mut database, DAY).into_iter().map(|row| row.resource_uuid).collect();
    assert_eq!(shown, ["b"]);
    assert_eq!(messages(&mut database, 2 * DAY).len(), 2);
    database.call(Call::Account(AccountCall::Reap { message_ttl: DAY }));
    assert_eq!(messages(&mut database, 2 * DAY).len(), 1);
    let row = &messages(&mut database, DAY)[0];
    let until = row.shown(DAY).guaranteed_until.0.duration_since(row.created_at.0);
    assert_eq!(until.as_secs(), 86_400);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_takes_hours_still_names_its_request() {
    let mut database = ready();
    begins(&mut database, "a", "v1");
    // Long enough for the sweep, which the next transactions make.
    for volume in ["v2", "v3"] {
        tokio::time::advance(Duration::from_secs(7200)).await;
        let status = VolumeStatus::InUse;
        database.call(Call::VolumeSetStatus { volume_id: volume.into(), status });
    }
    fails(&mut database, "a", "service_down: backup: the driver is not initialised");
    let told = messages(&mut database, DAY);
    assert_eq!(told[0].request_id.as_deref(), Some("req-cast-of-a"));
    assert_eq!(told[0].event_id, "VOLUME_VOLUME_BACKUP_013_018");
}
