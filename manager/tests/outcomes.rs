//! Section 5 of the design, walked row by row: each row of its table is a row here, played through the real database.

mod support;

use std::collections::BTreeSet;

use clinker_manager::db::{Begin, Begun, Call, Finish};
use clinker_manager::model::{BackupRow, BackupStatus as B, Operation as Op, VolumeRow, VolumeStatus as V};
use clinker_manager::transitions::Case;
use support::{Database, POSIX, SWIFT, create, first_host, from};

const OLD_REASON: &str = "an older failure";

/// One row of the table.
struct Row {
    /// The first column of the design's table.
    case: &'static str,
    operation: Op,
    /// The backup's and the volume's status when the request arrives.
    arrives: (B, V),
    working: bool,
    /// Made by this driver.
    ours: bool,
    /// Another hand sets this status while the operation runs.
    meanwhile: Option<B>,
    /// Why the work fails.
    fails: Option<&'static str>,
    /// Events as `type(status)`, errors as `type(status): reason`.
    events: &'static [&'static str],
    backup: B,
    volume: (V, Option<V>),
    fail_reason: Option<&'static str>,
}

const BASE: Row = Row {
    case: "",
    operation: Op::Create,
    arrives: (B::Creating, V::BackingUp),
    working: true,
    ours: true,
    meanwhile: None,
    fails: None,
    events: &[],
    backup: B::Available,
    volume: (V::Available, Some(V::BackingUp)),
    fail_reason: None,
};

const RESTORE: Row = Row { operation: Op::Restore, arrives: (B::Restoring, V::RestoringBackup), ..BASE };
const DELETE: Row = Row { operation: Op::Delete, arrives: (B::Deleting, V::Available), ..BASE };

/// Before the operation, `previous_status` of every volume is this.
const BEFORE: Option<V> = Some(V::Available);

fn table() -> Vec<Row> {
    let mut rows = create_rows();
    rows.extend(restore_rows());
    rows.extend(delete_and_reset_rows());
    rows
}

fn create_rows() -> Vec<Row> {
    vec![
        Row { case: "create ok", events: &["create.start(creating)", "create.end(available)"], ..BASE },
        Row {
            case: "create: not working",
            working: false,
            events: &[
                "create.start(creating)",
                "create.error(error): service_down: create_backup: the backup service's driver is not initialised",
            ],
            backup: B::Error,
            volume: (V::Available, Some(V::ErrorBackingUp)),
            fail_reason: Some("service_down: create_backup: the backup service's driver is not initialised"),
            ..BASE
        },
        Row {
            case: "create: attach, driver or detach fails",
            fails: Some("quota: backup: put of x"),
            events: &["create.start(creating)", "create.error(error): quota: backup: put of x"],
            backup: B::Error,
            volume: (V::Available, Some(V::ErrorBackingUp)),
            fail_reason: Some("quota: backup: put of x"),
            ..BASE
        },
        Row {
            case: "create: volume not backing-up",
            arrives: (B::Creating, V::Available),
            events: &[
                "create.start(creating)",
                "create.error(error): invalid_volume: create_backup: volume is available, expected backing-up",
            ],
            backup: B::Error,
            volume: (V::Available, BEFORE),
            fail_reason: Some("invalid_volume: create_backup: volume is available, expected backing-up"),
            ..BASE
        },
        Row {
            case: "create: backup not creating",
            arrives: (B::Available, V::BackingUp),
            events: &[
                "create.start(available)",
                "create.error(available): invalid_backup: create_backup: backup is available, expected creating",
            ],
            volume: (V::BackingUp, BEFORE),
            fail_reason: Some(OLD_REASON),
            ..BASE
        },
        Row {
            case: "create, status changed meanwhile",
            meanwhile: Some(B::Error),
            fails: Some("cancelled"),
            events: &["create.start(creating)", "create.error(error): cancelled"],
            backup: B::Error,
            volume: (V::Available, Some(V::ErrorBackingUp)),
            fail_reason: Some(OLD_REASON),
            ..BASE
        },
        Row {
            case: "create cancelled by force delete",
            meanwhile: Some(B::Deleting),
            fails: Some("cancelled"),
            events: &["create.start(creating)", "create.error(deleting): cancelled"],
            backup: B::Deleting,
            fail_reason: Some(OLD_REASON),
            ..BASE
        },
    ]
}

fn restore_rows() -> Vec<Row> {
    let not_working: &[&str] = &[
        "restore.start(restoring)",
        "restore.error(available): service_down: restore_backup: the backup service's driver is not initialised",
    ];
    let failed: &[&str] = &["restore.start(restoring)", "restore.error(available): integrity: restore: object x"];
    let not_restoring: &[&str] = &[
        "restore.start(error)",
        "restore.error(error): invalid_backup: restore_backup: backup is error, expected restoring",
    ];
    let into_new =
        |row: Row, arrives: B, volume: V| Row { arrives: (arrives, V::Creating), volume: (volume, BEFORE), ..row };
    let ok = Row {
        case: "restore ok",
        events: &["restore.start(restoring)", "restore.end(available)"],
        volume: (V::Available, BEFORE),
        ..RESTORE
    };
    let down = || Row {
        case: "restore: not working",
        working: false,
        events: not_working,
        volume: (V::Available, BEFORE),
        fail_reason: Some(OLD_REASON),
        ..RESTORE
    };
    let fails = || Row {
        case: "restore fails",
        fails: Some("integrity: restore: object x"),
        events: failed,
        volume: (V::ErrorRestoring, BEFORE),
        fail_reason: Some(OLD_REASON),
        ..RESTORE
    };
    let unwanted = || Row {
        case: "restore: backup not restoring",
        arrives: (B::Error, V::RestoringBackup),
        events: not_restoring,
        backup: B::Error,
        volume: (V::Available, BEFORE),
        fail_reason: Some(OLD_REASON),
        ..RESTORE
    };
    vec![
        ok,
        down(),
        into_new(down(), B::Restoring, V::Error),
        fails(),
        into_new(fails(), B::Restoring, V::Error),
        Row {
            case: "restore cancelled by a status change",
            meanwhile: Some(B::Error),
            fails: Some("cancelled"),
            events: &["restore.start(restoring)", "restore.error(error): cancelled"],
            backup: B::Error,
            volume: (V::Error, BEFORE),
            fail_reason: Some(OLD_REASON),
            ..RESTORE
        },
        Row {
            case: "restore: volume in a wrong status",
            arrives: (B::Restoring, V::InUse),
            events: &[
                "restore.start(restoring)",
                "restore.error(available): invalid_volume: restore_backup: volume is in-use, expected restoring-backup \
                 or creating",
            ],
            volume: (V::InUse, BEFORE),
            fail_reason: Some(OLD_REASON),
            ..RESTORE
        },
        unwanted(),
        into_new(unwanted(), B::Error, V::Error),
        Row {
            case: "restore: other driver's backup",
            ours: false,
            events: &[
                "restore.start(restoring)",
                "restore.error(available): invalid_backup: restore_backup: the backup was made by another driver",
            ],
            volume: (V::Available, BEFORE),
            fail_reason: Some(OLD_REASON),
            ..RESTORE
        },
    ]
}

fn delete_and_reset_rows() -> Vec<Row> {
    let unchanged = (V::Available, BEFORE);
    vec![
        Row {
            case: "delete ok",
            events: &["delete.start(deleting)", "delete.end(deleted)"],
            backup: B::Deleted,
            volume: unchanged,
            fail_reason: Some(OLD_REASON),
            ..DELETE
        },
        Row {
            case: "delete: any failure",
            fails: Some("unreachable: list of x"),
            events: &["delete.start(deleting)", "delete.error(error_deleting): unreachable: list of x"],
            backup: B::ErrorDeleting,
            volume: unchanged,
            fail_reason: Some("unreachable: list of x"),
            ..DELETE
        },
        Row {
            case: "delete: other driver",
            ours: false,
            events: &[
                "delete.start(deleting)",
                "delete.error(error_deleting): invalid_backup: delete_backup: the backup was made by another driver",
            ],
            backup: B::ErrorDeleting,
            volume: unchanged,
            fail_reason: Some("invalid_backup: delete_backup: the backup was made by another driver"),
            ..DELETE
        },
        Row {
            case: "delete: not working",
            working: false,
            events: &[
                "delete.start(deleting)",
                "delete.error(error_deleting): service_down: delete_backup: the backup service's driver is not \
                 initialised",
            ],
            backup: B::ErrorDeleting,
            volume: unchanged,
            fail_reason: Some("service_down: delete_backup: the backup service's driver is not initialised"),
            ..DELETE
        },
        Row {
            case: "delete: backup not deleting",
            arrives: (B::Available, V::Available),
            events: &[
                "delete.start(available)",
                "delete.error(available): invalid_backup: delete_backup: backup is available, expected deleting",
            ],
            volume: unchanged,
            fail_reason: Some(OLD_REASON),
            ..DELETE
        },
        Row {
            case: "delete, status changed meanwhile",
            meanwhile: Some(B::Available),
            events: &["delete.start(deleting)", "delete.error(available): cancelled"],
            volume: unchanged,
            fail_reason: Some(OLD_REASON),
            ..DELETE
        },
        Row {
            case: "reset-status",
            operation: Op::ResetStatus,
            arrives: (B::Creating, V::Available),
            events: &["reset_status.end(error)"],
            backup: B::Error,
            volume: unchanged,
            fail_reason: Some(OLD_REASON),
            ..BASE
        },
        Row {
            case: "reset-status: other driver's backup",
            operation: Op::ResetStatus,
            arrives: (B::Creating, V::Available),
            ours: false,
            events: &[
                "reset_status.error(creating): invalid_backup: reset_status: the backup was made by another driver",
            ],
            backup: B::Creating,
            volume: unchanged,
            fail_reason: Some(OLD_REASON),
            ..BASE
        },
    ]
}

#[test]
fn every_row_of_section_5_ends_as_the_design_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let reached: BTreeSet<String> =
        table().iter().map(|row| format!("{:?}", runtime.block_on(async { play(row) }))).collect();
    // 18 cases; a new one must get a row.
    let all: BTreeSet<String> = Case::ALL.iter().map(|case| format!("{case:?}")).collect();
    assert_eq!(reached, all);
}

/// Plays one row; the case in which it ended.
fn play(row: &Row) -> Case {
    let mut database = Database::new();
    prepare(&mut database, row);
    let begun = begin(&mut database, row);
    let case = begun.ended.unwrap_or_else(|| {
        if let Some(status) = row.meanwhile {
            database.call(Call::BackupSetStatus { backup_id: "b".into(), status });
        }
        from::<Option<Case>>(database.call(Call::OpFinish(Finish {
            operation: row.operation,
            backup_id: "b".into(),
            host: "h".into(),
            error: row.fails.map(str::to_owned),
            object_count: 3,
            restored: None,
        })))
        .expect("it was open")
    });
    let backup: BackupRow = from(database.call(Call::BackupGet { backup_id: "b".into() }));
    let volume: VolumeRow = from(database.call(Call::VolumeGet { volume_id: "v".into() }));
    let context = format!("{} (volume arrives {})", row.case, row.arrives.1);
    assert_eq!(database.take_events(), row.events, "{context}: events");
    assert_eq!(backup.status, row.backup, "{context}: backup");
    assert_eq!((volume.status, volume.previous_status), row.volume, "{context}: volume");
    assert_eq!(backup.fail_reason.as_deref(), row.fail_reason, "{context}: fail_reason");
    assert!(backup.open_events.is_empty(), "{context}: an operation stays open");
    case
}

/// Rows as they are when the request arrives: made by the API, then arranged by hand.
fn prepare(database: &mut Database, row: &Row) {
    database.add_volume("v");
    database.add_service("h", None);
    database.call(Call::ApiCreate { request: create("b", "v"), choice: first_host() });
    let service = (row.operation != Op::Create).then_some(if row.ours { POSIX } else { SWIFT });
    let open = if row.operation == Op::ResetStatus { "[\"reset_status\"]" } else { "[]" };
    let (backup, volume) = row.arrives;
    database
        .by_hand
        .execute(
            "UPDATE backups SET status = ?1, service = ?2, fail_reason = ?3, restore_volume_id = 'v', open_events = ?4",
            (backup.as_str(), service, OLD_REASON, open),
        )
        .unwrap();
    database
        .by_hand
        .execute("UPDATE volumes SET status = ?1, previous_status = 'available'", [volume.as_str()])
        .unwrap();
}

fn begin(database: &mut Database, row: &Row) -> Begun {
    database.take_log();
    from(database.call(Call::OpBegin(Begin {
        operation: row.operation,
        backup_id: "b".into(),
        host: "h".into(),
        driver: POSIX.into(),
        availability_zone: "nova".into(),
        working: row.working,
        status: (row.operation == Op::ResetStatus).then_some(B::Error),
        running_here: Vec::new(),
        cast: None,
    })))
}

#[test]
fn a_create_that_never_begins_gives_its_volume_back() {
    let check = |call: Call, previous_status: V, begun: bool| {
        let mut database = Database::new();
        prepare(&mut database, &BASE);
        if begun {
            begin(&mut database, &BASE);
        }
        database.call(call);
        let volume: VolumeRow = from(database.call(Call::VolumeGet { volume_id: "v".into() }));
        let expected = if begun { (V::BackingUp, BEFORE) } else { (V::Available, Some(previous_status)) };
        assert_eq!((volume.status, volume.previous_status), expected, "begun: {begun}");
    };
    let backup_id = || "b".to_owned();
    let force =
        || Call::ApiDelete { backup_id: backup_id(), force: true, api_host: "api".into(), choice: first_host() };
    let reset = || {
        Call::OpBegin(Begin {
            operation: Op::ResetStatus,
            backup_id: backup_id(),
            host: "h".into(),
            driver: POSIX.into(),
            availability_zone: "nova".into(),
            working: true,
            status: Some(B::Error),
            running_here: Vec::new(),
            cast: None,
        })
    };
    for begun in [false, true] {
        check(force(), V::BackingUp, begun);
        check(reset(), V::ErrorBackingUp, begun);
    }
}
