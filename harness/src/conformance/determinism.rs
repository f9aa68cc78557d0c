//! DET: the same seed gives the same trace, in this process and in another.

use std::path::Path;
use std::process::{Command, Stdio};

use clinker_reports::json::File;

use super::bench::{Played, Setting, play};
use super::candidate::{Candidate, Kind};
use super::cases::{self, CaseBody, Scale};
use super::outcome::{Outcome, Stop};
use super::profile;
use crate::run::Parts;

/// The case whose play is repeated in another process.
const SAMPLE: &str = "B-CRT-002";

/// Bodies that are played twice: one play of each that applies.
pub(super) fn bodies(candidate: &Candidate) -> Vec<(&'static CaseBody, String)> {
    let applies = |body: &&CaseBody| profile::find(body.id).is_ok_and(|case| candidate.lacks(&case.needs).is_none());
    let first = |body: &'static CaseBody| {
        let variant = (body.variants)(candidate, Scale::Gate).into_iter().next()?;
        Some((body, variant))
    };
    cases::families().filter(applies).filter_map(first).collect()
}

/// Plays a body twice; fails unless both left the same events.
pub(super) fn twice(setting: &Setting, rule: &str, body: &CaseBody) -> Played {
    let (first, second) = (play(setting, rule, body.body), play(setting, rule, body.body));
    let (one, other) = (&first.result.hash, &second.result.hash);
    if one == other && !one.is_empty() {
        // Whether the body itself passed is its own case's matter.
        return Played::passed(setting);
    }
    let what = "two plays of one seed differ";
    Played::failed(setting, rule, what, format!("hash {one} again"), other.clone())
}

/// The hash of the sample, played by another process of this program.
fn elsewhere(candidate: &Candidate, seed: u64, folder: &Path) -> Outcome<String> {
    let broken = |why: String| Stop::Broken(why);
    let program = std::env::current_exe().map_err(|error| broken(format!("find this program: {error}")))?;
    let result = folder.join("result.json");
    let mut command = Command::new(&program);
    match candidate.kind {
        Kind::BuiltIn if program.file_stem().is_some_and(|stem| stem == "clinker") => {
            command.args(["conform", "--driver", candidate.preset.name, "--case", SAMPLE, "--out"]).arg(folder);
        }
        Kind::PlugIn => {
            command.args([SAMPLE, "--result"]).arg(&result);
        }
        _ => return Err(Stop::Skipped("there is no program here that could play it again".to_owned())),
    }
    command.args(["--seed", &seed.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map_err(|error| broken(format!("start {}: {error}", program.display())))?;
    let text =
        std::fs::read_to_string(&result).map_err(|error| broken(format!("read {}: {error}", result.display())))?;
    let file = File::read(&text).map_err(|error| broken(error.to_string()))?;
    let case = file.cases.iter().find(|case| case.id == SAMPLE);
    let hash = case.and_then(|case| case.plays.first()).map(|play| play.hash.clone());
    hash.ok_or_else(|| broken(format!("the other process has not played {SAMPLE}")))
}

/// Plays the sample here and in another process; fails unless both left the same events.
pub(super) fn in_two_processes(setting: &Setting, rule: &str) -> Played {
    let sample = Setting { case: SAMPLE.to_owned(), parts: Parts { ..setting.parts.clone() }, ..setting.clone() };
    let Some(body) = cases::body(SAMPLE) else { return Played::skipped(setting, "the sample has no body") };
    let here = play(&sample, rule, body.body).result.hash;
    let there = match tempfile::tempdir() {
        Ok(folder) => elsewhere(&setting.candidate, setting.seed, folder.path()),
        Err(error) => Err(Stop::Broken(error.to_string())),
    };
    match there {
        Ok(there) if there == here && !here.is_empty() => Played::passed(setting),
        Ok(there) => {
            let what = "another process leaves another trace";
            Played::failed(setting, rule, what, format!("hash {here} there too"), there)
        }
        Err(Stop::Skipped(why)) => Played::skipped(setting, &why),
        Err(Stop::Broken(why)) => Played::broken(setting, why),
        Err(Stop::Failed { what, expected, observed }) => Played::failed(setting, rule, &what, expected, observed),
    }
}
