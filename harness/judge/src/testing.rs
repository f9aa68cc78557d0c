//! Histories written tersely, for the checkers' tests: a script sets the clock, then says what happened.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, Failure, FaultPhase, Header, History, OutboxRow, Phase, RowChange};
use clinker_model::plan::{Engine, Plan, PlannedFault, PlannedStep, Step};
use clinker_model::scenario::{Content, Expect};
use clinker_model::verdict::{Finding, Outcome};
use clinker_model::{ByteSize, Fault, Record, Span};
use serde_json::{Value, json};

pub const HOST: &str = "backup-host-1";
pub const BACKUP: &str = "b0000000-0000-4000-8000-000000000001";
pub const VOLUME: &str = "a0000000-0000-4000-8000-000000000001";
pub const PREFIX: &str = "volume_1/20261121183000/az_nova_backup_1";

/// A history in the making. Times are milliseconds.
pub struct Script {
    pub history: History,
    t_ns: u64,
    rows: BTreeMap<(String, String), Value>,
    seq: u64,
    call: u64,
}

/// An empty history of one backup host on chunks of 100 bytes.
pub fn script() -> Script {
    let plan = Plan {
        scenario: "area/test".to_owned(),
        about: String::new(),
        driver: "swift".to_owned(),
        seed: 1,
        engine: Engine::Turmoil,
        tick: Span::default(),
        schedule: None,
        heal: Span::default(),
        end: Span::secs(3600),
        fixed_end: false,
        backup_hosts: 1,
        zones: BTreeMap::new(),
        own_disks: false,
        cores: BTreeMap::new(),
        gib: ByteSize(1 << 20),
        chunk: ByteSize(100),
        block: ByteSize(10),
        options: BTreeMap::new(),
        volumes: vec![clinker_model::plan::PlannedVolume {
            name: "vol-1".to_owned(),
            id: VOLUME.to_owned(),
            size: ByteSize(1000),
            content: Content::Random,
            status: "available".to_owned(),
            zone: None,
            host: None,
            traits: Default::default(),
        }],
        faults: Vec::new(),
        steps: Vec::new(),
        expect: Expect::default(),
    };
    let header = Header {
        format: 1,
        scenario: plan.scenario.clone(),
        driver: "swift".to_owned(),
        seed: 1,
        engine: "turmoil".to_owned(),
        plan,
        secrets: vec!["open-sesame".to_owned()],
    };
    let history = History { header, records: Vec::new() };
    Script { history, t_ns: 0, rows: BTreeMap::new(), seq: 0, call: 0 }
}

impl Script {
    pub fn plan(mut self, change: impl FnOnce(&mut Plan)) -> Script {
        change(&mut self.history.header.plan);
        self
    }

    pub fn option(self, name: &str, value: &str) -> Script {
        self.plan(|plan| drop(plan.options.insert(name.to_owned(), value.to_owned())))
    }

    pub fn periodic(self) -> Script {
        self.option("backup_periodic_initialization", "true")
    }

    pub fn fault(self, at_s: u64, until_s: Option<u64>, fault: Fault) -> Script {
        let planned = PlannedFault { at: Span::secs(at_s), until: until_s.map(Span::secs), fault };
        self.plan(|plan| {
            plan.heal = plan.heal.max(planned.until.unwrap_or_default());
            plan.faults.push(planned);
        })
    }

    pub fn step(self, refused: Option<&str>, step: Step) -> Script {
        let refused = refused.map(str::to_owned);
        self.plan(|plan| plan.steps.push(PlannedStep { at: None, refused, maybe: false, beside: false, step }))
    }

    /// Sets the clock to `ms` after the start.
    pub fn at(self, ms: u64) -> Script {
        self.at_ns(ms * 1_000_000)
    }

    /// Sets the clock to `ns` after the start.
    pub fn at_ns(mut self, ns: u64) -> Script {
        self.t_ns = ns;
        self
    }

    pub fn record(mut self, host: &str, entry: Entry) -> Script {
        let n = self.history.records.len() as u64;
        self.history.records.push(Record { n, t_ns: self.t_ns, host: host.to_owned(), entry });
        self
    }

    fn change(&mut self, table: &str, id: &str, patch: Value) -> RowChange {
        let key = (table.to_owned(), id.to_owned());
        let before = self.rows.get(&key).cloned().unwrap_or(Value::Null);
        let mut after = if before.is_null() { json!({ "id": id }) } else { before.clone() };
        for (name, value) in patch.as_object().expect("a patch is an object") {
            after[name] = value.clone();
        }
        self.rows.insert(key, after.clone());
        RowChange { table: table.to_owned(), id: id.to_owned(), before, after }
    }

    pub fn message(&mut self, publisher_id: &str, event_type: &str, payload: Value) -> OutboxRow {
        self.seq += 1;
        let priority = if event_type.ends_with(".error") { "ERROR" } else { "INFO" };
        let message = json!({
            "message_id": format!("c0000000-0000-4000-8000-{:012}", self.seq), "publisher_id": publisher_id,
            "event_type": event_type, "priority": priority, "payload": payload,
            "timestamp": "2026-11-21 18:30:00.000123",
        });
        OutboxRow { seq: self.seq, publisher_id: publisher_id.to_owned(), message }
    }

    /// One transaction of row changes and notifications.
    pub fn commit(self, changes: Vec<RowChange>, outbox: Vec<OutboxRow>) -> Script {
        self.commit_of("op_finish", changes, outbox)
    }

    /// A transaction of the call of that name.
    pub fn commit_of(self, call: &str, changes: Vec<RowChange>, outbox: Vec<OutboxRow>) -> Script {
        self.record("db", Entry::Commit { call: call.to_owned(), changes, outbox })
    }

    /// Changes a row in a transaction of its own.
    pub fn row(mut self, table: &str, id: &str, patch: Value) -> Script {
        let change = self.change(table, id, patch);
        self.commit(vec![change], vec![])
    }

    pub fn backup(self, patch: Value) -> Script {
        self.row("backups", BACKUP, patch)
    }

    pub fn registered(self) -> Script {
        let started_at = self.t_ns;
        let patch = json!({
            "host": HOST, "started_at": started_at, "working": false, "reason": null, "last_heartbeat": null,
        });
        self.row("services", HOST, patch)
    }

    pub fn beat(self) -> Script {
        let now = self.t_ns;
        self.row("services", HOST, json!({ "last_heartbeat": now }))
    }

    /// Commits the outcome of an attempt (or of a failed health check, attempt 0).
    pub fn outcome(mut self, attempt: u64, reason: Option<&str>) -> Script {
        let change = self.change("services", HOST, json!({ "working": reason.is_none(), "reason": reason }));
        let event = if reason.is_none() { "backup.init.end" } else { "backup.init.error" };
        let message = self.message(&format!("backup.{HOST}"), event, init_payload(attempt, reason));
        self.commit(vec![change], vec![message])
    }

    /// A notification of the one backup, in a transaction of its own.
    pub fn note(self, event_type: &str, status: &str) -> Script {
        let reason = if event_type.ends_with(".error") { json!("internal: backup: x") } else { Value::Null };
        self.note_with(event_type, json!({ "status": status, "fail_reason": reason }))
    }

    pub fn progress(self, percent: f64) -> Script {
        self.note_with("backup.createprogress", json!({ "backup_percent": percent }))
    }

    pub fn note_with(mut self, event_type: &str, patch: Value) -> Script {
        let mut payload = backup_payload();
        for (name, value) in patch.as_object().expect("a patch is an object") {
            payload[name] = value.clone();
        }
        let message = self.message(&format!("backup.{HOST}"), event_type, payload);
        self.commit(vec![], vec![message])
    }

    pub fn driver(self, phase: Phase, call: u64, method: &str) -> Script {
        let failed = phase == Phase::Fail;
        let failure = failed.then(|| failure("unreachable"));
        let (method, backup_id) = (method.to_owned(), None);
        self.record(HOST, Entry::Driver { phase, call, method, backup_id, failure })
    }

    /// A call of the driver that ends `ms` later; the clock stays there.
    pub fn call(self, method: &str, ms: u64, phase: Phase) -> Script {
        self.call_ns(method, ms * 1_000_000, phase)
    }

    /// As [`Script::call`], in nanoseconds.
    pub fn call_ns(mut self, method: &str, ns: u64, phase: Phase) -> Script {
        self.call += 1;
        let (call, then) = (self.call, self.t_ns + ns);
        self.driver(Phase::Invoke, call, method).at_ns(then).driver(phase, call, method)
    }

    /// A whole attempt that takes `ms`.
    pub fn attempt(self, ms: u64, phase: Phase) -> Script {
        self.call("do_setup", 0, Phase::Ok).call("check_for_setup_error", ms, phase)
    }

    pub fn op(self, step: usize, phase: Phase, kind: Option<&str>) -> Script {
        let failure = kind.map(failure);
        self.record("api", Entry::Op { phase, step, op: "create".to_owned(), value: Value::Null, failure })
    }

    pub fn host_event(self, what: &str) -> Script {
        self.record(HOST, Entry::Host { what: what.to_owned() })
    }

    pub fn bite(self, fault: usize) -> Script {
        let (name, what) = ("refuse".to_owned(), "connect".to_owned());
        self.record("swift", Entry::Fault { fault, name, phase: FaultPhase::Bite, what })
    }

    pub fn device(self, moment: &str, len: u64, digest: &str) -> Script {
        let (volume_id, backup_id) = (VOLUME.to_owned(), Some(BACKUP.to_owned()));
        let (moment, digest) = (moment.to_owned(), digest.to_owned());
        self.record("volume", Entry::Device { volume_id, moment, backup_id, len, digest })
    }

    pub fn stored(self, name: &str) -> Script {
        let (store, container, name) = ("swift".to_owned(), "vb".to_owned(), name.to_owned());
        self.record("swift", Entry::Stored { store, container, name, len: 1 })
    }

    pub fn final_row(self, table: &str, id: &str, row: Value) -> Script {
        self.record("db", Entry::FinalRow { table: table.to_owned(), id: id.to_owned(), row })
    }

    /// Delivers every notification so far to the collector, in order.
    pub fn delivered(self) -> Script {
        let messages: Vec<Value> =
            crate::view::notes(&self.history).iter().map(|note| note.row.message.clone()).collect();
        messages.into_iter().fold(self, Script::arrives)
    }

    pub fn arrives(self, message: Value) -> Script {
        self.record("collector", Entry::Event { message })
    }
}

fn failure(kind: &str) -> Failure {
    Failure { kind: kind.to_owned(), reason: format!("{kind}: check_for_setup_error: x") }
}

pub fn init_payload(attempt: u64, reason: Option<&str>) -> Value {
    json!({
        "host": HOST, "driver": "cinder.backup.drivers.swift.SwiftBackupDriver", "availability_zone": "nova",
        "attempt": attempt, "reason": reason, "seconds": 0.5, "next_attempt_in": null,
    })
}

pub fn backup_payload() -> Value {
    json!({
        "tenant_id": "p", "user_id": "u", "availability_zone": "nova", "backup_id": BACKUP, "host": HOST,
        "display_name": "first", "created_at": "2026-11-21T18:30:00+00:00", "status": "creating",
        "volume_id": VOLUME, "size": 1, "service_metadata": null, "service": null, "fail_reason": null,
        "parent_id": null, "num_dependent_backups": 0, "snapshot_id": null,
    })
}

/// Holds a finding against what a test expects: `ok`, `none` (not applicable), or a piece of the first violation.
pub fn check(case: &str, finding: &Finding, expected: &str) {
    let said = format!("{:#?}", finding.violations);
    match expected {
        "ok" => assert_eq!(finding.outcome, Outcome::Pass, "{case}: {said}"),
        "none" => assert_eq!(finding.outcome, Outcome::NotApplicable, "{case}: {said}"),
        piece => {
            assert_eq!(finding.outcome, Outcome::Fail, "{case}");
            assert!(said.contains(piece), "{case}: {piece:?} is not in {said}");
        }
    }
}
