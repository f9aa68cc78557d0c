//! `clinker mutants`: plant each known bug; a scenario must turn red, and so must each case of Core.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use clinker_model::conformance::Case;
use clinker_model::verdict::Verdict;

use super::{Exit, say, select};
use crate::catalog::Entry;
use crate::conformance::profile::profile;
use crate::examine::examine;
use crate::loader::suggest::nearest;
use crate::mutants::by_case::{self, By, Kill, cpu};
use crate::mutants::{self, Mutant};

/// The drivers for which cases are tried, in this order.
const DRIVERS: [&str; 4] = ["swift", "s3", "posix", "swift-per-user"];

#[derive(Args)]
pub(super) struct Mutants {
    /// Only mutants whose name contains this; with --cases, only cases whose id or slug does.
    pattern: Option<String>,
    /// The other way round: for each MUST case of the profile's first wave, a bug that turns it red, of the listed ones
    /// and of calls that are dropped, repeated, delayed or altered; what says so is the case itself or a checker it names.
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

    /// Tells what the pattern may have been meant to be, if it names nothing. A pattern is a part of a name, so that it is
    /// compared with parts of as many words.
    fn nothing(&self, what: &str, names: &[&str]) -> Result<()> {
        let pattern = self.pattern.as_deref().unwrap_or_default();
        let count = pattern.split(['-', '_']).count();
        let parts = |name: &str| {
            let words: Vec<&str> = name.split(['-', '_']).collect();
            words.windows(count).map(|part| part.join("-")).collect::<Vec<_>>()
        };
        let all: Vec<String> = names.iter().flat_map(|name| parts(name)).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let meant = nearest(&pattern.replace('_', "-"), &all);
        let meant = meant.and_then(|near| names.iter().find(|name| parts(name).iter().any(|part| part == near)));
        let near = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        say(&format!("no {what} is called `{pattern}`{near}"))
    }

    fn by_mutant(&self, entries: &[Entry]) -> Result<(usize, usize)> {
        let (mut killed, mut survived) = (0, 0);
        let wanted = |mutant: &&Mutant| self.pattern.as_deref().is_none_or(|part| mutant.name.contains(part));
        for mutant in mutants::all().filter(wanted) {
            if one(mutant, entries)? { killed += 1 } else { survived += 1 }
        }
        if killed + survived == 0 {
            self.nothing("mutant", &mutants::all().map(|mutant| mutant.name).collect::<Vec<_>>())?;
        }
        Ok((killed, survived))
    }

    fn by_case(&self, entries: &[Entry]) -> Result<(usize, usize)> {
        let (mut killed, mut bodies, mut survived) = (0, 0, 0);
        let wanted = |case: &&&Case| {
            let part = self.pattern.as_deref().unwrap_or_default();
            case.id.contains(&part.to_uppercase()) || case.slug.contains(part)
        };
        let core: Vec<&Case> = profile().cases.iter().filter(|case| case.is_core()).collect();
        for case in core.iter().filter(wanted) {
            if let Some(kill) = by_case::search(case, &DRIVERS, entries) {
                tell(case, &kill)?;
                killed += 1;
                bodies += usize::from(kill.by == By::Body);
            } else if by_case::is_for_any(case, &DRIVERS) {
                say(&format!("SURVIVED  {} {}", case.id, case.slug))?;
                survived += 1;
            }
        }
        if killed + survived == 0 {
            let names = core.iter().flat_map(|case| [case.id.as_str(), case.slug.as_str()]);
            self.nothing("MUST case of the first wave for our drivers", &names.collect::<Vec<_>>())?;
        }
        if killed > 0 {
            say(&format!("{bodies} by what a case does itself, {} by a checker that it names", killed - bodies))?;
        }
        Ok((killed, survived))
    }
}

/// Plants a mutant into its scenario; whether it was killed.
fn one(mutant: &Mutant, entries: &[Entry]) -> Result<bool> {
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
    Ok(dead)
}

fn tell(case: &Case, kill: &Kill) -> Result<()> {
    let spent = kill.cpu.as_secs_f64();
    say(&format!("killed    {} {}  by {}@{}  {spent:.3} s of CPU", case.id, case.slug, kill.mutant, kill.driver))?;
    say(&format!("          {}: {}", kill.by.name(), kill.reason))
}

/// The cases that play the mutant's scenario and name its checker, and those that are known to turn red under it.
fn cases_of(mutant: &Mutant) -> Vec<String> {
    let named = |case: &&Case| {
        case.scenarios.iter().any(|name| name == mutant.scenario)
            && case.checks.iter().any(|name| name == mutant.checker)
    };
    let known = |case: &&Case| by_case::known().any(|known| known.case == case.id && known.mutant == mutant.name);
    let of = profile().cases.iter().filter(|case| named(case) || known(case));
    of.map(|case| case.id.clone()).collect()
}
