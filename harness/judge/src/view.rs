//! A history seen as rows, notifications and options: what several checkers need.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History, OutboxRow, RowChange};
use clinker_model::plan::{PlannedFault, Step};
use clinker_model::{Fault, Record};
use serde_json::Value;

pub const MS: u64 = 1_000_000;
pub const SEC: u64 = 1_000 * MS;

/// A transaction.
pub struct Commit<'h> {
    pub t_ns: u64,
    pub call: &'h str,
    pub changes: &'h [RowChange],
    pub outbox: &'h [OutboxRow],
}

/// Every transaction, in the order of the history.
pub fn commits(history: &History) -> impl Iterator<Item = Commit<'_>> {
    history.records.iter().filter_map(|record| match &record.entry {
        Entry::Commit { call, changes, outbox } => Some(Commit { t_ns: record.t_ns, call, changes, outbox }),
        _ => None,
    })
}

/// A notification as it went into the outbox.
#[derive(Clone, Copy)]
pub struct Note<'h> {
    pub t_ns: u64,
    pub row: &'h OutboxRow,
}

impl<'h> Note<'h> {
    pub fn field(&self, name: &str) -> &'h Value {
        self.row.message.get(name).unwrap_or(&Value::Null)
    }

    pub fn payload(&self, name: &str) -> &'h Value {
        self.field("payload").get(name).unwrap_or(&Value::Null)
    }

    pub fn event_type(&self) -> &'h str {
        text(self.field("event_type"))
    }

    pub fn backup_id(&self) -> &'h str {
        text(self.payload("backup_id"))
    }

    /// The host of `backup.<host>`.
    pub fn host(&self) -> &'h str {
        self.row.publisher_id.strip_prefix("backup.").unwrap_or(&self.row.publisher_id)
    }

    pub fn percent(&self) -> Option<f64> {
        self.payload("backup_percent").as_f64()
    }

    /// `create`, `end` of `backup.create.end`; progress is of `create` whatever its configured name.
    pub fn parts(&self, progress_type: &str) -> Option<(&'h str, &'h str)> {
        if self.event_type() == progress_type {
            return Some(("create", "progress"));
        }
        self.event_type().strip_prefix("backup.")?.split_once('.')
    }
}

/// Every notification, in the order of the outbox's transactions.
pub fn notes(history: &History) -> Vec<Note<'_>> {
    commits(history).flat_map(|commit| commit.outbox.iter().map(move |row| Note { t_ns: commit.t_ns, row })).collect()
}

/// The event type of progress notes: `backup_progress_event_type` may rename it.
pub fn progress_type(history: &History) -> String {
    match history.header.plan.options.get("backup_progress_event_type").map(String::as_str) {
        None | Some("") => "backup.createprogress".to_owned(),
        Some(name) if name.starts_with("backup.") => name.to_owned(),
        Some(name) => format!("backup.{name}"),
    }
}

/// Text of a JSON string, empty for anything else.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Truth as SQLite or JSON write it.
pub fn truth(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_i64().is_some_and(|number| number != 0))
}

/// An option in seconds, as nanoseconds.
pub fn seconds(history: &History, option: &str, default: u64) -> u64 {
    let given = history.header.plan.options.get(option).and_then(|text| text.trim().parse::<f64>().ok());
    given.map_or(default * SEC, |secs| (secs.max(0.0) * 1e9).round() as u64)
}

pub fn number(history: &History, option: &str, default: u64) -> u64 {
    history.header.plan.options.get(option).and_then(|text| text.trim().parse().ok()).unwrap_or(default)
}

pub fn flag(history: &History, option: &str, default: bool) -> bool {
    match history.header.plan.options.get(option).map(|text| text.trim().to_ascii_lowercase()) {
        Some(text) => matches!(text.as_str(), "true" | "1" | "yes" | "on"),
        None => default,
    }
}

/// How far apart two moments may lie that are the same: a timer's millisecond, and what the engine adds in real time.
pub fn grain(history: &History) -> u64 {
    MS + history.header.plan.engine.jitter().ns()
}

/// The interval of D2: `backup_driver_init_check_interval`, or `periodic_interval`.
pub fn init_interval(history: &History) -> u64 {
    seconds(history, "backup_driver_init_check_interval", seconds(history, "periodic_interval", 60) / SEC)
}

/// When the last record was made: the end of the run.
pub fn end_ns(history: &History) -> u64 {
    history.records.last().map_or(0, |record| record.t_ns)
}

/// The rows of one table at the end, by id: the final rows, or what the last transactions left.
pub fn final_rows<'h>(history: &'h History, table: &str) -> BTreeMap<&'h str, &'h Value> {
    let mut rows: BTreeMap<&str, &Value> = BTreeMap::new();
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table == table) {
            rows.insert(&change.id, &change.after);
        }
    }
    for record in &history.records {
        if let Entry::FinalRow { table: of, id, row } = &record.entry
            && of == table
        {
            rows.insert(id, row);
        }
    }
    rows.retain(|_, row| !row.is_null());
    rows
}

/// Whether a soft-deleted row is gone for its user.
pub fn is_deleted(row: &Value) -> bool {
    truth(&row["deleted"]) || row["status"] == "deleted"
}

/// Whether any step edits statuses by hand, so that rules about reasons and transitions do not bind.
pub fn edited_by_hand(history: &History) -> bool {
    history.header.plan.steps.iter().any(|step| matches!(step.step, Step::Set(_) | Step::ResetStatus(_)))
}

/// From when to when a fault is on; one-shot faults for no time at all, endless ones to the end of time.
pub fn span_of(planned: &PlannedFault) -> (u64, u64) {
    let from = planned.at.ns();
    match (&planned.fault, planned.until) {
        (Fault::Crash(crash), None) => (from, from.saturating_add(crash.restart_after.ns())),
        (Fault::Crash(crash), Some(until)) => (from, until.ns().saturating_add(crash.restart_after.ns())),
        (_, Some(until)) => (from, until.ns()),
        (fault, None) if fault.is_one_shot() => (from, from),
        (_, None) => (from, u64::MAX),
    }
}

/// Whether a fault cuts off, slows or stops one of `hosts`.
fn disturbs(fault: &Fault, hosts: &[&str]) -> bool {
    match fault {
        Fault::Skew(_)
        | Fault::Drift(_)
        | Fault::WrongCredentials(_)
        | Fault::RevokeTokens(_)
        | Fault::ExpireTokens(_) => false,
        fault => fault.hosts().iter().any(|(_, host)| hosts.contains(&host.as_str())),
    }
}

/// Whether a fault may keep one of `hosts` from doing its work on time somewhere in `from..=to`.
pub fn disturbed(history: &History, hosts: &[&str], from: u64, to: u64) -> bool {
    let planned = history.header.plan.faults.iter().any(|planned| {
        let (begin, end) = span_of(planned);
        begin <= to && end >= from && disturbs(&planned.fault, hosts)
    });
    let stopped = |record: &Record| (from..=to).contains(&record.t_ns) && stops_one_of(record, hosts);
    planned || history.records.iter().any(stopped) || hosts.iter().any(|host| is_down(history, host, from))
}

/// Whether a host's process had stopped before `t_ns` and was not started again by then.
fn is_down(history: &History, host: &str, t_ns: u64) -> bool {
    let of_host = |record: &&Record| record.host == host && record.t_ns <= t_ns;
    let mut turns = history.records.iter().filter(of_host).filter(|record| matches!(record.entry, Entry::Host { .. }));
    turns.next_back().is_some_and(|record| stops(&record.entry))
}

fn stops_one_of(record: &Record, hosts: &[&str]) -> bool {
    hosts.contains(&record.host.as_str()) && stops(&record.entry)
}

/// Whether a host's process stopped: it crashed, or ended by itself.
pub fn stops(entry: &Entry) -> bool {
    matches!(entry, Entry::Host { what } if what == "crashed" || what == "ended")
}

/// From when on no fault was active: the plan's moment, or the last restart if a crash came later than planned.
pub fn heal_ns(history: &History) -> u64 {
    let restarted = |record: &&Record| matches!(&record.entry, Entry::Host { what } if what == "restarted");
    let last = history.records.iter().rfind(restarted).map_or(0, |record| record.t_ns);
    history.header.plan.heal.ns().max(last)
}
