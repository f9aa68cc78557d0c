//! Every planted bug is noticed: its scenario turns red, by the checker that is there for it.

use clinker::catalog;
use clinker::examine::examine;
use clinker::mutants::{MUTANTS, Mutant};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let trials = MUTANTS.iter().map(|mutant| Trial::test(mutant.name, move || is_noticed(mutant))).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn is_noticed(mutant: &Mutant) -> Result<(), Failed> {
    let entries = catalog::embedded().map_err(|error| format!("{error:#}"))?;
    let entry = entries.iter().find(|entry| entry.name == mutant.scenario);
    let entry = entry.ok_or_else(|| format!("no scenario is called {}", mutant.scenario))?;
    let plan = entry.plan(mutant.driver, entry.seed()).map_err(|error| format!("{error:#}"))?;
    let result = examine(&plan, &mutant.parts()).result;
    if mutant.is_killed_by(&result) {
        return Ok(());
    }
    let reason = result.reason.unwrap_or_else(|| "everything passes".to_owned());
    Err(format!(
        "{}: {}@{}: {reason}; checker {} must fail",
        mutant.name, mutant.scenario, mutant.driver, mutant.checker
    )
    .into())
}
