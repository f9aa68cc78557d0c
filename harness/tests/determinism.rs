//! Same program, scenario and seed: the same history, bit for bit, on two threads and in two processes.
//!
//! This comes before every other test of runs: without it no golden means anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use clinker::catalog::{self, Entry};
use clinker::determinism::twice;
use clinker_reports::json::File;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let entries = catalog::embedded().unwrap_or_else(|error| panic!("the built-in scenarios load: {error:#}"));
    let mut trials = vec![Trial::test("two processes agree on every run", two_processes)];
    for entry in entries {
        for driver in entry.scenario.drivers.clone() {
            let entry = entry.clone();
            trials.push(Trial::test(format!("{}@{driver}", entry.name), move || two_threads(&entry, &driver)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn two_threads(entry: &Entry, driver: &str) -> Result<(), Failed> {
    let plan = entry.plan(driver, entry.seed()).map_err(|error| format!("{error:#}"))?;
    match twice(&plan) {
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
