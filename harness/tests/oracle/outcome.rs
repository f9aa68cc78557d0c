//! What a case led to, in the same words for both services: events in order, and facts by name.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Events and facts of one case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub events: Vec<Event>,
    /// `backup.status`, `volume.previous_status`, `ok`, `left`, `identical` …
    pub facts: BTreeMap<String, String>,
}

/// One notification.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    pub by_api: bool,
    /// Without the leading `backup.`.
    pub event_type: String,
    pub priority: String,
    /// Empty where there is none (`init`).
    pub status: String,
    pub has_parent: bool,
    pub percent: Option<f64>,
    /// For errors: whether the payload says why.
    pub has_reason: bool,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event { event_type, priority, status, .. } = self;
        write!(f, "{priority} {event_type} {status}")?;
        if let Some(percent) = self.percent {
            write!(f, " {percent:?}")?;
        }
        for (word, holds) in [("parent", self.has_parent), ("reason", self.has_reason), ("api", self.by_api)] {
            if holds {
                write!(f, " {word}")?;
            }
        }
        Ok(())
    }
}

impl Event {
    /// `create` of `create.start`; of progress notes, too.
    pub fn operation(&self) -> &str {
        self.event_type.split_once('.').map_or("create", |(operation, _)| operation)
    }

    pub fn is_start(&self) -> bool {
        self.event_type.ends_with(".start")
    }

    pub fn is_terminal(&self) -> bool {
        self.event_type.ends_with(".end") || self.event_type.ends_with(".error")
    }

    pub fn error(operation: &str, status: &str, has_parent: bool) -> Event {
        Event {
            event_type: format!("{operation}.error"),
            priority: "ERROR".into(),
            status: status.into(),
            has_parent,
            has_reason: true,
            ..Event::default()
        }
    }
}

impl Outcome {
    pub fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.insert(name.to_owned(), value.to_string());
    }

    /// Replaces a fact if there is one.
    pub fn change(&mut self, name: &str, value: impl ToString) {
        if let Some(old) = self.facts.get_mut(name) {
            *old = value.to_string();
        }
    }

    pub fn get(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    /// Whether the operation with which the events begin reached its goal, each time that it ended.
    pub fn reached(&self) -> Option<bool> {
        let first = self.events.first()?.operation();
        let ends = self.events.iter().filter(|event| event.is_terminal() && event.operation() == first);
        ends.map(|event| event.event_type.ends_with(".end")).reduce(|all, one| all && one)
    }

    /// The columns of a backup's row that both services have; what is absent from `row` makes no fact.
    pub fn backup(&mut self, name: &str, row: &Value) {
        if let Some(status) = row.as_str() {
            return self.fact(&format!("{name}.status"), status);
        }
        for column in ["status", "object_count", "num_dependent_backups", "fail_reason", "deleted"] {
            if let Some(value) = row.get(column) {
                self.fact(&format!("{name}.{column}"), text(column, value));
            }
        }
        for column in ["service", "container", "parent_id"] {
            if let Some(value) = row.get(column) {
                self.fact(&format!("{name}.{column}"), if value.is_null() { "null" } else { "set" });
            }
        }
    }

    /// Which fields an exported record has, and which of them are null. The empty text is none, and so is the
    /// description: that is the user's.
    pub fn record(&mut self, fields: &Value) {
        let shown = |(name, value): (&String, &Value)| {
            format!(
                "{name}:{}",
                if value.is_null() || value == "" || name == "display_description" { "null" } else { "set" }
            )
        };
        let fields: Vec<String> = fields.as_object().into_iter().flatten().map(shown).collect();
        self.fact("record", fields.join(" "));
    }

    /// `previous_status` is a fact only where it is neither null nor `available`: restores and refusals leave it, and
    /// those two are what it is before.
    pub fn volume(&mut self, row: &Value, src_backup: bool) {
        let word = |column: &str| row[column].as_str().unwrap_or("available").to_owned();
        self.fact("volume.status", word("status"));
        self.fact("volume.previous_status", word("previous_status"));
        self.fact("volume.src_backup", src_backup);
    }

    /// Several notes in a row with the same percentage become one: how many there are depends on the store's speed.
    pub fn collapse(&mut self) {
        self.events.dedup_by(|next, last| {
            next.percent.is_some() && (next.percent, &next.status) == (last.percent, &last.status)
        });
    }

    /// One line each, for comparing and for showing.
    pub fn lines(&self) -> Vec<String> {
        let events = self.events.iter().map(Event::to_string);
        events.chain(self.facts.iter().map(|(name, value)| format!("{name} = {value}"))).collect()
    }
}

fn text(column: &str, value: &Value) -> String {
    match (column, value) {
        ("fail_reason", Value::Null) => "null".into(),
        ("fail_reason", Value::String(reason)) if reason.is_empty() => "empty".into(),
        ("fail_reason", _) => "set".into(),
        // SQLite has no booleans.
        ("deleted", value) => (value == &Value::Bool(true) || value == 1).to_string(),
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}
