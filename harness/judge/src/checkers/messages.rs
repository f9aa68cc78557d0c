//! User messages: one for each request that failed after it was accepted, none for any other, none twice.

use std::collections::{BTreeMap, BTreeSet};

use clinker_model::history::{Entry, History, Phase, RowChange};
use clinker_model::plan::Step;
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::Tally;
use crate::view::{Commit, SEC, commits, number, stops, text};

pub const CHECKER: Checker = Checker {
    name: "messages",
    about: "whoever asked for what failed is told so once, with the detail that fits; nobody else is told anything",
    source: "reference 02 section 2.12; message_ttl",
    check,
};

const CREATE: &str = "013";
const DELETE: &str = "014";
const RESTORE: &str = "015";

/// A backup and an action.
type About<'h> = (&'h str, &'static str);

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    // Messages since the last request for the same was accepted.
    let mut told: BTreeMap<About<'_>, u64> = BTreeMap::new();
    let mut requests = BTreeSet::new();
    for commit in commits(history) {
        for change in commit.changes.iter().filter(|change| change.table == "backups") {
            if let Some(action) = accepts(commit.call) {
                told.insert((&change.id, action), 0);
            }
        }
        let messages = messages(&commit);
        let failures = failures(&commit);
        for message in &messages {
            formed(&mut tally, &commit, message);
            once(&mut tally, &commit, message, &mut requests);
            wanted(&mut tally, &commit, message, &failures);
        }
        for (about, detail) in failures {
            let count = told.entry(about).or_default();
            let own = messages.iter().filter(|message| is_about(message, about)).collect::<Vec<_>>();
            let right = own.iter().all(|message| message["detail_id"] == detail);
            let due = u64::from(*count == 0);
            tally.require(
                own.len() as u64 == due && right,
                commit.t_ns,
                "every failure is told once, in its own transaction [reference 02 section 2.12]",
                || format!("backup {}: {due} message {}_{detail}", about.0, about.1),
                || format!("{:?}", own.iter().map(|message| text(&message["event_id"])).collect::<Vec<_>>()),
            );
            *count += own.len() as u64;
        }
    }
    listings(history, &mut tally);
    tally.finish()
}

fn accepts(call: &str) -> Option<&'static str> {
    match call {
        "api_create" => Some(CREATE),
        "api_restore" => Some(RESTORE),
        "api_delete" | "api_force_delete" => Some(DELETE),
        _ => None,
    }
}

fn messages<'h>(commit: &Commit<'h>) -> Vec<&'h Value> {
    let new = |change: &&RowChange| change.table == "messages" && change.before.is_null();
    commit.changes.iter().filter(new).map(|change| &change.after).collect()
}

fn is_about(message: &Value, (backup, action): About<'_>) -> bool {
    message["resource_uuid"] == backup && message["action_id"] == action
}

/// What failed in a transaction, with the detail to be told: the error events, and what clean-up ends without one.
fn failures<'h>(commit: &Commit<'h>) -> Vec<(About<'h>, &'static str)> {
    let mut failures = Vec::new();
    for row in commit.outbox {
        let action = match text(&row.message["event_type"]) {
            "backup.create.error" => CREATE,
            "backup.delete.error" => DELETE,
            "backup.restore.error" => RESTORE,
            _ => continue,
        };
        let payload = &row.message["payload"];
        if let Some(detail) = detail(action, text(&payload["fail_reason"])) {
            failures.push(((text(&payload["backup_id"]), action), detail));
        }
    }
    // An import is no action: nobody is told of its end.
    let is_import = commit.changes.iter().any(|change| change.table == "records");
    if commit.call == "cleanup_one" && !is_import {
        failures.extend(commit.changes.iter().filter_map(unbegun).map(|about| (about, "018")));
    }
    failures
}

/// A create or restore that clean-up ends before it has begun; its start is not out, and so no error is.
fn unbegun(change: &RowChange) -> Option<About<'_>> {
    let open = change.before["open_events"].as_array();
    let opened = |name: &str| open.is_some_and(|open| open.iter().any(|operation| operation == name));
    let action = match text(&change.before["status"]) {
        "creating" if !opened("create") => CREATE,
        "restoring" if !opened("restore") => RESTORE,
        _ => return None,
    };
    (change.table == "backups" && change.before["status"] != change.after["status"]).then_some((&change.id, action))
}

/// What an error event's reason, `kind: operation: what`, is told as; `None` for a cancel.
fn detail(action: &str, reason: &str) -> Option<&'static str> {
    let mut parts = reason.splitn(3, ": ");
    let mut part = || parts.next().unwrap_or_default();
    let (kind, operation, what) = (part(), part(), part());
    let refused = matches!(operation, "create_backup" | "restore_backup" | "delete_backup");
    let in_state = what.contains(", expected ") || what.ends_with(" is gone");
    let invalid = matches!(kind, "invalid_backup" | "invalid_volume");
    match (operation, action) {
        _ if reason == "cancelled" => None,
        _ if kind == "service_down" => Some("018"),
        _ if refused && invalid && in_state => Some("017"),
        ("init_host", _) => Some("018"),
        ("get_backup_device", _) => Some("019"),
        ("attach_volume", _) => Some("021"),
        ("detach_volume", _) => Some("022"),
        (_, CREATE) => Some("020"),
        (_, DELETE) => Some("025"),
        _ => Some("026"),
    }
}

fn formed(tally: &mut Tally, commit: &Commit<'_>, message: &Value) {
    let event = format!("VOLUME_VOLUME_BACKUP_{}_{}", text(&message["action_id"]), text(&message["detail_id"]));
    tally.require(
        message["event_id"] == *event
            && message["resource_type"] == "VOLUME_BACKUP"
            && message["message_level"] == "ERROR"
            && !text(&message["project_id"]).is_empty(),
        commit.t_ns,
        "a message names its project, its backup, and action and detail in its event [reference 02 section 2.12]",
        || event.clone(),
        || message.to_string(),
    );
}

fn once(tally: &mut Tally, commit: &Commit<'_>, message: &Value, requests: &mut BTreeSet<[String; 3]>) {
    if message["request_id"].is_null() {
        return;
    }
    let key = ["resource_uuid", "action_id", "request_id"].map(|name| text(&message[name]).to_owned());
    let again = !requests.insert(key);
    tally.require(
        !again,
        commit.t_ns,
        "a request is told of once, whatever is repeated [D8; reference 02 section 2.12]",
        || format!("no second message of request {}", message["request_id"]),
        || message.to_string(),
    );
}

fn wanted(tally: &mut Tally, commit: &Commit<'_>, message: &Value, failures: &[(About<'_>, &'static str)]) {
    tally.require(
        failures.iter().any(|(about, _)| is_about(message, *about)),
        commit.t_ns,
        "nobody is told of what did not fail [reference 02 section 2.12]",
        || "no message".to_owned(),
        || message.to_string(),
    );
}

/// What users were shown: every message of a commit before they asked that is not too old, and nothing else.
fn listings(history: &History, tally: &mut Tally) {
    let ttl = number(history, "message_ttl", 2_592_000).saturating_mul(SEC);
    // The database's clock stands while its host is down.
    let stood = history.records.iter().any(|record| record.host == "db" && stops(&record.entry));
    let expired_after = if stood { u64::MAX } else { ttl };
    let mut made: BTreeMap<&str, u64> = BTreeMap::new();
    let mut asked_at = BTreeMap::new();
    for record in &history.records {
        match &record.entry {
            Entry::Commit { changes, .. } => {
                for change in changes.iter().filter(|change| change.table == "messages" && change.before.is_null()) {
                    made.insert(&change.id, record.t_ns);
                }
            }
            Entry::Op { phase: Phase::Invoke, step, .. } => drop(asked_at.insert(*step, record.t_ns)),
            Entry::Op { phase: Phase::Ok, step, value, .. } => {
                let planned = history.header.plan.steps.get(*step).map(|planned| &planned.step);
                if let Some(Step::Messages(expected)) = planned {
                    let from = asked_at.get(step).copied().unwrap_or(0);
                    listed(tally, value, &made, [from, record.t_ns], [ttl, expired_after]);
                    counted(tally, record.t_ns, value, expected.count);
                }
            }
            _ => {}
        }
    }
}

fn listed(tally: &mut Tally, value: &Value, made: &BTreeMap<&str, u64>, [from, to]: [u64; 2], ttls: [u64; 2]) {
    let [ttl, expired_after] = ttls;
    let shown: Vec<&Value> = value["messages"].as_array().into_iter().flatten().collect();
    let ids: BTreeSet<&str> = shown.iter().map(|message| text(&message["id"])).collect();
    let missing = made.iter().find(|(id, at)| **at < from && to - **at < ttl && !ids.contains(**id));
    let wrong = ids.iter().find(|id| made.get(**id).is_none_or(|at| from.saturating_sub(*at) > expired_after));
    let mute = shown.iter().find(|message| text(&message["user_message"]).is_empty());
    tally.require(
        missing.is_none() && wrong.is_none() && mute.is_none() && ids.len() == shown.len(),
        to,
        "a user is shown every message that is not expired, once, with its text [reference 02 section 2.12]",
        || format!("the messages of {made:?} not older than {} s", ttl / SEC),
        || value["messages"].to_string(),
    );
}

fn counted(tally: &mut Tally, t_ns: u64, value: &Value, expected: Option<u64>) {
    let Some(expected) = expected else { return };
    let count = value["messages"].as_array().map_or(0, Vec::len) as u64;
    tally.require(
        count == expected,
        t_ns,
        "a user is shown as many messages as the scenario expects [scenario: messages]",
        || expected.to_string(),
        || value["messages"].to_string(),
    );
}

#[cfg(test)]
mod tests {
    use clinker_model::account::Messages;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, HOST, Script, backup_payload, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn row(table: &str, id: &str, before: Value, after: Value) -> RowChange {
        RowChange { table: table.into(), id: id.into(), before, after }
    }

    fn message(id: &str, pair: (&str, &str), request: &str) -> RowChange {
        let (action, detail) = pair;
        let after = json!({
            "id": id, "project_id": "p", "request_id": request, "resource_type": "VOLUME_BACKUP",
            "resource_uuid": BACKUP, "action_id": action, "detail_id": detail, "message_level": "ERROR",
            "event_id": format!("VOLUME_VOLUME_BACKUP_{action}_{detail}"),
        });
        row("messages", id, Value::Null, after)
    }

    fn asked(script: Script, call: &str) -> Script {
        script.commit_of(call, vec![row("backups", BACKUP, Value::Null, json!({ "status": "creating" }))], vec![])
    }

    fn fails(mut script: Script, event: &str, reason: &str, messages: Vec<RowChange>) -> Script {
        let mut payload = backup_payload();
        payload["fail_reason"] = json!(reason);
        let note = script.message(&format!("backup.{HOST}"), event, payload);
        script.commit(messages, vec![note])
    }

    const FULL: &str = "quota: backup: put of o: swift answered 507";

    fn create_fails(messages: Vec<RowChange>) -> Script {
        fails(asked(script(), "api_create"), "backup.create.error", FULL, messages)
    }

    #[test]
    fn a_failure_is_told_once_with_its_detail() {
        judge("told", create_fails(vec![message("m1", ("013", "020"), "r1")]), "ok");
        judge("untold", create_fails(vec![]), "every failure is told once");
        judge("other detail", create_fails(vec![message("m1", ("013", "021"), "r1")]), "every failure is told once");
        let twice = vec![message("m1", ("013", "020"), "r1"), message("m2", ("013", "020"), "r1")];
        judge("twice", create_fails(twice), "told of once");
        let again = create_fails(vec![message("m1", ("013", "020"), "r1")]);
        let late = "invalid_backup: create_backup: backup is error, expected creating";
        judge("its cast comes late", fails(again, "backup.create.error", late, vec![]), "ok");
        let again = create_fails(vec![message("m1", ("013", "020"), "r1")]);
        let told = fails(again, "backup.create.error", late, vec![message("m2", ("013", "017"), "r1")]);
        judge("told again", told, "told of once");
    }

    #[test]
    fn nobody_is_told_of_what_did_not_fail() {
        judge("end", script().note("backup.create.end", "available"), "none");
        let cancelled = |messages| fails(asked(script(), "api_create"), "backup.create.error", "cancelled", messages);
        judge("cancelled", cancelled(vec![]), "none");
        judge("told of a cancel", cancelled(vec![message("m1", ("013", "020"), "r1")]), "did not fail");
        judge("out of the blue", script().commit(vec![message("m1", ("013", "020"), "r1")], vec![]), "did not fail");
    }

    #[test]
    fn what_clean_up_ends_unbegun_is_told() {
        let cleaned = |messages: Vec<RowChange>| {
            let before = json!({ "status": "creating", "open_events": [] });
            let mut changes = vec![row("backups", BACKUP, before, json!({ "status": "error", "open_events": [] }))];
            changes.extend(messages);
            asked(script(), "api_create").commit_of("cleanup_one", changes, vec![])
        };
        judge("told", cleaned(vec![message("m1", ("013", "018"), "r1")]), "ok");
        judge("untold", cleaned(vec![]), "every failure is told once");
        let import = |messages| cleaned([vec![row("records", BACKUP, json!({}), Value::Null)], messages].concat());
        judge("an import", import(vec![]), "none");
        judge("an import, told", import(vec![message("m1", ("013", "018"), "r1")]), "told");
    }

    #[test]
    fn a_reason_has_a_detail() {
        for (action, reason, expected) in [
            (CREATE, "service_down: create_backup: the backup service's driver is not initialised", Some("018")),
            (CREATE, "internal: init_host: the service restarted while the operation was running", Some("018")),
            (CREATE, "invalid_volume: create_backup: snapshot is available, expected backing-up", Some("017")),
            (CREATE, "invalid_volume: create_backup: the volume is gone", Some("017")),
            (CREATE, "invalid_backup: create_backup: backup x, which it builds upon, is not there", Some("020")),
            (RESTORE, "integrity: restore: metadata of x, expected backing-up", Some("026")),
            (RESTORE, "timeout: attach_volume: volume did not answer within 60s", Some("021")),
            (DELETE, "invalid_backup: delete_backup: the backup was made by another driver", Some("025")),
            (DELETE, "cancelled", None),
        ] {
            assert_eq!(detail(action, reason), expected, "{reason}");
        }
    }

    #[test]
    fn a_listing_shows_what_is_there_and_not_expired() {
        let listed = |ids: &[&str], count: Option<u64>, seconds: u64| {
            let script = create_fails(vec![message("m1", ("013", "020"), "r1")]).option("message_ttl", "60");
            let shown: Vec<Value> = ids.iter().map(|id| json!({ "id": id, "user_message": "x: y" })).collect();
            let value = json!({ "messages": shown });
            let entry = Entry::Op { phase: Phase::Ok, step: 0, op: "messages".into(), value, failure: None };
            let script = script.step(None, Step::Messages(Messages { count })).at(seconds * 1000);
            script.op(0, Phase::Invoke, None).record("api", entry)
        };
        judge("shown", listed(&["m1"], Some(1), 50), "ok");
        judge("missing", listed(&[], None, 50), "is shown every message");
        judge("unknown", listed(&["m1", "m2"], None, 50), "is shown every message");
        judge("expired and shown", listed(&["m1"], None, 70), "is shown every message");
        judge("expired", listed(&[], Some(0), 70), "ok");
        judge("other count", listed(&["m1"], Some(2), 50), "as many messages");
    }
}
