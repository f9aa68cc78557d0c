//! Placement: where the API sent each request it accepted, and which worker took it.

use std::collections::BTreeMap;

use clinker_model::Record;
use clinker_model::history::{Entry, History, Phase, RowChange};
use clinker_model::scenario::ServiceState;
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::clock::{DbClock, state_of_row};
use crate::services::{Timelines, down_time, host_of, state_at, timelines};
use crate::tally::{Tally, at};
use crate::view::{SEC, flag, stops, text, truth};

pub const CHECKER: Checker = Checker {
    name: "placement",
    about: "requests go to a host that is up, in their zone, where the backup can be reached, and to a worker that works",
    source: "D1, D4; specs backup-init; reference 02 section 2.8",
    check,
};

/// Calls after which a cast goes to the host in the backup's row.
const PLACING: [&str; 4] = ["api_create", "api_restore", "api_delete", "api_force_delete"];
/// From one worker's success to the moment from which the others leave the requests to it: their reading of its row may be
/// that old.
const SETTLED: u64 = SEC;

/// Every row as the transactions so far have left it, by table and id.
#[derive(Default)]
struct Rows<'h>(BTreeMap<(&'h str, &'h str), &'h Value>);

impl<'h> Rows<'h> {
    fn get(&self, table: &'h str, id: &'h str) -> &'h Value {
        self.0.get(&(table, id)).copied().unwrap_or(&Value::Null)
    }

    fn apply(&mut self, changes: &'h [RowChange]) {
        for change in changes {
            self.0.insert((&change.table, &change.id), &change.after);
        }
    }

    fn workers(&self, host: &'h str) -> impl Iterator<Item = &'h Value> + '_ {
        let of_host =
            move |((table, id), _): &(&(&'h str, &'h str), &&'h Value)| *table == "services" && host_of(id) == host;
        self.0.iter().filter(of_host).map(|(_, row)| *row)
    }

    fn is_bound(&self, host: &'h str) -> bool {
        self.workers(host).any(|row| truth(&row["host_bound"]))
    }
}

/// The driver's calls that run, by the process and the call's number: method and backup.
type Running<'h> = BTreeMap<(&'h str, u64), (&'h str, &'h str)>;

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let (clock, timelines) = (DbClock::of(history), timelines(history));
    let mut rows = Rows::default();
    let mut running = Running::new();
    for record in &history.records {
        match &record.entry {
            Entry::Commit { call, changes, outbox } => {
                if PLACING.contains(&call.as_str()) {
                    for change in changes.iter().filter(|change| is_placed(change)) {
                        placed(history, &mut tally, &rows, record.t_ns, clock.at(record.t_ns), change);
                    }
                }
                rows.apply(changes);
                for note in outbox {
                    let host = note.publisher_id.strip_prefix("backup.").unwrap_or_default();
                    taken(history, &mut tally, &timelines, record.t_ns, host, &note.message);
                    if call == "cleanup_one" {
                        cleaned_up(&mut tally, &running, record.t_ns, &note.message);
                    }
                }
            }
            Entry::Driver { phase: Phase::Invoke, call, method, backup_id: Some(id), .. } => {
                worked_on(&mut tally, &rows, record, method, id);
                running.insert((&record.host, *call), (method, id));
            }
            Entry::Driver { call, .. } => drop(running.remove(&(record.host.as_str(), *call))),
            entry if stops(entry) => running.retain(|(host, _), _| *host != record.host),
            _ => {}
        }
    }
    tally.finish()
}

fn worked_on<'h>(tally: &mut Tally, rows: &Rows<'h>, record: &'h Record, method: &str, id: &'h str) {
    let row = rows.get("backups", id);
    let wanted = [("backup", "creating"), ("restore", "restoring")];
    if wanted.contains(&(method, text(&row["status"]))) {
        tally.require(
            text(&row["host"]) == host_of(&record.host),
            record.t_ns,
            "a backup is worked on by the host in its row [D1]",
            || format!("{method} of {id} on {}", row["host"]),
            || format!("on {}", record.host),
        );
    }
}

/// Clean-up ends what its own process left: nothing that runs in another one.
fn cleaned_up(tally: &mut Tally, running: &Running<'_>, t_ns: u64, message: &Value) {
    let method = match text(&message["event_type"]) {
        "backup.create.error" => "backup",
        "backup.restore.error" => "restore",
        _ => return,
    };
    let id = text(&message["payload"]["backup_id"]);
    let runs = running.iter().find(|(_, call)| **call == (method, id)).map(|((worker, _), _)| *worker);
    tally.require(
        runs.is_none(),
        t_ns,
        "clean-up at start does not touch what another worker is doing [workers; reference 08]",
        || format!("{method} of {id} left to {}", runs.unwrap_or_default()),
        || format!("{} at {}", text(&message["event_type"]), at(t_ns)),
    );
}

/// The request's own row: one that the API itself has deleted goes nowhere, and a parent's is only counted.
fn is_placed(change: &RowChange) -> bool {
    change.table == "backups" && ["creating", "restoring", "deleting"].contains(&text(&change.after["status"]))
}

fn placed<'h>(history: &'h History, tally: &mut Tally, rows: &Rows<'h>, t_ns: u64, now: u64, change: &'h RowChange) {
    let (before, after) = (&change.before, &change.after);
    let host = text(&after["host"]);
    let name = format!("{} of {}", text(&after["status"]), change.id);
    let up: Vec<&Value> =
        rows.workers(host).filter(|row| state_of_row(row, now, down_time(history)) == ServiceState::Up).collect();
    tally.require(
        !up.is_empty(),
        t_ns,
        "a request goes to a host that is up, by the rows of that instant [D1, D4]",
        || format!("{name} to a host with a worker that is up"),
        || format!("to {host:?}, rows {:?}", rows.workers(host).collect::<Vec<_>>()),
    );
    let volume = rows.get("volumes", text(&after["volume_id"]));
    let own_zone = Some(text(&after["availability_zone"])).filter(|zone| !zone.is_empty());
    let zone = own_zone.unwrap_or(if before.is_null() { text(&volume["availability_zone"]) } else { "" });
    tally.require(
        zone.is_empty() || up.iter().any(|row| text(&row["availability_zone"]) == zone),
        t_ns,
        "a request goes to a host of its zone [D1]",
        || format!("{name} to a host in {zone}"),
        || format!("to {host}, zones {:?}", up.iter().map(|row| &row["availability_zone"]).collect::<Vec<_>>()),
    );
    let source = if before.is_null() { rows.get("backups", text(&after["parent_id"])) } else { before };
    let last = text(&source["host"]);
    tally.require(
        last.is_empty() || !rows.is_bound(last) || last == host,
        t_ns,
        "what only one host can reach is worked on there [D1, D4: host_bound]",
        || format!("{name} to {last}"),
        || format!("to {host}"),
    );
    if flag(history, "backup_use_same_host", false) {
        let same = if before.is_null() { text(&volume["host"]) } else { text(&before["host"]) };
        tally.require(
            same.is_empty() || same == host || rows.is_bound(last),
            t_ns,
            "with backup_use_same_host the volume's or the backup's own host is chosen [reference 02]",
            || format!("{name} to {same}"),
            || format!("to {host}"),
        );
    }
}

/// A request that ends for want of a working driver, although another worker of the same host could have taken it.
fn taken(history: &History, tally: &mut Tally, timelines: &Timelines, t_ns: u64, host: &str, message: &Value) {
    let down = down_time(history);
    let workers: Vec<_> = timelines.iter().filter(|(worker, _)| host_of(worker) == host).collect();
    let refused = text(&message["payload"]["fail_reason"]).starts_with("service_down");
    if workers.len() < 2 || !refused || text(&message["priority"]) != "ERROR" {
        return;
    }
    let up = |when| workers.iter().find(|(_, row)| state_at(row, when, down) == Some(ServiceState::Up));
    let before = up(t_ns.saturating_sub(SETTLED)).map(|(worker, _)| worker.as_str());
    let now = up(t_ns).map(|(worker, _)| worker.as_str());
    tally.require(
        before.is_none() || before != now,
        t_ns,
        "a worker that is not working takes no request while another one of its host is [D1, workers]",
        || format!("{} taken by {}", text(&message["event_type"]), before.unwrap_or_default()),
        || format!("{} at {}", message["payload"]["fail_reason"], at(t_ns)),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, HOST, Script, VOLUME, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn service(script: Script, id: &str, zone: &str, bound: bool) -> Script {
        let row = json!({
            "host": host_of(id), "availability_zone": zone, "started_at": 0, "working": true, "reason": null,
            "last_heartbeat": 1_000_000_000_u64, "host_bound": bound,
        });
        script.at(1000).row("services", id, row)
    }

    /// A volume in az-1; the first host in az-1, the second in az-2.
    fn world(bound: bool) -> Script {
        let volume = json!({ "availability_zone": "az-1", "host": "backup-host-2", "status": "available" });
        let script = service(script().row("volumes", VOLUME, volume), HOST, "az-1", bound);
        service(script, "backup-host-2", "az-2", false)
    }

    fn asks(script: Script, ms: u64, call: &str, before: Value, patch: Value) -> Script {
        let mut after = json!({ "volume_id": VOLUME, "availability_zone": null, "parent_id": null });
        for (name, value) in patch.as_object().expect("a patch is an object") {
            after[name] = value.clone();
        }
        let (table, id) = ("backups".to_owned(), BACKUP.to_owned());
        let changes = vec![RowChange { table, id, before, after }];
        script.at(ms).record("db", Entry::Commit { call: call.to_owned(), changes, outbox: vec![] })
    }

    fn creates(script: Script, ms: u64, patch: Value) -> Script {
        let mut row = json!({ "status": "creating", "host": HOST });
        row.as_object_mut().expect("an object").extend(patch.as_object().expect("an object").clone());
        asks(script, ms, "api_create", Value::Null, row)
    }

    #[test]
    fn a_request_goes_to_a_host_that_is_up_in_its_zone() {
        // The heartbeat of 1 s is 60 s old at 61 s.
        judge("fresh", creates(world(false), 61_000, json!({})), "ok");
        judge("stale", creates(world(false), 61_001, json!({})), "to a host that is up");
        judge("unknown host", creates(world(false), 2000, json!({ "host": "backup-host-9" })), "to a host that is up");
        let other = json!({ "host": "backup-host-2" });
        judge("zone of the volume", creates(world(false), 2000, other), "to a host of its zone");
        let asked = json!({ "host": "backup-host-2", "availability_zone": "az-2" });
        judge("zone asked for", creates(world(false), 2000, asked), "ok");
        judge("nothing asked", world(false), "none");
    }

    #[test]
    fn a_bound_backup_stays_on_its_host() {
        let before = json!({ "status": "available", "host": HOST, "availability_zone": null });
        let restored = |bound, host: &str| {
            let patch = json!({ "status": "restoring", "host": host });
            asks(world(bound), 2000, "api_restore", before.clone(), patch)
        };
        judge("bound", restored(true, HOST), "ok");
        judge("bound, elsewhere", restored(true, "backup-host-2"), "is worked on there");
        judge("shared", restored(false, "backup-host-2"), "ok");
        let parent = "b0000000-0000-4000-8000-000000000002";
        let incremental = |bound| {
            let script = world(bound).row("backups", parent, json!({ "status": "available", "host": HOST }));
            let row = json!({ "host": "backup-host-2", "availability_zone": "az-2", "parent_id": parent });
            creates(script, 2000, row)
        };
        judge("incremental of a bound parent", incremental(true), "is worked on there");
        judge("incremental of a shared one", incremental(false), "ok");
    }

    #[test]
    fn the_same_host_is_chosen_where_asked_for() {
        let same = |script: Script| script.option("backup_use_same_host", "true");
        let there = json!({ "host": "backup-host-2", "availability_zone": "az-2" });
        judge("the volume's", creates(same(world(false)), 2000, there), "ok");
        judge("another", creates(same(world(false)), 2000, json!({})), "own host is chosen");
        let before = json!({ "status": "available", "host": HOST });
        let patch = json!({ "status": "deleting", "host": "backup-host-2" });
        judge("delete elsewhere", asks(same(world(false)), 2000, "api_delete", before, patch), "own host is chosen");
    }

    #[test]
    fn the_host_of_the_row_does_the_work() {
        let runs = |host: &str| {
            let (method, backup_id) = ("backup".to_owned(), Some(BACKUP.to_owned()));
            let call = Entry::Driver { phase: Phase::Invoke, call: 1, method, backup_id, failure: None };
            creates(world(false), 2000, json!({})).record(host, call)
        };
        judge("its host", runs(HOST), "ok");
        judge("a worker of it", runs("backup-host-1#1"), "ok");
        judge("another host", runs("backup-host-2"), "by the host in its row");
    }

    #[test]
    fn a_worker_that_does_not_work_leaves_requests_to_one_that_does() {
        let refused = |script: Script, ms| {
            let reason = json!({ "fail_reason": "service_down: create: x" });
            script.at(ms).note_with("backup.create.error", reason)
        };
        let two = |working: bool| {
            let row = json!({ "working": working, "reason": "auth: x", "started_at": 0, "last_heartbeat": null });
            service(script(), HOST, "az-1", false).row("services", "backup-host-1#1", row.clone()).row(
                "services",
                HOST,
                json!({ "working": working }),
            )
        };
        judge("while another works", refused(two(true), 5000), "takes no request while another");
        judge("while none does", refused(two(false), 5000), "ok");
        judge("it has just begun to", refused(two(true), 1500), "ok");
        judge("alone", refused(service(script(), HOST, "az-1", false), 5000), "none");
    }

    #[test]
    fn clean_up_leaves_alone_what_another_worker_does() {
        let call = |phase| {
            let (method, backup_id) = ("backup".to_owned(), Some(BACKUP.to_owned()));
            Entry::Driver { phase, call: 1, method, backup_id, failure: None }
        };
        let runs = || creates(world(false), 2000, json!({})).record(HOST, call(Phase::Invoke));
        let cleaned = |mut script: Script| {
            let payload = json!({ "backup_id": BACKUP, "fail_reason": "internal: init_host: x" });
            let message = script.message("backup.backup-host-1", "backup.create.error", payload);
            let entry = Entry::Commit { call: "cleanup_one".to_owned(), changes: vec![], outbox: vec![message] };
            script.at(9000).record("db", entry)
        };
        judge("it runs", cleaned(runs()), "does not touch what another worker");
        judge("its process has ended", cleaned(runs().host_event("crashed")), "ok");
        judge("it has ended", cleaned(runs().record(HOST, call(Phase::Ok))), "ok");
    }
}
