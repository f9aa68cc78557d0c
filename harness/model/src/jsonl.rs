//! The history's file form: the header on the first line, one record on each further line.

use crate::Record;
use crate::history::{Header, History};

impl History {
    /// The whole file, each line ended by a newline.
    pub fn to_jsonl(&self) -> String {
        let mut out = String::new();
        let line = |value: serde_json::Result<String>| value.expect("names are strings and numbers are finite");
        out.push_str(&line(serde_json::to_string(&self.header)));
        out.push('\n');
        for record in &self.records {
            out.push_str(&line(serde_json::to_string(record)));
            out.push('\n');
        }
        out
    }

    /// Reads what [`History::to_jsonl`] wrote.
    ///
    /// # Errors
    /// The line that is not what it should be, and why.
    pub fn from_jsonl(text: &str) -> Result<History, String> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, first) = lines.next().ok_or("read a history: it is empty")?;
        let header: Header = serde_json::from_str(first).map_err(|error| format!("read a history: line 1: {error}"))?;
        let record = |(index, line): (usize, &str)| -> Result<Record, String> {
            serde_json::from_str(line).map_err(|error| format!("read a history: line {}: {error}", index + 1))
        };
        let records = lines.map(record).collect::<Result<_, _>>()?;
        Ok(History { header, records })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::history::{Entry, RowChange};

    fn history() -> History {
        let header = json!({
            "format": 1, "scenario": "a/b", "driver": "swift", "seed": 1, "engine": "turmoil", "secrets": [],
            "plan": {
                "scenario": "a/b", "about": "x", "driver": "swift", "seed": 1, "tick": "10ms", "heal": "0s",
                "end": "600s", "fixed_end": false, "backup_hosts": 1, "gib": "1MiB", "chunk": "64KiB",
                "block": "4KiB", "options": {}, "volumes": [], "steps": [],
                "faults": [{ "at": "0s", "until": "5s", "fault": { "refuse": { "host": "store" } } }],
                "expect": {},
            },
        });
        let header = serde_json::from_value(header).expect("a header");
        let change = RowChange {
            table: "backups".to_owned(),
            id: "b".to_owned(),
            before: json!(null),
            after: json!({ "zebra": 1, "aardvark": 38.09 }),
        };
        let commit = Entry::Commit { call: "op_begin".to_owned(), changes: vec![change], outbox: vec![] };
        let records = vec![Record { n: 0, t_ns: 7, host: "db".to_owned(), entry: commit }];
        History { header, records }
    }

    #[test]
    fn a_history_survives_its_file() {
        let history = history();
        assert_eq!(History::from_jsonl(&history.to_jsonl()), Ok(history));
    }

    #[test]
    fn the_order_of_fields_survives_too() {
        let text = history().to_jsonl();
        assert!(text.contains(r#"{"zebra":1,"aardvark":38.09}"#), "{text}");
        assert_eq!(History::from_jsonl(&text).map(|history| history.to_jsonl()), Ok(text));
    }

    #[test]
    fn a_broken_line_is_named() {
        let text = history().to_jsonl() + "{\"n\": 1}\n";
        let error = History::from_jsonl(&text).expect_err("the third line is no record");
        assert!(error.starts_with("read a history: line 3: "), "{error}");
    }
}
