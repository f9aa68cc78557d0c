//! Operations end in bounded time after heal.

use std::collections::BTreeMap;

use clinker_model::history::History;
use clinker_model::verdict::Finding;

use super::Rule;
use crate::Checker;
use crate::tally::at;
use crate::view::{SEC, heal_ns, notes, progress_type, span_of};

pub const OPERATION_END: Checker = Checker {
    name: "operation_end",
    about: "an operation ends by max(its start, heal) + 600 s",
    source: "D5, section 5; liveness; B-FLT-001",
    check,
};

/// How long after heal, or after its own start, an operation may still take.
const BOUND: u64 = 600 * SEC;

fn check(history: &History) -> Finding {
    let mut rule = Rule::new(&OPERATION_END, history);
    if history.header.plan.faults.iter().any(|planned| span_of(planned).1 == u64::MAX) {
        return rule.finish();
    }
    let progress_type = progress_type(history);
    let mut started: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for note in notes(history) {
        let Some((operation, part)) = note.parts(&progress_type).filter(|_| !note.backup_id().is_empty()) else {
            continue;
        };
        if part == "start" {
            started.insert((note.backup_id(), operation), note.t_ns);
        }
        let Some(since) = started.get(&(note.backup_id(), operation)).filter(|_| matches!(part, "end" | "error"))
        else {
            continue;
        };
        let by = heal_ns(history).max(*since).saturating_add(BOUND);
        rule.require(
            note.t_ns <= by,
            note.t_ns,
            || format!("the end of {operation} of {} by {}", note.backup_id(), at(by)),
            || format!("{} at {}", note.event_type(), at(note.t_ns)),
        );
    }
    rule.finish()
}

#[cfg(test)]
mod tests {
    use clinker_model::fault::{Fault, HostTarget};

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    const S: u64 = 1_000_000_000;

    #[test]
    fn operations_end_in_bounded_time() {
        let ended = |script: Script, ns| {
            script.at(1000).note("backup.create.start", "creating").at_ns(ns).note("backup.create.end", "available")
        };
        judge("at the bound", ended(script(), 601 * S), "ok");
        judge("1 ns later", ended(script(), 601 * S + 1), "operation_end: the end of create");
        let faulty = || script().fault(0, Some(100), Fault::Hold(HostTarget { host: "store".to_owned() }));
        judge("counted from heal", ended(faulty(), 700 * S), "ok");
        judge("counted from heal, 1 ns later", ended(faulty(), 700 * S + 1), "by 700.000 s");
        judge("nothing started", script(), "none");
    }
}
