//! `clinker matrix`: every host ends at every step of every operation; one table says what became of it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use clinker_model::verdict::{RunResult, Verdict};

use super::run::{default_jobs, explain};
use super::{Exit, exit_of, say, select, tell};
use crate::artifacts;
use crate::examine::{Examined, examine_unaccepted};
use crate::loader::presets;
use crate::matrix::{BASES, Play, Row, Victim, plays, table};
use crate::parallel;
use crate::run::Parts;

#[derive(Args)]
pub(super) struct Matrix {
    /// Only this driver preset: swift, swift-v3, swift-per-user, s3, posix.
    #[arg(long)]
    driver: Option<String>,
    /// Only operations whose name contains this: init, create, incremental, restore, delete, clean-up …
    #[arg(long)]
    area: Option<String>,
    /// Only this host.
    #[arg(long, value_parser = Victim::NAMES)]
    victim: Option<String>,
    /// Only plays whose name contains this.
    #[arg(long)]
    play: Option<String>,
    /// Only every N-th play.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    every: u64,
    /// Plays at a time; one per core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Where plays that fail leave their files, each to be played again by `clinker replay DIR`.
    #[arg(long, value_name = "DIR", default_value = "target/clinker")]
    out: PathBuf,
}

impl Matrix {
    pub fn execute(self, folder: Option<&Path>) -> Result<Exit> {
        let plays = self.generate(folder)?;
        if plays.is_empty() {
            tell("clinker: nothing ran: no operation, driver and host fit");
            return Ok(Exit::NothingRan);
        }
        let jobs = usize::from(self.jobs.unwrap_or_else(|| default_jobs(clinker_model::plan::Engine::Simnet)));
        let ended = parallel::map(&plays, jobs, |play| {
            let examined = examine_unaccepted(&play.plan, &Parts::default());
            self.report(examined, play)
        });
        let results = ended.into_iter().collect::<Result<Vec<_>>>()?;
        let rows: Vec<Row> = plays
            .iter()
            .zip(&results)
            .map(|(play, result)| Row {
                base: play.base,
                victim: play.victim,
                power: play.power,
                passed: result.verdict == Verdict::Pass,
            })
            .collect();
        say(&table(&rows))?;
        let failed = rows.iter().filter(|row| !row.passed).count();
        say(&format!("\n{} plays, {} passed, {failed} failed", rows.len(), rows.len() - failed))?;
        for result in results.iter().filter(|result| result.verdict != Verdict::Pass) {
            say(&result.replay)?;
        }
        Ok(exit_of(&results))
    }

    fn generate(&self, folder: Option<&Path>) -> Result<Vec<Play>> {
        let drivers = presets::names();
        if let Some(driver) = &self.driver {
            ensure!(
                drivers.contains(&driver.as_str()),
                "--driver: no driver preset is called \"{driver}\"; there are {}",
                drivers.join(", ")
            );
        }
        let area = self.area.as_deref().unwrap_or_default();
        let bases: Vec<_> = BASES.iter().filter(|base| base.name.contains(area)).collect();
        if bases.is_empty() {
            let names: Vec<&str> = BASES.iter().map(|base| base.name).collect();
            bail!("--area: no operation is called \"{area}\"; there are {}", names.join(", "));
        }
        let entries = select::scenarios(folder)?;
        let mut all = Vec::new();
        for base in bases {
            for driver in drivers.iter().filter(|name| self.driver.as_deref().is_none_or(|only| only == **name)) {
                all.extend(plays(base, &entries, driver, &Parts::default())?);
            }
        }
        let victim = self.victim.as_deref().and_then(Victim::parse);
        let fits = |play: &Play| {
            victim.is_none_or(|victim| victim == play.victim)
                && self.play.as_deref().is_none_or(|part| play.plan.scenario.contains(part))
        };
        let every = usize::try_from(self.every).unwrap_or(usize::MAX);
        Ok(all.into_iter().filter(fits).step_by(every).collect())
    }

    /// Keeps what is needed to look into a play that failed.
    fn report(&self, mut examined: Examined, play: &Play) -> Result<RunResult> {
        if examined.result.verdict != Verdict::Pass {
            let folder = artifacts::folder(&self.out, &play.plan);
            examined.result.replay = format!("clinker replay {}", folder.display());
            let history = examined.run.as_ref().map(|run| &run.history);
            artifacts::write(&folder, &play.plan, history, &examined.result).context("keep a play that failed")?;
            tell(&explain(&examined));
        }
        Ok(examined.result)
    }
}
