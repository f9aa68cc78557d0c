//! The cases of a profile for one candidate: which apply, what is played for each, and its verdict.

use clinker_judge::timeline;
use clinker_model::conformance::{Case, CaseResult};
use clinker_model::fault::{Fault, Matching};
use clinker_model::plan::{Plan, Step};
use clinker_model::verdict::{Outcome as Found, RunResult, Verdict};
use clinker_world::run_isolated;

use super::bench::{Pace, Played, Setting, play};
use super::candidate::{Candidate, Kind};
use super::cases::{self, CaseBody, Scale};
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

/// What one play said.
struct One {
    result: RunResult,
    fingerprint: Option<String>,
}

impl Suite {
    /// All cases, `jobs` at a time; results in the order of the cases. `each` hears of every one as it ends.
    pub fn run(&self, cases: &[&Case], jobs: usize, each: &(dyn Fn(&CaseResult) + Sync)) -> Vec<CaseResult> {
        parallel::map(cases, jobs, |case| {
            let result = self.case(case);
            each(&result);
            result
        })
    }

    /// Plays a case.
    #[expect(clippy::disallowed_methods, reason = "wall time of whole cases is shown to the user and decides nothing")]
    pub fn case(&self, case: &Case) -> CaseResult {
        let started = std::time::Instant::now();
        let mut result = CaseResult::of(case);
        match self.candidate.lacks(&case.needs) {
            Some(why) => result.reason = Some(why),
            // A panic anywhere is this case's trouble and no other's.
            None => match run_isolated(&case.id, || self.plays(case)) {
                Ok(plays) => conclude(&mut result, case, plays, &self.candidate),
                Err(error) => {
                    result.verdict = Verdict::Error;
                    result.reason = Some(error.to_string());
                }
            },
        }
        result.replay = self.replay(&result);
        result.wall_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        result
    }

    /// What `wanted` makes of the first play of a case of which it makes anything; none is played after that.
    pub fn first_play<T>(&self, case: &Case, wanted: impl Fn(&RunResult) -> Option<T>) -> Option<T> {
        self.each_play(case).find_map(|play| wanted(&play.result))
    }

    fn replay(&self, result: &CaseResult) -> String {
        let bad = result.plays.iter().find(|play| !matches!(play.verdict, Verdict::Pass | Verdict::Skip));
        match (bad, self.candidate.kind) {
            // A scenario's token would replay it with our driver.
            (_, Kind::PlugIn) => format!("cargo test --test conformance -- {} --seed {}", result.id, self.seed),
            (Some(play), _) => play.replay.clone(),
            (None, _) => format!("clinker conform {} --case {}", self.candidate.words(), result.id),
        }
    }

    fn plays(&self, case: &Case) -> Vec<One> {
        self.each_play(case).collect()
    }

    /// The plays of a case, each played when it is asked for.
    fn each_play<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = One> + 'a {
        self.bodies(case).chain(self.determinism(case)).chain(self.scenarios(case))
    }

    fn bodies<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = One> + 'a {
        let body = cases::body(&case.id).into_iter();
        let variants =
            body.flat_map(|body| (body.variants)(&self.candidate, self.scale).into_iter().map(move |v| (body, v)));
        let seeds = move |(body, variant): (&'static CaseBody, String)| {
            (0..self.seeds.max(1)).map(move |n| (body, variant.clone(), self.seed.wrapping_add(n)))
        };
        let plays = variants.flat_map(seeds).enumerate();
        plays.map(|(number, (body, variant, seed))| self.body(case, body, variant, seed, number))
    }

    /// The two cases about the harness itself, which are about plays of other cases.
    fn determinism<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = One> + 'a {
        let twice = if case.id == "B-DET-001" { determinism::bodies(&self.candidate) } else { Vec::new() };
        let other = (case.id == "B-DET-002").then(|| self.setting(&case.id, None, String::new(), self.seed));
        let twice = twice.into_iter().map(|(body, variant)| {
            let setting = self.setting(body.id, body.page, variant, self.seed);
            Played::of(&setting, &case.rule, determinism::twice(&setting, &case.rule, body))
        });
        let other = other.into_iter().map(|setting| {
            let outcome = determinism::in_two_processes(&setting, &case.rule);
            Played::of(&setting, &case.rule, outcome)
        });
        twice.chain(other).map(|played| One { result: played.result, fingerprint: played.fingerprint })
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
        One { result: played.result, fingerprint: played.fingerprint }
    }

    /// Whether the `number`th play of a case is drawn: those that failed, and the first ones.
    fn draws(&self, result: &RunResult, number: usize) -> bool {
        self.pictures && (number < PICTURES || matches!(result.verdict, Verdict::Fail | Verdict::Golden))
    }

    fn scenarios<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = One> + 'a {
        // An adapter has no part in our manager.
        let names = if self.candidate.kind == Kind::Adapter { &[][..] } else { &case.scenarios };
        let preset = self.candidate.preset.name;
        let named = names.iter().filter_map(move |name| self.entries.iter().find(|entry| entry.name == *name));
        let ours = named.filter(move |entry| entry.scenario.drivers.iter().any(|driver| driver == preset));
        ours.enumerate().map(move |(number, entry)| self.scenario(entry, preset, number))
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
        One { result, fingerprint }
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
    One { result: RunResult { verdict: Verdict::Skip, ..result }, fingerprint: None }
}

fn broken(entry: &Entry, preset: &str, why: String) -> One {
    let result = RunResult {
        scenario: entry.name.clone(),
        driver: preset.to_owned(),
        seed: entry.seed(),
        verdict: Verdict::Error,
        reason: Some(why),
        findings: Vec::new(),
        faults: Vec::new(),
        hash: String::new(),
        events: 0,
        virtual_seconds: 0.0,
        wall_ms: 0,
        replay: format!("clinker run {}", entry.name),
        timeline: None,
    };
    One { result, fingerprint: None }
}

/// One result per case of the profile, in its order: those that were not selected too.
pub fn whole(mut results: Vec<CaseResult>) -> Vec<CaseResult> {
    let of = |case: &Case| match results.iter().position(|result| result.id == case.id) {
        Some(at) => results.swap_remove(at),
        None => CaseResult { reason: Some("not selected".to_owned()), ..CaseResult::of(case) },
    };
    profile::profile().cases.iter().map(of).collect()
}

/// The verdict of a case from its plays: the worst counts, and nothing that was not played is a pass.
fn conclude(result: &mut CaseResult, case: &Case, plays: Vec<One>, candidate: &Candidate) {
    let of = |verdict: Verdict| plays.iter().find(|play| play.result.verdict == verdict);
    let worst = of(Verdict::Error).or_else(|| of(Verdict::Fail)).or_else(|| of(Verdict::Golden));
    if let Some(worst) = worst {
        result.verdict = if worst.result.verdict == Verdict::Error { Verdict::Error } else { Verdict::Fail };
        result.reason = worst.result.reason.clone();
        let mut ways: Vec<String> = plays.iter().filter_map(|play| play.fingerprint.clone()).collect();
        ways.sort();
        ways.dedup();
        result.fingerprint = (!ways.is_empty()).then(|| ways.join("; "));
        result.hint = case.known.as_ref().map(|known| format!("cinder 29.0.0: {known}"));
    } else if of(Verdict::Pass).is_some() {
        match idle_check(case, &plays) {
            None => result.verdict = Verdict::Pass,
            Some(check) => {
                result.verdict = Verdict::Error;
                result.reason = Some(format!("the check {check}, which is to show it, applied in no play"));
            }
        }
    } else {
        let why = plays.iter().find_map(|play| play.result.reason.clone());
        result.reason = Some(why.unwrap_or_else(|| format!("nothing shows it for {}", candidate.name)));
    }
    result.plays = plays.into_iter().map(|play| play.result).collect();
}

/// A checker that the case rests on and that had nothing to say in any scenario of it.
fn idle_check<'c>(case: &'c Case, plays: &[One]) -> Option<&'c String> {
    let scenarios = plays.iter().filter(|play| case.scenarios.contains(&play.result.scenario));
    let findings: Vec<_> = scenarios.flat_map(|play| &play.result.findings).collect();
    if findings.is_empty() {
        return None;
    }
    let applied = |check: &String| {
        findings.iter().any(|finding| finding.checker == *check && finding.outcome != Found::NotApplicable)
    };
    case.checks.iter().find(|check| !applied(check))
}
