//! The grammar of notifications: every start has exactly one end or error, progress lies between, priorities fit.

use std::collections::BTreeMap;

use clinker_model::history::History;
use clinker_model::verdict::Finding;

use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::{Note, end_ns, notes, progress_type, text};

pub const CHECKER: Checker = Checker {
    name: "events",
    about: "every start is followed by exactly one end or error, and nothing after it",
    source: "D5; spec backup-notification; B-NOTE-001..004, 006, 007",
    check,
};

const OPERATIONS: [&str; 4] = ["create", "restore", "delete", "reset_status"];

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let progress_type = progress_type(history);
    let mut open: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for note in notes(history) {
        let name = format!("{} of {} at {}", note.event_type(), object(&note), at(note.t_ns));
        priority_and_publisher(&mut tally, &note, &name);
        match note.parts(&progress_type) {
            Some(("init", "end" | "error")) => {}
            Some((operation, part)) if OPERATIONS.contains(&operation) => {
                grammar(&mut tally, &mut open, &note, operation, part, &name);
                outcome(&mut tally, &note, operation, part, &name);
            }
            _ => unknown(&mut tally, &note, &name),
        }
    }
    for ((backup, operation), since) in open {
        tally.broken(
            end_ns(history),
            "every start is followed by exactly one end or error [D5]",
            format!("an end or error of {operation} of {backup}, started at {}", at(since)),
            "none until the end of the run",
        );
    }
    tally.finish()
}

fn object<'h>(note: &Note<'h>) -> &'h str {
    if note.backup_id().is_empty() { note.host() } else { note.backup_id() }
}

fn unknown(tally: &mut Tally, note: &Note<'_>, name: &str) {
    let rule = "event types are those of the notification list [D5]";
    tally.broken(note.t_ns, rule, "a known event type", name);
}

fn priority_and_publisher(tally: &mut Tally, note: &Note<'_>, name: &str) {
    let wanted = if note.event_type().ends_with(".error") { "ERROR" } else { "INFO" };
    tally.require(
        text(note.field("priority")) == wanted,
        note.t_ns,
        "errors have priority ERROR, everything else INFO [D5]",
        || format!("{name}: {wanted}"),
        || note.field("priority").to_string(),
    );
    let publisher = text(note.field("publisher_id"));
    tally.require(
        publisher == note.row.publisher_id && publisher.starts_with("backup.") && !note.host().is_empty(),
        note.t_ns,
        "the publisher is backup.<host>, in the message as in the outbox [D5]",
        || format!("{name}: publisher {}", note.row.publisher_id),
        || format!("publisher {publisher:?}"),
    );
}

fn grammar<'h>(
    tally: &mut Tally,
    open: &mut BTreeMap<(&'h str, &'h str), u64>,
    note: &Note<'h>,
    operation: &'h str,
    part: &str,
    name: &str,
) {
    let key = (note.backup_id(), operation);
    let running = open.contains_key(&key);
    let fits = match part {
        "start" => !running,
        "end" | "error" => running,
        "progress" => running && operation == "create",
        _ => return unknown(tally, note, name),
    };
    tally.require(
        fits,
        note.t_ns,
        "one start, progress of a create only, then exactly one end or error and nothing more [D5]",
        || {
            if running {
                format!("an end or error of {operation} first")
            } else {
                format!("a start of {operation} first")
            }
        },
        || name.to_owned(),
    );
    match part {
        "start" => drop(open.insert(key, note.t_ns)),
        "end" | "error" => drop(open.remove(&key)),
        _ => {}
    }
}

/// What a terminal event claims: the goal's status, or a reason.
fn outcome(tally: &mut Tally, note: &Note<'_>, operation: &str, part: &str, name: &str) {
    let reason = note.payload("fail_reason");
    if part == "error" {
        tally.require(
            !text(reason).is_empty(),
            note.t_ns,
            "an error event says why in fail_reason [D5]",
            || format!("{name}: a reason"),
            || reason.to_string(),
        );
    }
    let goal = match (operation, part) {
        ("create" | "restore", "end") => "available",
        ("delete", "end") => "deleted",
        _ => return,
    };
    tally.require(
        note.payload("status") == goal,
        note.t_ns,
        "an end means that the goal was reached [D5, section 5]",
        || format!("{name}: status {goal}"),
        || format!("status {}", note.payload("status")),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn started() -> Script {
        script().note("backup.create.start", "creating").at(10)
    }

    #[test]
    fn every_start_has_exactly_one_end_or_error() {
        judge("end", started().note("backup.create.end", "available"), "ok");
        judge("error", started().note("backup.create.error", "error"), "ok");
        judge("neither", started(), "none until the end of the run");
        judge(
            "both",
            started().note("backup.create.error", "error").note("backup.create.end", "available"),
            "one start",
        );
        judge("two starts", started().note("backup.create.start", "creating"), "an end or error of create first");
        judge("no start", script().note("backup.delete.end", "deleted"), "a start of delete first");
        judge("nothing", script(), "none");
    }

    #[test]
    fn a_forced_delete_runs_beside_its_create() {
        let forced = started().note("backup.delete.start", "deleting").note("backup.create.error", "deleting");
        judge("interleaved", forced.note("backup.delete.end", "deleted"), "ok");
    }

    #[test]
    fn progress_lies_between_start_and_terminal_event() {
        judge("between", started().progress(0.0).note("backup.create.end", "available"), "ok");
        judge("after", started().note("backup.create.error", "error").progress(12.5), "a start of create first");
        let renamed = script().option("backup_progress_event_type", "backup.create.progress");
        let renamed = renamed.note("backup.create.start", "creating").note("backup.create.progress", "creating");
        judge("renamed", renamed.note("backup.create.end", "available"), "ok");
    }

    #[test]
    fn an_end_reached_its_goal_and_an_error_says_why() {
        judge("not available", started().note("backup.create.end", "deleting"), "goal was reached");
        let mute = json!({ "status": "error", "fail_reason": null });
        judge("no reason", started().note_with("backup.create.error", mute), "says why in fail_reason");
    }

    #[test]
    fn priority_publisher_and_type_are_exact() {
        let ended = || started().note("backup.create.error", "error");
        let tampered = |field: &str, value: &str| {
            let mut script = ended();
            if let clinker_model::Entry::Commit { outbox, .. } = &mut script.history.records[1].entry {
                outbox[0].message[field] = value.into();
            }
            script
        };
        judge("untouched", ended(), "ok");
        judge("priority", tampered("priority", "INFO"), "errors have priority ERROR");
        judge("publisher", tampered("publisher_id", "backup.other"), "the publisher is backup.<host>");
        judge("type", script().note("backup.create.finish", "available"), "event types are those");
    }
}
