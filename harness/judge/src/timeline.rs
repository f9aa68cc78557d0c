//! A history as a picture: what each host went through, as spans and marks on its lane.
//!
//! Nothing is judged here. It draws what is there: a history without a database or without services is drawn as well.

mod marks;
mod spans;

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History};
use clinker_model::timeline::{Lane, LaneSpan, Mark, MarkKind, SpanKind, Timeline, Tone};
use clinker_model::verdict::Finding;

use crate::golden::{self, Names};
use crate::services::{Timelines, timelines};
use crate::view::end_ns;

/// So many marks, or spans, of one kind are drawn on a lane.
const DRAWN_MAX: usize = 300;
/// Characters of a label; more of them tell nobody more.
const LABEL_MAX: usize = 200;

/// Draws a history together with what the checkers found in it.
pub fn of(history: &History, findings: &[Finding]) -> Timeline {
    let mut drawing = Drawing::new(history);
    spans::draw(&mut drawing);
    marks::draw(&mut drawing);
    marks::violations(&mut drawing, findings);
    drawing.finish()
}

/// Lanes in the making.
struct Drawing<'h> {
    history: &'h History,
    names: Names<'h>,
    services: Timelines,
    /// The host of the driver's store.
    store: String,
    lanes: BTreeMap<String, Lane>,
}

impl<'h> Drawing<'h> {
    fn new(history: &'h History) -> Drawing<'h> {
        let lanes = BTreeMap::new();
        let names = golden::names(history);
        Drawing { history, names, services: timelines(history), store: store(history), lanes }
    }

    fn lane(&mut self, host: &str) -> &mut Lane {
        let host = if host == "store" { self.store.clone() } else { host.to_owned() };
        self.lanes.entry(host.clone()).or_insert_with(|| Lane { host, ..Lane::default() })
    }

    fn span(&mut self, host: &str, kind: SpanKind, label: &str, (from_ns, until_ns): (u64, Option<u64>), tone: Tone) {
        let label = short(&self.names.plain(label));
        self.lane(host).spans.push(LaneSpan { kind, label, from_ns, until_ns, tone });
    }

    fn mark(&mut self, host: &str, kind: MarkKind, t_ns: u64, label: &str, tone: Tone) {
        let label = short(&self.names.plain(label));
        self.lane(host).marks.push(Mark { kind, t_ns, label, tone });
    }

    fn finish(self) -> Timeline {
        let Drawing { history, services, store, lanes, .. } = self;
        let rank = |host: &str| match host {
            host if services.contains_key(host) || host.starts_with("backup-host") => 0,
            "api" => 1,
            host if host == store => 2,
            _ => 3,
        };
        let mut lanes: Vec<Lane> = lanes.into_values().map(thinned).collect();
        lanes.sort_by_cached_key(|lane| (rank(&lane.host), lane.host.clone()));
        let violated = lanes.iter().flat_map(|lane| lane.marks.last()).map(|mark| mark.t_ns).max();
        Timeline { end_ns: end_ns(history).max(violated.unwrap_or(0)), lanes }
    }
}

/// The host that holds the objects: faults name it `store`.
fn store(history: &History) -> String {
    let holds = history.records.iter().find(|record| matches!(record.entry, Entry::Stored { .. }));
    let serves = |entry: &Entry| matches!(entry, Entry::Request { method, .. } if method != "PUBLISH");
    let asked = || history.records.iter().find(|record| record.host != "keystone" && serves(&record.entry));
    holds.or_else(asked).map_or("store", |record| &record.host).to_owned()
}

/// A label in one line, not too long.
fn short(label: &str) -> String {
    let one_line = label.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LABEL_MAX) {
        Some((at, _)) => format!("{}…", &one_line[..at]),
        None => one_line,
    }
}

/// A lane in order of time, with as many spans and marks of each kind as can be told apart.
fn thinned(mut lane: Lane) -> Lane {
    lane.marks.sort_by_key(|mark| (mark.t_ns, mark.kind));
    lane.spans.sort_by_key(|span| span.from_ns);
    let before = lane.marks.len() + lane.spans.len();
    lane.marks = chosen(lane.marks, |mark| (mark.kind as usize, mark.tone));
    lane.spans = chosen(lane.spans, |span| (span.kind as usize, span.tone));
    lane.omitted = (before - lane.marks.len() - lane.spans.len()) as u64;
    lane
}

/// Of each kind at most [`DRAWN_MAX`]: what is bad first, the others spread evenly.
fn chosen<T>(all: Vec<T>, key: impl Fn(&T) -> (usize, Tone)) -> Vec<T> {
    // By kind: how many there are, bad and others, and how many were seen so far.
    let mut counts: BTreeMap<usize, [Seen; 2]> = BTreeMap::new();
    let place = |thing: &T| {
        let (kind, tone) = key(thing);
        (kind, usize::from(tone != Tone::Bad))
    };
    for thing in &all {
        let (kind, other) = place(thing);
        counts.entry(kind).or_default()[other].all += 1;
    }
    for [bad, others] in counts.values_mut() {
        bad.room = bad.all.min(DRAWN_MAX);
        others.room = others.all.min(DRAWN_MAX - bad.room);
    }
    all.into_iter()
        .filter(|thing| {
            let (kind, other) = place(thing);
            counts.get_mut(&kind).is_some_and(|seen| seen[other].takes_next())
        })
        .collect()
}

#[derive(Default)]
struct Seen {
    all: usize,
    room: usize,
    so_far: usize,
}

impl Seen {
    /// Takes `room` of `all`, at even distances, the first among them.
    fn takes_next(&mut self) -> bool {
        let taken = |seen: usize| (seen * self.room).div_ceil(self.all.max(1));
        self.so_far += 1;
        taken(self.so_far) > taken(self.so_far - 1)
    }
}

#[cfg(test)]
mod tests;
