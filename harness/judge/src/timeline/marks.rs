//! What happens at a moment: heartbeats, requests, notifications, ends of processes, bites, breaches of rules.

use clinker_model::history::{Entry, FaultPhase, Record};
use clinker_model::timeline::{MarkKind, Tone};
use clinker_model::verdict::Finding;
use serde_json::Value;

use super::Drawing;
use crate::view::{notes, progress_type, text};

/// Characters of a request's path; the end of it says most.
const PATH_MAX: usize = 60;

pub(super) fn draw(drawing: &mut Drawing<'_>) {
    for (worker, timeline) in drawing.services.clone() {
        for row in timeline.iter().filter(|row| row.beat) {
            drawing.mark(&worker, MarkKind::Heartbeat, row.t_ns, "heartbeat", Tone::Neutral);
        }
    }
    let history = drawing.history;
    for record in &history.records {
        plain(drawing, record);
    }
    notifications(drawing);
}

fn plain(drawing: &mut Drawing<'_>, record: &Record) {
    let (host, t_ns) = (record.host.as_str(), record.t_ns);
    match &record.entry {
        Entry::Request { method, path, status, .. } => {
            let path = tail(&drawing.names.plain(path));
            let (answer, tone) = match status {
                0 => ("no answer".to_owned(), Tone::Bad),
                // Whether something is there is an ordinary question.
                404 => (status.to_string(), Tone::Neutral),
                400.. => (status.to_string(), Tone::Bad),
                _ => (status.to_string(), Tone::Neutral),
            };
            drawing.mark(host, MarkKind::Request, t_ns, &format!("{method} {path} {answer}"), tone);
        }
        // That everything starts at the start is no news.
        Entry::Host { what } if what == "started" && t_ns == 0 => {}
        Entry::Host { what } => {
            let tone = if matches!(&**what, "crashed" | "ended") { Tone::Bad } else { Tone::Good };
            drawing.mark(host, MarkKind::Process, t_ns, what, tone);
        }
        Entry::Fault { name, phase: FaultPhase::Bite, what, .. } => {
            drawing.mark(host, MarkKind::Bite, t_ns, &format!("{name}: {what}"), Tone::Bad);
        }
        _ => {}
    }
}

fn tail(path: &str) -> String {
    let skipped = path.chars().count().saturating_sub(PATH_MAX);
    if skipped == 0 { path.to_owned() } else { format!("…{}", path.chars().skip(skipped).collect::<String>()) }
}

/// From the outbox; where there is none, as they arrived.
fn notifications(drawing: &mut Drawing<'_>) {
    let history = drawing.history;
    let progress = progress_type(history);
    let notes = notes(history);
    if !notes.is_empty() {
        for note in notes {
            notification(drawing, note.host(), note.t_ns, &note.row.message, &progress);
        }
        return;
    }
    for record in &history.records {
        if let Entry::Event { message } = &record.entry {
            let publisher = text(&message["publisher_id"]);
            let host = publisher.strip_prefix("backup.").unwrap_or(publisher);
            notification(drawing, host, record.t_ns, message, &progress);
        }
    }
}

/// `create.end backup#1 available`, `createprogress backup#1 12.5 %`, `init.error attempt 2 …`.
fn notification(drawing: &mut Drawing<'_>, host: &str, t_ns: u64, message: &Value, progress: &str) {
    let (event_type, payload) = (text(&message["event_type"]), &message["payload"]);
    let mut words = vec![event_type.strip_prefix("backup.").unwrap_or(event_type).to_owned()];
    words.extend(payload["attempt"].as_u64().map(|attempt| format!("attempt {attempt}")));
    words.extend(payload["backup_id"].as_str().map(|id| drawing.names.object("backup", id)));
    if event_type == progress {
        words.extend(payload["backup_percent"].as_f64().map(|percent| format!("{percent} %")));
    } else {
        words.extend(payload["status"].as_str().map(str::to_owned));
    }
    let tone = match event_type {
        event_type if event_type.ends_with(".error") => Tone::Bad,
        event_type if event_type.ends_with(".end") => Tone::Good,
        _ => Tone::Neutral,
    };
    if tone == Tone::Bad {
        let reason = ["reason", "fail_reason"].iter().find_map(|name| payload[*name].as_str());
        words.extend(reason.map(|reason| format!("“{reason}”")));
    }
    drawing.mark(host, MarkKind::Notification, t_ns, &words.join(" "), tone);
}

/// Each breach on the lane of the host that it speaks of, or on the first.
pub(super) fn violations(drawing: &mut Drawing<'_>, findings: &[Finding]) {
    let mut hosts: Vec<String> = drawing.lanes.keys().cloned().collect();
    // `backup-host-10` before `backup-host-1`.
    hosts.sort_by_key(|host| std::cmp::Reverse(host.len()));
    let first = hosts.iter().filter(|host| host.starts_with("backup-host")).min().or(hosts.iter().min());
    let first = first.cloned().unwrap_or_else(|| "run".to_owned());
    for finding in findings {
        for violation in &finding.violations {
            let spoken = |text: &str| hosts.iter().find(|host| speaks_of(text, host)).cloned();
            let host = spoken(&violation.expected).or_else(|| spoken(&violation.observed));
            let label = format!("{}: {} (expected {})", finding.checker, violation.observed, violation.expected);
            let host = host.unwrap_or_else(|| first.clone());
            drawing.mark(&host, MarkKind::Violation, violation.t_ns, &label, Tone::Bad);
        }
    }
}

/// Whether a text has the name of a host as a word.
fn speaks_of(text: &str, host: &str) -> bool {
    let is_inside = |ch: Option<char>| ch.is_some_and(|ch| ch.is_alphanumeric() || ch == '-' || ch == '#');
    text.match_indices(host)
        .any(|(at, _)| !is_inside(text[..at].chars().next_back()) && !is_inside(text[at + host.len()..].chars().next()))
}
