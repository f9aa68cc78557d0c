//! What the collector can tell: to every start that has arrived belongs exactly one end or error that has arrived.

use std::collections::{BTreeMap, BTreeSet};

use clinker_model::history::{Entry, History};
use clinker_model::verdict::Finding;

use super::delivery::unwrapped;
use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::{SEC, end_ns, notes, text};

pub const CHECKER: Checker = Checker {
    name: "collected",
    about: "at the collector every start has exactly one end or error, whatever came twice",
    source: "D5; B-NOTE-008",
    check,
};

/// Younger notifications may still be on their way when the run ends.
const ON_THE_WAY: u64 = 5 * SEC;

#[derive(Default)]
struct Count {
    starts: u64,
    ends: u64,
    last: u64,
}

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let mut ids = BTreeSet::new();
    let mut counts: BTreeMap<(String, String), Count> = BTreeMap::new();
    for record in &history.records {
        let Entry::Event { message } = &record.entry else { continue };
        let message = unwrapped(message);
        let event_type = text(&message["event_type"]);
        let Some((operation, part)) = operation(event_type) else { continue };
        if !ids.insert(text(&message["message_id"]).to_owned()) {
            continue;
        }
        let key = (text(&message["payload"]["backup_id"]).to_owned(), operation.to_owned());
        let count = counts.entry(key).or_default();
        count.last = record.t_ns;
        match part {
            "start" => count.starts += 1,
            _ => count.ends += 1,
        }
    }
    let waiting = on_the_way(history);
    for ((backup, operation), count) in counts {
        tally.require(
            count.starts == count.ends || waiting.contains(&(backup.as_str(), operation.as_str())),
            count.last,
            "at the collector every start has exactly one end or error, repetitions counted once [D5]",
            || format!("as many ends as starts of {operation} of {backup} ({})", count.starts),
            || format!("{}, until {}", count.ends, at(end_ns(history))),
        );
    }
    tally.finish()
}

/// Operation and part of an event that begins or ends one.
fn operation(event_type: &str) -> Option<(&str, &str)> {
    let (operation, part) = event_type.strip_prefix("backup.")?.split_once('.')?;
    (operation != "init" && matches!(part, "start" | "end" | "error")).then_some((operation, part))
}

/// Operations of which something was emitted so late that it need not have arrived.
fn on_the_way(history: &History) -> BTreeSet<(&str, &str)> {
    let end = end_ns(history);
    let late = notes(history).into_iter().filter(|note| note.t_ns + ON_THE_WAY > end);
    late.filter_map(|note| Some((note.backup_id(), operation(text(note.field("event_type")))?.0))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    /// A create that ends; of its messages these arrive.
    fn arrive(order: &[usize]) -> Script {
        let script = script().note("backup.create.start", "creating").progress(100.0);
        let script = script.note("backup.create.end", "available").at(60_000);
        let messages: Vec<Value> =
            order.iter().map(|index| notes(&script.history)[*index].row.message.clone()).collect();
        messages.into_iter().fold(script, Script::arrives)
    }

    #[test]
    fn every_start_has_one_end_at_the_collector() {
        judge("all", arrive(&[0, 1, 2]), "ok");
        judge("twice", arrive(&[0, 1, 2, 0, 2]), "ok");
        judge("no progress", arrive(&[0, 2]), "ok");
        judge("the end is lost", arrive(&[0, 1]), "as many ends as starts of create");
        judge("the start is lost", arrive(&[1, 2]), "as many ends as starts of create");
        judge("nothing arrives", arrive(&[]), "none");
    }

    #[test]
    fn two_ends_of_one_start_are_one_too_many() {
        let script = script().note("backup.create.start", "creating").note("backup.create.error", "error");
        judge("two", script.note("backup.create.end", "available").at(60_000).delivered(), "as many ends as starts");
    }

    #[test]
    fn what_was_just_emitted_may_be_on_its_way() {
        let script = script().note("backup.create.start", "creating").at(58_000).note("backup.create.end", "available");
        let first = notes(&script.history)[0].row.message.clone();
        judge("young", script.at(60_000).arrives(first), "ok");
    }
}
