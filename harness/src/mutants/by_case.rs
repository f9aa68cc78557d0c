//! Which planted bug turns which case of the profile red: a case that none does rests on nothing.

use std::time::Duration;

use clinker_model::conformance::Case;
use clinker_model::verdict::Verdict;

use super::generic::Twist;
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

/// A case that turned red.
#[derive(Clone, Debug)]
pub struct Kill {
    pub case: String,
    pub driver: String,
    pub mutant: String,
    /// What the case said.
    pub reason: String,
    /// CPU time from the planting to the verdict.
    pub cpu: Duration,
}

/// Plays a case for a driver with a mutant planted; none if it stays green, is not for the driver, or breaks.
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
    let result = suite.until_red(case);
    (result.verdict == Verdict::Fail).then(|| Kill {
        case: case.id.clone(),
        driver: driver.to_owned(),
        mutant: planted.name(),
        reason: result.fingerprint.or(result.reason).unwrap_or_default(),
        cpu: cpu().saturating_sub(before),
    })
}

/// The first mutant that turns a case red, for the first of the drivers for which one does.
pub fn search(case: &Case, drivers: &[&str], entries: &[Entry]) -> Option<Kill> {
    let all = Planted::all();
    let own = |planted: &&Planted| match planted {
        Planted::Listed(mutant) => case.scenarios.iter().any(|scenario| scenario == mutant.scenario),
        // What is about traces is told at once by what is outside of the seed.
        Planted::Generic(twist) => case.family() == "DET" && twist.call.starts_with("env."),
    };
    let (near, far): (Vec<&Planted>, Vec<&Planted>) = all.iter().partition(own);
    for driver in drivers {
        let found = near.iter().chain(&far).find_map(|planted| kill(case, driver, planted, entries));
        if found.is_some() {
            return found;
        }
    }
    None
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

/// Case, mutant and driver of each kill that is known: `clinker mutants --cases` finds them, a test repeats them.
pub fn known() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    include_str!("killers.txt").lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?, words.next()?))
    })
}
