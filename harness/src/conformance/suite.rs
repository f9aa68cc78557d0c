//! The cases of a profile for one candidate: which apply, what is played for each, and its verdict.

use clinker_judge::timeline;
use clinker_model::conformance::{Case, CaseResult};
use clinker_model::fault::{Fault, Matching};
use clinker_model::plan::{Plan, Step};
use clinker_model::verdict::{RunResult, Verdict};
use clinker_world::run_isolated;

use super::bench::{Pace, Played, Setting, play};
use super::candidate::{Candidate, Kind};
use super::cases::{self, CaseBody, Scale};
use super::conclude::{One, broke, conclude};
use super::plays::{self, Only};
use super::{determinism, profile};
use crate::catalog::Entry;
use crate::examine::{Examined, Likeness, examine_as, is_kind};
use crate::parallel;
use crate::run::Parts;

/// How the suite is played.
#[derive(Clone)]
pub struct Suite {
    pub candidate: Candidate,
    /// The service with the candidate's driver; a mutant's if one is planted.
    pub parts: Parts,
    /// Scenarios that cases name.
    pub entries: Vec<Entry>,
    pub scale: Scale,
    /// Plays of a body under so many seeds.
    pub seeds: u64,
    pub seed: u64,
    pub pace: Pace,
    /// Whether plays are drawn as timelines.
    pub pictures: bool,
}

/// How many good plays of a case are drawn: one looks like the other.
const PICTURES: usize = 2;

impl Suite {
    /// All cases, `jobs` at a time; results in the order of the cases. `each` hears of every one as it ends.
    pub fn run(&self, cases: &[&Case], jobs: usize, each: &(dyn Fn(&CaseResult) + Sync)) -> Vec<CaseResult> {
        self.run_only(cases, &Only::new(), jobs, each)
    }

    /// As [`Suite::run`]; of cases in `only`, just the plays that it names.
    pub fn run_only(
        &self,
        cases: &[&Case],
        only: &Only,
        jobs: usize,
        each: &(dyn Fn(&CaseResult) + Sync),
    ) -> Vec<CaseResult> {
        parallel::map(cases, jobs, |case| {
            let result = self.case_only(case, only.get(&case.id).map_or(&[], Vec::as_slice));
            each(&result);
            result
        })
    }

    /// Plays a case.
    pub fn case(&self, case: &Case) -> CaseResult {
        self.case_only(case, &[])
    }

    /// Plays those plays of a case that have these names; all of them if there is no name.
    #[expect(clippy::disallowed_methods, reason = "wall time of whole cases is shown to the user and decides nothing")]
    pub fn case_only(&self, case: &Case, only: &[String]) -> CaseResult {
        let started = std::time::Instant::now();
        let mut result = CaseResult::of(case);
        match self.candidate.lacks(&case.needs) {
            Some(why) => result.reason = Some(why),
            // A panic anywhere is this case's trouble and no other's.
            None => match run_isolated(&case.id, || self.each_play(case, only).collect()) {
                Ok(plays) => conclude(&mut result, case, plays, &self.candidate),
                Err(error) => broke(&mut result, error.to_string()),
            },
        }
        result.replay = self.replay(&result);
        result.wall_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        result
    }

    /// What `wanted` makes of the first play of a case of which it makes anything; none is played after that.
    pub fn first_play<T>(&self, case: &Case, wanted: impl Fn(&RunResult) -> Option<T>) -> Option<T> {
        self.each_play(case, &[]).find_map(|play| wanted(&play.result))
    }

    /// The command that repeats what is worst in a result; where nothing is, what was played.
    fn replay(&self, result: &CaseResult) -> String {
        let bad = result.plays.iter().find(|play| play.verdict == Verdict::Error);
        let bad =
            bad.or_else(|| result.plays.iter().find(|play| !matches!(play.verdict, Verdict::Pass | Verdict::Skip)));
        match (bad, &result.plays[..]) {
            (Some(play), _) | (None, [play]) => play.replay.clone(),
            _ => self.candidate.repeat(&result.id, self.seed, self.pace),
        }
    }

    /// The plays of a case, each played when it is asked for.
    fn each_play<'a>(&'a self, case: &'a Case, only: &'a [String]) -> impl Iterator<Item = One> + 'a {
        self.bodies(case, only).chain(self.determinism(case, only)).chain(self.scenarios(case, only))
    }

    fn bodies<'a>(&'a self, case: &'a Case, only: &'a [String]) -> impl Iterator<Item = One> + 'a {
        let body = cases::body(&case.id).into_iter();
        let variants = body.flat_map(|body| self.variants(body, only).into_iter().map(move |v| (body, v)));
        let seeds = move |(body, variant): (&'static CaseBody, String)| {
            (0..self.seeds.max(1)).map(move |n| (body, variant.clone(), self.seed.wrapping_add(n)))
        };
        let plays = variants.flat_map(seeds).enumerate();
        plays.map(|(number, (body, variant, seed))| self.body(case, body, variant, seed, number))
    }

    /// The two cases about the harness itself, which are about plays of other cases.
    fn determinism<'a>(&'a self, case: &'a Case, only: &'a [String]) -> impl Iterator<Item = One> + 'a {
        let twice = if case.id == determinism::TWICE { determinism::bodies(&self.candidate) } else { Vec::new() };
        let other = case.id == determinism::ELSEWHERE && only.is_empty();
        let other = other.then(|| self.setting(&case.id, None, String::new(), self.seed));
        let twice = twice.into_iter().map(|(body, variant)| (plays::name(body.id, &variant), body, variant));
        let twice = twice.filter(|(name, ..)| only.is_empty() || only.contains(name)).map(|(name, body, variant)| {
            let setting = self.setting(body.id, body.page, variant, self.seed);
            let mut played = Played::of(&setting, &case.rule, determinism::twice(&setting, &case.rule, body));
            played.result.replay = self.candidate.repeat(&plays::name(&case.id, &name), self.seed, self.pace);
            played
        });
        let other = other.into_iter().map(|setting| {
            let outcome = determinism::in_two_processes(&setting, &case.rule);
            Played::of(&setting, &case.rule, outcome)
        });
        twice.chain(other).map(|played| One { result: played.result, fingerprint: played.fingerprint, own: true })
    }

    fn setting(&self, case: &str, page: Option<usize>, variant: String, seed: u64) -> Setting {
        Setting {
            candidate: self.candidate.clone(),
            parts: self.parts.clone(),
            case: case.to_owned(),
            variant,
            seed,
            pace: self.pace,
            page,
        }
    }

    fn body(&self, case: &Case, body: &CaseBody, variant: String, seed: u64, number: usize) -> One {
        let setting = self.setting(&case.id, body.page, variant, seed);
        let mut played = play(&setting, &case.rule, body.body);
        if let (true, Some(history)) = (self.draws(&played.result, number), &played.history) {
            played.result.timeline = Some(timeline::of(history, &played.result.findings));
        }
        One { result: played.result, fingerprint: played.fingerprint, own: true }
    }

    /// Whether the `number`th play of a case is drawn: those that failed, and the first ones.
    fn draws(&self, result: &RunResult, number: usize) -> bool {
        self.pictures && (number < PICTURES || matches!(result.verdict, Verdict::Fail | Verdict::Golden))
    }

    /// The scenarios of a case in which this candidate takes part.
    pub(super) fn scenarios_of<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = &'a Entry> + 'a {
        // An adapter has no part in our manager.
        let names = if self.candidate.kind == Kind::Adapter { &[][..] } else { &case.scenarios };
        let preset = self.candidate.preset.name;
        let named = names.iter().filter_map(move |name| self.entries.iter().find(|entry| entry.name == *name));
        named.filter(move |entry| entry.scenario.drivers.iter().any(|driver| driver == preset))
    }

    fn scenarios<'a>(&'a self, case: &'a Case, only: &'a [String]) -> impl Iterator<Item = One> + 'a {
        let ours = self.scenarios_of(case).filter(|entry| only.is_empty() || only.contains(&entry.name));
        ours.enumerate().map(move |(number, entry)| {
            let mut one = self.scenario(entry, self.candidate.preset.name, number);
            if self.candidate.kind == Kind::PlugIn {
                // A scenario's token would replay it with our driver.
                let name = plays::name(&case.id, &entry.name);
                one.result.replay = self.candidate.repeat(&name, self.seed, self.pace);
            }
            one
        })
    }

    /// The words of a plug-in are its own, and so is how far it comes where each of its calls takes seconds.
    fn likeness(&self, plan: &Plan) -> Likeness {
        let every_call = |fault: &Fault| matches!(fault, Fault::Slow(slow) if slow.requests == Matching::default());
        match self.candidate.kind {
            Kind::BuiltIn => Likeness::Exact,
            _ if plan.faults.iter().any(|planned| every_call(&planned.fault)) => Likeness::Any,
            _ => Likeness::Kinds,
        }
    }

    /// Why a scenario cannot be played with this candidate.
    fn unfit(&self, plan: &Plan) -> Option<String> {
        let fixture = |step: &Step| matches!(step, Step::Import(import) if import.fixture.is_some());
        let lacks = !self.candidate.claims("fixtures") && plan.steps.iter().any(|planned| fixture(&planned.step));
        lacks.then(|| format!("{} does not claim fixtures", self.candidate.name))
    }

    fn scenario(&self, entry: &Entry, preset: &str, number: usize) -> One {
        let plan = match entry.plan(preset, entry.seed()) {
            Ok(plan) => plan,
            Err(error) => return broken(entry, preset, format!("{error:#}")),
        };
        if let Some(why) = self.unfit(&plan) {
            return skipped(entry, preset, why);
        }
        let plan = if self.candidate.kind == Kind::BuiltIn { plan } else { in_any_words(plan) };
        let likeness = self.likeness(&plan);
        let Examined { mut result, run, .. } = examine_as(&plan, &self.parts, likeness);
        if let (true, Some(run)) = (self.draws(&result, number), &run) {
            result.timeline = Some(timeline::of(&run.history, &result.findings));
        }
        let fingerprint = match result.verdict {
            Verdict::Fail | Verdict::Golden => {
                Some(format!("{}: {}", entry.name, result.reason.as_deref().unwrap_or_default()))
            }
            _ => None,
        };
        One { result, fingerprint, own: false }
    }
}

/// A reason that a scenario expects, without the driver's own words: those of a plug-in are others.
fn in_any_words(mut plan: Plan) -> Plan {
    for piece in plan.expect.reason.values_mut() {
        if let Some((kind, _)) = piece.split_once(": ")
            && is_kind(kind)
        {
            *piece = format!("{kind}: ");
        }
    }
    plan
}

fn skipped(entry: &Entry, preset: &str, why: String) -> One {
    let One { result, .. } = broken(entry, preset, why);
    One { result: RunResult { verdict: Verdict::Skip, ..result }, fingerprint: None, own: false }
}

fn broken(entry: &Entry, preset: &str, why: String) -> One {
    let replay = format!("clinker run {} --driver {preset}", entry.name);
    let result = RunResult {
        verdict: Verdict::Error,
        reason: Some(why),
        ..RunResult::unplayed(&entry.name, preset, entry.seed(), replay)
    };
    One { result, fingerprint: None, own: false }
}

/// One result per case of the profile, in its order: those that were not selected too.
pub fn whole(mut results: Vec<CaseResult>) -> Vec<CaseResult> {
    let of = |case: &Case| match results.iter().position(|result| result.id == case.id) {
        Some(at) => results.swap_remove(at),
        None => CaseResult { reason: Some("not selected".to_owned()), ..CaseResult::of(case) },
    };
    profile::profile().cases.iter().map(of).collect()
}
