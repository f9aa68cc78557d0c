//! Every planted bug is noticed: its scenario turns red, by the checker that is there for it.

use clinker::catalog;
use clinker::examine::examine;
use clinker::mutants::{self, Mutant};
use clinker_judge::checkers::timing;
use clinker_model::verdict::{Outcome, RunResult};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let trials = mutants::all().map(|mutant| Trial::test(mutant.name, move || is_noticed(mutant))).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn is_noticed(mutant: &Mutant) -> Result<(), Failed> {
    let entries = catalog::embedded().map_err(|error| format!("{error:#}"))?;
    let entry = entries.iter().find(|entry| entry.name == mutant.scenario);
    let entry = entry.ok_or_else(|| format!("no scenario is called {}", mutant.scenario))?;
    let plan = entry.plan(mutant.driver, entry.seed()).map_err(|error| format!("{error:#}"))?;
    let result = examine(&plan, &mutant.parts()).result;
    let others = others(mutant, &result);
    if mutant.is_killed_by(&result) && others.is_empty() {
        return Ok(());
    }
    let reason = result.reason.unwrap_or_else(|| "everything passes".to_owned());
    Err(format!(
        "{}: {}@{}: {reason}; checker {} must fail, {others:?} not",
        mutant.name, mutant.scenario, mutant.driver, mutant.checker
    )
    .into())
}

/// Timing rules that fail beside the one that the mutant breaks: each rule says one thing.
fn others(mutant: &Mutant, result: &RunResult) -> Vec<String> {
    let is_timing = |name: &str| timing::CHECKERS.iter().any(|rule| rule.name == name);
    let failed = result.findings.iter().filter(|finding| finding.outcome == Outcome::Fail);
    let others = failed.filter(|finding| finding.checker != mutant.checker && is_timing(&finding.checker));
    others.filter(|_| is_timing(mutant.checker)).map(|finding| finding.checker.clone()).collect()
}
