//! `clinker check HISTORY`: judge a recorded history again; nothing is run.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use clinker_model::verdict::Outcome;

use super::{Exit, say};
use crate::artifacts;

#[derive(Args)]
pub(super) struct Check {
    /// A history.jsonl that a run left.
    history: PathBuf,
}

impl Check {
    pub fn execute(self) -> Result<Exit> {
        let history = artifacts::read_history(&self.history)?;
        let findings = clinker_judge::judge(&history);
        for finding in &findings {
            let word = match finding.outcome {
                Outcome::Pass => "pass",
                Outcome::Fail => "FAIL",
                Outcome::NotApplicable => "n/a ",
            };
            say(&format!("{word}  {}", finding.checker))?;
            for violation in &finding.violations {
                say(&format!("      at {}  {}", clinker_reports::seconds(violation.t_ns), violation.rule))?;
                say(&format!("      expected  {}\n      observed  {}", violation.expected, violation.observed))?;
            }
        }
        let any = |outcome| findings.iter().any(|finding| finding.outcome == outcome);
        Ok(if any(Outcome::Fail) {
            Exit::CheckFailed
        } else if any(Outcome::Pass) {
            Exit::AllAsExpected
        } else {
            Exit::NothingRan
        })
    }
}
