//! What lasts: faults, states of services, gaps between heartbeats, attempts, operations.

use std::collections::BTreeMap;

use clinker_model::Fault;
use clinker_model::history::{Entry, Failure, FaultPhase, Phase, Record};
use clinker_model::scenario::ServiceState;
use clinker_model::timeline::{SpanKind, Tone};
use serde_json::Value;

use super::Drawing;
use crate::attempts::{End, Kind, probes};
use crate::services::{Moment, down_time, states};
use crate::view::{end_ns, seconds, stops};

pub(super) fn draw(drawing: &mut Drawing<'_>) {
    faults(drawing);
    services(drawing);
    attempts(drawing);
    operations(drawing);
}

/// Each fault on the lanes of the hosts it is aimed at, from its begin to its end.
fn faults(drawing: &mut Drawing<'_>) {
    let history = drawing.history;
    for (index, record) in history.records.iter().enumerate() {
        let Entry::Fault { fault, name, phase: FaultPhase::Begin, .. } = &record.entry else { continue };
        let ends = |later: &&Record| matches!(&later.entry, Entry::Fault { fault: id, phase: FaultPhase::End, .. } if id == fault);
        let end = history.records[index..].iter().find(ends).map(|end| end.t_ns);
        let planned = history.header.plan.faults.get(*fault).map(|planned| &planned.fault);
        let until = match planned {
            Some(Fault::Crash(crash)) => restarted(&history.records[index..], &crash.host).or(end),
            Some(planned) if planned.is_one_shot() => Some(record.t_ns),
            _ => end,
        };
        let hosts = planned.map(Fault::hosts).unwrap_or_default();
        let hosts: Vec<&str> =
            if hosts.is_empty() { vec!["store"] } else { hosts.iter().map(|(_, host)| &**host).collect() };
        for host in hosts {
            drawing.span(host, SpanKind::Fault, name, (record.t_ns, until), Tone::Bad);
        }
    }
}

/// A crash is over when its host runs again, whenever it was meant to.
fn restarted(records: &[Record], host: &str) -> Option<u64> {
    let runs =
        |record: &&Record| record.host == host && matches!(&record.entry, Entry::Host { what } if what == "restarted");
    records.iter().find(runs).map(|record| record.t_ns)
}

fn services(drawing: &mut Drawing<'_>) {
    let (end, down_time) = (end_ns(drawing.history), down_time(drawing.history));
    let interval = seconds(drawing.history, "report_interval", 10);
    for (worker, timeline) in drawing.services.clone() {
        let states = states(&timeline, end, down_time);
        for (index, (from, state)) in states.iter().enumerate() {
            let (label, tone) = match state {
                ServiceState::Initializing => ("initializing", Tone::Neutral),
                ServiceState::Up => ("up", Tone::Good),
                ServiceState::Down => ("down", Tone::Bad),
            };
            let until = states.get(index + 1).map(|(next, _)| *next);
            drawing.span(&worker, SpanKind::State, label, (*from, until), tone);
        }
        gaps(drawing, &worker, &timeline, interval);
    }
}

/// More than one and a half intervals between two heartbeats, or between the last one and the end.
fn gaps(drawing: &mut Drawing<'_>, worker: &str, timeline: &[Moment], interval: u64) {
    let end = end_ns(drawing.history);
    let beats: Vec<u64> = timeline.iter().filter(|row| row.beat).map(|row| row.t_ns).collect();
    for (index, beat) in beats.iter().enumerate() {
        let next = beats.get(index + 1).copied();
        let length = next.unwrap_or(end).saturating_sub(*beat);
        if length <= interval + interval / 2 {
            continue;
        }
        // Without a heartbeat there should be none once the service knows that it does not work.
        let row_says = |row: &Moment| row.t_ns > *beat && next.is_none_or(|next| row.t_ns < next) && !row.working;
        let tone = if timeline.iter().any(row_says) { Tone::Neutral } else { Tone::Bad };
        let label = format!("no heartbeat for {}", crate::tally::at(length));
        drawing.span(worker, SpanKind::Gap, &label, (*beat, next), tone);
    }
}

/// Attempts are counted anew after a success and in each life of the process (D5).
fn attempts(drawing: &mut Drawing<'_>) {
    let history = drawing.history;
    for (host, probes) in probes(history) {
        let (mut life, mut number) = (0, 0);
        for probe in probes {
            if probe.life != life {
                (life, number) = (probe.life, 0);
            }
            let name = match probe.kind {
                Kind::Attempt => {
                    number += 1;
                    format!("attempt {number}")
                }
                Kind::Health => "health check".to_owned(),
            };
            let (label, tone) = match probe.end {
                Some((_, End::Ok)) => (name, Tone::Good),
                Some((t_ns, End::Failed)) => (reasoned(&name, why(&history.records, &host, t_ns)), Tone::Bad),
                Some((_, End::CutOff)) => (format!("{name}, cut off"), Tone::Bad),
                None => (name, Tone::Neutral),
            };
            // A bench may set a driver up and go on without a check.
            let set_up = probe.end.is_none().then(|| set_up_alone(&history.records, &host, probe.start_ns)).flatten();
            let (until, tone) = set_up.map_or((probe.end_ns(), tone), |ended| (Some(ended), Tone::Good));
            if probe.kind == Kind::Attempt && probe.succeeded() {
                number = 0;
            }
            drawing.span(&host, SpanKind::Attempt, &label, (probe.start_ns, until), tone);
        }
    }
}

/// When `do_setup` ended well, if the driver's next call was no check.
fn set_up_alone(records: &[Record], host: &str, start_ns: u64) -> Option<u64> {
    let calls = records.iter().filter(|record| record.t_ns >= start_ns && record.host == host);
    let mut calls = calls.filter_map(|record| match &record.entry {
        Entry::Driver { phase, method, .. } => Some((record.t_ns, *phase, method.as_str())),
        _ => None,
    });
    let ended = calls.find(|(_, phase, method)| *method == "do_setup" && *phase == Phase::Ok)?.0;
    calls.next().is_some_and(|(_, _, method)| !is_set_up(method)).then_some(ended)
}

/// Why a call of the driver of `host` failed at `t_ns`.
fn why<'h>(records: &'h [Record], host: &str, t_ns: u64) -> Option<&'h Failure> {
    let from = records.partition_point(|record| record.t_ns < t_ns);
    let then = records[from..].iter().take_while(|record| record.t_ns == t_ns);
    then.filter(|record| record.host == host).find_map(|record| match &record.entry {
        Entry::Driver { phase: Phase::Fail, failure, .. } => failure.as_ref(),
        _ => None,
    })
}

fn reasoned(name: &str, failure: Option<&Failure>) -> String {
    failure.map_or_else(|| format!("{name}, failed"), |failure| format!("{name}: {}", failure.reason))
}

/// Which operation: of the driver by the number of its call, of the workload by its step.
type Key<'h> = (&'h str, bool, u64);

/// An operation that has begun: what it is called, and when.
type Open = (String, u64);

fn operations(drawing: &mut Drawing<'_>) {
    let history = drawing.history;
    let mut open: BTreeMap<Key<'_>, Open> = BTreeMap::new();
    for record in &history.records {
        let host = record.host.as_str();
        match &record.entry {
            Entry::Driver { phase, call, method, backup_id, failure } if !is_set_up(method) => {
                let of = backup_id.as_deref().map(|id| drawing.names.object("backup", id)).unwrap_or_default();
                let name = || format!("{method} {of}").trim_end().to_owned();
                turn(drawing, &mut open, (host, true, *call), record.t_ns, *phase, name, failure.as_ref());
            }
            Entry::Op { phase, step, op, value, failure } => {
                let name = || format!("{op} {}", target(value)).trim_end().to_owned();
                turn(drawing, &mut open, (host, false, *step as u64), record.t_ns, *phase, name, failure.as_ref());
            }
            entry if stops(entry) => {
                let ended: Vec<Key<'_>> = open.keys().filter(|(of, ..)| *of == host).copied().collect();
                for key in ended {
                    turn(drawing, &mut open, key, record.t_ns, Phase::Info, String::new, None);
                }
            }
            _ => {}
        }
    }
    for ((host, ..), (name, from)) in open {
        drawing.span(host, SpanKind::Operation, &name, (from, None), Tone::Neutral);
    }
}

/// Begins an operation, or ends it and draws it.
fn turn<'h>(
    drawing: &mut Drawing<'h>,
    open: &mut BTreeMap<Key<'h>, Open>,
    key: Key<'h>,
    t_ns: u64,
    phase: Phase,
    name: impl FnOnce() -> String,
    failure: Option<&Failure>,
) {
    if phase == Phase::Invoke {
        open.insert(key, (name(), t_ns));
        return;
    }
    let Some((name, from)) = open.remove(&key) else { return };
    let (host, of_driver, number) = key;
    let steps = &drawing.history.header.plan.steps;
    let refusal_is_due = !of_driver
        && usize::try_from(number).is_ok_and(|step| steps.get(step).is_some_and(|step| step.refused.is_some()));
    let (label, tone) = match phase {
        Phase::Fail if refusal_is_due => (reasoned(&name, failure), Tone::Neutral),
        Phase::Fail => (reasoned(&name, failure), Tone::Bad),
        Phase::Info => (format!("{name}, cut off"), Tone::Neutral),
        Phase::Ok | Phase::Invoke => (name, Tone::Good),
    };
    drawing.span(host, SpanKind::Operation, &label, (from, Some(t_ns)), tone);
}

fn is_set_up(method: &str) -> bool {
    matches!(method, "do_setup" | "check_for_setup_error")
}

/// The scenario's name for what a step is about.
fn target(value: &Value) -> &str {
    let arguments = value.as_object().and_then(|step| step.values().next()).unwrap_or(&Value::Null);
    let names = ["as", "backup", "volume", "snapshot", "host"];
    names.iter().find_map(|name| arguments[*name].as_str()).unwrap_or_default()
}
