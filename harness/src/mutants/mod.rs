//! Mutants: planted bugs, each a real bug of the original service or a near one. A scenario must turn red under each.
//!
//! A mutant substitutes one decision of the service or wraps one of its ports; there is no third way.

mod decisions;
mod ports;

use clinker_model::verdict::{Outcome, RunResult, Verdict};

use crate::run::Parts;

/// A planted bug with the scenario that must notice it.
pub struct Mutant {
    pub name: &'static str,
    /// What the service does wrong.
    pub about: &'static str,
    pub scenario: &'static str,
    pub driver: &'static str,
    /// The checker that must say so.
    pub checker: &'static str,
    plant: fn(&mut Parts),
}

impl Mutant {
    /// The service's parts with the bug in them.
    pub fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        (self.plant)(&mut parts);
        parts
    }

    /// Whether a run under the mutant failed by the named checker. A run that broke kills nothing.
    pub fn is_killed_by(&self, result: &RunResult) -> bool {
        result.verdict == Verdict::Fail
            && result.findings.iter().any(|finding| finding.checker == self.checker && finding.outcome == Outcome::Fail)
    }
}

/// Every mutant.
pub static MUTANTS: &[Mutant] = &[
    Mutant {
        name: "init-stops-at-first-failure",
        about: "the loop of attempts ends with the first one that fails",
        scenario: "init/refused-at-start",
        driver: "swift",
        checker: "attempts",
        plant: decisions::init_stops_at_first_failure,
    },
    Mutant {
        name: "heartbeat-while-not-working",
        about: "heartbeats go out although no attempt has succeeded",
        scenario: "init/refused-at-start",
        driver: "swift",
        checker: "service_state",
        plant: decisions::heartbeat_while_not_working,
    },
];
