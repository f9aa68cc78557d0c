//! Operations: every one ends and leaves nothing in a passing state. That it does so in time is in `timing/ends.rs`.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History, Phase, Record};
use clinker_model::plan::Step;
use clinker_model::verdict::Finding;

use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::{end_ns, final_rows, number, stops, text};

pub const CHECKER: Checker = Checker {
    name: "operations",
    about: "no operation without an end, no row left in a passing state",
    source: "D5, D7, section 5; B-FLT-001; B-RES-001..003",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    calls(history, &mut tally);
    driver_calls(history, &mut tally);
    passing_states(history, &mut tally);
    tally.finish()
}

/// Every call of the API was answered, or its outcome is noted as unknown.
fn calls(history: &History, tally: &mut Tally) {
    let mut open: BTreeMap<usize, (u64, &str)> = BTreeMap::new();
    for record in &history.records {
        let Entry::Op { phase, step, op, .. } = &record.entry else { continue };
        tally.applies();
        match phase {
            Phase::Invoke => drop(open.insert(*step, (record.t_ns, op))),
            Phase::Ok | Phase::Fail | Phase::Info => drop(open.remove(step)),
        }
    }
    for (step, (since, op)) in open {
        tally.broken(
            end_ns(history),
            "every call of the API ends [no operation without an end]",
            format!("an answer to step {step}, {op} at {}", at(since)),
            "none until the end of the run",
        );
    }
}

/// Every data call of the driver ended, or its process did.
fn driver_calls(history: &History, tally: &mut Tally) {
    let mut open: BTreeMap<(&str, u64), (u64, &str)> = BTreeMap::new();
    for record in &history.records {
        match &record.entry {
            Entry::Driver { phase, call, method, .. } if is_data_call(method) => {
                tally.applies();
                match phase {
                    Phase::Invoke => {
                        open.insert((&record.host, *call), (record.t_ns, method));
                        within_slots(history, tally, record, &open);
                    }
                    _ => drop(open.remove(&(record.host.as_str(), *call))),
                }
            }
            entry if stops(entry) => open.retain(|(host, _), _| *host != record.host),
            _ => {}
        }
    }
    for ((host, _), (since, method)) in open {
        tally.broken(
            end_ns(history),
            "every call of the driver ends [no operation without an end]",
            format!("an end of {method} on {host}, begun at {}", at(since)),
            "none until the end of the run",
        );
    }
}

/// No host works on more backups and restores at once than it has slots.
fn within_slots(history: &History, tally: &mut Tally, record: &Record, open: &BTreeMap<(&str, u64), (u64, &str)>) {
    let slots = number(history, "backup_max_operations", 15);
    let running = open
        .iter()
        .filter(|((host, _), (_, method))| *host == record.host && matches!(*method, "backup" | "restore"))
        .count() as u64;
    tally.require(
        slots == 0 || running <= slots,
        record.t_ns,
        "a host runs at most backup_max_operations backups and restores at once [D5; B-CON-001]",
        || format!("at most {slots} on {}", record.host),
        || running.to_string(),
    );
}

fn is_data_call(method: &str) -> bool {
    matches!(method, "backup" | "restore" | "delete_backup")
}

/// No row is left in a state that something has to end, unless an administrator put it there.
fn passing_states(history: &History, tally: &mut Tally) {
    let passing: [(&str, &[&str]); 3] = [
        ("snapshots", &["backing-up"]),
        ("backups", &["creating", "restoring", "deleting"]),
        ("volumes", &["backing-up", "restoring-backup", "creating"]),
    ];
    for (table, passing) in passing {
        for (id, row) in final_rows(history, table) {
            let status = text(&row["status"]);
            tally.require(
                !passing.contains(&status) || set_by_hand(history, status),
                end_ns(history),
                "at the end nothing is left in a passing state [section 5]",
                || format!("{table} {id} in a lasting status"),
                || format!("status {status}"),
            );
            let open = row["open_events"].as_array().is_some_and(|open| !open.is_empty());
            tally.require(
                !open,
                end_ns(history),
                "at the end no event is owed [D5, open_events]",
                || format!("{table} {id} with open_events []"),
                || row["open_events"].to_string(),
            );
        }
    }
}

fn set_by_hand(history: &History, status: &str) -> bool {
    let sets = |step: &Step| matches!(step, Step::Set(set) if set.status == status);
    history.header.plan.steps.iter().any(|planned| sets(&planned.step))
        || history.header.plan.volumes.iter().any(|volume| volume.status == status)
}

#[cfg(test)]
mod tests {
    use clinker_model::scenario::Set;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, HOST, Script, VOLUME, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn status(status: &str) -> serde_json::Value {
        json!({ "status": status, "open_events": [] })
    }

    #[test]
    fn every_call_is_answered() {
        let asked = || script().op(0, Phase::Invoke, None).at(5);
        judge("ok", asked().op(0, Phase::Ok, None), "ok");
        judge("unknown", asked().op(0, Phase::Info, None), "ok");
        judge("never", asked().op(1, Phase::Ok, None), "an answer to step 0");
        judge("nothing asked", script(), "none");
    }

    #[test]
    fn every_driver_call_ends_or_its_process_does() {
        let call = |phase| {
            let method = "backup".to_owned();
            Entry::Driver { phase, call: 7, method, backup_id: Some(BACKUP.to_owned()), failure: None }
        };
        let begun = || script().record(HOST, call(Phase::Invoke)).at(5);
        judge("ended", begun().record(HOST, call(Phase::Fail)), "ok");
        judge("crashed", begun().host_event("crashed"), "ok");
        judge("hangs", begun().host_event("idle"), "an end of backup on backup-host-1");
    }

    #[test]
    fn a_host_keeps_to_its_slots() {
        let call = |host: &str, call, method: &str, phase| {
            let backup_id = Some(BACKUP.to_owned());
            (host.to_owned(), Entry::Driver { phase, call, method: method.to_owned(), backup_id, failure: None })
        };
        let run = |calls: &[(String, Entry)]| {
            let script = script().option("backup_max_operations", "1");
            calls.iter().cloned().fold(script, |script, (host, entry)| script.record(&host, entry))
        };
        use Phase::{Invoke, Ok};
        let (first, done) = (call(HOST, 1, "backup", Invoke), call(HOST, 1, "backup", Ok));
        let (second, second_done) = (call(HOST, 2, "restore", Invoke), call(HOST, 2, "restore", Ok));
        judge("in turn", run(&[first.clone(), done.clone(), second.clone(), second_done.clone()]), "ok");
        judge("at once", run(&[first.clone(), second, done.clone(), second_done]), "at most backup_max_operations");
        let (elsewhere, elsewhere_done) =
            (call("backup-host-2", 1, "backup", Invoke), call("backup-host-2", 1, "backup", Ok));
        judge("two hosts", run(&[first.clone(), elsewhere, done.clone(), elsewhere_done]), "ok");
        let (delete, deleted) = (call(HOST, 3, "delete_backup", Invoke), call(HOST, 3, "delete_backup", Ok));
        judge("deletes need none", run(&[first, delete, deleted, done]), "ok");
    }

    #[test]
    fn nothing_is_left_in_a_passing_state() {
        judge("available", script().final_row("backups", BACKUP, status("available")), "ok");
        judge("creating", script().final_row("backups", BACKUP, status("creating")), "status creating");
        judge("volume", script().final_row("volumes", VOLUME, status("backing-up")), "status backing-up");
        let owed = json!({ "status": "error", "open_events": ["create"] });
        judge("owed event", script().final_row("backups", BACKUP, owed), "no event is owed");
        let (backup, status_set) = (Some("first".to_owned()), "creating".to_owned());
        let by_hand = script()
            .step(None, Step::Set(Set { backup, volume: None, snapshot: None, status: status_set, service: None }));
        judge("by hand", by_hand.final_row("backups", BACKUP, status("creating")), "ok");
    }
}
