//! Every planted bug is noticed: its scenario turns red, by the checker that is there for it.

use clinker::catalog;
use clinker::conformance::profile;
use clinker::examine::examine;
use clinker::mutants::by_case::{self, Known, Planted};
use clinker::mutants::{self, Mutant};
use clinker_judge::checkers::timing;
use clinker_model::verdict::{Outcome, RunResult};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let mut trials: Vec<Trial> =
        mutants::all().map(|mutant| Trial::test(mutant.name, move || is_noticed(mutant))).collect();
    trials.extend(by_case::known().map(|known| {
        let name = format!("{} is turned red by {} ({})", known.case, known.mutant, known.by);
        Trial::test(name, move || turns_red(known))
    }));
    trials.push(Trial::test("every case of Core has a bug that turns it red", every_core_case_is_known));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The case itself, or a checker that it names, says so: whatever else fails in its scenarios shows nothing of its rule.
fn turns_red(known: Known) -> Result<(), Failed> {
    let Known { case, mutant, driver, by } = known;
    let entries = catalog::embedded().map_err(|error| format!("{error:#}"))?;
    let case = profile::find(case).map_err(|error| format!("{error:#}"))?;
    let planted = Planted::named(mutant).ok_or_else(|| format!("no mutant is called {mutant}"))?;
    let killed = by_case::kill(case, driver, &planted, &entries);
    let killed = killed.ok_or_else(|| format!("{}@{driver} stays green under {mutant}", case.id))?;
    if by != "body" && !case.checks.iter().any(|check| check == by) {
        return Err(format!("{} names no checker {by}", case.id).into());
    }
    if killed.by.name() != by {
        return Err(format!("{}: by {}, and not by {by}: {}", case.id, killed.by.name(), killed.reason).into());
    }
    Ok(())
}

/// Those that apply to none of our drivers cannot be turned red here, and B-DET-002 needs the program itself.
fn every_core_case_is_known() -> Result<(), Failed> {
    let known: Vec<&str> = by_case::known().map(|known| known.case).collect();
    let core = profile::profile().cases.iter().filter(|case| case.is_core() && case.id != "B-DET-002");
    let unknown: Vec<&str> = core
        .filter(|case| by_case::is_for_any(case, &["swift", "s3", "posix"]))
        .map(|case| case.id.as_str())
        .filter(|id| !known.contains(id))
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(format!("no bug is known to turn {unknown:?} red").into()) }
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
