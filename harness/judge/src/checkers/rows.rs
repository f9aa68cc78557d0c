//! Rows: every change is a compare-and-set along a legal path, the deleted stay deleted, failures say why.

use std::collections::BTreeMap;

use clinker_model::history::{History, RowChange};
use clinker_model::plan::Step;
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::Tally;
use crate::view::{Commit, commits, edited_by_hand, text};

pub const CHECKER: Checker = Checker {
    name: "rows",
    about: "statuses change by compare-and-set along legal paths; what is deleted stays so; failures say why",
    source: "D8, section 5",
    check,
};

/// From a backup's status to those that may follow, without an administrator's hand.
const PATHS: &[(&str, &[&str])] = &[
    ("", &["creating"]),
    ("creating", &["available", "error", "deleting"]),
    ("available", &["restoring", "deleting"]),
    ("restoring", &["available", "deleting"]),
    ("deleting", &["deleted", "error_deleting"]),
    ("error", &["deleting", "deleted"]),
    ("error_deleting", &["deleting", "deleted"]),
    ("deleted", &[]),
];

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let by_hand = edited_by_hand(history);
    let allowed_by_hand = statuses_by_hand(history);
    let mut last: BTreeMap<(&str, &str), &Value> = BTreeMap::new();
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table != "services") {
            let before = last.insert((&change.table, &change.id), &change.after["status"]);
            unbroken(&mut tally, commit.t_ns, change, before);
            if change.table == "backups" {
                path(&mut tally, &commit, change, &allowed_by_hand);
                reason(&mut tally, commit.t_ns, change, by_hand);
            }
        }
    }
    tally.finish()
}

/// The statuses that steps of this scenario may write to any backup.
fn statuses_by_hand(history: &History) -> Vec<&str> {
    let steps = history.header.plan.steps.iter();
    steps
        .filter_map(|planned| match &planned.step {
            Step::Set(set) if set.backup.is_some() => Some(set.status.as_str()),
            Step::ResetStatus(reset) => Some(reset.status.as_str()),
            Step::Forget(_) => Some("deleted"),
            _ => None,
        })
        .collect()
}

fn unbroken(tally: &mut Tally, t_ns: u64, change: &RowChange, before: Option<&Value>) {
    tally.require(
        before.is_none_or(|before| *before == change.before["status"]),
        t_ns,
        "a status changes by compare-and-set: no change is lost [D8]",
        || format!("{} {} still {}", change.table, change.id, before.map_or("null".to_owned(), Value::to_string)),
        || format!("changed from {} to {}", change.before["status"], change.after["status"]),
    );
}

fn path(tally: &mut Tally, commit: &Commit<'_>, change: &RowChange, by_hand: &[&str]) {
    let (from, to) = (text(&change.before["status"]), text(&change.after["status"]));
    if from == to {
        return;
    }
    let known = PATHS.iter().find(|(status, _)| *status == from);
    let legal = known.is_some_and(|(_, follow)| follow.contains(&to));
    // Where an administrator may have been, any path but one back from the dead is his own affair.
    let excused = from != "deleted" && (by_hand.contains(&to) || by_hand.contains(&from));
    // A record that comes back takes the place of the deleted row.
    let imported = (from, to, commit.call) == ("deleted", "creating", "api_import");
    tally.require(
        legal || excused || imported,
        commit.t_ns,
        "a backup's status follows the table of outcomes, and the deleted stay deleted [D8, section 5]",
        || format!("backup {} from {from:?} to one of {:?}", change.id, known.map(|(_, follow)| *follow)),
        || format!("to {to:?}"),
    );
}

fn reason(tally: &mut Tally, t_ns: u64, change: &RowChange, by_hand: bool) {
    let reason = &change.after["fail_reason"];
    tally.require(
        reason.as_str() != Some(""),
        t_ns,
        "fail_reason is null, never empty [section 5]",
        || format!("backup {} with null or a reason", change.id),
        || "\"\"".to_owned(),
    );
    let (from, to) = (text(&change.before["status"]), text(&change.after["status"]));
    if by_hand || from == to {
        return;
    }
    let said = !text(reason).is_empty();
    let fits = match (from, to) {
        ("creating", "error") | ("deleting", "error_deleting") => said,
        ("creating", "available") => !said,
        _ => return,
    };
    tally.require(
        fits,
        t_ns,
        "a failed create or delete says why in its row; a good create clears it [section 5]",
        || format!("backup {} to {to}: fail_reason {}", change.id, if to == "available" { "null" } else { "set" }),
        || reason.to_string(),
    );
}

#[cfg(test)]
mod tests {
    use clinker_model::scenario::ResetStatus;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn through(statuses: &[&str]) -> Script {
        statuses.iter().fold(script(), |script, status| {
            let failed = status.starts_with("error");
            let reason = if failed { json!("internal: x: y") } else { Value::Null };
            script.backup(json!({ "status": status, "fail_reason": reason }))
        })
    }

    #[test]
    fn statuses_follow_the_table() {
        judge("a life", through(&["creating", "available", "restoring", "available", "deleting", "deleted"]), "ok");
        judge(
            "retried delete",
            through(&["creating", "error", "deleting", "error_deleting", "deleting", "deleted"]),
            "ok",
        );
        judge(
            "back from the dead",
            through(&["creating", "error", "deleted", "available"]),
            "the deleted stay deleted",
        );
        judge("restored from error", through(&["creating", "error", "restoring"]), "follows the table of outcomes");
        judge("no backup", script(), "none");
    }

    #[test]
    fn an_administrator_may_reset_a_status() {
        let reset = |script: Script| {
            let (backup, status) = ("first".to_owned(), "available".to_owned());
            script.step(None, Step::ResetStatus(ResetStatus { backup, status }))
        };
        judge("reset", reset(through(&["creating", "error", "available", "restoring", "available"])), "ok");
        judge("without", through(&["creating", "error", "available"]), "follows the table of outcomes");
    }

    #[test]
    fn only_an_import_takes_a_deleted_row() {
        let again = |call: &str| {
            let change = RowChange {
                table: "backups".to_owned(),
                id: BACKUP.to_owned(),
                before: json!({ "status": "deleted" }),
                after: json!({ "status": "creating", "fail_reason": null }),
            };
            through(&["creating", "error", "deleted"]).commit_of(call, vec![change], vec![])
        };
        judge("import", again("api_import"), "ok");
        judge("create", again("api_create"), "the deleted stay deleted");
    }

    #[test]
    fn no_change_is_lost() {
        let raced = |before: &str| {
            let change = RowChange {
                table: "backups".to_owned(),
                id: BACKUP.to_owned(),
                before: json!({ "status": before }),
                after: json!({ "status": "deleting", "fail_reason": null }),
            };
            through(&["creating", "available"]).commit(vec![change], vec![])
        };
        judge("fresh", raced("available"), "ok");
        judge("stale", raced("creating"), "no change is lost");
    }

    #[test]
    fn reasons_say_why_or_are_null() {
        let ends = |status: &str, reason: Value| {
            script().backup(json!({ "status": "creating" })).backup(json!({ "status": status, "fail_reason": reason }))
        };
        judge("error with reason", ends("error", json!("x")), "ok");
        judge("error without", ends("error", Value::Null), "says why in its row");
        judge("stale text", ends("available", json!("old")), "a good create clears it");
        judge("empty text", ends("available", json!("")), "never empty");
    }
}
