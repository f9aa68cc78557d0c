//! Delivery: what arrives at the collector is the outbox, in order per publisher, at least once, all of it.

use std::collections::{BTreeMap, BTreeSet};

use clinker_model::history::{Entry, History};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::{Note, SEC, disturbed, end_ns, notes, progress_type, text};

pub const CHECKER: Checker = Checker {
    name: "delivery",
    about: "every notification arrives at least once, unchanged and in order per publisher",
    source: "D5; B-NOTE-008",
    check,
};

/// Younger notifications may still be on their way when the run ends.
const ON_THE_WAY: u64 = 5 * SEC;

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let notes = notes(history);
    ids(&mut tally, &notes);
    let arrivals = arrivals(history, &mut tally, &notes);
    let mut publishers: BTreeMap<&str, Vec<&Note<'_>>> = BTreeMap::new();
    for note in &notes {
        publishers.entry(&note.row.publisher_id).or_default().push(note);
    }
    for (publisher, sent) in publishers {
        // Each priority has a queue of its own: while a listener is away what waits in one is not ordered to the other.
        if disturbed(history, &["broker", "collector"], 0, end_ns(history)) {
            for priority in ["INFO", "ERROR"] {
                let sent: Vec<&Note<'_>> =
                    sent.iter().filter(|note| note.field("priority") == priority).copied().collect();
                order(&mut tally, publisher, &sent, &arrivals);
            }
        } else {
            order(&mut tally, publisher, &sent, &arrivals);
        }
        complete(history, &mut tally, &sent, &arrivals);
    }
    tally.finish()
}

/// Message ids and outbox numbers are unique; numbers rise in the order of the transactions.
fn ids(tally: &mut Tally, notes: &[Note<'_>]) {
    let mut seen = BTreeSet::new();
    let mut last = None;
    for note in notes {
        let id = text(note.field("message_id"));
        tally.require(
            seen.insert(id),
            note.t_ns,
            "message_id is unique [D5]",
            || "an id of its own".to_owned(),
            || format!("{id} again, at {}", at(note.t_ns)),
        );
        tally.require(
            last.is_none_or(|last| note.row.seq > last),
            note.t_ns,
            "outbox numbers rise in the order of the transactions [D5]",
            || format!("more than {last:?}"),
            || note.row.seq.to_string(),
        );
        last = Some(note.row.seq);
    }
}

/// First arrival of each message id, as its position among all arrivals. Unknown and changed messages are breaches.
fn arrivals(history: &History, tally: &mut Tally, notes: &[Note<'_>]) -> BTreeMap<String, usize> {
    let sent: BTreeMap<&str, &Note<'_>> = notes.iter().map(|note| (text(note.field("message_id")), note)).collect();
    let mut first = BTreeMap::new();
    let mut unique: BTreeMap<String, String> = BTreeMap::new();
    let mut position = 0;
    for record in &history.records {
        let Entry::Event { message } = &record.entry else { continue };
        let message = unwrapped(message);
        let id = text(&message["message_id"]).to_owned();
        let fields = ["publisher_id", "event_type", "priority", "payload", "timestamp"];
        let same =
            sent.get(id.as_str()).is_some_and(|note| fields.iter().all(|name| message[name] == *note.field(name)));
        tally.require(
            same,
            record.t_ns,
            "a message arrives as it was put into the outbox [D5]",
            || sent.get(id.as_str()).map_or("a message of the outbox".to_owned(), |note| note.row.message.to_string()),
            || message.to_string(),
        );
        if let Some(own) = message["_unique_id"].as_str() {
            let other = unique.entry(own.to_owned()).or_insert_with(|| id.clone());
            tally.require(
                *other == id,
                record.t_ns,
                "_unique_id belongs to one message only [D5]",
                || format!("{own} for {other}"),
                || format!("also for {id}"),
            );
        }
        first.entry(id).or_insert(position);
        position += 1;
    }
    first
}

/// The notification itself, out of the envelope of messagingv2.
pub(super) fn unwrapped(message: &Value) -> Value {
    let inner = message.get("oslo.message").and_then(Value::as_str);
    inner.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| message.clone())
}

fn order(tally: &mut Tally, publisher: &str, sent: &[&Note<'_>], arrivals: &BTreeMap<String, usize>) {
    let mut last: Option<(usize, &Note<'_>)> = None;
    for note in sent {
        let Some(position) = arrivals.get(text(note.field("message_id"))) else { continue };
        tally.require(
            last.is_none_or(|(before, _)| before < *position),
            note.t_ns,
            "notifications of one publisher arrive in the order of the outbox [D5]",
            || format!("{publisher}: {} (number {}) later", note.event_type(), note.row.seq),
            || format!("it came before {:?}", last.map(|(_, note)| (note.event_type(), note.row.seq))),
        );
        last = Some((*position, note));
    }
}

/// Only a progress note below 100 may be missing, in favour of a newer one, and only if a fault kept it waiting.
fn complete(history: &History, tally: &mut Tally, sent: &[&Note<'_>], arrivals: &BTreeMap<String, usize>) {
    let progress_type = progress_type(history);
    let end = end_ns(history);
    for (index, note) in sent.iter().enumerate() {
        let arrived = arrivals.contains_key(text(note.field("message_id")));
        let newer = |later: &&&Note<'_>| {
            later.event_type() == progress_type
                && later.backup_id() == note.backup_id()
                && arrivals.contains_key(text(later.field("message_id")))
        };
        let replaced = note.event_type() == progress_type
            && note.percent().is_some_and(|percent| percent < 100.0)
            && !history.header.plan.faults.is_empty()
            && sent[index + 1..].iter().any(|later| newer(&later));
        tally.require(
            arrived || replaced || note.t_ns + ON_THE_WAY > end,
            note.t_ns,
            "every notification arrives at the collector [D5]",
            || format!("{} (number {}) of {}", note.event_type(), note.row.seq, note.row.publisher_id),
            || format!("not arrived by {}", at(end)),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, Script, script};
    use clinker_model::fault::{Fault, HostTarget};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn sent() -> Script {
        script().note("backup.create.start", "creating").progress(0.0).progress(100.0).at(60_000)
    }

    fn message(script: &Script, index: usize) -> Value {
        notes(&script.history)[index].row.message.clone()
    }

    fn arrive(order: &[usize]) -> Script {
        let script = sent();
        let messages: Vec<Value> = order.iter().map(|index| message(&script, *index)).collect();
        messages.into_iter().fold(script, Script::arrives)
    }

    #[test]
    fn everything_arrives_in_order_at_least_once() {
        judge("once", sent().delivered(), "ok");
        judge("twice", arrive(&[0, 1, 0, 1, 2]), "ok");
        judge("swapped", arrive(&[1, 0, 2]), "in the order of the outbox");
        judge("lost", arrive(&[0, 1]), "every notification arrives");
        judge("nothing sent", script(), "none");
    }

    #[test]
    fn priorities_keep_their_own_order_while_the_listener_is_away() {
        let run = |order: &[usize]| {
            let script = script().note("backup.create.start", "creating").note("backup.create.error", "error");
            let script = script.note("backup.delete.start", "deleting").at(60_000);
            let messages: Vec<Value> = order.iter().map(|index| message(&script, *index)).collect();
            messages.into_iter().fold(script, Script::arrives)
        };
        let away = || Fault::Refuse(HostTarget { host: "broker".to_owned() });
        judge("no fault", run(&[0, 2, 1]), "in the order of the outbox");
        judge("across queues", run(&[0, 2, 1]).fault(0, Some(10), away()), "ok");
        judge("in one queue", run(&[2, 0, 1]).fault(0, Some(10), away()), "in the order of the outbox");
    }

    #[test]
    fn only_progress_may_give_way_to_newer_progress() {
        let hold = || Fault::Hold(HostTarget { host: "backup-host-1".to_owned() });
        judge("without a fault", arrive(&[0, 2]), "every notification arrives");
        judge("after a fault", arrive(&[0, 2]).fault(0, Some(10), hold()), "ok");
        judge("100.0 itself", arrive(&[0, 1]).fault(0, Some(10), hold()), "every notification arrives");
    }

    #[test]
    fn messages_arrive_unchanged() {
        let wrapped = |message: &Value| json!({ "oslo.version": "2.0", "oslo.message": message.to_string() });
        let envelope = |tamper: bool| {
            let script = script().note("backup.create.start", "creating");
            let mut message = message(&script, 0);
            if tamper {
                message["payload"]["size"] = json!(2);
            }
            script.arrives(wrapped(&message))
        };
        judge("in its envelope", envelope(false), "ok");
        judge("changed", envelope(true), "as it was put into the outbox");
    }

    #[test]
    fn ids_are_unique() {
        let mut twice = sent().delivered();
        let first = message(&twice, 0)["message_id"].clone();
        if let Entry::Commit { outbox, .. } = &mut twice.history.records[1].entry {
            outbox[0].message["message_id"] = first;
        }
        judge("twice", twice, "message_id is unique");
        let shared = |id: &str| {
            let script = script().note("backup.create.start", "creating").note("backup.create.end", "available");
            let (mut one, mut two) = (message(&script, 0), message(&script, 1));
            one["_unique_id"] = json!("a");
            two["_unique_id"] = json!(id);
            script.arrives(one).arrives(two)
        };
        judge("own", shared("b"), "ok");
        judge("shared", shared("a"), "_unique_id belongs to one message");
    }
}
