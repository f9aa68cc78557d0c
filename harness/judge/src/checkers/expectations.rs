//! Expectations: what the scenario says must have come of it, and which requests the API must refuse.

use clinker_model::history::{Entry, History, Phase, Record};
use clinker_model::plan::Step;
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::Tally;
use crate::view::{end_ns, final_rows, text};

pub const CHECKER: Checker = Checker {
    name: "expectations",
    about: "final statuses, reasons and refusals are those of the scenario",
    source: "the scenario's [expect] and `refused`; D4",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let expect = &history.header.plan.expect;
    for (name, status) in &expect.backup {
        final_status(history, &mut tally, "backups", name, status);
    }
    for (name, status) in &expect.volume {
        final_status(history, &mut tally, "volumes", name, status);
    }
    for (name, status) in &expect.snapshot {
        final_status(history, &mut tally, "snapshots", name, status);
    }
    for (name, piece) in &expect.reason {
        let row = named(history, "backups", name);
        let reason = row.map_or("", |row| text(&row["fail_reason"]));
        tally.require(
            reason.contains(piece.as_str()),
            end_ns(history),
            "the backup ends with the reason the scenario expects [scenario: expect.reason]",
            || format!("{name}: a fail_reason with {piece:?}"),
            || row.map_or("no such backup".to_owned(), |row| row["fail_reason"].to_string()),
        );
    }
    for (name, count) in &expect.objects {
        objects(history, &mut tally, name, *count);
    }
    for (name, told) in &expect.messages {
        messages(history, &mut tally, name, told);
    }
    answers(history, &mut tally);
    tally.finish()
}

/// The id of the last backup that was imported under the name: its row has another, or none.
fn imported<'h>(history: &'h History, name: &str) -> Option<&'h str> {
    let steps = &history.header.plan.steps;
    let mut ids = history.records.iter().filter_map(|record| match &record.entry {
        Entry::Op { phase: Phase::Ok, step, value, .. } => match &steps.get(*step)?.step {
            Step::Import(import) if import.name == name => value["backup_id"].as_str(),
            _ => None,
        },
        _ => None,
    });
    ids.next_back()
}

/// The newest row with a display name.
fn named<'h>(history: &'h History, table: &str, name: &str) -> Option<&'h Value> {
    let rows = final_rows(history, table);
    if let Some(row) = imported(history, name).filter(|_| table == "backups").and_then(|id| rows.get(id)) {
        return Some(row);
    }
    let own = rows.values().filter(|row| row["display_name"] == name);
    own.copied().max_by_key(|row| (text(&row["created_at"]).to_owned(), text(&row["id"]).to_owned()))
}

fn final_status(history: &History, tally: &mut Tally, table: &str, name: &str, status: &str) {
    let row = named(history, table, name);
    tally.require(
        row.is_some_and(|row| row["status"] == status),
        end_ns(history),
        "everything ends in the status the scenario expects [scenario: expect; section 5]",
        || format!("{table} {name}: {status}"),
        || row.map_or("no such row".to_owned(), |row| format!("{}, {}", row["status"], row["fail_reason"])),
    );
}

/// So many objects of a backup are left in the store, half-written ones included.
fn objects(history: &History, tally: &mut Tally, name: &str, count: u64) {
    let id = named(history, "backups", name).map(|row| text(&row["id"]));
    let of_backup = |record: &&Record| match (&record.entry, id) {
        (Entry::Stored { name, .. }, Some(id)) => name.contains(id),
        _ => false,
    };
    let stored = history.records.iter().filter(of_backup).count() as u64;
    tally.require(
        id.is_some() && stored == count,
        end_ns(history),
        "the store ends with as many objects of a backup as the scenario expects [scenario: expect.objects; D7]",
        || format!("{name}: {count} objects"),
        || if id.is_some() { stored.to_string() } else { "no such backup".to_owned() },
    );
}

/// The user was told so much about a backup, in this order, and has it still.
fn messages(history: &History, tally: &mut Tally, name: &str, expected: &[String]) {
    let id = named(history, "backups", name).map(|row| text(&row["id"]));
    let rows = final_rows(history, "messages");
    let mut own: Vec<&Value> = rows.values().copied().filter(|row| row["resource_uuid"].as_str() == id).collect();
    own.sort_by_key(|row| row["at"].as_u64());
    let told: Vec<String> =
        own.iter().map(|row| format!("{}_{}", text(&row["action_id"]), text(&row["detail_id"]))).collect();
    tally.require(
        id.is_some() && told == expected,
        end_ns(history),
        "the user is left with the messages that the scenario expects [scenario: expect.messages]",
        || format!("{name}: {expected:?}"),
        || if id.is_some() { format!("{told:?}") } else { "no such backup".to_owned() },
    );
}

/// A step is refused with its declared kind, or not refused at all.
fn answers(history: &History, tally: &mut Tally) {
    let steps = &history.header.plan.steps;
    for record in &history.records {
        let Entry::Op { phase, step, op, failure, .. } = &record.entry else { continue };
        let Some(planned) = steps.get(*step).filter(|planned| *phase != Phase::Invoke && !planned.maybe) else {
            continue;
        };
        let kind = failure.as_ref().filter(|_| *phase == Phase::Fail).map(|failure| failure.kind.as_str());
        tally.require(
            kind == planned.refused.as_deref() || (*phase == Phase::Info && planned.refused.is_none()),
            record.t_ns,
            "the API refuses exactly the steps that say so, with their kind of error [scenario: refused; D4]",
            || format!("step {step}, {op}: {}", planned.refused.as_deref().map_or("accepted", |kind| kind)),
            || failure.as_ref().map_or_else(|| format!("{phase:?}").to_lowercase(), |failure| failure.reason.clone()),
        );
    }
    for (step, planned) in steps.iter().enumerate().filter(|(_, planned)| planned.refused.is_some()) {
        let ended = history.records.iter().any(|record| {
            matches!(&record.entry, Entry::Op { phase, step: of, .. } if *of == step && *phase != Phase::Invoke)
        });
        tally.require(
            ended,
            end_ns(history),
            "a step that must be refused was asked for [scenario: refused]",
            || format!("an answer to step {step}, {}", planned.step.name()),
            || "none".to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use clinker_model::plan::Step;
    use clinker_model::scenario::OfBackup;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, BACKUP, Script, VOLUME, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn ended() -> Script {
        let backup = json!({ "display_name": "first", "status": "error", "fail_reason": "quota: backup: store full" });
        let volume = json!({ "display_name": "vol-1", "status": "available" });
        script().final_row("backups", BACKUP, backup).final_row("volumes", VOLUME, volume)
    }

    #[test]
    fn final_rows_are_as_expected() {
        let expect = |name: &str, status: &str| {
            ended().plan(|plan| drop(plan.expect.backup.insert(name.to_owned(), status.to_owned())))
        };
        judge("kept", expect("first", "error"), "ok");
        judge("other status", expect("first", "available"), "quota: backup: store full");
        judge("unknown", expect("second", "error"), "no such row");
        let volume = ended().plan(|plan| drop(plan.expect.volume.insert("vol-1".to_owned(), "error".to_owned())));
        judge("volume", volume, "volumes vol-1: error");
        judge("nothing expected", ended(), "none");
    }

    #[test]
    fn reasons_are_as_expected() {
        let expect =
            |piece: &str| ended().plan(|plan| drop(plan.expect.reason.insert("first".to_owned(), piece.to_owned())));
        judge("contained", expect("store full"), "ok");
        judge("not contained", expect("timeout"), "a fail_reason with");
    }

    #[test]
    fn objects_are_counted_at_the_end() {
        let row = json!({ "display_name": "first", "id": BACKUP });
        let left = |names: &[&str], count: u64| {
            let script = script().final_row("backups", BACKUP, row.clone());
            let script = names.iter().fold(script, |script, name| script.stored(name));
            script.plan(|plan| plan.expect.objects.extend([("first".to_owned(), count)]))
        };
        let (own, temporary) =
            (format!("volume_1_backup_{BACKUP}-00001"), format!(".tmp-volume_1_backup_{BACKUP}-00002"));
        judge("as many", left(&[&own, ".clinker-probe-backup-host-1"], 1), "ok");
        judge("one too many", left(&[&own, &temporary], 1), "2");
        judge("none", left(&[], 0), "ok");
        let unknown = left(&[], 0).plan(|plan| plan.expect.objects.extend([("second".to_owned(), 0)]));
        judge("unknown", unknown, "no such backup");
    }

    #[test]
    fn messages_are_as_expected() {
        let backup = json!({ "display_name": "first", "id": BACKUP });
        let told = json!({ "resource_uuid": BACKUP, "action_id": "013", "detail_id": "020", "at": 1 });
        let expect = |pairs: &[&str]| {
            let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
            let script = script().final_row("backups", BACKUP, backup.clone()).final_row("messages", "m", told.clone());
            script.plan(|plan| drop(plan.expect.messages.insert("first".to_owned(), pairs)))
        };
        judge("told", expect(&["013_020"]), "ok");
        judge("told otherwise", expect(&["013_018"]), "013_020");
        judge("none expected", expect(&[]), "013_020");
    }

    #[test]
    fn the_api_refuses_what_it_must_and_nothing_else() {
        let step = |refused: Option<&str>| {
            let backup = "first".to_owned();
            script().step(refused, Step::Delete(OfBackup { backup })).op(0, Phase::Invoke, None)
        };
        judge("accepted", step(None).op(0, Phase::Ok, None), "ok");
        judge("refused", step(Some("service_down")).op(0, Phase::Fail, Some("service_down")), "ok");
        judge("other kind", step(Some("service_down")).op(0, Phase::Fail, Some("conflict")), "service_down");
        judge("not refused", step(Some("service_down")).op(0, Phase::Ok, None), "refuses exactly");
        let maybe = |script: Script| script.plan(|plan| plan.steps[0].maybe = true);
        judge("either", maybe(step(None)).op(0, Phase::Fail, Some("conflict")), "none");
        judge("unasked refusal", step(None).op(0, Phase::Fail, Some("conflict")), "accepted");
        judge("never asked", step(Some("conflict")), "was asked for");
    }

    #[test]
    fn checks_asked_for_must_apply() {
        let asked = |name: &str| {
            let script = ended().plan(|plan| plan.expect.checks.push(name.to_owned()));
            let findings = crate::judge(&script.history);
            findings.into_iter().find(|finding| finding.checker == "expectations").expect("it always runs")
        };
        testing::check("applied", &asked("rows"), "it had nothing to check");
        testing::check("unknown", &asked("nonsense"), "there is no such check");
        testing::check("did apply", &asked("leftovers"), "ok");
    }
}
