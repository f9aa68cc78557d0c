//! Volumes: a volume is given back by a backup as it was, and tells of which backup it was restored.

use clinker_model::history::{History, RowChange};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::Tally;
use crate::view::{Commit, commits, text};

pub const CHECKER: Checker = Checker {
    name: "volumes",
    about: "a backup gives its volume back as it was, with what became of it, and a restored volume names its backup",
    source: "section 5; reference 02; B-CRT-007, B-RST-001, 002",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    for commit in commits(history).filter(|commit| commit.call != "volume_set_status") {
        let volumes = || commit.changes.iter().filter(|change| change.table == "volumes");
        for volume in volumes().filter(|change| change.before["status"] == "backing-up") {
            given_back(&mut tally, &commit, volume);
        }
        for volume in volumes() {
            names_its_backup(&mut tally, &commit, volume);
        }
    }
    tally.finish()
}

/// The backup of this volume that changes in the same transaction.
fn backup_of<'h>(commit: &Commit<'h>, volume: &RowChange) -> Option<&'h RowChange> {
    let of_volume = |change: &&RowChange| change.table == "backups" && change.after["volume_id"] == *volume.id;
    commit.changes.iter().find(of_volume)
}

fn given_back(tally: &mut Tally, commit: &Commit<'_>, volume: &RowChange) {
    let (status, previous) = (text(&volume.after["status"]), text(&volume.after["previous_status"]));
    if status == "backing-up" {
        return;
    }
    let before = volume.before["previous_status"].as_str().unwrap_or("available");
    let became =
        backup_of(commit, volume).map(|backup| (text(&backup.before["status"]), text(&backup.after["status"])));
    // A cancelled create may end either way: what cancelled it decides.
    let expected: &[&str] = match became {
        Some(("creating", "available")) => &["backing-up"],
        Some(("creating", "error")) => &["error_backing-up"],
        _ => &["backing-up", "error_backing-up"],
    };
    tally.require(
        status == before && expected.contains(&previous),
        commit.t_ns,
        "a backup gives its volume back as it was, and its previous status tells what became of it [section 5]",
        || format!("volume {} {before}, previous_status {}", volume.id, expected.join(" or ")),
        || format!("{status}, previous_status {previous}"),
    );
}

/// In the transaction of the restore's end. The volume's own backup is no source, unless it has had one before.
fn names_its_backup(tally: &mut Tally, commit: &Commit<'_>, volume: &RowChange) {
    let restored = |change: &&RowChange| {
        change.table == "backups"
            && change.after["restore_volume_id"] == *volume.id
            && (text(&change.before["status"]), text(&change.after["status"])) == ("restoring", "available")
    };
    let ends = commit.outbox.iter().any(|row| row.message["event_type"] == "backup.restore.end");
    let Some(backup) = commit.changes.iter().find(restored).filter(|_| ends) else { return };
    let own = backup.after["volume_id"] == *volume.id && volume.before["src_backup_id"].is_null();
    let expected = if own { Value::Null } else { backup.id.clone().into() };
    tally.require(
        volume.after["src_backup_id"] == expected,
        commit.t_ns,
        "a volume that was restored names the backup it was restored from, if that is another's [reference 02]",
        || format!("volume {} with src_backup_id {expected}", volume.id),
        || volume.after["src_backup_id"].to_string(),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, HOST, VOLUME, script};

    fn change(table: &str, id: &str, before: Value, after: Value) -> RowChange {
        RowChange { table: table.to_owned(), id: id.to_owned(), before, after }
    }

    fn ends(case: &str, backup: [&str; 2], volume: (&str, &str), expected: &str) {
        let row = |status: &str| json!({ "status": status, "volume_id": VOLUME });
        let before = json!({ "status": "backing-up", "previous_status": "in-use" });
        let after = json!({ "status": volume.0, "previous_status": volume.1 });
        let changes =
            vec![change("backups", BACKUP, row(backup[0]), row(backup[1])), change("volumes", VOLUME, before, after)];
        testing::check(case, &check(&script().commit(changes, vec![]).history), expected);
    }

    #[test]
    fn a_volume_is_given_back_as_it_was() {
        ends("good", ["creating", "available"], ("in-use", "backing-up"), "ok");
        ends("failed", ["creating", "error"], ("in-use", "error_backing-up"), "ok");
        ends("cancelled", ["deleting", "deleting"], ("in-use", "backing-up"), "ok");
        ends("not as it was", ["creating", "available"], ("available", "backing-up"), "as it was");
        ends("failed as if good", ["creating", "error"], ("in-use", "backing-up"), "what became of it");
        ends("good as if failed", ["creating", "available"], ("in-use", "error_backing-up"), "what became of it");
        ends("nothing told", ["deleting", "deleting"], ("in-use", ""), "what became of it");
        ends("still busy", ["creating", "creating"], ("backing-up", "in-use"), "none");
    }

    fn restored(case: &str, of: &str, source: [Value; 2], event: &str, expected: &str) {
        let row = |status: &str| json!({ "status": status, "volume_id": of, "restore_volume_id": VOLUME });
        let volume = |status: &str, source: &Value| json!({ "status": status, "src_backup_id": source });
        let changes = vec![
            change("backups", BACKUP, row("restoring"), row("available")),
            change("volumes", VOLUME, volume("restoring-backup", &source[0]), volume("available", &source[1])),
        ];
        let mut script = script();
        let message = script.message(HOST, event, json!({}));
        testing::check(case, &check(&script.commit(changes, vec![message]).history), expected);
    }

    #[test]
    fn a_restored_volume_names_its_backup() {
        let none = || Value::Null;
        restored("another's", "other", [none(), json!(BACKUP)], "backup.restore.end", "ok");
        restored("its own", VOLUME, [none(), none()], "backup.restore.end", "ok");
        restored("its own again", VOLUME, [json!("x"), json!(BACKUP)], "backup.restore.end", "ok");
        restored("unnamed", "other", [none(), none()], "backup.restore.end", "names the backup");
        restored("not replaced", "other", [json!("x"), json!("x")], "backup.restore.end", "names the backup");
        restored("own named", VOLUME, [none(), json!(BACKUP)], "backup.restore.end", "names the backup");
        restored("failed", "other", [none(), none()], "backup.restore.error", "none");
    }
}
