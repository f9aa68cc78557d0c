//! `clinker conform`: the conformance suite for one driver, a table, and an exit code.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use clap::Args;
use clinker_model::conformance::{Case, CaseResult};
use clinker_model::plan::Engine;
use clinker_model::verdict::Verdict;
use clinker_reports::verdict_word;

use super::run::default_jobs;
use super::{Exit, say, select, tell};
use crate::conformance::bench::Pace;
use crate::conformance::candidate::Candidate;
use crate::conformance::cases::Scale;
use crate::conformance::profile;
use crate::conformance::suite::Suite;
use crate::loader::presets;

#[derive(Args)]
pub(super) struct Conform {
    /// A built-in driver: swift, swift-v3, swift-per-user, s3, posix.
    #[arg(long)]
    driver: String,
    /// Only these cases, by id or slug; may stand several times.
    #[arg(long = "case", value_name = "ID")]
    cases: Vec<String>,
    /// Every place at which a fault can strike, not only the first, the middle and the last.
    #[arg(long)]
    full: bool,
    /// Each body under so many seeds.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 17)]
    seed: u64,
    /// Cases at a time: one per core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

impl Conform {
    pub fn execute(self, folder: Option<&Path>) -> Result<Exit> {
        let candidate = Candidate::built_in(&self.driver).with_context(|| {
            format!(
                "--driver: no driver preset is called \"{}\"; there are {}",
                self.driver,
                presets::names().join(", ")
            )
        })?;
        let cases = self.selected()?;
        let suite = Suite {
            parts: candidate.parts(),
            candidate,
            entries: select::scenarios(folder)?,
            scale: if self.full { Scale::Full } else { Scale::Gate },
            seeds: self.seeds,
            seed: self.seed,
            pace: Pace::Virtual,
        };
        let failed = AtomicUsize::new(0);
        let total = cases.len();
        let each = |result: &CaseResult, done: usize| {
            if matches!(result.verdict, Verdict::Fail | Verdict::Error) {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            tell(&format!("{done}/{total} {} {}", result.id, verdict_word(result.verdict)));
        };
        let results = suite.run(&cases, usize::from(self.jobs.unwrap_or_else(|| default_jobs(Engine::Simnet))), &each);
        for result in &results {
            let note = result.reason.as_deref().unwrap_or_default();
            say(&format!("{:<6} {} {:<28} {note}", verdict_word(result.verdict), result.id, result.slug))?;
            for play in result.plays.iter().filter(|play| matches!(play.verdict, Verdict::Fail | Verdict::Error)) {
                for violation in play.findings.iter().flat_map(|finding| &finding.violations) {
                    say(&format!(
                        "         {}: expected {}; observed {}",
                        play.scenario, violation.expected, violation.observed
                    ))?;
                }
            }
        }
        Ok(if failed.into_inner() > 0 { Exit::CheckFailed } else { Exit::AllAsExpected })
    }

    fn selected(&self) -> Result<Vec<&'static Case>> {
        if self.cases.is_empty() {
            return Ok(profile::profile().cases.iter().collect());
        }
        self.cases.iter().map(|name| profile::find(name.split('/').next().unwrap_or(name))).collect()
    }
}
