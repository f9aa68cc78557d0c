//! Once: whatever was repeated on its way to the database counts once.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History, Phase};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::{end_ns, final_rows, is_deleted, text};

pub const CHECKER: Checker = Checker {
    name: "once",
    about: "what is repeated on its way to the database is recorded once: requests, ends, and counts of dependents",
    source: "section 2 (idempotency keys), D5, D8",
    check,
};

/// The calls behind the steps of a workload that change a backup.
const CALLS: [(&str, &str); 5] = [
    ("create", "api_create"),
    ("restore", "api_restore"),
    ("delete", "api_delete"),
    ("force_delete", "api_force_delete"),
    ("reset_status", "api_reset_status"),
];

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    requests(history, &mut tally);
    ends(history, &mut tally);
    dependents(history, &mut tally);
    tally.finish()
}

/// Every request that the database took was made by a step of its own.
fn requests(history: &History, tally: &mut Tally) {
    let mut asked: BTreeMap<&str, u64> = BTreeMap::new();
    let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
    for record in &history.records {
        match &record.entry {
            Entry::Op { phase: Phase::Invoke, op, .. } => *asked.entry(op).or_default() += 1,
            Entry::Commit { call, .. } => {
                let Some((step, _)) = CALLS.iter().find(|(_, name)| name == call) else { continue };
                let count = taken.entry(step).or_default();
                *count += 1;
                let of_step = asked.get(step).copied().unwrap_or(0);
                tally.require(
                    *count <= of_step,
                    record.t_ns,
                    "a request is taken once, however often it was sent [idempotency keys]",
                    || format!("{call} at most {of_step} times"),
                    || format!("{count} times at {}", at(record.t_ns)),
                );
            }
            _ => {}
        }
    }
}

/// An end that is recorded tells exactly one terminal event, and no operation ends twice without a start between.
fn ends(history: &History, tally: &mut Tally) {
    let mut started: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for record in &history.records {
        let Entry::Commit { call, outbox, .. } = &record.entry else { continue };
        let mut ended = 0;
        for note in outbox {
            let Some((operation, part)) =
                text(&note.message["event_type"]).strip_prefix("backup.").and_then(|name| name.split_once('.'))
            else {
                continue;
            };
            let backup = text(&note.message["payload"]["backup_id"]);
            match part {
                "start" => drop(started.insert((backup, operation), true)),
                "end" | "error" if operation != "init" => {
                    ended += 1;
                    let open = started.insert((backup, operation), false);
                    tally.require(
                        open == Some(true),
                        record.t_ns,
                        "the end of an operation is recorded once [D8]",
                        || format!("{operation} of {backup} still open"),
                        || format!("ended again by {call} at {}", at(record.t_ns)),
                    );
                }
                _ => {}
            }
        }
        if call == "op_finish" {
            tally.require(
                ended == 1,
                record.t_ns,
                "a finish that changes anything ends one operation [D5]",
                || "one terminal event".to_owned(),
                || ended.to_string(),
            );
        }
    }
}

/// A parent counts each of its children once.
fn dependents(history: &History, tally: &mut Tally) {
    let rows = final_rows(history, "backups");
    let live = |row: &&&Value| !is_deleted(row);
    for (id, parent) in rows.iter().filter(|(_, row)| live(row)) {
        let of_parent = |row: &&&Value| text(&row["parent_id"]) == *id;
        let made = |row: &&&Value| !matches!(text(&row["status"]), "creating" | "error");
        let children = rows.values().filter(live).filter(of_parent).filter(made).count() as u64;
        let counted = parent["num_dependent_backups"].as_u64().unwrap_or(0);
        tally.require(
            counted == children || parent["num_dependent_backups"].is_null(),
            end_ns(history),
            "a parent counts each of its children once [reference 02 section 2.9]",
            || format!("num_dependent_backups {children} of {id}"),
            || counted.to_string(),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn takes(script: Script, call: &str) -> Script {
        let entry = Entry::Commit { call: call.to_owned(), changes: vec![], outbox: vec![] };
        script.record("db", entry)
    }

    #[test]
    fn a_request_is_taken_once() {
        let asked = || script().op(0, Phase::Invoke, None);
        judge("once", takes(asked(), "api_create"), "ok");
        judge("twice", takes(takes(asked(), "api_create"), "api_create"), "api_create at most 1 times");
        judge("nothing", script(), "none");
    }

    #[test]
    fn an_end_is_recorded_once() {
        let ended = || {
            takes(script(), "op_begin").note("backup.create.start", "creating").note("backup.create.end", "available")
        };
        // The script's own transactions are finishes: one with a start alone ends nothing.
        let begun = |mut script: Script| {
            for record in &mut script.history.records {
                if let Entry::Commit { call, outbox, .. } = &mut record.entry
                    && outbox.iter().any(|note| text(&note.message["event_type"]).ends_with(".start"))
                {
                    *call = "op_begin".to_owned();
                }
            }
            script
        };
        judge("once", begun(ended()), "ok");
        judge("twice", begun(ended().note("backup.create.error", "error")), "still open");
        judge("a finish without an end", ended(), "one terminal event");
    }

    #[test]
    fn a_child_is_counted_once() {
        let family = |counted: u64| {
            let parent = json!({ "status": "available", "num_dependent_backups": counted, "deleted": false });
            let child = json!({ "status": "available", "parent_id": BACKUP, "deleted": false });
            let failed = json!({ "status": "error", "parent_id": BACKUP, "deleted": false });
            let script = script().final_row("backups", BACKUP, parent).final_row("backups", "child", child);
            script.final_row("backups", "failed", failed)
        };
        judge("once", family(1), "ok");
        judge("twice", family(2), "num_dependent_backups 1");
    }
}
