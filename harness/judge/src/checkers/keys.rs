//! Encryption keys: each that lives is one row's, each that a usable row names lives, and each row has its own.

use std::collections::{BTreeMap, BTreeSet};

use clinker_model::history::{Entry, History};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::Tally;
use crate::view::{Commit, commits, end_ns, final_rows, is_deleted, number, text};

pub const CHECKER: Checker = Checker {
    name: "keys",
    about: "no key is left without a row, shared by two, or deleted while a row needs it",
    source: "bugs 1745180, 1757235; reference 05 section 5.8",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    if !history.records.iter().any(|record| matches!(record.entry, Entry::Key { .. })) {
        return tally.finish();
    }
    while_it_ran(&mut tally, history);
    at_the_end(&mut tally, history);
    tally.finish()
}

/// Every row that names the key, as `backup b's encryption_key_id`.
fn owners(history: &History) -> BTreeMap<String, Vec<String>> {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, columns) in
        [("backups", &["encryption_key_id"][..]), ("volumes", &["encryption_key_id", "spare_key_id"][..])]
    {
        for (id, row) in final_rows(history, table).into_iter().filter(|(_, row)| !is_deleted(row)) {
            for column in columns {
                if let Some(key) = row[*column].as_str() {
                    owners.entry(key.to_owned()).or_default().push(format!("{column} of {table} {id}"));
                }
            }
        }
    }
    owners
}

fn at_the_end(tally: &mut Tally, history: &History) {
    let end = end_ns(history);
    let keys = |wanted: &str| -> BTreeSet<&str> {
        let of = history.records.iter().filter_map(|record| match &record.entry {
            Entry::Key { key_id, what } if what == wanted => Some(key_id.as_str()),
            _ => None,
        });
        of.collect()
    };
    let (living, made) = (keys("living"), keys("made"));
    let (owners, known, lost) = (owners(history), named(history), lost(history));
    for key in living.iter().filter(|key| made.contains(*key) || known.contains(*key)) {
        tally.require(
            owners.contains_key(*key) || lost.contains(*key),
            end,
            "every key that lives belongs to a row that still exists",
            || "a backup or a volume that names it".to_owned(),
            || format!("key {key} is nobody's"),
        );
    }
    for (key, of) in &owners {
        tally.require(
            of.len() == 1,
            end,
            "every backup and every volume has a key of its own [bugs 1745180, 1757235]",
            || format!("key {key} is named once"),
            || format!("it is {}", of.join(" and ")),
        );
    }
    for table in ["backups", "volumes"] {
        for (id, row) in final_rows(history, table).into_iter().filter(|(_, row)| row["status"] == "available") {
            if let Some(key) = row["encryption_key_id"].as_str() {
                tally.require(
                    living.contains(key),
                    end,
                    "the key of what is available lives",
                    || format!("key {key} of {table} {id}"),
                    || "there is no such key".to_owned(),
                );
            }
            tally.require(
                row["spare_key_id"].is_null(),
                end,
                "a restore that ended well leaves no spare key",
                || format!("{table} {id} without one"),
                || format!("spare_key_id {}", row["spare_key_id"]),
            );
        }
    }
}

/// Every key that a row has ever named.
fn named(history: &History) -> BTreeSet<&str> {
    let rows = commits(history).flat_map(|commit| commit.changes.iter().map(|change| &change.after));
    rows.flat_map(|row| [&row["encryption_key_id"], &row["spare_key_id"]]).filter_map(Value::as_str).collect()
}

/// Keys of rows that an administrator has taken away by hand.
fn lost(history: &History) -> BTreeSet<&str> {
    let forgets = commits(history).filter(|commit| commit.call == "backup_forget");
    forgets.flat_map(|commit| commit.changes).filter_map(|change| change.after["encryption_key_id"].as_str()).collect()
}

/// What a backup's volume was when the backup began.
struct Source<'h> {
    volume_id: &'h str,
    key: &'h Value,
}

fn while_it_ran(tally: &mut Tally, history: &History) {
    let tells_keys = number(history, "backup_metadata_version", 2) >= 2;
    let mut volumes: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut sources: BTreeMap<&str, Source<'_>> = BTreeMap::new();
    // What the targets' keys were when their restores began.
    let mut targets: BTreeMap<&str, &Value> = BTreeMap::new();
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table == "backups") {
            let (before, after) = (&change.before["status"], &change.after["status"]);
            let volume = |column: &str| volumes.get(text(&change.after[column])).copied().unwrap_or(&Value::Null);
            match (commit.call, text(before), text(after)) {
                ("op_begin", "creating", "creating") => {
                    let source = volume("volume_id");
                    let kept =
                        Source { volume_id: text(&change.after["volume_id"]), key: &source["encryption_key_id"] };
                    sources.insert(&change.id, kept);
                }
                ("op_begin", "restoring", "restoring") => {
                    targets.insert(&change.id, &volume("restore_volume_id")["encryption_key_id"]);
                }
                ("op_finish", "creating", "available") => {
                    if let Some(source) = sources.get(change.id.as_str()) {
                        has_its_own(tally, &commit, &change.after, source);
                    }
                }
                ("op_finish", "restoring", "available") if tells_keys => {
                    let found = (sources.get(change.id.as_str()), targets.get(change.id.as_str()));
                    let restored = commit.changes.iter().find(|of| {
                        of.table == "volumes"
                            && change.after["restore_volume_id"] == of.id
                            && of.after["status"] == "available"
                    });
                    if let ((Some(source), Some(before)), Some(volume)) = (found, restored) {
                        is_restored(tally, &commit, source, before, &volume.after);
                    }
                }
                _ => {}
            }
        }
        for change in commit.changes.iter().filter(|change| change.table == "volumes") {
            volumes.insert(&change.id, &change.after);
        }
    }
}

fn has_its_own(tally: &mut Tally, commit: &Commit<'_>, backup: &Value, source: &Source<'_>) {
    let own = &backup["encryption_key_id"];
    tally.require(
        own.is_null() == source.key.is_null() && (own.is_null() || own != source.key),
        commit.t_ns,
        "a backup of an encrypted volume has a clone of its key, no other has one [bug 1745180]",
        || format!("backup {} of volume {} with key {}", backup["id"], source.volume_id, source.key),
        || format!("encryption_key_id {own}"),
    );
}

fn is_restored(tally: &mut Tally, commit: &Commit<'_>, source: &Source<'_>, before: &Value, volume: &Value) {
    let now = &volume["encryption_key_id"];
    let (fits, expected) = if source.key == before {
        (now == before, format!("it keeps {before}"))
    } else if source.key.is_null() {
        (now.is_null(), "none: the bytes are not encrypted".to_owned())
    } else {
        (!now.is_null() && now != source.key && now != before, "a new clone of the backup's".to_owned())
    };
    tally.require(
        fits,
        commit.t_ns,
        "a restored volume has the key that its bytes need [reference 05]",
        || format!("key of volume {}: {expected}", volume["id"]),
        || format!("encryption_key_id {now}"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, BACKUP, Script, VOLUME, script};
    use clinker_model::history::RowChange;
    use serde_json::json;

    const TARGET: &str = "a0000000-0000-4000-8000-000000000002";

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn key(script: Script, key_id: &str, what: &str) -> Script {
        script.record("keymanager", Entry::Key { key_id: key_id.to_owned(), what: what.to_owned() })
    }

    fn change(table: &str, id: &str, before: Value, after: Value) -> RowChange {
        RowChange { table: table.to_owned(), id: id.to_owned(), before, after }
    }

    fn backup(status: &str, own: Option<&str>) -> Value {
        let target = if status == "creating" { None } else { Some(TARGET) };
        json!({
            "id": BACKUP, "volume_id": VOLUME, "status": status, "encryption_key_id": own, "restore_volume_id": target,
            "host": if status == "creating" { "a" } else { "b" },
        })
    }

    /// A backup of a volume with key `k`, which gets `own`.
    fn made(own: Option<&str>) -> Script {
        let begins = |host: &str| json!({ "status": "creating", "volume_id": VOLUME, "host": host });
        let script = key(script(), "k", "given").row("volumes", VOLUME, json!({ "encryption_key_id": "k" }));
        let script = script.commit_of("op_begin", vec![change("backups", BACKUP, begins("a"), begins("b"))], vec![]);
        let script = if own == Some("b1") { key(script, "b1", "made") } else { script };
        let ended = change("backups", BACKUP, begins("b"), backup("available", own));
        script.commit_of("op_finish", vec![ended], vec![])
    }

    fn living(script: Script, keys: &[&str]) -> Script {
        keys.iter().fold(script, |script, of| key(script, of, "living"))
    }

    /// A restore of the backup onto a volume with key `before`.
    fn restored(before: Option<&str>, after: Option<&str>) -> Script {
        let begins = change("backups", BACKUP, backup("restoring", Some("b1")), {
            let mut begun = backup("restoring", Some("b1"));
            begun["open_events"] = json!(["restore"]);
            begun
        });
        let script = made(Some("b1")).row("volumes", TARGET, json!({ "encryption_key_id": before }));
        let script = script.commit_of("op_begin", vec![begins], vec![]);
        let ends = vec![
            change("backups", BACKUP, backup("restoring", Some("b1")), backup("available", Some("b1"))),
            change(
                "volumes",
                TARGET,
                json!({ "status": "restoring-backup" }),
                json!({
                    "id": TARGET, "status": "available", "encryption_key_id": after,
                }),
            ),
        ];
        script.commit_of("op_finish", ends, vec![])
    }

    #[test]
    fn every_backup_has_a_key_of_its_own_that_lives() {
        judge("cloned", living(made(Some("b1")), &["k", "b1"]), "ok");
        judge("shared", living(made(Some("k")), &["k"]), "it is encryption_key_id of backups");
        judge("none", living(made(None), &["k"]), "encryption_key_id null");
        judge("deleted too early", living(made(Some("b1")), &["k"]), "there is no such key");
        judge("no keys", script(), "none");
    }

    #[test]
    fn a_key_goes_with_its_row() {
        let deleted =
            || made(Some("b1")).backup(json!({ "status": "deleted", "deleted": true, "encryption_key_id": null }));
        judge("gone", living(deleted(), &["k"]), "ok");
        judge("left", living(deleted(), &["k", "b1"]), "key b1 is nobody's");
        let taken = change("backups", BACKUP, Value::Null, json!({ "deleted": true, "encryption_key_id": "b1" }));
        let lost = made(Some("b1")).commit_of("backup_forget", vec![taken], vec![]);
        judge("lost by hand", living(lost, &["k", "b1"]), "ok");
        judge("never named", living(key(made(Some("b1")), "x", "given"), &["k", "b1", "x"]), "ok");
    }

    #[test]
    fn a_restored_volume_has_the_key_that_its_bytes_need() {
        judge("cloned", living(restored(None, Some("n")), &["k", "b1", "n"]), "ok");
        judge("shared", living(restored(None, Some("b1")), &["k", "b1"]), "key b1 is named once");
        judge("none", living(restored(None, None), &["k", "b1"]), "encryption_key_id null");
        judge("its own", living(restored(Some("o"), Some("o")), &["k", "b1", "o"]), "a new clone of the backup's");
        let spare = restored(Some("o"), Some("n")).row(
            "volumes",
            TARGET,
            json!({ "status": "available", "spare_key_id": "o" }),
        );
        judge("left over", living(spare, &["k", "b1", "n", "o"]), "spare_key_id \\\"o\\\"");
    }
}
