//! The trace: every event of a run in a few words each, so that two runs of a seed can be compared.
//!
//! Payloads are kept as hashes. The history records are events too; their text is kept beside for display.

use std::fmt;

use clinker_model::Record;

/// Kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A history record; `conn` is its append number.
    Record,
    /// A fault's bite; `conn` is the fault, `len` the count so far.
    Bite,
    Listen,
    /// A connection is tried; `len` is the port.
    Connect,
    Connected,
    Refused,
    Accept,
    Read,
    /// The peer has closed its side.
    Eof,
    Write,
    /// This side is closed for writing.
    Close,
    /// The stream is gone.
    Drop,
    /// A stream call failed.
    Broken,
    /// A call of the file system; `conn` is its position in [`crate::disk::POINTS`].
    Fs,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// Virtual nanoseconds since the start.
    pub t_ns: u64,
    /// Position in [`Trace::hosts`].
    pub host: u16,
    pub kind: Kind,
    /// Number of the connection, from 1; 0 = none yet.
    pub conn: u32,
    /// Bytes.
    pub len: u64,
    /// xxh3 of the payload.
    pub payload: u64,
}

/// All events of a run, in the order in which they happened.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub hosts: Vec<String>,
    pub events: Vec<TraceEvent>,
    /// Append order: the record with append number n is at n.
    pub records: Vec<Record>,
}

/// Where two traces part.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Position of the first differing event.
    pub at: usize,
    /// Lines around it, of each trace: position and text.
    pub left: Vec<(usize, String)>,
    pub right: Vec<(usize, String)>,
}

const CONTEXT: usize = 3;

/// The first event that differs, with three events before and after it on both sides; `None` for equal traces.
pub fn first_difference(left: &Trace, right: &Trace) -> Option<Difference> {
    let shared = left.events.len().min(right.events.len());
    let differs = (0..shared).find(|&at| !left.same_event(right, at));
    let at = differs.or_else(|| (left.events.len() != right.events.len()).then_some(shared))?;
    Some(Difference { at, left: left.around(at), right: right.around(at) })
}

impl Trace {
    fn same_event(&self, other: &Trace, at: usize) -> bool {
        let (a, b) = (&self.events[at], &other.events[at]);
        self.host(a) == other.host(b) && TraceEvent { host: b.host, ..*a } == *b
    }

    fn host(&self, event: &TraceEvent) -> &str {
        self.hosts.get(usize::from(event.host)).map_or("?", String::as_str)
    }

    fn around(&self, at: usize) -> Vec<(usize, String)> {
        let from = at.saturating_sub(CONTEXT).min(self.events.len());
        let to = (at + CONTEXT + 1).min(self.events.len());
        (from..to).map(|n| (n, self.describe(&self.events[n]))).collect()
    }

    /// One line for people: time, host, what happened.
    pub fn describe(&self, event: &TraceEvent) -> String {
        let at = format!("{:>13.6}s {:<16}", event.t_ns as f64 / 1e9, self.host(event));
        let TraceEvent { kind, conn, len, payload, .. } = *event;
        match kind {
            Kind::Record => {
                let record =
                    self.records.get(conn as usize).and_then(|record| serde_json::to_string(&record.entry).ok());
                let text: String = record.unwrap_or_default().chars().take(240).collect();
                format!("{at} record #{conn} {text}")
            }
            Kind::Bite => format!("{at} bite {len} of fault {conn}"),
            Kind::Fs => {
                let call = crate::disk::POINTS.get(conn as usize).copied().unwrap_or("fs");
                format!("{at} {call} {len} bytes, xxh3 {payload:016x}")
            }
            Kind::Listen | Kind::Connect | Kind::Refused => {
                format!("{at} {} port {len}, xxh3 {payload:016x}", format!("{kind:?}").to_lowercase())
            }
            _ => {
                format!("{at} {} conn {conn}, {len} bytes, xxh3 {payload:016x}", format!("{kind:?}").to_lowercase())
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the runs differ from event {} on", self.at)?;
        for (name, lines) in [("first run", &self.left), ("second run", &self.right)] {
            writeln!(f, "{name}:")?;
            for (n, line) in lines {
                let mark = if *n == self.at { '>' } else { ' ' };
                writeln!(f, "{mark} {n:>8} {line}")?;
            }
            if lines.last().is_none_or(|(n, _)| *n < self.at) {
                writeln!(f, "> {:>8} (ended)", self.at)?;
            }
        }
        Ok(())
    }
}
