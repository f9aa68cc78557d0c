//! Sources: what backups are made of is given back: snapshots, their volumes, temporary copies, attachments, the order at
//! start-up.

use std::collections::{BTreeMap, BTreeSet};

use clinker_model::history::{Entry, History, Phase};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::services::host_of;
use crate::tally::Tally;
use crate::view::{Commit, commits, end_ns, final_rows, flag, stops, text};

pub const CHECKER: Checker = Checker {
    name: "sources",
    about: "a backup of a snapshot leaves its volume alone; no temporary copy or attachment stays; deletes resume as they are asked to",
    source: "section 5; reference 02 sections 2.2, 2.6, 2.7; backup_service_inithost_offload",
    check,
};

/// Columns that name a temporary copy.
const COPIES: [&str; 2] = ["temp_volume_id", "temp_snapshot_id"];

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let mut taken_at = BTreeMap::new();
    for commit in commits(history) {
        volume_left_alone(&mut tally, &commit);
        parents(&mut tally, &commit, &mut taken_at);
    }
    copies(history, &mut tally);
    attachments(history, &mut tally);
    one_after_the_other(history, &mut tally);
    tally.finish()
}

/// An increment of a snapshot builds upon older data than the snapshot's. That of a volume reads the volume after its
/// parent did, whatever a clock that has jumped writes into the two rows.
fn parents<'h>(tally: &mut Tally, commit: &Commit<'h>, taken_at: &mut BTreeMap<&'h str, &'h str>) {
    for change in commit.changes.iter().filter(|change| change.table == "backups") {
        let own = text(&change.after["data_timestamp"]);
        let of_snapshot = commit.call == "api_create" && !change.after["snapshot_id"].is_null();
        if let Some(parent) = change.after["parent_id"].as_str().filter(|_| of_snapshot) {
            let older = taken_at.get(parent).copied().unwrap_or_default();
            tally.require(
                older < own,
                commit.t_ns,
                "a backup of a snapshot builds upon data older than its own [reference 02 section 2.8]",
                || format!("a parent of backup {} with data of before {own}", change.id),
                || older.to_owned(),
            );
        }
        taken_at.insert(&change.id, own);
    }
}

/// No transaction about a create from a snapshot changes the status of its volume.
fn volume_left_alone(tally: &mut Tally, commit: &Commit<'_>) {
    let of_create = |change: &&clinker_model::history::RowChange| {
        change.table == "backups" && !change.after["snapshot_id"].is_null() && leaves_or_enters_creating(change)
    };
    for backup in commit.changes.iter().filter(of_create) {
        let volume = commit.changes.iter().find(|change| {
            change.table == "volumes"
                && change.id == text(&backup.after["volume_id"])
                && change.before["status"] != change.after["status"]
        });
        tally.require(
            volume.is_none(),
            commit.t_ns,
            "a backup of a snapshot leaves its volume's status alone [section 5]",
            || format!("volume of backup {} as before", backup.id),
            || volume.map_or(String::new(), |change| change.after["status"].to_string()),
        );
    }
}

fn leaves_or_enters_creating(change: &clinker_model::history::RowChange) -> bool {
    let (before, after) = (&change.before["status"], &change.after["status"]);
    before != after && (before == "creating" || after == "creating")
}

/// Every copy that a row has named is gone at the end, from the row and from the volume host.
fn copies(history: &History, tally: &mut Tally) {
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table == "backups") {
            named.extend(COPIES.iter().filter_map(|column| Some((change.after[*column].as_str()?, &*change.id))));
        }
    }
    let devices: BTreeSet<&str> = history
        .records
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::Device { volume_id, moment, .. } if moment == "final" => Some(volume_id.as_str()),
            _ => None,
        })
        .collect();
    let rows = final_rows(history, "backups");
    for (copy, backup) in named {
        let row = rows.get(backup).copied().unwrap_or(&Value::Null);
        let still_named = COPIES.iter().any(|column| row[*column] == copy);
        tally.require(
            !devices.contains(copy) && !still_named,
            end_ns(history),
            "a temporary copy is removed when its backup has ended, and named until then [reference 02 section 2.6]",
            || format!("no copy {copy} of backup {backup}"),
            || if still_named { "its row still names it" } else { "it is still there, and no row names it" }.to_owned(),
        );
    }
}

/// A volume stays attached only while its operation is open, or its host away.
fn attachments(history: &History, tally: &mut Tally) {
    let rows = final_rows(history, "backups");
    let mut stopped: BTreeSet<&str> = BTreeSet::new();
    for record in &history.records {
        match &record.entry {
            entry if stops(entry) => drop(stopped.insert(&record.host)),
            Entry::Host { .. } => drop(stopped.remove(record.host.as_str())),
            // The device of a backup as it is attached, that of a restore as it is detached.
            Entry::Device { moment, backup_id: Some(_), .. } if moment != "final" => tally.applies(),
            Entry::Attached { volume_id, backup_id, to, purpose } => {
                let operation = if purpose == "restore" { "restore" } else { "create" };
                let row = rows.get(backup_id.as_str()).copied().unwrap_or(&Value::Null);
                let open = row["open_events"].as_array().is_some_and(|open| open.iter().any(|one| one == operation));
                let away = stopped.iter().any(|host| host_of(host) == to);
                tally.require(
                    open || away,
                    record.t_ns,
                    "a volume is detached when its backup or restore has ended [section 5]",
                    || format!("volume {volume_id} not attached to {to} for backup {backup_id}"),
                    || format!("attached, and no {operation} of the backup is open"),
                );
            }
            _ => {}
        }
    }
}

/// Without `backup_service_inithost_offload` a host that starts ends its resumed deletes one by one before it begins
/// anything else.
fn one_after_the_other(history: &History, tally: &mut Tally) {
    if flag(history, "backup_service_inithost_offload", true) {
        return;
    }
    let mut open: BTreeMap<(&str, u64), &str> = BTreeMap::new();
    for record in &history.records {
        match &record.entry {
            Entry::Driver { phase: Phase::Invoke, call, method, backup_id, .. } if is_data_call(method) => {
                let resumed = resumed_deletes(history, &record.host, record.n);
                let id = backup_id.as_deref().unwrap_or_default();
                let others = open.iter().filter(|((host, _), other)| *host == record.host && resumed.contains(**other));
                let others: Vec<&str> = others.map(|(_, other)| *other).collect();
                let pending = resumed.iter().any(|other| *other != id) && !resumed.contains(id);
                if !resumed.is_empty() {
                    tally.require(
                        others.is_empty() && !pending,
                        record.t_ns,
                        "resumed deletes run one after the other, and before anything else [backup_service_inithost_offload]",
                        || format!("{method} of {id} on {} after the deletes of {resumed:?}", record.host),
                        || if pending { "it did not wait".to_owned() } else { format!("beside {others:?}") },
                    );
                }
                open.insert((&record.host, *call), id);
            }
            Entry::Driver { call, .. } => drop(open.remove(&(record.host.as_str(), *call))),
            entry if stops(entry) => open.retain(|(host, _), _| *host != record.host),
            _ => {}
        }
    }
}

fn is_data_call(method: &str) -> bool {
    matches!(method, "backup" | "restore" | "delete_backup")
}

/// Backups whose delete the host's last start has found pending, and that are not settled when record `n` is made.
fn resumed_deletes<'h>(history: &'h History, host: &str, n: u64) -> BTreeSet<&'h str> {
    let mut statuses: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut resumed = BTreeSet::new();
    for record in history.records.iter().filter(|record| record.n < n) {
        let Entry::Commit { call, changes, .. } = &record.entry else { continue };
        for change in changes {
            if change.table == "backups" {
                statuses.insert(&change.id, (text(&change.after["host"]), text(&change.after["status"])));
                if change.after["status"] != "deleting" {
                    resumed.remove(change.id.as_str());
                }
            }
            if call == "service_register" && change.after["host"] == host {
                let starting = !change.before.is_null();
                let pending = |(id, (of, status)): (&&'h str, &(&str, &str))| {
                    (starting && *of == host && *status == "deleting").then_some(*id)
                };
                resumed = statuses.iter().filter_map(pending).collect();
            }
        }
    }
    resumed
}

#[cfg(test)]
mod tests {
    use clinker_model::history::RowChange;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, HOST, Script, VOLUME, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn of_snapshot(volume: &str) -> Script {
        let change = |table: &str, id: &str, before: Value, after: Value| RowChange {
            table: table.into(),
            id: id.into(),
            before,
            after,
        };
        let row = |status: &str| json!({ "status": status, "snapshot_id": "s", "volume_id": VOLUME });
        let backup = change("backups", BACKUP, row("creating"), row("available"));
        let volume = change("volumes", VOLUME, json!({ "status": "in-use" }), json!({ "status": volume }));
        script().commit(vec![volume, backup], vec![])
    }

    #[test]
    fn a_backup_of_a_snapshot_leaves_the_volume_alone() {
        judge("alone", of_snapshot("in-use"), "ok");
        judge("touched", of_snapshot("available"), "leaves its volume's status alone");
        judge("nothing", script(), "none");
    }

    #[test]
    fn a_parent_has_older_data() {
        let child = |taken: &str, snapshot: Option<&str>| {
            let row =
                json!({ "status": "creating", "parent_id": BACKUP, "data_timestamp": taken, "snapshot_id": snapshot });
            let change = RowChange { table: "backups".into(), id: "child".into(), before: Value::Null, after: row };
            let parent = script().backup(json!({ "status": "available", "data_timestamp": "2026-01-02" }));
            parent.commit_of("api_create", vec![change], vec![])
        };
        judge("older", child("2026-01-03", Some("s")), "ok");
        judge("newer", child("2026-01-01", Some("s")), "builds upon data older than its own");
        judge("of a volume whose clock has jumped", child("2026-01-01", None), "none");
    }

    #[test]
    fn a_temporary_copy_is_removed() {
        let copied = || script().backup(json!({ "status": "creating", "temp_volume_id": "copy" }));
        let dropped = || copied().backup(json!({ "status": "available", "temp_volume_id": null }));
        let device = |script: Script| {
            let (volume_id, moment) = ("copy".to_owned(), "final".to_owned());
            let entry = Entry::Device { volume_id, moment, backup_id: None, len: 1, digest: String::new() };
            script.record("volume", entry)
        };
        judge("gone", dropped(), "ok");
        judge("named", copied(), "its row still names it");
        judge("leaked", device(dropped()), "it is still there");
    }

    #[test]
    fn a_volume_is_detached() {
        let attached = |script: Script| {
            let (volume_id, backup_id) = (VOLUME.to_owned(), BACKUP.to_owned());
            let entry = Entry::Attached { volume_id, backup_id, to: HOST.to_owned(), purpose: "backup".to_owned() };
            script.record("volume", entry)
        };
        let row = |open: Value| script().final_row("backups", BACKUP, json!({ "open_events": open }));
        judge("open", attached(row(json!(["create"]))), "ok");
        judge("over", attached(row(json!(["delete"]))), "no create of the backup is open");
        judge("host away", attached(row(json!([])).host_event("crashed")), "ok");
        let back = row(json!([])).host_event("crashed").host_event("restarted");
        judge("host back", attached(back), "no create of the backup is open");
    }

    #[test]
    fn without_offload_resumed_deletes_run_one_after_the_other() {
        let call = |script: Script, phase: Phase, call: u64, method: &str, id: &str| {
            let (method, backup_id) = (method.to_owned(), Some(id.to_owned()));
            script.record(HOST, Entry::Driver { phase, call, method, backup_id, failure: None })
        };
        let pending = || {
            let row = json!({ "status": "deleting", "host": HOST });
            let script = script().option("backup_service_inithost_offload", "false").registered();
            let script = script.row("backups", "a", row.clone()).row("backups", "b", row);
            let again = RowChange {
                table: "services".into(),
                id: HOST.into(),
                before: json!({ "host": HOST }),
                after: json!({ "host": HOST, "working": false }),
            };
            script.commit_of("service_register", vec![again], vec![])
        };
        let first = || call(pending(), Phase::Invoke, 1, "delete_backup", "a");
        let ended =
            || call(first(), Phase::Ok, 1, "delete_backup", "a").row("backups", "a", json!({ "status": "deleted" }));
        judge("in turn", call(ended(), Phase::Invoke, 2, "delete_backup", "b"), "ok");
        judge("beside", call(first(), Phase::Invoke, 2, "delete_backup", "b"), "beside");
        judge("ahead", call(ended(), Phase::Invoke, 2, "backup", "c"), "it did not wait");
    }
}
