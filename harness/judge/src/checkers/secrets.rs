//! Secrets: no password, key or token in any row, event, log line or reason.

use clinker_model::history::{Entry, History};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::Tally;

pub const CHECKER: Checker = Checker {
    name: "secrets",
    about: "no configured or issued secret appears in an event, a row, a log line or a reason",
    source: "D5; spec backup-notification",
    check,
};

/// Shorter values would be found in innocent text.
const SECRET_LEN_MIN: usize = 4;

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let issued = history.records.iter().filter_map(|record| match &record.entry {
        Entry::Secret { value } => Some(value.as_str()),
        _ => None,
    });
    let configured = history.header.secrets.iter().map(String::as_str);
    let mut secrets: Vec<&str> = configured.chain(issued).filter(|secret| secret.len() >= SECRET_LEN_MIN).collect();
    secrets.sort_unstable();
    secrets.dedup();
    if secrets.is_empty() {
        return tally.finish();
    }
    for record in &history.records {
        texts(&record.entry, &mut |place, text| {
            tally.applies();
            if secrets.iter().any(|secret| text.contains(secret)) {
                tally.broken(
                    record.t_ns,
                    "no secret, token or credential appears in an event, a row, a log line or a reason [D5]",
                    "none",
                    format!("one in {place} of {}", record.host),
                );
            }
        });
    }
    tally.finish()
}

/// Calls `visit` with every text of an entry that an outsider may read.
fn texts<'e>(entry: &'e Entry, visit: &mut dyn FnMut(&str, &'e str)) {
    match entry {
        Entry::Commit { changes, outbox, .. } => {
            for change in changes {
                walk(&format!("a row of {}", change.table), &change.after, visit);
            }
            for row in outbox {
                walk("the outbox", &row.message, visit);
            }
        }
        Entry::Event { message } => walk("an event", message, visit),
        Entry::FinalRow { table, row, .. } => walk(&format!("a row of {table}"), row, visit),
        Entry::Log { message, .. } => visit("a log line", message),
        Entry::Op { failure: Some(failure), .. } | Entry::Driver { failure: Some(failure), .. } => {
            visit("a reason", &failure.reason);
        }
        _ => {}
    }
}

fn walk<'e>(place: &str, value: &'e Value, visit: &mut dyn FnMut(&str, &'e str)) {
    match value {
        Value::String(text) => visit(place, text),
        Value::Array(values) => values.iter().for_each(|value| walk(place, value, visit)),
        Value::Object(map) => {
            for (name, value) in map {
                visit(place, name);
                walk(&format!("{place}, field {name}"), value, visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn log(message: &str) -> Script {
        let (level, target) = ("INFO".to_owned(), "drivers".to_owned());
        script().record(testing::HOST, Entry::Log { level, target, message: message.to_owned() })
    }

    #[test]
    fn no_text_holds_a_secret() {
        judge("harmless", log("open the door"), "ok");
        judge("a log line", log("key open-sesame refused"), "one in a log line of backup-host-1");
        let reason = json!({ "fail_reason": "auth: backup: open-sesame" });
        judge("a row", script().backup(reason.clone()), "a row of backups, field fail_reason");
        judge("an event", script().note_with("backup.create.error", reason), "the outbox, field payload");
    }

    #[test]
    fn issued_tokens_are_secrets_too_and_short_ones_are_not() {
        let issued = |value: &str, said: &str| log(said).record("swift", Entry::Secret { value: value.to_owned() });
        judge("a token", issued("AUTH_tk1234", "sent AUTH_tk1234"), "one in a log line");
        judge("too short to tell", issued("abc", "abcdef"), "ok");
        judge("nothing to look at", script(), "none");
    }
}
