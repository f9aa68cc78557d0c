//! Attempts and health checks, read from the recorded calls of the driver.
//!
//! An attempt is a `do_setup` and the `check_for_setup_error` after it; a health check is the latter alone.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History, Phase};

use crate::view::stops;

/// Which of the two kinds of call at start-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Attempt,
    Health,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Ok,
    Failed,
    /// Dropped by the service: the time-out of D2, or its process ended.
    CutOff,
}

/// One attempt or health check of a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub kind: Kind,
    /// Which life of the process, counted from 0; a crash begins the next.
    pub life: usize,
    pub start_ns: u64,
    /// None while it runs at the end of the history.
    pub end: Option<(u64, End)>,
    /// Whether another was still running when it began.
    pub overlaps: bool,
}

impl Probe {
    pub fn succeeded(&self) -> bool {
        matches!(self.end, Some((_, End::Ok)))
    }

    pub fn end_ns(&self) -> Option<u64> {
        self.end.map(|(t_ns, _)| t_ns)
    }
}

/// One host's process, as far as its driver calls tell.
#[derive(Default)]
struct Process {
    life: usize,
    /// Position in `probes` of the one that runs, and the driver call it is in.
    open: Option<(usize, Option<u64>)>,
    probes: Vec<Probe>,
}

impl Process {
    fn begin(&mut self, t_ns: u64, kind: Kind, call: u64) {
        let overlaps = self.open.is_some();
        self.probes.push(Probe { kind, life: self.life, start_ns: t_ns, end: None, overlaps });
        self.open = Some((self.probes.len() - 1, Some(call)));
    }

    fn invoke(&mut self, t_ns: u64, method: &str, call: u64) {
        match (method, self.open) {
            ("do_setup", _) => self.begin(t_ns, Kind::Attempt, call),
            (_, Some((probe, None))) => self.open = Some((probe, Some(call))),
            _ => self.begin(t_ns, Kind::Health, call),
        }
    }

    fn finish(&mut self, t_ns: u64, method: &str, call: u64, end: End) {
        let Some((probe, Some(open))) = self.open else { return };
        if open != call {
            return;
        }
        if method == "do_setup" && end == End::Ok {
            self.open = Some((probe, None));
            return;
        }
        self.probes[probe].end = Some((t_ns, end));
        self.open = None;
    }

    fn crash(&mut self, t_ns: u64) {
        if let Some((probe, _)) = self.open.take() {
            self.probes[probe].end = Some((t_ns, End::CutOff));
        }
        self.life += 1;
    }
}

/// Attempts and health checks of every host, in the order in which they began.
pub fn probes(history: &History) -> BTreeMap<String, Vec<Probe>> {
    let mut processes: BTreeMap<String, Process> = BTreeMap::new();
    for record in &history.records {
        match &record.entry {
            Entry::Driver { phase, call, method, .. } if is_set_up(method) => {
                let process = processes.entry(record.host.clone()).or_default();
                match phase {
                    Phase::Invoke => process.invoke(record.t_ns, method, *call),
                    Phase::Ok => process.finish(record.t_ns, method, *call, End::Ok),
                    Phase::Fail => process.finish(record.t_ns, method, *call, End::Failed),
                    Phase::Info => process.finish(record.t_ns, method, *call, End::CutOff),
                }
            }
            entry if stops(entry) => {
                if let Some(process) = processes.get_mut(&record.host) {
                    process.crash(record.t_ns);
                }
            }
            _ => {}
        }
    }
    processes.into_iter().map(|(host, process)| (host, process.probes)).collect()
}

fn is_set_up(method: &str) -> bool {
    matches!(method, "do_setup" | "check_for_setup_error")
}

#[cfg(test)]
mod tests {
    use Phase::{Fail, Info, Ok};

    use super::*;
    use crate::testing::{HOST, Script, script};

    fn check(case: &str, script: Script, expected: &[(Kind, usize, End)]) {
        let observed: Vec<(Kind, usize, End)> = probes(&script.history)
            .remove(HOST)
            .unwrap_or_default()
            .iter()
            .map(|probe| (probe.kind, probe.life, probe.end.map_or(End::CutOff, |(_, end)| end)))
            .collect();
        assert_eq!(observed, expected, "{case}");
    }

    #[test]
    fn attempts_and_checks_are_told_apart() {
        let script = || script().attempt(5, Fail).at(60_000).attempt(5, Ok).at(120_000);
        let attempts = [(Kind::Attempt, 0, End::Failed), (Kind::Attempt, 0, End::Ok)];
        let and = |third| [attempts[0], attempts[1], third];
        check("ok", script().call("check_for_setup_error", 5, Ok), &and((Kind::Health, 0, End::Ok)));
        check("cut off", script().call("check_for_setup_error", 5, Info), &and((Kind::Health, 0, End::CutOff)));
        check("failed set-up", script().call("do_setup", 5, Fail), &and((Kind::Attempt, 0, End::Failed)));
    }

    #[test]
    fn a_crash_begins_another_life() {
        for stop in ["crashed", "ended"] {
            let script = script().call("do_setup", 0, Ok).host_event(stop).at(9_000).attempt(5, Ok);
            check(stop, script, &[(Kind::Attempt, 0, End::CutOff), (Kind::Attempt, 1, End::Ok)]);
        }
    }
}
