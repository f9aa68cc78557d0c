//! Restored metadata: what a good restore leaves on the volume's row is what the backup's volume had when it began.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History, Phase};
use clinker_model::plan::Step;
use clinker_model::verdict::Finding;
use serde_json::{Value, json};

use crate::Checker;
use crate::tally::Tally;
use crate::view::{number, text, truth};

pub const CHECKER: Checker = Checker {
    name: "restored_metadata",
    about: "after a restore that ended well the volume has the metadata its backup was taken with",
    source: "reference 05 section 5.8; bugs 1376194, 1539667",
    check,
};

/// What a backup has kept of its volume.
struct Kept {
    name: Value,
    description: Value,
    metadata: Value,
    image: Value,
    encrypted: bool,
    volume_type: Value,
}

impl Kept {
    fn of_row(row: &Value) -> Kept {
        Kept {
            name: row["display_name"].clone(),
            description: row["display_description"].clone(),
            metadata: row["metadata"].clone(),
            image: row["volume_glance_metadata"].clone(),
            encrypted: !row["encryption_key_id"].is_null(),
            volume_type: row["volume_type_id"].clone(),
        }
    }

    /// As a scenario puts it into a fixture.
    fn of_document(document: &str) -> Kept {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let base = &document["volume-base-metadata"];
        let mut metadata = document["volume-metadata"].clone();
        // Here it is a column of its own.
        metadata.as_object_mut().map(|metadata| metadata.remove("src_backup_id"));
        Kept {
            metadata,
            image: document["volume-glance-metadata"].clone(),
            encrypted: document["version"] == 2 && !base["encryption_key_id"].is_null(),
            ..Kept::of_row(base)
        }
    }
}

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let mut volumes: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut kept: BTreeMap<&str, Kept> = BTreeMap::new();
    for record in &history.records {
        let (call, changes) = match &record.entry {
            Entry::Commit { call, changes, .. } => (call.as_str(), changes),
            Entry::Op { phase: Phase::Ok, step, value, .. } => {
                if let Some(document) = imported(history, *step) {
                    kept.insert(text(&value["backup_id"]), Kept::of_document(document));
                }
                continue;
            }
            _ => continue,
        };
        for change in changes.iter().filter(|change| change.table == "backups") {
            let begins = change.before["service"].is_null() && !change.after["service"].is_null();
            if call == "op_begin"
                && begins
                && let Some(row) = volumes.get(text(&change.after["volume_id"]))
            {
                let mut of_row = Kept::of_row(row);
                if number(history, "backup_metadata_version", 2) < 2 {
                    // Version 1 says nothing of keys, and so nothing of encrypted types.
                    (of_row.encrypted, of_row.volume_type) = (false, Value::Null);
                }
                kept.insert(&change.id, of_row);
            }
            let ended = (text(&change.before["status"]), text(&change.after["status"])) == ("restoring", "available");
            let target = changes.iter().find(|of| of.table == "volumes" && change.after["restore_volume_id"] == of.id);
            if call == "op_finish"
                && ended
                && let (Some(target), Some(kept)) = (target, kept.get(change.id.as_str()))
                && target.after["status"] == "available"
            {
                compare(&mut tally, record.t_ns, kept, &target.before, &target.after);
            }
        }
        for change in changes.iter().filter(|change| change.table == "volumes") {
            volumes.insert(&change.id, &change.after);
        }
    }
    tally.finish()
}

/// The document that a step of the scenario puts into the fixture that it imports.
fn imported(history: &History, step: usize) -> Option<&str> {
    match &history.header.plan.steps.get(step)?.step {
        Step::Import(import) => import.volume_meta.as_deref(),
        _ => None,
    }
}

fn compare(tally: &mut Tally, t_ns: u64, kept: &Kept, before: &Value, after: &Value) {
    let rule = "a restored volume has the metadata its backup was taken with [reference 05]";
    let is_empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    let own = text(&before["display_name"]);
    let named = !text(&kept.name).is_empty() && (own.is_empty() || own.starts_with("restore_backup_"));
    let typed = kept.encrypted && before["volume_type_id"].is_null();
    let columns = [
        ("metadata", !is_empty(&kept.metadata), &kept.metadata),
        ("volume_glance_metadata", !is_empty(&kept.image), &kept.image),
        ("display_name", named, &kept.name),
        ("display_description", named, &kept.description),
        ("volume_type_id", typed, &kept.volume_type),
    ];
    for (column, replaced, saved) in columns {
        let expected = if replaced { saved } else { &before[column] };
        tally.require(
            after[column] == *expected,
            t_ns,
            rule,
            || format!("{column} of volume {}: {expected}", after["id"]),
            || after[column].to_string(),
        );
    }
    let bootable = truth(&before["bootable"]) || !is_empty(&kept.image);
    tally.require(
        truth(&after["bootable"]) == bootable,
        t_ns,
        rule,
        || format!("bootable of volume {}: {}", after["id"], json!(bootable)),
        || after["bootable"].to_string(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, BACKUP, Script, VOLUME, script};
    use clinker_model::history::RowChange;
    use clinker_model::record::Import;

    const TARGET: &str = "a0000000-0000-4000-8000-000000000002";

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn change(table: &str, id: &str, before: Value, after: Value) -> RowChange {
        RowChange { table: table.to_owned(), id: id.to_owned(), before, after }
    }

    fn source() -> Value {
        json!({
            "display_name": "db", "display_description": "the database", "metadata": { "a": "1" },
            "volume_glance_metadata": {}, "bootable": false,
        })
    }

    fn taken() -> Script {
        let of = |service: Option<&str>| json!({ "volume_id": VOLUME, "status": "creating", "service": service });
        let begun = change("backups", BACKUP, of(None), of(Some("s")));
        script().row("volumes", VOLUME, source()).commit_of("op_begin", vec![begun], vec![])
    }

    fn restored(script: Script, before: Value, after: Value) -> Script {
        let backup = |status: &str| json!({ "status": status, "service": "s", "restore_volume_id": TARGET });
        let mut ended = after;
        ended["status"] = json!("available");
        let changes = vec![
            change("backups", BACKUP, backup("restoring"), backup("available")),
            change("volumes", TARGET, before, ended),
        ];
        script.commit_of("op_finish", changes, vec![])
    }

    fn target(name: &str, metadata: Value) -> Value {
        json!({ "display_name": name, "metadata": metadata, "volume_glance_metadata": {}, "bootable": false })
    }

    #[test]
    fn a_restored_volume_has_its_backups_metadata() {
        let before = || target("mine", json!({ "b": "2" }));
        judge("replaced", restored(taken(), before(), target("mine", json!({ "a": "1" }))), "ok");
        judge("lost", restored(taken(), before(), before()), "metadata of volume");
        judge(
            "merged",
            restored(taken(), before(), target("mine", json!({ "a": "1", "b": "2" }))),
            "metadata of volume",
        );
        judge("renamed", restored(taken(), before(), target("db", json!({ "a": "1" }))), "display_name of volume");
        let mut bootable = target("mine", json!({ "a": "1" }));
        bootable["bootable"] = json!(true);
        judge("bootable", restored(taken(), before(), bootable), "bootable of volume");
        judge("no restore", taken(), "none");
    }

    #[test]
    fn a_volume_without_a_name_of_its_own_gets_the_name() {
        let before = || target("restore_backup_1", json!({}));
        let mut named = target("db", json!({ "a": "1" }));
        named["display_description"] = json!("the database");
        judge("named", restored(taken(), before(), named), "ok");
        judge(
            "not named",
            restored(taken(), before(), target("restore_backup_1", json!({ "a": "1" }))),
            "display_name",
        );
    }

    #[test]
    fn what_a_scenario_writes_into_a_fixture_counts() {
        let import = Import {
            record: None,
            fixture: Some("small_none/0".to_owned()),
            url: None,
            name: "old".to_owned(),
            service: None,
            without: None,
            with: BTreeMap::new(),
            volume_meta: Some(r#"{"version": 1, "volume-metadata": {"a": "1", "src_backup_id": "x"}}"#.to_owned()),
        };
        let imported = || {
            let value = json!({ "backup_id": BACKUP });
            let done = Entry::Op { phase: Phase::Ok, step: 0, op: "import".to_owned(), value, failure: None };
            script().step(None, Step::Import(import.clone())).record("api", done)
        };
        let before = || target("mine", json!({}));
        judge("taken over", restored(imported(), before(), target("mine", json!({ "a": "1" }))), "ok");
        judge("left out", restored(imported(), before(), before()), "metadata of volume");
    }
}
