//! Verdicts: what the checkers say of a run, and what a run is in the end.

use serde::{Deserialize, Serialize};

use crate::timeline::Timeline;

/// What one checker says of one history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub checker: String,
    pub outcome: Outcome,
    /// Empty unless it failed.
    pub violations: Vec<Violation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Pass,
    Fail,
    /// The history has nothing that this checker's rule speaks of.
    NotApplicable,
}

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// The rule in a sentence, with its source (decision or spec).
    pub rule: String,
    pub expected: String,
    pub observed: String,
    /// Virtual nanoseconds at which it was broken.
    pub t_ns: u64,
}

/// The verdict on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    /// The checks passed but the golden sequence differs or is missing.
    Golden,
    Skip,
    /// It failed as an expectations file says that it does.
    Xfail,
    /// The harness or a fixture broke, or no checker applied.
    Error,
}

/// A run with all that is said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    pub scenario: String,
    pub driver: String,
    pub seed: u64,
    pub verdict: Verdict,
    /// Why, when the verdict is not `pass`.
    pub reason: Option<String>,
    pub findings: Vec<Finding>,
    /// Each declared fault with its number of bites.
    pub faults: Vec<FaultResult>,
    /// Rolling hash of every event, 16 hex digits.
    pub hash: String,
    pub events: u64,
    pub virtual_seconds: f64,
    pub wall_ms: u64,
    /// The command that repeats it.
    pub replay: String,
    /// The run as a picture, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
}

impl RunResult {
    /// Of a run that has not been: `skip`, without a reason, and nothing seen. `replay` is the command that would play it.
    pub fn unplayed(scenario: impl Into<String>, driver: impl Into<String>, seed: u64, replay: String) -> RunResult {
        RunResult {
            scenario: scenario.into(),
            driver: driver.into(),
            seed,
            verdict: Verdict::Skip,
            reason: None,
            findings: Vec::new(),
            faults: Vec::new(),
            hash: String::new(),
            events: 0,
            virtual_seconds: 0.0,
            wall_ms: 0,
            replay,
            timeline: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultResult {
    pub name: String,
    pub at_ns: u64,
    pub until_ns: Option<u64>,
    pub bites: u64,
}
