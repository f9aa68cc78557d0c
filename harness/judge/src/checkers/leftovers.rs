//! Leftovers: the store's ledger is explained by the database, and what is available is all there.

use std::collections::BTreeSet;

use clinker_model::Fault;
use clinker_model::history::{Entry, History};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::Tally;
use crate::view::{commits, end_ns, final_rows, is_deleted, notes, text};

pub const CHECKER: Checker = Checker {
    name: "leftovers",
    about: "no object is left without a backup, and no available backup lacks an object",
    source: "D7, D11; B-DEL-001; B-RES-009; B-CHK-007, 008; B-PSX-003",
    check,
};

/// One object of a store's ledger.
struct Object<'h> {
    container: &'h str,
    name: &'h str,
}

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let end = end_ns(history);
    let objects: Vec<Object<'_>> = history
        .records
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::Stored { container, name, .. } => Some(Object { container, name }),
            _ => None,
        })
        .collect();
    let rows = final_rows(history, "backups");
    let live: Vec<(&str, &Value)> =
        rows.iter().filter(|(_, row)| !is_deleted(row)).map(|(id, row)| (*id, *row)).collect();
    let lost = lost_rows(history);
    for object in &objects {
        tally.require(
            is_probe(object.name)
                || lost.iter().any(|id| object.names(id))
                || live.iter().any(|(id, row)| explains(id, row, object)),
            end,
            "every stored object belongs to a backup that still exists [D7]",
            || "a row with its container and prefix".to_owned(),
            || format!("{}/{}", object.container, object.name),
        );
    }
    for (id, row) in live.iter().filter(|(_, row)| row["status"] == "available" && !row["service_metadata"].is_null()) {
        if !loses_objects(history, text(&row["display_name"])) && !failed(history, id) {
            complete(&mut tally, end, id, row, &objects);
        }
    }
    if !rows.is_empty() {
        tally.applies();
    }
    tally.finish()
}

impl Object<'_> {
    fn names(&self, id: &str) -> bool {
        self.name.contains(id)
    }
}

/// Backups whose rows an administrator has taken away by hand, and that no import has brought back.
fn lost_rows(history: &History) -> BTreeSet<&str> {
    let mut lost = BTreeSet::new();
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table == "backups") {
            match (commit.call, text(&change.after["status"])) {
                ("backup_forget", "deleted") => drop(lost.insert(change.id.as_str())),
                ("import_finish", "available") => drop(lost.remove(change.id.as_str())),
                _ => {}
            }
        }
    }
    lost
}

fn is_probe(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|name| name.starts_with(".clinker-probe-"))
}

fn explains(id: &str, row: &Value, object: &Object<'_>) -> bool {
    let file = object.name.rsplit('/').next().unwrap_or(object.name);
    let same_container = text(&row["container"]) == object.container;
    if file.starts_with(".tmp-") {
        return same_container && (file.contains(id) || object.container.contains(id));
    }
    same_container && suffix(row, object.name).is_some()
}

/// What follows the backup's prefix in an object's name: `-00001`, `_metadata`, `_sha256file`.
fn suffix<'n>(row: &Value, name: &'n str) -> Option<&'n str> {
    let prefix = row["service_metadata"].as_str().filter(|prefix| !prefix.is_empty())?;
    name.strip_prefix(prefix).filter(|suffix| suffix.starts_with(['-', '_']))
}

/// Whether the scenario itself takes objects of this backup away.
fn loses_objects(history: &History, name: &str) -> bool {
    let lost = |fault: &Fault| matches!(fault, Fault::Lose(stored) if stored.backup == name);
    history.header.plan.faults.iter().any(|planned| lost(&planned.fault))
}

/// Whether a failed create or delete took objects of it: only an administrator made it available then.
fn failed(history: &History, id: &str) -> bool {
    let failures = ["backup.create.error", "backup.delete.error"];
    notes(history).iter().any(|note| note.backup_id() == id && failures.contains(&note.event_type()))
}

fn complete(tally: &mut Tally, end: u64, id: &str, row: &Value, objects: &[Object<'_>]) {
    let container = text(&row["container"]);
    let own: Vec<&str> = objects
        .iter()
        .filter(|object| object.container == container)
        .filter_map(|object| suffix(row, object.name))
        .collect();
    for special in ["_metadata", "_sha256file"] {
        tally.require(
            own.contains(&special),
            end,
            "an available backup has its metadata and its hash list in the store [D7]",
            || format!("{special} of backup {id}"),
            || format!("{own:?}"),
        );
    }
    let data = own.iter().filter(|suffix| suffix.starts_with('-')).count() as u64;
    tally.require(
        row["object_count"].as_u64() == Some(data),
        end,
        "object_count is the number of data objects in the store [B-CHK-008]",
        || format!("{} data objects of backup {id}", row["object_count"]),
        || data.to_string(),
    );
}

#[cfg(test)]
mod tests {
    use clinker_model::fault::Stored;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, PREFIX, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn row(status: &str, objects: u64) -> Script {
        let row = json!({
            "status": status, "container": "vb", "service_metadata": PREFIX, "object_count": objects,
            "display_name": "first", "deleted": status == "deleted",
        });
        script().final_row("backups", BACKUP, row)
    }

    fn with(script: Script, suffixes: &[&str]) -> Script {
        suffixes.iter().fold(script, |script, suffix| script.stored(&format!("{PREFIX}{suffix}")))
    }

    #[test]
    fn objects_are_explained_by_rows() {
        let whole = ["-00001", "_sha256file", "_metadata"];
        judge("available", with(row("available", 1), &whole), "ok");
        judge("deleted", with(row("deleted", 1), &whole), "belongs to a backup that still exists");
        judge("deleted and gone", row("deleted", 1), "ok");
        judge("error keeps some", with(row("error", 0), &["-00001"]), "ok");
        judge("longer prefix", with(row("error", 0), &["9-00001"]), "belongs to a backup");
        judge("no store", script(), "none");
    }

    #[test]
    fn what_an_administrator_orphans_is_his_own_affair_until_it_is_imported() {
        let change = |status: &str| clinker_model::history::RowChange {
            table: "backups".to_owned(),
            id: BACKUP.to_owned(),
            before: json!({ "status": "available" }),
            after: json!({ "status": status }),
        };
        let object = format!("volume_1_backup_{BACKUP}-00001");
        let forgotten =
            || row("deleted", 1).stored(&object).commit_of("backup_forget", vec![change("deleted")], vec![]);
        judge("forgotten", forgotten(), "ok");
        let imported = forgotten().commit_of("import_finish", vec![change("available")], vec![]);
        judge("brought back and deleted", imported, "belongs to a backup that still exists");
    }

    #[test]
    fn probes_are_explained_and_temporaries_only_by_their_row() {
        judge("probe", script().stored(".clinker-probe-backup-host-1"), "ok");
        let tmp = format!(".tmp-volume_1_backup_{BACKUP}-00001");
        judge("row exists", row("error", 0).stored(&tmp), "ok");
        judge("row is gone", row("deleted", 0).stored(&tmp), ".tmp-volume_1");
    }

    #[test]
    fn a_failed_create_that_was_reset_to_available_may_be_empty() {
        judge("reset", row("available", 0).note("backup.create.error", "available"), "ok");
        judge("half deleted", row("available", 9).note("backup.delete.error", "available"), "ok");
        judge("restore", row("available", 0).note("backup.restore.error", "available"), "_metadata of backup");
    }

    #[test]
    fn an_available_backup_is_all_there() {
        judge("no metadata", with(row("available", 1), &["-00001", "_sha256file"]), "_metadata of backup");
        judge("one too few", with(row("available", 2), &["-00001", "_sha256file", "_metadata"]), "2 data objects");
        let (backup, object) = ("first".to_owned(), "_metadata".to_owned());
        let lost = with(row("available", 1), &["-00001", "_sha256file"]);
        judge("lost on purpose", lost.fault(5, None, Fault::Lose(Stored { backup, object })), "ok");
    }
}
