//! The golden rendering: the notifications of a run as text in which nothing changes but meaning.
//!
//! One section per publisher, one line per outbox row; no times, ids renamed by first appearance, stamps hidden.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clinker_model::history::History;
use serde_json::Value;

use crate::checkers::payload::is_uuid;
use crate::view::{Note, final_rows, notes, text};

/// Renders the outbox: sections sorted by publisher, separated by a blank line, rows in commit order.
pub fn render(history: &History) -> String {
    rendered(history).0
}

/// The names that the golden gives to ids, for other texts about the same history.
pub(crate) fn names(history: &History) -> Names<'_> {
    rendered(history).1
}

fn rendered(history: &History) -> (String, Names<'_>) {
    let mut sections: BTreeMap<&str, Vec<Note<'_>>> = BTreeMap::new();
    for note in notes(history) {
        sections.entry(&note.row.publisher_id).or_default().push(note);
    }
    let mut names = Names::new(history);
    let mut out = String::new();
    for (publisher, notes) in sections {
        if !out.is_empty() {
            out.push('\n');
        }
        writeln!(out, "{publisher}").expect("a String takes every write");
        for note in notes {
            writeln!(out, "{}", line(&note, &mut names)).expect("a String takes every write");
        }
    }
    let account = crate::account::lines(history, &mut names);
    if !account.is_empty() {
        write!(out, "\naccount\n{}\n", account.join("\n")).expect("a String takes every write");
    }
    (out, names)
}

fn line(note: &Note<'_>, names: &mut Names<'_>) -> String {
    let init = note.event_type().starts_with("backup.init.");
    let mut fields = Vec::new();
    if init {
        fields.push(format!("attempt {}", note.payload("attempt")));
        fields.extend(note.payload("reason").as_str().map(|reason| names.quoted(reason)));
    } else {
        fields.push(names.object("backup", note.backup_id()));
        fields.push(text(note.payload("status")).to_owned());
        fields.extend(Some(note.payload("backup_percent")).filter(|percent| !percent.is_null()).map(Value::to_string));
        let reason = note.payload("fail_reason").as_str().filter(|_| note.event_type().ends_with(".error"));
        fields.extend(reason.map(|reason| names.quoted(reason)));
    }
    let line = format!("{:<7}{:<21}  {}", text(note.field("priority")), note.event_type(), fields.join("  "));
    line.trim_end().to_owned()
}

/// `backup#1`, `volume#1` … by first appearance over the whole file.
pub(crate) struct Names<'h> {
    volumes: BTreeSet<&'h str>,
    backups: BTreeSet<&'h str>,
    given: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl<'h> Names<'h> {
    fn new(history: &'h History) -> Names<'h> {
        let planned = history.header.plan.volumes.iter().map(|volume| volume.id.as_str());
        let mut volumes: BTreeSet<&str> = final_rows(history, "volumes").into_keys().chain(planned).collect();
        let mut backups: BTreeSet<&str> = final_rows(history, "backups").into_keys().collect();
        for note in notes(history) {
            backups.insert(note.backup_id());
            volumes.insert(text(note.payload("volume_id")));
        }
        Names { volumes, backups, given: BTreeMap::new(), counts: BTreeMap::new() }
    }

    pub(crate) fn object(&mut self, kind: &'static str, id: &str) -> String {
        if let Some(name) = self.given.get(id) {
            return name.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("{kind}#{count}");
        self.given.insert(id.to_owned(), name.clone());
        name
    }

    /// A reason in quotes, with ids renamed and 14-digit stamps hidden.
    pub(crate) fn quoted(&mut self, reason: &str) -> String {
        let plain = self.plain(reason);
        format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    }

    /// A text with ids renamed and 14-digit stamps hidden.
    pub(crate) fn plain(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            // Ids are looked for at every place, and few places look like one.
            let at = |index: usize| rest.as_bytes().get(index).copied();
            if let Some(id) = rest.get(..36).filter(|id| at(8) == Some(b'-') && is_uuid(id)) {
                out.push_str(&self.object(self.kind(id), id));
                rest = &rest[36..];
            } else if let Some(after) = (at(2) == Some(b'/')).then(|| folders_of_id(rest)).flatten() {
                out.push_str("<aa>/<bb>/");
                rest = after;
            } else if digits > 0 {
                out.push_str(if digits == 14 { "<stamp>" } else { &rest[..digits] });
                rest = &rest[digits..];
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }

    fn kind(&self, id: &str) -> &'static str {
        match id {
            id if self.backups.contains(id) => "backup",
            id if self.volumes.contains(id) => "volume",
            _ => "id",
        }
    }
}

/// What follows the two folders that a POSIX store makes of an id's first digits, `71/79/` before `71796443-…`.
fn folders_of_id(text: &str) -> Option<&str> {
    let id = text.get(6..42).filter(|id| is_uuid(id))?;
    let folders = format!("{}/{}/", &id[..2], &id[2..4]);
    text.strip_prefix(&folders)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{BACKUP, Script, VOLUME, backup_payload, script};

    fn check(script: &Script, expected: &str) {
        assert_eq!(render(&script.history), expected);
    }

    #[test]
    fn a_start_with_a_failed_attempt_and_a_backup() {
        let script = script()
            .outcome(1, Some("unreachable: check_for_setup_error: swift refused the connection"))
            .outcome(4, None)
            .note("backup.create.start", "creating")
            .progress(0.0)
            .progress(100.0)
            .note("backup.create.end", "available");
        check(
            &script,
            r#"backup.backup-host-1
ERROR  backup.init.error      attempt 1  "unreachable: check_for_setup_error: swift refused the connection"
INFO   backup.init.end        attempt 4
INFO   backup.create.start    backup#1  creating
INFO   backup.createprogress  backup#1  creating  0.0
INFO   backup.createprogress  backup#1  creating  100.0
INFO   backup.create.end      backup#1  available
"#,
        );
    }

    #[test]
    fn reasons_hide_ids_and_stamps_and_are_quoted() {
        let other = "d0000000-0000-4000-8000-000000000009";
        let object = format!("volume_{VOLUME}/20261121183000/az_nova_backup_{BACKUP}-00001");
        let reason = format!("integrity: restore: \"{object}\" of {other}, 123456789012345 bytes");
        let script =
            script().note_with("backup.restore.error", json!({ "status": "available", "fail_reason": reason }));
        check(
            &script,
            "backup.backup-host-1\nERROR  backup.restore.error   backup#1  available  \"integrity: restore: \
             \\\"volume_volume#1/<stamp>/az_nova_backup_backup#1-00001\\\" of id#1, 123456789012345 bytes\"\n",
        );
    }

    #[test]
    fn the_folders_of_an_id_are_hidden_and_others_are_not() {
        let id = "d1a20000-0000-4000-8000-000000000009";
        assert_eq!(folders_of_id(&format!("d1/a2/{id}/x")), Some(format!("{id}/x").as_str()));
        assert_eq!(folders_of_id(&format!("d1/a3/{id}/x")), None);
    }

    #[test]
    fn publishers_are_sections_sorted_by_name() {
        let mut script = script().note("backup.reset_status.end", "error");
        let mut payload = backup_payload();
        payload["backup_id"] = json!("b0000000-0000-4000-8000-000000000002");
        let message = script.message("backup.api", "backup.delete.start", payload);
        let script = script.commit(vec![], vec![message]);
        check(
            &script,
            "backup.api\nINFO   backup.delete.start    backup#1  creating\n\n\
             backup.backup-host-1\nINFO   backup.reset_status.end  backup#2  error\n",
        );
    }

    #[test]
    fn a_run_without_notifications_is_empty() {
        check(&script(), "");
    }
}
