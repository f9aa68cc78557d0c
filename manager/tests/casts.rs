//! Casts belong to the outbox: one transaction with their request, void from a process that is gone, begun once.

mod support;

use clinker_manager::bus::Method;
use clinker_manager::db::{
    ApiRequest, Begin, Begun, Call, CreateRequest, Deleted, Finish, Outgoing, RestoreTarget, Sender,
};
use clinker_manager::model::{Operation, VolumeStatus};
use serde_json::Value;
use support::{Database, POSIX, create, first_host, from};

fn sender(process: &str) -> Sender {
    Sender { host: "api".into(), process: process.into() }
}

/// A create asked for by a process of the API; its cast is called as the backup.
fn asked(process: &str, request: CreateRequest) -> Call {
    Call::Api(Box::new(ApiRequest {
        sender: sender(process),
        cast: format!("cast of {}", request.backup_id),
        user_id: "user".into(),
        project_id: "project".into(),
        method: Method::CreateBackup,
        request: Call::ApiCreate { request, choice: first_host() },
    }))
}

fn unsent(database: &mut Database) -> Vec<Outgoing> {
    from(database.call(Call::CastsUnsent { host: "api".into() }))
}

fn begin(cast: &str) -> Call {
    Call::OpBegin(Begin {
        operation: Operation::Create,
        backup_id: "b".into(),
        host: "h1".into(),
        driver: POSIX.into(),
        availability_zone: "nova".into(),
        working: true,
        status: None,
        running_here: Vec::new(),
        cast: Some(cast.into()),
    })
}

fn finish(operation: Operation) -> Call {
    let (backup_id, host) = ("b".into(), "h1".into());
    Call::OpFinish(Finish { operation, backup_id, host, error: None, object_count: 1, restored: None })
}

/// A database with one volume, one service that is up, and one process of the API.
fn ready() -> Database {
    let mut database = Database::new();
    database.add_volume("v");
    database.add_service("h1", None);
    database.call(Call::ApiStarted { sender: sender("one") });
    database
}

#[tokio::test(start_paused = true)]
async fn an_accepted_request_leaves_its_cast_until_it_is_sent() {
    let mut database = ready();
    let accepted: Deleted = from(database.call(asked("one", create("b", "v"))));
    assert!(!accepted.done);
    let left = unsent(&mut database);
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].host.as_str(), left[0].cast.backup_id.as_str()), ("h1", "b"));
    assert_eq!(left[0].cast.context.user_id, "user");
    assert_eq!(left[0].cast.context.token, None);
    database.call(Call::CastsSent { ids: vec![left[0].cast.id.clone()] });
    assert!(unsent(&mut database).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_leaves_no_cast() {
    let mut database = ready();
    assert!(database.repeat("key", asked("one", create("b", "nowhere"))).is_err());
    assert!(unsent(&mut database).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_process_that_another_has_followed_is_void() {
    let mut database = ready();
    database.call(Call::ApiStarted { sender: sender("two") });
    assert_eq!(database.call(asked("one", create("b", "v"))), Value::Null);
    let volume: clinker_manager::model::VolumeRow = from(database.call(Call::VolumeGet { volume_id: "v".into() }));
    assert_eq!(volume.status, VolumeStatus::Available);
    let accepted: Deleted = from(database.call(asked("two", create("b", "v"))));
    assert_eq!(accepted.backup.id, "b");
}

#[tokio::test(start_paused = true)]
async fn a_cast_that_comes_again_begins_nothing() {
    let mut database = ready();
    database.call(asked("one", create("b", "v")));
    let first: Begun = from(database.call(begin("cast of b")));
    assert!(!first.again && first.ended.is_none());
    // While it is open, whoever takes the cast goes on with it: its first worker is gone.
    let taken_over: Begun = from(database.call(begin("cast of b")));
    assert!(!taken_over.again && taken_over.ended.is_none());
    database.call(finish(Operation::Create));
    database.take_log();
    let last: Begun = from(database.call(begin("cast of b")));
    assert!(last.again);
    assert!(database.take_log().is_empty());
}

/// Restores of one backup, one after the other: the first one's cast comes a second time while the second one runs.
#[tokio::test(start_paused = true)]
async fn a_cast_that_comes_again_has_no_part_in_the_next_request() {
    let mut database = ready();
    database.call(asked("one", create("b", "v")));
    database.call(begin("cast of b"));
    database.call(finish(Operation::Create));
    let restore = |cast: &str| {
        Call::Api(Box::new(ApiRequest {
            sender: sender("one"),
            cast: cast.into(),
            user_id: "user".into(),
            project_id: "project".into(),
            method: Method::RestoreBackup,
            request: Call::ApiRestore {
                backup_id: "b".into(),
                target: RestoreTarget::Existing { volume_id: "v".into() },
                choice: first_host(),
            },
        }))
    };
    let begin_restore = |cast: &str, host: &str| {
        let Call::OpBegin(begun) = begin(cast) else { unreachable!("begin makes an OpBegin") };
        Call::OpBegin(Begin { operation: Operation::Restore, host: host.into(), ..begun })
    };
    database.call(restore("first"));
    database.call(begin_restore("first", "h1"));
    database.call(finish(Operation::Restore));
    database.call(restore("second"));
    let second: Begun = from(database.call(begin_restore("second", "h1")));
    assert!(!second.again && second.ended.is_none());
    let late: Begun = from(database.call(begin_restore("first", "h2")));
    assert!(late.again);
    let taken_over: Begun = from(database.call(begin_restore("second", "h1")));
    assert!(!taken_over.again && taken_over.ended.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_repeated_under_its_key_hears_the_same_refusal() {
    let mut database = ready();
    let set = |status| Call::VolumeSetStatus { volume_id: "v".into(), status };
    database.call(set(VolumeStatus::InUse));
    let refusal = database.repeat("key", asked("one", create("b", "v"))).unwrap_err();
    database.call(set(VolumeStatus::Available));
    // The world has moved on: a new request would be accepted, the old one was refused.
    let again = database.repeat("key", asked("one", create("b", "v"))).unwrap_err();
    assert_eq!(again.to_string(), refusal.to_string());
    assert_eq!(again.kind, refusal.kind);
    assert!(database.call(Call::ApiWithdraw { withdrawn: "key".into() }).is_null());
    assert!(database.repeat("other key", asked("one", create("b", "v"))).is_ok());
}
