//! A chosen set of scenarios over loopback TCP in real time: the same notifications as in simulation, checked by the same
//! checkers. What holds here and there is not an artefact of the simulated network.
//!
//! Chosen is what decides nothing by milliseconds and lasts less than 40 s. All run at once: they mostly sleep.

use std::time::Duration;

use clinker::catalog;
use clinker::examine::examine;
use clinker::run::Parts;
use clinker_model::Span;
use clinker_model::plan::{Engine, Plan};
use clinker_model::verdict::Verdict;

const EVERYWHERE: &[&str] = &["swift", "swift-v3", "posix"];
const SWIFT: &[&str] = &["swift", "swift-v3"];

const CHOSEN: [(&str, &[&str]); 15] = [
    // Healthy: full, incremental, restore in place and into a new volume, delete.
    ("create/incremental-chain", EVERYWHERE),
    ("restore/same-volume", EVERYWHERE),
    ("restore/new-volume", EVERYWHERE),
    ("delete/with-children", EVERYWHERE),
    // Answers of the store: no space, a dead node, refusals that end in time.
    ("create/store-507", SWIFT),
    ("create/metadata-refused", SWIFT),
    ("create/put-refused-thrice", SWIFT),
    // Bodies that break off, in both directions.
    ("create/request-cut", SWIFT),
    ("create/answer-cut", SWIFT),
    ("restore/short-read", SWIFT),
    // Slow answers; damage; nobody listens.
    ("delete/while-restoring", EVERYWHERE),
    ("integrity/bit-flip", EVERYWHERE),
    ("create/attach-refused", EVERYWHERE),
    // A process that ends between storing and recording, and one before its first connection.
    ("restart/create-before-finish", EVERYWHERE),
    ("restart/create-before-connect", SWIFT),
];

#[test]
fn the_chosen_scenarios_notify_in_real_time_as_in_simulation() {
    let mut plans = vec![refused_at_start("swift"), refused_at_start("swift-v3")];
    for (name, drivers) in CHOSEN {
        plans.extend(drivers.iter().map(|driver| plan(name, driver)));
    }
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = plans.iter().map(|plan| scope.spawn(|| play(plan))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a run that panics is an error of its own")).collect()
    });
    assert!(failures.is_empty(), "{} of {} runs:\n{}", failures.len(), plans.len(), failures.join("\n"));
}

/// The scenario's plan at its own seed, at which its golden holds.
fn plan(name: &str, driver: &str) -> Plan {
    let entries = catalog::embedded().unwrap();
    let entry = entries.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no scenario {name}"));
    let mut plan = entry.plan(driver, entry.seed()).unwrap();
    plan.play_on(Engine::Real, 0);
    plan
}

/// `init/refused-at-start` ten times as fast: the notifications are the same, and it lasts 20 s instead of 200.
fn refused_at_start(driver: &str) -> Plan {
    let mut plan = plan("init/refused-at-start", driver);
    let faster = |span: &mut Span| *span = Span(span.0 / 10);
    plan.options.insert("periodic_interval".to_owned(), "6".to_owned());
    faster(&mut plan.heal);
    for fault in &mut plan.faults {
        faster(&mut fault.at);
        fault.until.iter_mut().for_each(faster);
    }
    plan.steps.iter_mut().filter_map(|step| step.at.as_mut()).for_each(faster);
    for state in &mut plan.expect.service {
        state.at.iter_mut().chain(&mut state.by).for_each(faster);
    }
    plan
}

/// The lines of each object, in order. After a restart the first attempt and clean-up run at the same time (D2): which of
/// the two is told of first is a matter of milliseconds, what is told is not.
fn by_object(sequence: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = sequence.trim_end().lines().collect();
    let object = |line: &str| line.split_whitespace().nth(2).unwrap_or_default().to_owned();
    lines.sort_by_key(|line| object(line));
    lines
}

/// What is wrong with a run, if anything is.
fn play(plan: &Plan) -> Option<String> {
    let examined = examine(plan, &Parts::default());
    let name = format!("{}@{}", plan.scenario, plan.driver);
    let result = &examined.result;
    let golden = examined.golden.as_deref().unwrap_or("none");
    match (&examined.run, result.verdict) {
        (Some(run), Verdict::Pass) if run.virtual_time > Duration::from_secs(40) => {
            Some(format!("{name}: it lasted {:?}, too long for the chosen set", run.virtual_time))
        }
        (Some(_), Verdict::Pass) => None,
        (Some(_), Verdict::Golden)
            if plan.scenario.starts_with("restart/") && by_object(golden) == by_object(&examined.sequence) =>
        {
            None
        }
        (Some(run), Verdict::Fail) => Some(clinker_reports::failure::text(result, &run.history)),
        (Some(_), _) => Some(format!("{name}: accepted\n{golden}\nobserved\n{}", examined.sequence)),
        (None, _) => Some(format!("{name}: {}", result.reason.as_deref().unwrap_or("skipped"))),
    }
}
