//! The goldens: every scenario with every driver it is for must pass its checks and emit exactly the accepted sequence.
//!
//! Review with `cargo insta review`. One test per scenario and driver.

use std::collections::BTreeSet;
use std::path::Path;

use clinker::catalog::{self, Entry};
use clinker::examine::examine;
use clinker::run::Parts;
use clinker_model::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let entries = catalog::embedded().unwrap_or_else(|error| panic!("the built-in scenarios load: {error:#}"));
    let mut trials = vec![Trial::test("every golden has its scenario", no_golden_is_an_orphan)];
    for entry in entries {
        for driver in entry.scenario.drivers.clone() {
            let entry = entry.clone();
            trials.push(Trial::test(format!("{}@{driver}", entry.name), move || play(&entry, &driver)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn play(entry: &Entry, driver: &str) -> Result<(), Failed> {
    let plan = entry.plan(driver, entry.seed()).map_err(|error| format!("{error:#}"))?;
    let examined = examine(&plan, &Parts::default());
    let Some(run) = &examined.run else {
        return Err(examined.result.reason.unwrap_or_default().into());
    };
    // A golden that differs is insta's to show: the one embedded in the program may be older than the file.
    if !matches!(examined.result.verdict, Verdict::Pass | Verdict::Golden) {
        return Err(clinker_reports::failure::text(&examined.result, &run.history).into());
    }
    let (area, scenario) = entry.name.split_once('/').ok_or("a scenario lies in the folder of its area")?;
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots").join(area));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(&entry.scenario.about);
    settings.bind(|| insta::assert_snapshot!(format!("{scenario}@{driver}"), examined.sequence));
    Ok(())
}

fn no_golden_is_an_orphan() -> Result<(), Failed> {
    let mut wanted = BTreeSet::new();
    for entry in catalog::embedded().map_err(|error| format!("{error:#}"))? {
        wanted.extend(entry.scenario.drivers.iter().map(|driver| format!("{}@{driver}", entry.name)));
    }
    let orphans: Vec<&str> = catalog::goldens().filter(|name| !wanted.contains(*name)).collect();
    if orphans.is_empty() { Ok(()) } else { Err(format!("goldens without a scenario: {}", orphans.join(", ")).into()) }
}
