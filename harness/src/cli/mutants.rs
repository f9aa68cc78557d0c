//! `clinker mutants`: plant each known bug; a scenario must turn red, and so must each case of Core.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use clinker_model::verdict::Verdict;

use super::{Exit, say, select};
use crate::catalog::Entry;
use crate::conformance::profile::profile;
use crate::examine::examine;
use crate::mutants::by_case::{self, cpu};
use crate::mutants::{self, Mutant};

/// The drivers for which cases are tried, in this order.
const DRIVERS: [&str; 3] = ["swift", "s3", "posix"];

#[derive(Args)]
pub(super) struct Mutants {
    /// Only mutants whose name contains this; with --cases, only cases whose id or slug does.
    pattern: Option<String>,
    /// The other way round: for each MUST case of the profile's first wave, the first bug that turns it red, of the
    /// listed ones and of calls that are dropped, repeated, delayed or altered.
    #[arg(long)]
    cases: bool,
}

impl Mutants {
    pub fn execute(self, folder: Option<&Path>) -> Result<Exit> {
        let entries = select::scenarios(folder)?;
        let (killed, survived) = if self.cases { self.by_case(&entries)? } else { self.by_mutant(&entries)? };
        say(&format!("{killed} killed, {survived} survived"))?;
        Ok(match (killed, survived) {
            (0, 0) => Exit::NothingRan,
            (_, 0) => Exit::AllAsExpected,
            _ => Exit::CheckFailed,
        })
    }

    fn by_mutant(&self, entries: &[Entry]) -> Result<(usize, usize)> {
        let (mut killed, mut survived) = (0, 0);
        let wanted = |mutant: &&Mutant| self.pattern.as_deref().is_none_or(|part| mutant.name.contains(part));
        for mutant in mutants::all().filter(wanted) {
            let entry = entries.iter().find(|entry| entry.name == mutant.scenario);
            let entry = entry.with_context(|| format!("mutant {}: no scenario {}", mutant.name, mutant.scenario))?;
            let plan = entry.plan(mutant.driver, entry.seed())?;
            let before = cpu();
            let result = examine(&plan, &mutant.parts()).result;
            let spent = cpu().saturating_sub(before);
            let dead = mutant.is_killed_by(&result);
            let word = if dead { "killed  " } else { "SURVIVED" };
            say(&format!("{word}  {}  {:.3} s of CPU", mutant.name, spent.as_secs_f64()))?;
            say(&format!("          {}", mutant.about))?;
            let reason = result.reason.as_deref().unwrap_or("green");
            say(&format!("          {}@{}: {reason}", mutant.scenario, mutant.driver))?;
            let cases = cases_of(mutant);
            if !cases.is_empty() {
                say(&format!("          by {}", cases.join(", ")))?;
            }
            if result.verdict == Verdict::Error {
                say("          the run broke, which kills nothing")?;
            }
            if dead { killed += 1 } else { survived += 1 }
        }
        Ok((killed, survived))
    }

    fn by_case(&self, entries: &[Entry]) -> Result<(usize, usize)> {
        let (mut killed, mut survived) = (0, 0);
        let wanted = |part: &str, id: &str, slug: &str| id.contains(part) || slug.contains(part);
        for case in profile().cases.iter().filter(|case| case.is_core()) {
            if self.pattern.as_deref().is_some_and(|part| !wanted(part, &case.id, &case.slug)) {
                continue;
            }
            let Some(kill) = by_case::search(case, &DRIVERS, entries) else {
                if by_case::is_for_any(case, &DRIVERS) {
                    say(&format!("SURVIVED  {} {}", case.id, case.slug))?;
                    survived += 1;
                }
                continue;
            };
            let spent = kill.cpu.as_secs_f64();
            say(&format!(
                "killed    {} {}  by {}@{}  {spent:.3} s of CPU",
                case.id, case.slug, kill.mutant, kill.driver
            ))?;
            say(&format!("          {}", kill.reason))?;
            killed += 1;
        }
        Ok((killed, survived))
    }
}

/// The cases that rest on the mutant's scenario and on its checker.
fn cases_of(mutant: &Mutant) -> Vec<String> {
    let of = profile().cases.iter().filter(|case| case.scenarios.iter().any(|name| name == mutant.scenario));
    of.map(|case| case.id.clone()).collect()
}
