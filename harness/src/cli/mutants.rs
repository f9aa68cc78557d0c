//! `clinker mutants`: plant each known bug; a scenario must turn red.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use clinker_model::verdict::Verdict;

use super::{Exit, say, select};
use crate::examine::examine;
use crate::mutants;

#[derive(Args)]
pub(super) struct Mutants {
    /// Only mutants whose name contains this.
    pattern: Option<String>,
}

impl Mutants {
    pub fn execute(self, folder: Option<&Path>) -> Result<Exit> {
        let entries = select::scenarios(folder)?;
        let (mut killed, mut survived) = (0, 0);
        for mutant in
            mutants::all().filter(|mutant| self.pattern.as_deref().is_none_or(|part| mutant.name.contains(part)))
        {
            let entry = entries.iter().find(|entry| entry.name == mutant.scenario);
            let entry = entry.with_context(|| format!("mutant {}: no scenario {}", mutant.name, mutant.scenario))?;
            let plan = entry.plan(mutant.driver, entry.seed())?;
            let result = examine(&plan, &mutant.parts()).result;
            let dead = mutant.is_killed_by(&result);
            say(&format!("{}  {}", if dead { "killed  " } else { "SURVIVED" }, mutant.name))?;
            say(&format!("          {}", mutant.about))?;
            say(&format!(
                "          {}@{}: {}",
                mutant.scenario,
                mutant.driver,
                result.reason.as_deref().unwrap_or("green")
            ))?;
            if result.verdict == Verdict::Error {
                say("          the run broke, which kills nothing")?;
            }
            if dead { killed += 1 } else { survived += 1 }
        }
        say(&format!("{killed} killed, {survived} survived"))?;
        Ok(match (killed, survived) {
            (0, 0) => Exit::NothingRan,
            (_, 0) => Exit::AllAsExpected,
            _ => Exit::CheckFailed,
        })
    }
}
