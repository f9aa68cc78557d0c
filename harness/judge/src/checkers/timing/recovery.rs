//! Coming back: a process that starts registers and closes what it left open; after heal the service is up again.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History};
use clinker_model::scenario::ServiceState;
use clinker_model::verdict::Finding;

use super::{Rule, calm, slack};
use crate::Checker;
use crate::services::{Moment, down_time, host_of, row_at, state_at, timelines};
use crate::tally::at;
use crate::view::{
    SEC, disturbed, end_ns, flag, heal_ns, init_interval, notes, progress_type, seconds, span_of, stops,
};

pub const UP_BY: Checker = Checker {
    name: "up_by",
    about: "with periodic initialisation every service is up by heal + max(I, T) + T + slack: the trial under way at heal, its \
            interval, one attempt; 20 s more where the database or the host itself was struck, for the pause of a call that \
            is repeated",
    source: "D2, D3; liveness; B-INIT-004, 007",
    check: up_by,
};

pub const REGISTRATION: Checker = Checker {
    name: "registration",
    about: "a process that starts at r is registered at once: r <= t <= r + slack",
    source: "D1, D2: order at start; B-INIT-002",
    check: registration,
};

pub const RECOVERY: Checker = Checker {
    name: "recovery",
    about: "what the only process of a host left open when it ended (n creates and restores) is closed by its restart + n x 1 s + slack",
    source: "D2, D5, section 5; B-RES-001, 002",
    check: recovery,
};

/// A try of 10 s that is under way, and the pause of 10 s before a call is repeated that cannot be done without.
const RECONNECT: u64 = 20 * SEC;

fn up_by(history: &History) -> Finding {
    let mut rule = Rule::new(&UP_BY, history);
    let plan = &history.header.plan;
    let endless = plan.faults.iter().any(|planned| span_of(planned).1 == u64::MAX);
    if plan.faults.is_empty() || endless || !flag(history, "backup_periodic_initialization", false) {
        return rule.finish();
    }
    let cut_off = seconds(history, "backup_initialization_timeout", 60);
    let heal = heal_ns(history);
    for (host, timeline) in timelines(history) {
        let meant_to_be_down = plan.expect.service.iter().any(|expected| {
            let when = expected.at.or(expected.by).map_or(0, |when| when.ns());
            let named =
                expected.host == host || expected.host == host_of(&host) || expected.host == format!("{host}#0");
            named && expected.is != ServiceState::Up && when >= heal
        });
        let struck = !calm(history, &host, 0, heal);
        let reconnect = if struck { RECONNECT } else { 0 };
        let by = heal + init_interval(history).max(cut_off) + cut_off + reconnect + slack(history);
        if meant_to_be_down || by > end_ns(history) {
            continue;
        }
        is_up(&mut rule, &host, &timeline, heal, by);
    }
    rule.finish()
}

fn is_up(rule: &mut Rule<'_>, host: &str, timeline: &[Moment], heal: u64, by: u64) {
    let state = state_at(timeline, by, down_time(rule.history));
    rule.require(
        state == Some(ServiceState::Up),
        by,
        || format!("{host} up by {}, after heal at {}", at(by), at(heal)),
        || format!("{state:?}, last reason {:?}", row_at(timeline, by).and_then(|row| row.reason.clone())),
    );
}

/// When processes of backup hosts started, with the host.
fn starts(history: &History) -> impl Iterator<Item = (&str, u64)> {
    let of_service = history.records.iter().filter(|record| record.host.starts_with("backup-host"));
    of_service.filter_map(|record| match &record.entry {
        Entry::Host { what } if what == "started" || what == "restarted" => Some((record.host.as_str(), record.t_ns)),
        _ => None,
    })
}

fn registration(history: &History) -> Finding {
    let mut rule = Rule::new(&REGISTRATION, history);
    let timelines = timelines(history);
    for (host, started) in starts(history) {
        let by = started + slack(history);
        let rows = timelines.get(host).map(Vec::as_slice).unwrap_or_default();
        let registered = rows.iter().filter(|row| row.registered && row.t_ns >= started).map(|row| row.t_ns).min();
        let in_time = registered.is_some_and(|t_ns| t_ns <= by);
        if !in_time && (end_ns(history) < by || !calm(history, host, started, by)) {
            continue;
        }
        rule.require(
            in_time,
            started,
            || format!("{host} registered by {}, its process having started at {}", at(by), at(started)),
            || registered.map_or_else(|| "not at all".to_owned(), |t_ns| format!("at {}", at(t_ns))),
        );
    }
    rule.finish()
}

fn recovery(history: &History) -> Finding {
    let mut rule = Rule::new(&RECOVERY, history);
    // Of several workers the events do not say whose operation it was.
    let workers: Vec<String> = timelines(history).into_keys().collect();
    for (index, record) in history.records.iter().enumerate().filter(|(_, record)| stops(&record.entry)) {
        let restarted = starts(history).find(|(host, t_ns)| *host == record.host && *t_ns >= record.t_ns);
        let workers = workers.iter().filter(|worker| host_of(worker) == record.host).count();
        let Some((host, restarted)) = restarted.filter(|_| workers == 1) else { continue };
        let left = open_at(history, index, host);
        let by = restarted + left.len() as u64 * SEC + slack(history);
        for (backup, operation) in left {
            closed(&mut rule, host, (restarted, by), (record.t_ns, &backup, &operation));
        }
    }
    rule.finish()
}

/// Creates and restores of a host that had started and not ended before the record at `index`.
fn open_at(history: &History, index: usize, host: &str) -> Vec<(String, String)> {
    let before = History { header: history.header.clone(), records: history.records[..index].to_vec() };
    let progress_type = progress_type(history);
    let mut open: BTreeMap<(String, String), ()> = BTreeMap::new();
    for note in notes(&before) {
        let Some((operation @ ("create" | "restore"), part)) = note.parts(&progress_type) else { continue };
        let key = (note.backup_id().to_owned(), operation.to_owned());
        match part {
            "start" if note.host() == host => drop(open.insert(key, ())),
            "end" | "error" => drop(open.remove(&key)),
            _ => {}
        }
    }
    open.into_keys().collect()
}

fn closed(rule: &mut Rule<'_>, host: &str, (restarted, by): (u64, u64), (since, backup, operation): (u64, &str, &str)) {
    let history = rule.history;
    let progress_type = progress_type(history);
    let ends = |part: &str| matches!(part, "end" | "error");
    let terminal = notes(history)
        .into_iter()
        .filter(|note| note.t_ns >= since && note.backup_id() == backup)
        .find(|note| note.parts(&progress_type).is_some_and(|(of, part)| of == operation && ends(part)));
    let in_time = terminal.is_some_and(|note| note.t_ns <= by);
    if !in_time && (end_ns(history) < by || disturbed(history, &[host, "db", "volume"], restarted, by)) {
        return;
    }
    rule.require(
        in_time,
        restarted,
        || format!("{operation} of {backup} closed by {}, {host} being back at {}", at(by), at(restarted)),
        || {
            terminal
                .map_or_else(|| "not at all".to_owned(), |note| format!("{} at {}", note.event_type(), at(note.t_ns)))
        },
    );
}

#[cfg(test)]
mod tests {
    use clinker_model::fault::{Fault, HostTarget};

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(rule: &Checker, case: &str, script: Script, expected: &str) {
        testing::check(case, &(rule.check)(&script.history), expected);
    }

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_healed_service_is_up_in_time() {
        let at_host = |host: &str| HostTarget { host: host.to_owned() };
        let broken = |host: &str| {
            let script = script().periodic().fault(0, Some(130), Fault::Refuse(at_host(host)));
            script.registered().outcome(1, Some("unreachable: x"))
        };
        // heal 130 s + max(60, 60) + 60 + 1 = 251 s
        let up = |host: &str, ns| broken(host).at_ns(ns).outcome(2, None).beat().at(300_000).host_event("idle");
        judge(&UP_BY, "at the bound", up("store", 251 * S), "ok");
        judge(&UP_BY, "1 ns later", up("store", 251 * S + 1), "up_by: backup-host-1 up by 251.000 s");
        judge(&UP_BY, "the database was struck", up("db", 271 * S), "ok");
        judge(&UP_BY, "the database was struck, 1 ns later", up("db", 271 * S + 1), "up by 271.000 s");
        judge(&UP_BY, "too short a history", broken("store").at(250_000).host_event("idle"), "none");
        judge(&UP_BY, "no fault", script().periodic().registered(), "none");
    }

    fn idle(script: Script) -> Script {
        script.at(99_000).host_event("idle")
    }

    #[test]
    fn a_process_registers_at_once() {
        let begun = || script().at(5_000).host_event("restarted");
        judge(&REGISTRATION, "at the bound", idle(begun().at_ns(6 * S).registered()), "ok");
        judge(&REGISTRATION, "1 ns later", idle(begun().at_ns(6 * S + 1).registered()), "registered by 6.000 s");
        judge(&REGISTRATION, "never", idle(begun()), "not at all");
        judge(&REGISTRATION, "gone again", idle(begun().at(5_500).host_event("crashed")), "none");
    }

    #[test]
    fn what_was_left_open_is_closed_in_time() {
        let begun =
            || script().registered().note("backup.create.start", "creating").note("backup.restore.start", "restoring");
        let back = || begun().at(5_000).host_event("crashed").at(20_000).host_event("restarted");
        let closed =
            |ns| idle(back().note("backup.create.error", "error").at_ns(ns).note("backup.restore.error", "available"));
        judge(&RECOVERY, "at the bound", closed(23 * S), "ok");
        judge(&RECOVERY, "1 ns later", closed(23 * S + 1), "recovery: restore of");
        judge(&RECOVERY, "never", idle(back()), "not at all");
        let whole = begun().note("backup.create.end", "available").note("backup.restore.end", "available");
        judge(&RECOVERY, "nothing left", idle(whole.host_event("crashed").host_event("restarted")), "none");
    }
}
