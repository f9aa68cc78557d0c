//! The suite as a test program: each case of the profile is one test of `cargo test`, with libtest's options.
//!
//! A crate of somebody else's calls [`main`] from a test target with `harness = false`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clinker_model::conformance::{Case, CaseResult};
use clinker_model::verdict::Verdict;
use clinker_reports::{failure, item, json};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::bench::Pace;
use super::candidate::Candidate;
use super::cases::Scale;
use super::profile::profile;
use super::suite::Suite;
use crate::catalog;

/// Nothing was played: design §7.
const NOTHING_RAN: u8 = 4;
const USAGE: u8 = 2;

const OWN_HELP: &str = "\
Options of the suite, besides those of every test program:
  --seed N         the first seed of each play (17)
  --seeds N        plays of each body under so many seeds (1)
  --full           every place at which a fault can strike, not only the first, the middle and the last
  --result FILE    leave a result.json, from which reports and expectations are made
";

/// Options that libtest does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    seed: u64,
    seeds: u64,
    full: bool,
    result: Option<PathBuf>,
}

/// Plays the profile's cases for a candidate as the arguments of the program say. The exit code is 0 if none failed, 101
/// if one did, 4 if nothing was played (only skipped cases, or none at all), 2 on wrong arguments.
pub fn main(candidate: Candidate) -> ExitCode {
    run(candidate, std::env::args_os())
}

/// As [`main`], with these arguments, of which the first is the program's name.
pub fn run(candidate: Candidate, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (own, rest) = match own(arguments) {
        Ok(both) => both,
        Err(why) => {
            complain(&why);
            return ExitCode::from(USAGE);
        }
    };
    if rest.iter().any(|argument| argument == "--help" || argument == "-h") {
        complain(OWN_HELP);
    }
    let arguments = Arguments::from_iter(rest);
    match suite(candidate, &own) {
        Ok(suite) => play(suite, &own, &arguments),
        Err(why) => {
            complain(&why);
            ExitCode::from(USAGE)
        }
    }
}

/// Takes the suite's own options out of the arguments.
fn own(arguments: impl IntoIterator<Item = OsString>) -> Result<(Own, Vec<OsString>), String> {
    let mut own = Own { seed: 17, seeds: 1, full: false, result: None };
    let mut rest = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy().into_owned();
        let (name, inline) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text.as_str(), None),
        };
        if name == "--full" && inline.is_none() {
            own.full = true;
            continue;
        }
        if !["--seed", "--seeds", "--result"].contains(&name) {
            rest.push(argument);
            continue;
        }
        let value = inline.or_else(|| arguments.next()).ok_or_else(|| format!("{name}: a value is missing"))?;
        let number = |least: u64| {
            let number = value.to_str().and_then(|text| text.parse().ok()).filter(|number| *number >= least);
            number.ok_or_else(|| format!("{name}: found {value:?}, expected a whole number from {least} on"))
        };
        match name {
            "--seed" => own.seed = number(0)?,
            "--seeds" => own.seeds = number(1)?,
            _ => own.result = Some(PathBuf::from(value)),
        }
    }
    Ok((own, rest))
}

fn suite(candidate: Candidate, own: &Own) -> Result<Suite, String> {
    clinker_world::require_tokio_unstable().map_err(|error| error.to_string())?;
    Ok(Suite {
        parts: candidate.parts(),
        candidate,
        entries: catalog::embedded().map_err(|error| format!("{error:#}"))?,
        scale: if own.full { Scale::Full } else { Scale::Gate },
        seeds: own.seeds,
        seed: own.seed,
        pace: Pace::Virtual,
        pictures: own.result.is_some(),
    })
}

fn play(suite: Suite, own: &Own, arguments: &Arguments) -> ExitCode {
    let suite = Arc::new(suite);
    let results: Arc<Mutex<Vec<CaseResult>>> = Arc::default();
    let trials = profile().cases.iter().map(|case| trial(&suite, case, &results)).collect();
    let conclusion = libtest_mimic::run(arguments, trials);
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    let results = all_of(std::mem::take(&mut *results.lock().expect("no panic while the lock is held")));
    if let Some(file) = &own.result {
        let text = json::text(&json::File::of_cases(suite.candidate.subject(&profile().version), results));
        if let Err(error) = std::fs::write(file, text) {
            complain(&format!("write {}: {error}", file.display()));
            return ExitCode::from(USAGE);
        }
    }
    if conclusion.num_passed + conclusion.num_failed == 0 {
        complain("nothing ran: no case was selected that applies; `--list` shows all");
        return ExitCode::from(NOTHING_RAN);
    }
    conclusion.exit_code()
}

fn trial(suite: &Arc<Suite>, case: &'static Case, results: &Arc<Mutex<Vec<CaseResult>>>) -> Trial {
    let (suite, results) = (Arc::clone(suite), Arc::clone(results));
    Trial::ignorable_test(format!("{} {}", case.id, case.slug), move || {
        let result = suite.case(case);
        let ended = ended(&result);
        results.lock().expect("no panic while the lock is held").push(result);
        ended
    })
}

fn ended(result: &CaseResult) -> Result<Completion, Failed> {
    match result.verdict {
        Verdict::Pass | Verdict::Xfail => Ok(Completion::Completed),
        Verdict::Skip => Ok(Completion::ignored_with(result.reason.as_deref().unwrap_or("skipped"))),
        Verdict::Fail | Verdict::Golden | Verdict::Error => Err(failure::item(&item::of_case(result)).into()),
    }
}

/// One result per case of the profile, in its order: those that were not selected too.
fn all_of(mut results: Vec<CaseResult>) -> Vec<CaseResult> {
    let of = |case: &Case| match results.iter().position(|result| result.id == case.id) {
        Some(at) => results.swap_remove(at),
        None => CaseResult { reason: Some("not selected".to_owned()), ..CaseResult::of(case) },
    };
    profile().cases.iter().map(of).collect()
}

fn complain(text: &str) {
    eprintln!("{}", text.trim_end());
}
