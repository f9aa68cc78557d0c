//! What the original service did: `sequences.json`, recorded from Cinder 29.0.0, row by row.

use std::collections::BTreeMap;

use serde_json::Value;

use super::outcome::{Event, Outcome};

const SEQUENCES: &str = include_str!("sequences.json");

/// Every row by its name: `scenario/case`, and ` #2` … where a name is there again.
pub fn rows() -> BTreeMap<String, Value> {
    let file: Value = serde_json::from_str(SEQUENCES).expect("the committed file is JSON");
    let rows = file["rows"].as_array().expect("the committed file has rows");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let named = rows.iter().map(|row| {
        let (scenario, case) = (row["scenario"].as_str().unwrap_or(""), row["case"].as_str().unwrap_or(""));
        let name = if case.is_empty() { scenario.to_owned() } else { format!("{scenario}/{case}") };
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        (if *count == 1 { name } else { format!("{name} #{count}") }, row.clone())
    });
    named.collect()
}

/// A row in our words. `backups` are the facts that hold a backup's row.
pub fn outcome<'a>(row: &Value, backups: impl Iterator<Item = &'a str>) -> Outcome {
    let facts = &row["facts"];
    let events = row["events"].as_array().into_iter().flatten().map(event);
    let mut outcome = Outcome { events: events.collect(), ..Outcome::default() };
    for name in backups {
        if let Some(backup) = facts.get(name) {
            outcome.backup(name, backup);
        }
    }
    if let Some(volume) = facts.get("volume") {
        outcome.volume(volume, volume["metadata"].get("src_backup_id").is_some());
    }
    if let Some(record) = facts.get("result").and_then(|result| result.get("decoded_backup_url")) {
        outcome.record(record);
    } else if let Some(ok) = facts.get("result").and_then(reached) {
        outcome.fact("ok", ok);
    }
    for name in ["identical", "restored_identical"] {
        if let Some(identical) = facts.get(name) {
            outcome.fact("identical", identical);
        }
    }
    for name in ["left", "objects_left_behind_by_failed_create", "objects_after"] {
        if let Some(left) = facts.get(name) {
            let none = left == 0 || left.as_array().is_some_and(Vec::is_empty);
            outcome.fact("left", !none);
        }
    }
    outcome
}

/// Whether the goal was reached: `{"ok": …}`, or for a create the result of each of its steps.
fn reached(result: &Value) -> Option<bool> {
    match result {
        Value::Array(results) => {
            results.iter().map(reached).collect::<Option<Vec<_>>>().map(|all| !all.contains(&false))
        }
        Value::Object(fields) => match fields.get("ok") {
            Some(ok) => ok.as_bool(),
            None => Some(fields.values().all(|step| step == "ok")),
        },
        _ => None,
    }
}

fn event(event: &Value) -> Event {
    let word = |name: &str| event[name].as_str().unwrap_or("").to_owned();
    Event {
        by_api: false,
        event_type: word("event_type").trim_start_matches("backup.").to_owned(),
        priority: word("priority"),
        status: word("status"),
        has_parent: event["has_parent"] == true,
        percent: event["backup_percent"].as_f64(),
        has_reason: false,
    }
}
