//! Which planted bug turns which case of the profile red: a case that none does rests on nothing.

use std::time::Duration;

use clinker_model::conformance::Case;
use clinker_model::verdict::{Finding, Outcome, RunResult, Verdict, Violation};
use clinker_world::run_isolated;

use super::generic::{How, Twist};
use super::{Mutant, generic};
use crate::catalog::Entry;
use crate::conformance::bench::Pace;
use crate::conformance::candidate::Candidate;
use crate::conformance::cases::Scale;
use crate::conformance::suite::Suite;
use crate::run::Parts;

/// A mutant of either kind.
#[derive(Clone, Copy)]
pub enum Planted {
    Listed(&'static Mutant),
    Generic(Twist),
}

impl Planted {
    /// Every mutant: the listed bugs first, each a real one or near to one.
    pub fn all() -> Vec<Planted> {
        let listed = super::all().map(Planted::Listed);
        listed.chain(generic::all().into_iter().map(Planted::Generic)).collect()
    }

    pub fn named(name: &str) -> Option<Planted> {
        let listed = super::all().find(|mutant| mutant.name == name).map(Planted::Listed);
        listed.or_else(|| generic::find(name).map(Planted::Generic))
    }

    pub fn name(&self) -> String {
        match self {
            Planted::Listed(mutant) => mutant.name.to_owned(),
            Planted::Generic(twist) => twist.name(),
        }
    }

    fn plant(&self, parts: &mut Parts) {
        match self {
            Planted::Listed(mutant) => mutant.plant_into(parts),
            Planted::Generic(twist) => twist.plant(parts),
        }
    }
}

/// What of a case turned red.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// What the case itself does with a driver.
    Body,
    /// A checker that the case names, in one of its scenarios.
    Checker(String),
}

impl By {
    /// `body`, or the checker's name.
    pub fn name(&self) -> &str {
        match self {
            By::Body => "body",
            By::Checker(name) => name,
        }
    }
}

/// A case that turned red for what it is about.
#[derive(Clone, Debug)]
pub struct Kill {
    pub case: String,
    pub driver: String,
    pub mutant: String,
    pub by: By,
    /// The play, and what was said of it.
    pub reason: String,
    /// CPU time from the planting to the verdict.
    pub cpu: Duration,
}

/// What of the case failed in this play, and how. A checker that the case does not name says nothing of the case's rule,
/// and neither does a body that was only stopped: because an operation on the way failed, or a fault had nothing to hit.
fn failed(case: &Case, play: &RunResult) -> Option<(By, String)> {
    if play.verdict != Verdict::Fail {
        return None;
    }
    let reason = play.reason.as_deref().unwrap_or_default();
    let of_scenario = case.scenarios.contains(&play.scenario);
    let stopped = |finding: &Finding| {
        let on_the_way = |said: &Violation| {
            matches!(&*said.expected, "success" | "an object to damage") || said.observed.contains(generic::PLANTED)
        };
        reason.ends_with(" hit nothing") || finding.violations.iter().any(on_the_way)
    };
    let counts = |finding: &&Finding| {
        let about = if of_scenario { case.checks.contains(&finding.checker) } else { !stopped(finding) };
        finding.outcome == Outcome::Fail && about
    };
    let finding = play.findings.iter().find(counts)?;
    let by = if of_scenario { By::Checker(finding.checker.clone()) } else { By::Body };
    Some((by, format!("{}: {reason}", play.scenario)))
}

/// Plays a case for a driver with a mutant planted; none if what it is about stays green, if it is not for the driver, or
/// if it breaks.
///
/// The CPU time is that of the whole process: nothing else should run beside it.
pub fn kill(case: &Case, driver: &str, planted: &Planted, entries: &[Entry]) -> Option<Kill> {
    let before = cpu();
    let candidate = Candidate::built_in(driver)?;
    candidate.lacks(&case.needs).is_none().then_some(())?;
    let mut parts = candidate.parts();
    planted.plant(&mut parts);
    let suite = Suite {
        candidate,
        parts,
        entries: entries.to_vec(),
        scale: Scale::Gate,
        seeds: 1,
        seed: 17,
        pace: Pace::Virtual,
        pictures: false,
    };
    // A mutant that makes the harness panic kills nothing, and ends nothing.
    let found = run_isolated(&case.id, || suite.first_play(case, |play| failed(case, play))).ok().flatten();
    found.map(|(by, reason)| Kill {
        case: case.id.clone(),
        driver: driver.to_owned(),
        mutant: planted.name(),
        by,
        reason,
        cpu: cpu().saturating_sub(before),
    })
}

/// How far a mutant is from a case: the nearest are tried first.
fn distance(case: &Case, planted: &Planted) -> u8 {
    match planted {
        Planted::Listed(mutant) => {
            let (named, played) = (
                case.checks.iter().any(|name| name == mutant.checker),
                case.scenarios.iter().any(|s| s == mutant.scenario),
            );
            match (named, played) {
                (true, true) => 1,
                (true, false) => 2,
                (false, true) => 4,
                (false, false) => 5,
            }
        }
        // What is about traces is told at once by what is outside of the seed.
        Planted::Generic(twist) if case.family() == "DET" && twist.call.starts_with("env.") => 0,
        Planted::Generic(twist) if twist.how == How::Refuse => 6,
        Planted::Generic(_) => 3,
    }
}

/// The first mutant that turns a case red, for the first of the drivers for which one does: the one that is known to, else
/// the nearest.
pub fn search(case: &Case, drivers: &[&str], entries: &[Entry]) -> Option<Kill> {
    let known = known().find(|known| known.case == case.id);
    let again = known.and_then(|known| kill(case, known.driver, &Planted::named(known.mutant)?, entries));
    if again.is_some() {
        return again;
    }
    let mut all = Planted::all();
    all.sort_by_key(|planted| distance(case, planted));
    drivers.iter().find_map(|driver| all.iter().find_map(|planted| kill(case, driver, planted, entries)))
}

/// CPU time that this process has used.
pub fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Whether a case applies to any of the drivers.
pub fn is_for_any(case: &Case, drivers: &[&str]) -> bool {
    drivers
        .iter()
        .filter_map(|driver| Candidate::built_in(driver))
        .any(|candidate| candidate.lacks(&case.needs).is_none())
}

/// A line of `killers.txt`.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub case: &'static str,
    pub mutant: &'static str,
    pub driver: &'static str,
    /// [`By::name`].
    pub by: &'static str,
}

/// Each kill that is known: `clinker mutants --cases` finds them, a test repeats them.
pub fn known() -> impl Iterator<Item = Known> {
    include_str!("killers.txt").lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let [case, mutant, driver, by] = std::array::from_fn(|_| words.next());
        Some(Known { case: case?, mutant: mutant?, driver: driver?, by: by? })
    })
}
