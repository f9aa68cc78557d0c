//! The suite as a test program: each case of the profile is one test of `cargo test`, with libtest's options.
//!
//! A crate of somebody else's calls [`main`] from a test target with `harness = false`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use clinker_model::conformance::{Case, CaseResult, Subject};
use clinker_model::verdict::Verdict;
use clinker_reports::{failure, item, json};
use jiff::civil::Date;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::bench::Pace;
use super::candidate::Candidate;
use super::cases::Scale;
use super::expectations::Expectations;
use super::plays::Only;
use super::profile::{self, profile};
use super::suite::{Suite, whole};
use crate::catalog;
use crate::cli::expectations;

/// Nothing was played: design §7.
const NOTHING_RAN: u8 = 4;
const USAGE: u8 = 2;

const OWN_HELP: &str = "\
Options of the suite, besides those of every test program:
  --case ID[/PLAY]     only this case, or only this play of it; may stand several times
  --seed N             the first seed of each play (17)
  --seeds N            plays of each body under so many seeds (1)
  --full               every place at which a fault can strike, not only the first, the middle and the last
  --expectations FILE  known failures, which do not fail
  --result FILE        leave a result.json, from which reports and expectations are made
";

/// Options that libtest does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    cases: Vec<String>,
    seed: u64,
    seeds: u64,
    full: bool,
    expectations: Option<PathBuf>,
    result: Option<PathBuf>,
}

/// What every trial of a program shares.
struct Stage {
    suite: Suite,
    /// The cases that are trials, and which of their plays.
    cases: Vec<&'static Case>,
    only: Only,
    subject: Subject,
    expected: Option<(Expectations, Date)>,
    results: Mutex<Vec<CaseResult>>,
}

/// Plays the profile's cases for a candidate as the arguments of the program say. The exit code is 0 if none failed, 101
/// if one did, 4 if nothing was played (only skipped cases, or none at all), 2 on wrong arguments.
pub fn main(candidate: Candidate) -> ExitCode {
    run(candidate, std::env::args_os())
}

/// As [`main`], with a file of known failures; its path is relative to the crate's folder, in which cargo runs tests.
pub fn main_expecting(candidate: Candidate, file: impl Into<OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // Before the user's, of which the last one counts.
    arguments.splice(1..1, ["--expectations".into(), file.into()]);
    run(candidate, arguments)
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
    match stage(candidate, &own) {
        Ok(stage) => play(&Arc::new(stage), &own, &arguments),
        Err(why) => {
            complain(&format!("{why:#}"));
            ExitCode::from(USAGE)
        }
    }
}

/// Takes the suite's own options out of the arguments.
fn own(arguments: impl IntoIterator<Item = OsString>) -> Result<(Own, Vec<OsString>), String> {
    let mut own = Own { cases: Vec::new(), seed: 17, seeds: 1, full: false, expectations: None, result: None };
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
        if !["--case", "--seed", "--seeds", "--expectations", "--result"].contains(&name) {
            rest.push(argument);
            continue;
        }
        let value = inline.or_else(|| arguments.next()).ok_or_else(|| format!("{name}: a value is missing"))?;
        let number = |least: u64| {
            let number = value.to_str().and_then(|text| text.parse().ok()).filter(|number| *number >= least);
            number.ok_or_else(|| format!("{name}: found {value:?}, expected a whole number from {least} on"))
        };
        match name {
            "--case" => own.cases.push(value.to_string_lossy().into_owned()),
            "--seed" => own.seed = number(0)?,
            "--seeds" => own.seeds = number(1)?,
            "--expectations" => own.expectations = Some(PathBuf::from(value)),
            _ => own.result = Some(PathBuf::from(value)),
        }
    }
    Ok((own, rest))
}

fn stage(candidate: Candidate, own: &Own) -> anyhow::Result<Stage> {
    clinker_world::require_tokio_unstable()?;
    if let Some(why) = candidate.wrong_claim() {
        anyhow::bail!(why);
    }
    let expected = match &own.expectations {
        Some(file) => Some((expectations::read(file)?, expectations::today()?)),
        None => None,
    };
    let subject = candidate.subject(&profile().version);
    let suite = Suite {
        parts: candidate.parts(),
        candidate,
        entries: catalog::embedded()?,
        scale: if own.full { Scale::Full } else { Scale::Gate },
        seeds: own.seeds,
        seed: own.seed,
        pace: Pace::Virtual,
        pictures: own.result.is_some(),
    };
    let only = suite.only(&own.cases).context("--case")?;
    let named = own.cases.iter().map(|name| profile::find(name.split('/').next().unwrap_or(name)));
    let named: Vec<&Case> = named.collect::<Result<_, _>>()?;
    let is_wanted = |case: &&Case| named.is_empty() || named.iter().any(|named| named.id == case.id);
    let cases = profile().cases.iter().filter(is_wanted).collect();
    Ok(Stage { suite, cases, only, subject, expected, results: Mutex::default() })
}

fn play(stage: &Arc<Stage>, own: &Own, arguments: &Arguments) -> ExitCode {
    let trials = stage.cases.iter().map(|case| trial(stage, case)).collect();
    let conclusion = libtest_mimic::run(arguments, trials);
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    let results = whole(std::mem::take(&mut *stage.results.lock().expect("no panic while the lock is held")));
    if let Some(file) = &own.result {
        let text = json::text(&json::File::of_cases(stage.subject.clone(), results));
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

fn trial(stage: &Arc<Stage>, case: &'static Case) -> Trial {
    let stage = Arc::clone(stage);
    Trial::ignorable_test(format!("{} {}", case.id, case.slug), move || {
        let only = stage.only.get(&case.id).map_or(&[][..], Vec::as_slice);
        let mut result = stage.suite.case_only(case, only);
        // An entry speaks of the whole case.
        let expected = stage.expected.as_ref().filter(|_| only.is_empty());
        let stale = expected.map(|(expected, today)| expected.apply_to(&stage.subject, &mut result, *today));
        let ended = match stale.unwrap_or_default().first() {
            Some(stale) => Err(format!("stale expectation: {stale}").into()),
            None => ended(&result),
        };
        stage.results.lock().expect("no panic while the lock is held").push(result);
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

fn complain(text: &str) {
    eprintln!("{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(arguments: &[&str]) -> Result<(Own, Vec<OsString>), String> {
        own(arguments.iter().map(OsString::from))
    }

    #[test]
    fn own_options_are_taken_out_and_the_others_left_to_libtest() {
        let (own, rest) = taken(&["suite", "B-INT", "--seed", "3", "--exact", "--seeds=5", "--full"]).expect("valid");
        assert_eq!((own.seed, own.seeds, own.full, own.result), (3, 5, true, None));
        assert_eq!(rest, ["suite", "B-INT", "--exact"]);
        let (own, _) = taken(&["suite", "--expectations", "a", "--expectations=b", "--result", "r"]).expect("valid");
        assert_eq!((own.expectations, own.result), (Some("b".into()), Some("r".into())));
        let (own, rest) = taken(&["suite", "--case", "B-CRT-001", "--case=B-FLT-001/create/7/eio"]).expect("valid");
        assert_eq!((own.cases.join(" "), rest.len()), ("B-CRT-001 B-FLT-001/create/7/eio".to_owned(), 1));
    }

    #[test]
    fn a_wrong_value_says_what_would_be_right() {
        for (arguments, expected) in [
            (&["suite", "--seed"][..], "--seed: a value is missing"),
            (&["suite", "--seeds", "0"], "--seeds: found \"0\", expected a whole number from 1 on"),
            (&["suite", "--seed=x"], "--seed: found \"x\", expected a whole number from 0 on"),
        ] {
            assert_eq!(taken(arguments).expect_err(expected), expected);
        }
    }
}
