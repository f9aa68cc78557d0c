//! Records: an export tells what the row holds, an import makes a row of what the record tells; neither emits an event.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History, Phase};
use clinker_model::plan::Step;
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::Tally;
use crate::view::{commits, text};

pub const CHECKER: Checker = Checker {
    name: "records",
    about: "a record holds its row, an import gives it back whole or leaves nothing of it; neither emits an event",
    source: "D4; reference 05 section 5.9",
    check,
};

/// Columns that a record carries, besides moments of time.
const CARRIED: [&str; 11] = [
    "id",
    "volume_id",
    "display_name",
    "display_description",
    "container",
    "parent_id",
    "service_metadata",
    "size",
    "object_count",
    "snapshot_id",
    "encryption_key_id",
];
/// Moments, of which it carries the seconds.
const MOMENTS: [&str; 2] = ["created_at", "data_timestamp"];
/// What says where objects are.
const PLACES: [&str; 3] = ["service", "container", "service_metadata"];

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let mut rows: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut importing: BTreeMap<&str, &Value> = BTreeMap::new();
    let records = imported_records(history);
    for record in &history.records {
        match &record.entry {
            Entry::Op { phase: Phase::Ok, op, value, .. } if op == "export" => {
                if let Some(row) = rows.get(text(&value["backup_id"])) {
                    holds(&mut tally, record.t_ns, "an export tells what the row holds [reference 05]", value, row);
                }
            }
            Entry::Commit { changes, .. } => {
                for change in changes.iter().filter(|change| change.table == "backups") {
                    rows.insert(&change.id, &change.after);
                }
            }
            _ => {}
        }
    }
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table == "backups") {
            let imports = commit.call == "api_import";
            if imports {
                importing.insert(&change.id, &change.after);
            }
            if !importing.contains_key(change.id.as_str()) {
                continue;
            }
            silent(&mut tally, &commit);
            let after = &change.after;
            match text(&after["status"]) {
                "creating" => continue,
                "available" if commit.call == "import_finish" => {
                    let rule = "an import gives back what the record tells [reference 05]";
                    if let Some(value) = records.get(change.id.as_str()) {
                        holds(&mut tally, commit.t_ns, rule, value, after);
                    }
                }
                "error" => places(&mut tally, commit.t_ns, after),
                _ => {}
            }
            importing.remove(change.id.as_str());
        }
    }
    tally.finish()
}

/// By backup, what the last accepted import of it was given. A refused one changes nothing.
fn imported_records(history: &History) -> BTreeMap<&str, &Value> {
    let steps = &history.header.plan.steps;
    let imports = history.records.iter().filter_map(|record| match &record.entry {
        Entry::Op { phase: Phase::Ok, step, value, .. } => {
            let planned = &steps.get(*step)?.step;
            matches!(planned, Step::Import(_)).then(|| (text(&value["backup_id"]), value))
        }
        _ => None,
    });
    imports.collect()
}

fn holds(tally: &mut Tally, t_ns: u64, rule: &'static str, value: &Value, row: &Value) {
    let fields = &value["record"];
    let seconds = |value: &Value| text(value).get(..19).map(str::to_owned);
    let same = |name: &&str| match MOMENTS.contains(name) {
        true => fields[*name].is_null() || seconds(&fields[*name]) == seconds(&row[*name]),
        false => fields[*name] == row[*name],
    };
    let differs = CARRIED.iter().chain(&MOMENTS).find(|name| !same(name));
    tally.require(
        differs.is_none() && same_driver(text(&value["backup_service"]), text(&row["service"])),
        t_ns,
        rule,
        || format!("backup {} of {} as in {fields}", row["id"], value["backup_service"]),
        || format!("{}: {row}", differs.unwrap_or(&"service")),
    );
}

/// Old rows and records name a driver's module without its class.
fn same_driver(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|class| class.is_empty() || class.starts_with('.'))
}

/// The import's transactions are without events: its backup was not created, and its objects not touched.
fn silent(tally: &mut Tally, commit: &crate::view::Commit<'_>) {
    let own = matches!(commit.call, "api_import" | "import_begin" | "import_finish");
    tally.require(
        !own || commit.outbox.is_empty(),
        commit.t_ns,
        "an import emits no event [reference 02]",
        || "no notification".to_owned(),
        || format!("{:?}", commit.outbox.iter().map(|queued| &queued.message["event_type"]).collect::<Vec<_>>()),
    );
}

/// Deleting the row of a failed import must not take the objects of a good backup along.
fn places(tally: &mut Tally, t_ns: u64, row: &Value) {
    let known = PLACES.iter().find(|name| !row[**name].is_null());
    tally.require(
        known.is_none(),
        t_ns,
        "a failed import leaves nothing of the record: a delete of its row removes no object [D7]",
        || format!("backup {}: service, container and service_metadata null", row["id"]),
        || format!("{}: {}", known.unwrap_or(&""), known.map_or(&Value::Null, |name| &row[*name])),
    );
}

#[cfg(test)]
mod tests {
    use clinker_model::history::RowChange;
    use clinker_model::plan::Step;
    use clinker_model::record::Import;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn record(container: &str) -> Value {
        json!({
            "backup_id": BACKUP, "backup_service": "swift",
            "record": { "id": BACKUP, "container": container, "service_metadata": "p", "size": 1,
                        "created_at": "2026-11-21T18:30:00Z" },
        })
    }

    fn row(status: &str, container: &str) -> Value {
        let reason = if status == "error" { json!("x") } else { Value::Null };
        json!({
            "id": BACKUP, "status": status, "container": container, "service_metadata": "p", "size": 1,
            "service": "swift", "created_at": "2026-11-21T18:30:00.250000+00:00", "fail_reason": reason,
        })
    }

    fn change(after: Value) -> Vec<RowChange> {
        vec![RowChange { table: "backups".into(), id: BACKUP.into(), before: Value::Null, after }]
    }

    fn op(script: Script, op: &str, value: Value) -> Script {
        let entry = Entry::Op { phase: Phase::Ok, step: 0, op: op.into(), value, failure: None };
        script.record("api", entry)
    }

    fn import() -> Script {
        let import = Import {
            record: Some("rec".into()),
            fixture: None,
            url: None,
            name: "again".into(),
            service: None,
            without: None,
            with: BTreeMap::new(),
            volume_meta: None,
        };
        let waiting = json!({ "id": BACKUP, "status": "creating" });
        let script = script().step(None, Step::Import(import)).commit_of("api_import", change(waiting), vec![]);
        op(script, "import", record("vb"))
    }

    #[test]
    fn an_export_tells_what_the_row_holds() {
        let exported =
            |container: &str| op(script().commit(change(row("available", "vb")), vec![]), "export", record(container));
        judge("the same", exported("vb"), "ok");
        judge("another container", exported("other"), "an export tells what the row holds");
        judge("no record", script(), "none");
    }

    #[test]
    fn an_import_gives_back_what_the_record_tells() {
        let ended = |container: &str| import().commit_of("import_finish", change(row("available", container)), vec![]);
        judge("the same", ended("vb"), "ok");
        judge("another container", ended("other"), "an import gives back what the record tells");
    }

    #[test]
    fn a_failed_import_knows_no_place() {
        let failed = |row: Value| import().commit_of("import_finish", change(row), vec![]);
        judge("nothing", failed(json!({ "id": BACKUP, "status": "error", "fail_reason": "x" })), "ok");
        judge("a container", failed(row("error", "vb")), "a failed import leaves nothing of the record");
    }

    #[test]
    fn an_import_emits_no_event() {
        let mut loud = import();
        let message = loud.message("backup.h", "backup.create.end", testing::backup_payload());
        judge("event", loud.commit_of("import_finish", change(row("available", "vb")), vec![message]), "no event");
    }
}
