//! `clinker conform`: the conformance suite for one driver: a table, reports, and an exit code.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use clinker_model::conformance::{Case, CaseResult};
use clinker_model::plan::Engine;
use clinker_model::verdict::Verdict;
use clinker_reports::item::of_case;
use clinker_reports::json::{self, File};
use clinker_reports::terminal::Progress;
use clinker_reports::{failure, html, junit, markdown, ndjson, plain, terminal};

use super::report::annotate;
use super::run::default_jobs;
use super::{Exit, expectations, say, select, stop, tell};
use crate::adapter::Role;
use crate::conformance::adapters::Pool;
use crate::conformance::bench::Pace;
use crate::conformance::candidate::{Candidate, WALL_LIMIT, quoted};
use crate::conformance::cases::Scale;
use crate::conformance::expectations::Stale;
use crate::conformance::plays::Only;
use crate::conformance::profile;
use crate::conformance::suite::{Suite, whole};
use crate::loader::suggest::near;

#[derive(Args)]
pub(super) struct Conform {
    /// A built-in driver: swift, swift-v3, swift-per-user, s3, posix. With --adapter: the one in whose world it lives.
    #[arg(long)]
    driver: String,
    /// A command that speaks the adapter protocol on its standard input and output (docs/adapter-protocol.md), run by
    /// `sh -c`.
    #[arg(long, value_name = "COMMAND")]
    adapter: Option<String>,
    /// What the adapter serves.
    #[arg(long, value_enum, default_value_t = Served::Driver, requires = "adapter")]
    role: Served,
    /// Seconds that one case of an adapter may take, each of its plays for itself.
    #[arg(long, value_name = "SECONDS", default_value_t = WALL_LIMIT.as_secs(), requires = "adapter", value_parser = clap::value_parser!(u64).range(1..=3600))]
    wall_limit: u64,
    /// Seconds until an adapter must have answered its first request: some install themselves first.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "adapter", value_parser = clap::value_parser!(u64).range(1..=3600))]
    start_limit: u64,
    /// Only these cases, by id or slug, or only one play of a case (B-FLT-001/create/7/eio); may stand several times.
    #[arg(long = "case", value_name = "ID[/PLAY]")]
    cases: Vec<String>,
    /// Only cases about this role or capability; may stand several times.
    #[arg(long = "needs", value_name = "NAME")]
    needs: Vec<String>,
    /// Only cases that Core demands, or only the others.
    #[arg(long, value_enum, default_value_t = Level::All)]
    level: Level,
    /// Only the MUST cases of CAP, INIT, CRT, CHK, INT and NOTE.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Every place at which a fault can strike, not only the first, the middle and the last.
    #[arg(long)]
    full: bool,
    /// Each body under so many seeds.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 17)]
    seed: u64,
    /// Cases at a time: one per core, or 8 with an adapter, where plays mostly wait.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Known failures (docs/expectations.md): those that it describes are no failures, and what it no longer describes
    /// is one.
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    #[command(flatten)]
    reports: Reports,
}

#[derive(Args)]
struct Reports {
    /// Where result.json, junit.xml, index.html, summary.md and events.ndjson go; target/clinker/conform-DRIVER if absent.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write JUnit XML to this file as well.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the HTML report to this file as well.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Append the Markdown summary to this file, as to $GITHUB_STEP_SUMMARY.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print commands by which GitHub Actions shows failures beside the code; with --json or --ndjson on standard error,
    /// where it reads them as well.
    #[arg(long)]
    annotations: bool,
    /// Print result.json instead of the table.
    #[arg(long)]
    json: bool,
    /// Print one JSON object per case instead of the table: those that are played as they end, then the others.
    #[arg(long, conflicts_with = "json")]
    ndjson: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Core,
    Extended,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Served {
    Driver,
    Store,
}

/// What a run leaves in its folder.
const FILES: [&str; 5] = ["result.json", "junit.xml", "index.html", "summary.md", "events.ndjson"];
/// Families of `--quick`.
const QUICK: [&str; 6] = ["CAP", "INIT", "CRT", "CHK", "INT", "NOTE"];
/// Until a request of an adapter counts as hung.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);

impl Conform {
    pub fn execute(self, folder: Option<&Path>) -> Result<Exit> {
        let selected = self.selected()?;
        let expected = self.expectations.as_deref().map(expectations::read).transpose()?.unwrap_or_default();
        let today = expectations::today()?;
        if selected.is_empty() {
            tell(
                "clinker: nothing ran: no case is of that level, need and id; `clinker list cases` shows what there is",
            );
            return Ok(Exit::NothingRan);
        }
        let out = self.reports.out.clone().unwrap_or_else(|| self.default_out());
        std::fs::create_dir_all(&out).with_context(|| format!("--out: create folder {}", out.display()))?;
        forget(&out)?;
        if self.adapter.is_some() {
            stop::end_adapters_on_signals()?;
        }
        let candidate = self.candidate(&out)?;
        let subject = candidate.subject(&profile::profile().version);
        let suite = self.suite(candidate, folder)?;
        let only = suite.only(&self.cases).context("--case")?;
        if self.reports.ndjson {
            say(&ndjson::start(Some(&subject), profile::profile().cases.len()))?;
        }
        // An entry speaks of the whole case, and only of one that was to be played.
        let is_selected = |id: &str| selected.iter().any(|case| case.id == id);
        let is_whole = |id: &str| is_selected(id) && !only.contains_key(id);
        let known = |result: &mut CaseResult| {
            in_folder(result, folder);
            expected.apply(&subject, std::slice::from_mut(result), &|id| is_whole(id), today);
        };
        let mut cases = whole(self.play(&suite, &selected, &only, &known)?);
        stop::wait_if_ending();
        cases.iter_mut().for_each(|result| in_folder(result, folder));
        if self.reports.ndjson {
            let others = cases.iter().filter(|case| !is_selected(&case.id));
            others.map(ndjson::case).try_for_each(|line| say(&line))?;
        }
        let stale = expected.apply(&subject, &mut cases, &is_whole, today);
        let file = File::of_cases(subject, cases);
        self.write(&file, &out)?;
        self.show(&file)?;
        for stale in &stale {
            tell(&plain(&format!("stale expectation: {stale}")));
        }
        Ok(exit_of(&file.cases, &stale))
    }

    fn default_out(&self) -> PathBuf {
        let kind = if self.adapter.is_some() { "adapter-" } else { "" };
        PathBuf::from(format!("target/clinker/conform-{kind}{}", self.driver))
    }

    fn candidate(&self, out: &Path) -> Result<Candidate> {
        select::preset(&self.driver)?;
        let Some(command) = &self.adapter else {
            return Candidate::built_in(&self.driver).context("--driver: no such preset");
        };
        let role = if self.role == Served::Store { Role::Store } else { Role::Driver };
        let limit = REQUEST_LIMIT.min(Duration::from_secs(self.wall_limit));
        let pool = Pool::new(command, role, out.join("adapters"), limit)
            .starting_within(Duration::from_secs(self.start_limit));
        Candidate::adapter(pool, &self.driver).map_err(|why| anyhow::anyhow!("--adapter: {why}"))
    }

    fn suite(&self, candidate: Candidate, folder: Option<&Path>) -> Result<Suite> {
        let pace = match candidate.adapter {
            Some(_) => Pace::Real(Duration::from_secs(self.wall_limit)),
            None => Pace::Virtual,
        };
        Ok(Suite {
            parts: candidate.parts(),
            candidate,
            entries: select::scenarios(folder)?,
            scale: if self.full { Scale::Full } else { Scale::Gate },
            seeds: self.seeds,
            seed: self.seed,
            pace,
            pictures: true,
        })
    }

    fn selected(&self) -> Result<Vec<&'static Case>> {
        for need in &self.needs {
            let known: Vec<&str> = profile::roles().iter().copied().chain(profile::capabilities()).collect();
            if !known.contains(&need.as_str()) {
                let (names, hint) = (known.join(", "), near(need, &known));
                bail!("--needs: no role or capability is called \"{need}\"; there are {names}{hint}");
            }
        }
        let named: Vec<&Case> = self
            .cases
            .iter()
            .map(|name| profile::find(name.split('/').next().unwrap_or(name)).context("--case"))
            .collect::<Result<_>>()?;
        let wanted = |case: &&Case| {
            let level = match self.level {
                Level::All => true,
                Level::Core => case.is_core(),
                Level::Extended => !case.is_core(),
            };
            let quick = !self.quick || (case.is_core() && QUICK.contains(&case.family()));
            let named = named.is_empty() || named.iter().any(|named| named.id == case.id);
            let needed = self.needs.is_empty() || case.needs.iter().any(|need| self.needs.contains(need));
            level && quick && named && needed
        };
        Ok(profile::profile().cases.iter().filter(wanted).collect())
    }

    /// `known` marks failures that are expected, for whoever watches.
    fn play(
        &self,
        suite: &Suite,
        selected: &[&Case],
        only: &Only,
        known: &(dyn Fn(&mut CaseResult) + Sync),
    ) -> Result<Vec<CaseResult>> {
        let jobs = self.jobs.unwrap_or(if self.adapter.is_some() { 8 } else { default_jobs(Engine::Simnet) });
        let progress = Mutex::new(Progress::new(selected.len()));
        let told: Mutex<Result<()>> = Mutex::new(Ok(()));
        let each = |result: &CaseResult| {
            let mut result = result.clone();
            known(&mut result);
            let result = &result;
            let line = progress.lock().expect("no panic while the lock is held").line(&of_case(result));
            tell(&line);
            if matches!(result.verdict, Verdict::Fail | Verdict::Error) && !self.reports.json {
                tell(failure::item(&of_case(result)).trim_end());
            }
            if self.reports.ndjson {
                let said = say(&ndjson::case(result));
                let mut told = told.lock().expect("no panic while the lock is held");
                if told.is_ok() {
                    *told = said;
                }
            }
        };
        let results = suite.run_only(selected, only, usize::from(jobs), &each);
        told.into_inner().expect("no panic while the lock is held")?;
        Ok(results)
    }

    fn write(&self, file: &File, out: &Path) -> Result<()> {
        let put =
            |path: &Path, text: &str| std::fs::write(path, text).with_context(|| format!("write {}", path.display()));
        let (xml, page, summary) = (junit::text(file), html::page(file), markdown::text(file));
        let texts = [&json::text(file), &xml, &page, &summary, &ndjson::text(file)];
        FILES.iter().zip(texts).try_for_each(|(name, text)| put(&out.join(name), text))?;
        for (path, text) in [(&self.reports.junit, &xml), (&self.reports.html, &page)] {
            if let Some(path) = path {
                put(path, text)?;
            }
        }
        if let Some(path) = &self.reports.markdown {
            use std::io::Write as _;
            let appended = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let written = appended.and_then(|mut open| open.write_all(summary.as_bytes()));
            written.with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }

    fn show(&self, file: &File) -> Result<()> {
        if self.reports.annotations {
            annotate(file, self.reports.json || self.reports.ndjson)?;
        }
        if self.reports.json {
            return say(json::text(file).trim_end());
        }
        if self.reports.ndjson {
            return say(&ndjson::end(&file.summary));
        }
        say(&terminal::text(file))
    }
}

/// Makes commands that replay scenarios of a folder name it.
fn in_folder(result: &mut CaseResult, folder: Option<&Path>) {
    let Some(folder) = folder else { return };
    let words = format!("clinker replay --scenarios {} ", quoted(&folder.display().to_string()));
    let replays = result.plays.iter_mut().map(|play| &mut play.replay).chain([&mut result.replay]);
    replays.for_each(|replay| *replay = replay.replacen("clinker replay ", &words, 1));
}

/// Removes the reports of an earlier run: a run that ends early must not seem to have left them.
fn forget(out: &Path) -> Result<()> {
    for path in FILES.map(|name| out.join(name)) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("--out: remove {} of an earlier run", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The worst verdict counts; a skip counts for nothing. What a stale expectation speaks of counts as that.
fn exit_of(cases: &[CaseResult], stale: &[Stale]) -> Exit {
    let told = |case: &&CaseResult| !stale.iter().any(|stale| stale.case == case.id);
    let any = |verdict: Verdict| cases.iter().filter(told).any(|case| case.verdict == verdict);
    if any(Verdict::Error) {
        Exit::Internal
    } else if any(Verdict::Fail) || any(Verdict::Golden) {
        Exit::CheckFailed
    } else if !stale.is_empty() {
        Exit::ExpectationsStale
    } else if any(Verdict::Pass) || any(Verdict::Xfail) {
        Exit::AllAsExpected
    } else {
        Exit::NothingRan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::expectations::Why;

    fn check(verdicts: &[Verdict], stale: &[usize], expected: Exit) {
        let all = profile::profile().cases.iter().zip(verdicts);
        let cases: Vec<CaseResult> =
            all.map(|(case, verdict)| CaseResult { verdict: *verdict, ..CaseResult::of(case) }).collect();
        let stale: Vec<Stale> =
            stale.iter().map(|at| Stale { case: cases[*at].id.clone(), why: Why::Passed }).collect();
        assert_eq!(exit_of(&cases, &stale), expected, "{verdicts:?} {stale:?}");
    }

    #[test]
    fn the_worst_verdict_is_the_exit_code() {
        use Verdict::{Error, Fail, Pass, Skip, Xfail};
        check(&[Pass, Skip], &[], Exit::AllAsExpected);
        check(&[Xfail], &[], Exit::AllAsExpected);
        check(&[Skip, Skip], &[], Exit::NothingRan);
        check(&[Pass, Fail], &[], Exit::CheckFailed);
        check(&[Fail, Error, Pass], &[], Exit::Internal);
        check(&[Pass, Pass], &[1], Exit::ExpectationsStale);
        check(&[Pass, Fail], &[1], Exit::ExpectationsStale);
        check(&[Fail, Pass], &[1], Exit::CheckFailed);
        check(&[Error, Pass], &[1], Exit::Internal);
    }
}
