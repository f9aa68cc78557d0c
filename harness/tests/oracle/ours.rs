//! What our service does in the same case: a scenario, played whole, and its history in the words of an outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use clinker::loader;
use clinker::run::{Parts, Run, play};
use clinker_drivers::Options;
use clinker_model::fault::HostTarget;
use clinker_model::history::{History, Phase};
use clinker_model::plan::{Plan, PlannedFault, Step};
use clinker_model::verdict::Outcome as Verdict;
use clinker_model::{Entry, Fault, Span};
use serde_json::Value;

use super::outcome::{Event, Outcome};
use super::plays::Play;

const SEED: u64 = 29;

/// Plays the scenario of a row.
pub fn outcome(play_of: &Play) -> Outcome {
    let plan = plan(play_of);
    let run = play(&plan, &Parts::default()).unwrap_or_else(|error| panic!("{}: {error}", play_of.name()));
    check(play_of, &run);
    let view = View::of(&run.history);
    let mut outcome = Outcome { events: view.events(play_of), ..Outcome::default() };
    for (fact, of) in &play_of.backups {
        let (name, at) = of.split_once('@').map_or((of.as_str(), u64::MAX), |(name, at)| (name, secs(at)));
        if let Some(row) = view.row("backups", &view.names[name], at) {
            outcome.backup(fact, &row);
        }
    }
    if let Some(id) = view.names.get(play_of.volume()) {
        let row = view.row("volumes", id, u64::MAX).unwrap_or(Value::Null);
        outcome.volume(&row, !row["src_backup_id"].is_null());
    }
    if let Some(ok) = outcome.reached().or_else(|| view.imported()) {
        outcome.fact("ok", ok);
    }
    if let Some(record) = view.exported() {
        outcome.record(record);
    }
    if let Some(id) = view.names.get(play_of.last_backup()) {
        let stored = |entry: &Entry| matches!(entry, Entry::Stored { name, .. } if name.contains(id.as_str()));
        outcome.fact("left", run.history.records.iter().any(|record| stored(&record.entry)));
        outcome.fact("identical", view.identical(id));
    }
    outcome
}

/// A play is judged as every run is, except that statuses set by hand may stay; and what goes wrong on purpose does.
fn check(play_of: &Play, run: &Run) {
    let name = play_of.name();
    for finding in clinker_judge::judge(&run.history) {
        let excepted = ["operations", "faults"].contains(&&*finding.checker);
        assert!(excepted || finding.outcome != Verdict::Fail, "{name}: {finding:#?}");
    }
    let idle: Vec<_> = run.faults.iter().filter(|fault| fault.bites == 0).collect();
    assert_eq!(!idle.is_empty(), play_of.idle_faults.is_some(), "{name}: faults that hit nothing: {idle:?}");
}

fn plan(play_of: &Play) -> Plan {
    let name = play_of.name();
    let options: Vec<&str> = Options::table().iter().map(|option| option.name).collect();
    let text = play_of.scenario();
    let scenario = loader::load(name, &text, &options).unwrap_or_else(|error| panic!("{error}"));
    let mut plan = loader::plan(&scenario, "oracle", &play_of.driver, SEED).unwrap();
    if let Some((from, until)) = &play_of.hold_broker {
        let span = |seconds: u64| Span(Duration::from_secs(seconds));
        let fault = Fault::Hold(HostTarget { host: "broker".into() });
        plan.faults.push(PlannedFault { at: span(*from), until: Some(span(*until)), fault });
    }
    plan
}

fn secs(text: &str) -> u64 {
    text.parse::<u64>().expect("a number of seconds") * 1_000_000_000
}

/// A history with the ids behind the scenario's names.
struct View<'h> {
    history: &'h History,
    names: BTreeMap<String, String>,
}

impl<'h> View<'h> {
    fn of(history: &'h History) -> View<'h> {
        let plan = &history.header.plan;
        let mut names: BTreeMap<String, String> =
            plan.volumes.iter().map(|volume| (volume.name.clone(), volume.id.clone())).collect();
        for record in &history.records {
            let Entry::Op { phase, step, value, failure, .. } = &record.entry else { continue };
            let refused = plan.steps[*step].refused.is_some();
            assert!(*phase != Phase::Fail || refused, "step {step} was refused: {failure:?}");
            let id = |field: &str| value[field].as_str().map(str::to_owned);
            match (phase, &plan.steps[*step].step) {
                (Phase::Ok, Step::Create(create)) => names.extend(id("backup_id").map(|id| (create.name.clone(), id))),
                (Phase::Ok, Step::Import(import)) => {
                    names.extend(id("backup_id").map(|id| (import.name.clone(), id)));
                }
                (Phase::Ok, Step::Restore(restore)) => {
                    names.extend(restore.new.clone().and_then(|name| Some((name, id("volume_id")?))));
                }
                _ => {}
            }
        }
        View { history, names }
    }

    /// The messages from `since` on: as committed, or as they arrived, each once.
    fn events(&self, play: &Play) -> Vec<Event> {
        let mut events = Vec::new();
        let mut arrived: Vec<&Value> = Vec::new();
        for record in self.history.records.iter().filter(|record| record.t_ns >= play.since * 1_000_000_000) {
            match &record.entry {
                Entry::Commit { outbox, .. } if !play.delivered => {
                    events.extend(outbox.iter().map(|queued| event(&queued.message)));
                }
                Entry::Event { message } if play.delivered && !arrived.contains(&&message["message_id"]) => {
                    arrived.push(&message["message_id"]);
                    events.push(event(message));
                }
                _ => {}
            }
        }
        // The API's part of a reset is the same in both, but the recorded rows begin at the manager.
        events.retain(|event| event.event_type != "reset_status.start");
        events.retain(|event| event.event_type.starts_with("init.") == play.init);
        events
    }

    /// Whether the last import, if that is the last step, gave an available backup.
    fn imported(&self) -> Option<bool> {
        let last = self.history.header.plan.steps.last()?;
        let Step::Import(import) = &last.step else { return None };
        let row = self.names.get(&import.name).and_then(|id| self.row("backups", id, u64::MAX));
        Some(last.refused.is_none() && row.is_some_and(|row| row["status"] == "available"))
    }

    /// The fields of the last export, if that is the last step.
    fn exported(&self) -> Option<&Value> {
        let last = self.history.header.plan.steps.len().checked_sub(1)?;
        self.history.records.iter().find_map(|record| match &record.entry {
            Entry::Op { phase: Phase::Ok, step, value, op, .. } if *step == last && op == "export" => {
                value.get("record")
            }
            _ => None,
        })
    }

    /// A row as it was at a moment, in ns.
    fn row(&self, table: &str, id: &str, at: u64) -> Option<Value> {
        let mut found = None;
        for record in self.history.records.iter().take_while(|record| record.t_ns <= at) {
            if let Entry::Commit { changes, .. } = &record.entry {
                let mut of_row = changes.iter().filter(|change| change.table == table && change.id == id);
                found = of_row.next_back().map(|change| change.after.clone()).or(found);
            }
        }
        found
    }

    /// Whether the last restore of the backup gave back what was backed up.
    fn identical(&self, backup: &str) -> bool {
        let digest = |wanted: &str| {
            self.history.records.iter().rev().find_map(|record| match &record.entry {
                Entry::Device { moment, backup_id: Some(id), digest, .. } if moment == wanted && id == backup => {
                    Some(digest)
                }
                _ => None,
            })
        };
        digest("detach").is_some() && digest("detach") == digest("attach")
    }
}

/// A message in our words. No field of an event is ever the empty text.
pub fn event(message: &Value) -> Event {
    let payload = &message["payload"];
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    assert_ne!(payload["fail_reason"], "", "null is how an absent reason is written");
    let priority = word(&message["priority"]);
    let reason = [&payload["fail_reason"], &payload["reason"]].into_iter().any(Value::is_string);
    Event {
        by_api: message["publisher_id"] == "backup.api",
        event_type: word(&message["event_type"]).trim_start_matches("backup.").to_owned(),
        status: word(&payload["status"]),
        has_parent: payload["parent_id"].is_string(),
        percent: payload["backup_percent"].as_f64(),
        has_reason: priority == "ERROR" && reason,
        priority,
    }
}
