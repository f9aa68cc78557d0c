//! Same program, scenario and seed: the same history, bit for bit, on two threads and in two processes.
//!
//! This comes before every other test of runs: without it no golden means anything. Every scenario is played twice for
//! each of its drivers at its own seed, and under further seeds and schedules; some also on turmoil.

use std::path::{Path, PathBuf};
use std::process::Command;

use clinker::catalog::{self, Entry};
use clinker::determinism::twice;
use clinker::token::Token;
use clinker_model::plan::{Engine, Plan};
use clinker_reports::json::File;
use libtest_mimic::{Arguments, Failed, Trial};

/// Further seeds of each scenario.
const SEEDS: u64 = 4;

/// Every so many scenarios one is also played on turmoil, which takes far longer.
const TURMOIL_EACH: usize = 8;

fn main() {
    let entries = catalog::embedded().unwrap_or_else(|error| panic!("the built-in scenarios load: {error:#}"));
    let mut plans = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        plans.extend(entry.scenario.drivers.iter().map(|driver| own(entry, driver)));
        plans.extend((1..=SEEDS).map(|n| explored(entry, n)));
        plans.extend((index % TURMOIL_EACH == 0).then(|| on_turmoil(entry)).flatten());
    }
    let mut trials: Vec<Trial> = plans.into_iter().map(trial).collect();
    trials.push(Trial::test("two processes agree on every run", two_processes));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn own(entry: &Entry, driver: &str) -> Plan {
    entry.plan(driver, entry.seed()).unwrap_or_else(|error| panic!("{error:#}"))
}

/// Another seed, another order of what happens at one instant, and the next of the scenario's drivers.
fn explored(entry: &Entry, n: u64) -> Plan {
    let drivers = &entry.scenario.drivers;
    let seed = entry.seed() + n;
    let driver = &drivers[usize::try_from(n).expect("a small number") % drivers.len()];
    let plan = entry.plan(driver, seed).unwrap_or_else(|error| panic!("{error:#}"));
    Plan { schedule: Some(seed), ..plan }
}

fn on_turmoil(entry: &Entry) -> Option<Plan> {
    let mut plan = own(entry, entry.scenario.drivers.first()?);
    plan.play_on(Engine::Turmoil, 10);
    plan.is_playable().then_some(plan)
}

fn trial(plan: Plan) -> Trial {
    let name = Token::of(&plan).to_string();
    Trial::test(name, move || two_threads(&plan))
}

fn two_threads(plan: &Plan) -> Result<(), Failed> {
    match twice(plan) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(difference)) => Err(format!("the two runs differ:\n{difference}").into()),
        Err(error) => Err(error.into()),
    }
}

fn two_processes() -> Result<(), Failed> {
    let (first, second) = (Folder::new("a")?, Folder::new("b")?);
    let (left, right) = (run_all(&first.0)?, run_all(&second.0)?);
    if left.runs.is_empty() || left.runs.len() != right.runs.len() {
        return Err(format!("{} and {} runs", left.runs.len(), right.runs.len()).into());
    }
    for (left, right) in left.runs.iter().zip(&right.runs) {
        if left.hash != right.hash || left.hash.is_empty() {
            let name = format!("{}@{}-{}", left.scenario, left.driver, left.seed);
            let difference = first_difference(&first.0.join(&name), &second.0.join(&name))?;
            return Err(format!("{name}: hash {} and {}\n{difference}", left.hash, right.hash).into());
        }
    }
    Ok(())
}

/// Runs everything in a process of its own. Its verdicts are the golden test's business.
fn run_all(out: &Path) -> Result<File, Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_clinker")).args(["run", "--json", "--out"]).arg(out).output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The first record in which two histories differ.
fn first_difference(left: &Path, right: &Path) -> Result<String, Failed> {
    let read = |folder: &Path| std::fs::read_to_string(folder.join("history.jsonl"));
    let (left, right) = (read(left)?, read(right)?);
    let differing = left.lines().zip(right.lines()).enumerate().find(|(_, (left, right))| left != right);
    Ok(match differing {
        Some((line, (left, right))) => format!("first at line {}:\n  {left}\n  {right}", line + 1),
        None => "one history goes on where the other ends, or only network events differ".to_owned(),
    })
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Folder, Failed> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("determinism-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
