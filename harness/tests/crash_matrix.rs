//! The crash matrix, thinned: every operation and victim, some of their points; and the matrix notices planted bugs.
//!
//! The whole is `clinker matrix`; `docs/crash-matrix.md` holds its size and result.

use std::collections::BTreeSet;

use clinker::catalog::{self, Entry};
use clinker::examine::examine_unaccepted;
use clinker::loader::presets;
use clinker::matrix::{BASES, Play, Victim, plays};
use clinker::mutants::{CRASH_MUTANTS, CrashMutant};
use clinker::run::Parts;
use clinker_model::verdict::{Outcome, Verdict};
use libtest_mimic::{Arguments, Failed, Trial};

/// Every so many plays of an operation and a driver; no divisor of what repeats in their order.
const STRIDE: usize = 17;

fn main() {
    let entries: &'static [Entry] = catalog::embedded().expect("the built-in scenarios load").leak();
    let mut trials = vec![Trial::test("every victim is among the plays", move || every_victim(entries))];
    for (number, base) in BASES.iter().enumerate() {
        for (shift, driver) in presets::names().into_iter().enumerate() {
            // Another choice for each driver, so that together they see more points.
            let first = (number + 5 * shift) % STRIDE;
            let trial = move || {
                let plays = plays(base, entries, driver, &Parts::default()).map_err(|error| format!("{error:#}"))?;
                plays.iter().skip(first).step_by(STRIDE).try_for_each(is_closed)
            };
            trials.push(Trial::test(format!("{}@{driver}", base.name), trial));
        }
    }
    for mutant in CRASH_MUTANTS {
        trials.push(Trial::test(format!("mutant {}", mutant.name), move || is_noticed(mutant, entries)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn is_closed(play: &Play) -> Result<(), Failed> {
    let examined = examine_unaccepted(&play.plan, &Parts::default());
    match (&examined.run, examined.result.verdict) {
        (_, Verdict::Pass) => Ok(()),
        (Some(run), _) => Err(clinker_reports::failure::text(&examined.result, &run.history).into()),
        (None, _) => Err(examined.result.reason.unwrap_or_default().into()),
    }
}

fn every_victim(entries: &[Entry]) -> Result<(), Failed> {
    let base = BASES.iter().find(|base| base.name == "create-encrypted").ok_or("no base create-encrypted")?;
    let all = plays(base, entries, "swift", &Parts::default()).map_err(|error| format!("{error:#}"))?;
    let seen: BTreeSet<Victim> = all.iter().map(|play| play.victim).collect();
    let names: BTreeSet<&str> = all.iter().map(|play| play.plan.scenario.as_str()).collect();
    if names.len() != all.len() {
        return Err("two plays have one name".into());
    }
    if seen.into_iter().eq(Victim::ALL) { Ok(()) } else { Err("a victim never ends".into()) }
}

/// The base alone does not notice; one of its plays does.
fn is_noticed(mutant: &CrashMutant, entries: &[Entry]) -> Result<(), Failed> {
    let base = BASES.iter().find(|base| base.name == mutant.base).ok_or("no such base")?;
    let parts = mutant.parts();
    let name = format!("matrix/{}", mutant.base);
    let entry = entries.iter().find(|entry| entry.name == name).ok_or("no such scenario")?;
    let plan = entry.plan(mutant.driver, entry.seed()).map_err(|error| format!("{error:#}"))?;
    if examine_unaccepted(&plan, &parts).result.verdict != Verdict::Pass {
        return Err("it shows without a crash: that is no matter of the matrix".into());
    }
    let plays = plays(base, entries, mutant.driver, &parts).map_err(|error| format!("{error:#}"))?;
    let own = plays.iter().filter(|play| play.victim == mutant.victim && play.power == mutant.power);
    for play in own {
        let result = examine_unaccepted(&play.plan, &parts).result;
        if result.findings.iter().any(|finding| finding.outcome == Outcome::Fail) {
            return Ok(());
        }
    }
    Err(format!("{}: every play passes", mutant.name).into())
}
