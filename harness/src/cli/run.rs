//! `clinker run`: scenarios in, a table and an exit code out.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use clinker_model::plan::{Engine, Plan};
use clinker_model::verdict::{RunResult, Verdict};
use clinker_reports::{failure, json, terminal};

use super::{Exit, exit_of, say, select, tell};
use crate::artifacts;
use crate::examine::{Examined, examine};
use crate::run::Parts;

#[derive(Args)]
pub(super) struct Run {
    /// Only scenarios whose name (AREA/SCENARIO) contains this.
    pattern: Option<String>,
    /// Only this driver preset: swift, swift-v3, swift-per-user, s3, posix.
    #[arg(long)]
    driver: Option<String>,
    /// Another seed than the scenario's own; goldens are then not compared.
    #[arg(long)]
    seed: Option<u64>,
    /// Each scenario under so many seeds: first its own, then the next ones, each with another order of what happens at
    /// one instant.
    #[arg(long, value_name = "N", conflicts_with = "seed", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: Option<u64>,
    /// simnet; turmoil as the reference; real for loopback TCP in real time.
    #[arg(long, default_value = "simnet", value_parser = Engine::NAMES)]
    engine: String,
    /// Print result.json instead of the table.
    #[arg(long)]
    json: bool,
    /// turmoil's tick in milliseconds (10); goldens hold for 10.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1000))]
    tick: Option<u64>,
    /// Runs at a time, each on a thread of its own: one per core, or 64 in real time, where runs mostly sleep.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Where runs leave their files.
    #[arg(long, value_name = "DIR", default_value = "target/clinker")]
    out: PathBuf,
}

pub(super) fn default_jobs(engine: Engine) -> u16 {
    if engine == Engine::Real {
        return 64;
    }
    std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(1))
}

impl Run {
    pub fn execute(self, folder: Option<&Path>) -> Result<Exit> {
        let mut plans = select::plans(folder, self.pattern.as_deref(), self.driver.as_deref(), self.seed)?;
        let engine = Engine::parse(&self.engine).unwrap_or_default();
        let name = engine.name();
        ensure!(engine == Engine::Turmoil || self.tick.is_none(), "--tick: {name} has none; add --engine turmoil");
        ensure!(
            engine == Engine::Simnet || self.seeds.is_none(),
            "--seeds: {name} cannot order events anew; use simnet"
        );
        for plan in &mut plans {
            plan.play_on(engine, self.tick.unwrap_or(10));
        }
        if let Some(seeds) = self.seeds {
            plans = explored(folder, &plans, seeds)?;
        }
        if plans.is_empty() {
            tell("clinker: nothing ran: no scenario and driver fit; `clinker list` shows what there is");
            return Ok(Exit::NothingRan);
        }
        // Before the first run: whoever waits for the last one should not hear then that nothing could be kept.
        std::fs::create_dir_all(&self.out).with_context(|| format!("--out: create folder {}", self.out.display()))?;
        let jobs = usize::from(self.jobs.unwrap_or_else(|| default_jobs(engine)));
        let results = play_all(&plans, jobs, folder, &|examined, plan| self.report(examined, plan))?;
        if self.json {
            say(json::text(&json::File::of_runs(results.clone())).trim_end())?;
        } else {
            say(&terminal::table(&results))?;
        }
        Ok(exit_of(&results))
    }

    /// Writes a run's files, and on a failure prints its text.
    fn report(&self, examined: &Examined, plan: &Plan) -> Result<()> {
        let folder = artifacts::folder(&self.out, plan);
        let history = examined.run.as_ref().map(|run| &run.history);
        artifacts::write(&folder, plan, history, &examined.result)?;
        if !self.json && examined.result.verdict != Verdict::Pass {
            tell(&explain(examined));
        }
        Ok(())
    }
}

/// Each plan once as it is, then under the seeds that follow its own, in another schedule each.
fn explored(folder: Option<&Path>, plans: &[Plan], seeds: u64) -> Result<Vec<Plan>> {
    let entries = select::scenarios(folder)?;
    let mut explored = Vec::new();
    for plan in plans {
        let Some(entry) = entries.iter().find(|entry| entry.name == plan.scenario) else { continue };
        explored.push(plan.clone());
        for n in 1..seeds {
            let seed = plan.seed.wrapping_add(n);
            explored.push(Plan { schedule: Some(seed), ..entry.plan(&plan.driver, seed)? });
        }
    }
    Ok(explored)
}

/// The failure text of a run that did not pass; its last line repeats the run.
pub(super) fn explain(examined: &Examined) -> String {
    let result = &examined.result;
    let head = || format!("{} {}@{}", clinker_reports::verdict_word(result.verdict), result.scenario, result.driver);
    let reason = result.reason.as_deref().unwrap_or("");
    match (&examined.run, result.verdict) {
        (Some(_), Verdict::Golden) => {
            let expected = examined.golden.as_deref().unwrap_or("");
            let difference = difference(expected, &examined.sequence);
            format!("{}: {reason}\n{difference}\n  repro     {}", head(), result.replay)
        }
        (Some(run), _) => failure::text(result, &run.history),
        (None, _) => format!("{}: {reason}\n  repro     {}", head(), result.replay),
    }
}

/// Both sequences line by line: `-` as accepted, `+` as observed, from the first difference on.
fn difference(expected: &str, observed: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (expected.trim_end().lines().collect(), observed.trim_end().lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let tail = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(old, new)| old == new).count();
    let mut lines = vec![format!("  from line {} on (- accepted, + observed):", same + 1)];
    lines.extend(old[same..old.len() - tail].iter().map(|line| format!("  - {line}")));
    lines.extend(new[same..new.len() - tail].iter().map(|line| format!("  + {line}")));
    lines.join("\n")
}

/// Plays all plans, `jobs` at a time; results in the order of the plans.
#[expect(clippy::disallowed_methods, reason = "wall time of whole runs is shown to the user and decides nothing")]
fn play_all(
    plans: &[Plan],
    jobs: usize,
    folder: Option<&Path>,
    each: &(dyn Fn(&Examined, &Plan) -> Result<()> + Sync),
) -> Result<Vec<RunResult>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Result<RunResult>>>> = Mutex::new(plans.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(plans.len()) {
            scope.spawn(|| {
                while let Some((index, plan)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    plans.get(index).map(|plan| (index, plan))
                } {
                    let started = std::time::Instant::now();
                    let mut examined = examine(plan, &Parts::default());
                    examined.result.wall_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                    if let Some(folder) = folder {
                        let result = &mut examined.result;
                        result.replay = result.replay.replacen("replay", &format!("replay --scenarios {folder:?}"), 1);
                    }
                    let result = each(&examined, plan).map(|()| examined.result);
                    if result.is_err() {
                        next.store(plans.len(), Ordering::Relaxed);
                    }
                    done.lock().expect("no panic while the lock is held")[index] = Some(result);
                }
            });
        }
    });
    done.into_inner().expect("no panic while the lock is held").into_iter().flatten().collect()
}
