//! The judge: verdicts as pure functions of a recorded history, and the golden rendering of its notifications.
//!
//! Start with [`CHECKERS`], one file each under `checkers/`; what they share is in [`view`] (rows and notifications),
//! [`services`] (the state function) and [`attempts`] (calls of the driver at start-up);
//! [`timeline`] draws a history instead of judging it. No I/O, no clock, no engine,
//! nothing of the service under test lives here: its rules are written down a second time on purpose.

mod account;
pub mod attempts;
pub mod checkers;
pub mod clock;
pub mod golden;
pub mod services;
pub mod tally;
#[cfg(test)]
pub(crate) mod testing;
pub mod timeline;
pub mod view;

use clinker_model::history::{Entry, FaultPhase, History};
use clinker_model::verdict::{FaultResult, Finding, Outcome};

pub use checkers::CHECKERS;

/// One rule-set with a name that `expect.checks` may use.
#[derive(Clone, Copy)]
pub struct Checker {
    pub name: &'static str,
    /// What it makes sure of, in a sentence.
    pub about: &'static str,
    /// Where its rules come from: decisions of the design, specifications, profile cases.
    pub source: &'static str,
    pub check: fn(&History) -> Finding,
}

/// Runs every checker; the findings are in the order of [`CHECKERS`].
pub fn judge(history: &History) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKERS.iter().map(|checker| (checker.check)(history)).collect();
    require_applied(history, &mut findings);
    findings
}

/// Holds `expect.checks` against what applied; a checker that had nothing to check fails the expectations.
fn require_applied(history: &History, findings: &mut [Finding]) {
    let mut tally = tally::Tally::new("expectations");
    for name in &history.header.plan.expect.checks {
        tally.applies();
        let observed = match findings.iter().find(|finding| finding.checker == *name) {
            Some(finding) if finding.outcome == Outcome::NotApplicable => "it had nothing to check",
            Some(_) => continue,
            None => "there is no such check",
        };
        let rule = "a check that the scenario asks for has applied [scenario: expect.checks]";
        tally.broken(0, rule, format!("check {name} applies"), observed);
    }
    let asked = tally.finish();
    if let Some(finding) = findings.iter_mut().find(|finding| finding.checker == "expectations") {
        finding.outcome = match (finding.outcome, asked.outcome) {
            (Outcome::Fail, _) | (_, Outcome::Fail) => Outcome::Fail,
            (Outcome::Pass, _) | (_, Outcome::Pass) => Outcome::Pass,
            _ => Outcome::NotApplicable,
        };
        finding.violations.extend(asked.violations);
    }
}

/// Each declared fault with its number of recorded bites, in the scenario's order.
pub fn fault_results(history: &History) -> Vec<FaultResult> {
    let faults = &history.header.plan.faults;
    let mut results: Vec<FaultResult> = faults
        .iter()
        .map(|planned| FaultResult {
            name: planned.fault.name().to_owned(),
            at_ns: planned.at.ns(),
            until_ns: planned.until.map(|until| until.ns()),
            bites: 0,
        })
        .collect();
    for record in &history.records {
        if let Entry::Fault { fault, phase: FaultPhase::Bite, .. } = &record.entry
            && let Some(result) = results.get_mut(*fault)
        {
            result.bites += 1;
        }
    }
    results
}
