//! DET: the same seed gives the same trace, in this process and in another.

use std::path::Path;
use std::process::{Command, Stdio};

use clinker_reports::json::File;

use super::bench::{Setting, play};
use super::candidate::{Candidate, Kind};
use super::cases::{self, CaseBody, Scale};
use super::outcome::{Outcome, Stop, ensure, fixture};
use super::profile;

/// The case that plays bodies twice, and the one that plays one in another process.
pub(super) const TWICE: &str = "B-DET-001";
pub(super) const ELSEWHERE: &str = "B-DET-002";
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

/// Plays a body twice; fails unless both left the same events. Whether the body passed is its own case's matter.
pub(super) fn twice(setting: &Setting, rule: &str, body: &CaseBody) -> Outcome {
    let [one, other] = [(), ()].map(|()| play(setting, rule, body.body).result.hash);
    ensure(one == other && !one.is_empty(), "two plays of one seed differ", format!("hash {one} again"), || other)
}

/// The hash of the sample, played by another process of this program.
fn elsewhere(candidate: &Candidate, seed: u64, folder: &Path) -> Outcome<String> {
    let program = fixture(std::env::current_exe().map_err(|error| format!("find this program: {error}")))?;
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
    fixture(command.status().map_err(|error| format!("start {}: {error}", program.display())))?;
    let text =
        fixture(std::fs::read_to_string(&result).map_err(|error| format!("read {}: {error}", result.display())))?;
    let file = fixture(File::read(&text))?;
    let case = file.cases.iter().find(|case| case.id == SAMPLE);
    let hash = case.and_then(|case| case.plays.first()).map(|play| play.hash.clone());
    hash.ok_or_else(|| Stop::Broken(format!("the other process has not played {SAMPLE}")))
}

/// Plays the sample here and in another process; fails unless both left the same events.
pub(super) fn in_two_processes(setting: &Setting, rule: &str) -> Outcome {
    let sample = Setting { case: SAMPLE.to_owned(), ..setting.clone() };
    let body = cases::body(SAMPLE).ok_or_else(|| Stop::Broken(format!("{SAMPLE} has no body")))?;
    let here = play(&sample, rule, body.body).result.hash;
    let folder = fixture(tempfile::tempdir())?;
    let there = elsewhere(&setting.candidate, setting.seed, folder.path())?;
    let same = there == here && !here.is_empty();
    ensure(same, "another process leaves another trace", format!("hash {here} there too"), || there)
}
