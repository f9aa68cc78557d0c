//! What a run leaves on disk: `plan.toml`, `history.jsonl`, `result.json`, `junit.xml`, `index.html`; and reading
//! it back.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clinker_judge::timeline;
use clinker_model::history::{Entry, Header};
use clinker_model::plan::{Engine, Plan};
use clinker_model::verdict::RunResult;
use clinker_model::{History, Record, Span};
use clinker_reports::{html, json, junit};

use crate::loader::{self, CORES, HOSTS, LATEST_MOMENT, presets};
use crate::token::TICKS;

/// The only history format there is.
const FORMAT: u32 = 1;
/// Far beyond any run, and far enough from the largest number that checkers can add intervals.
const LATEST: u64 = 1 << 60;

/// Folder of a run below `out`.
pub fn folder(out: &Path, plan: &Plan) -> PathBuf {
    out.join(format!("{}@{}-{}", plan.scenario, plan.driver, plan.seed))
}

/// Writes a run's files. Those of its reports have the run as a picture.
pub fn write(folder: &Path, plan: &Plan, history: Option<&History>, result: &RunResult) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create folder {}", folder.display()))?;
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    put("plan.toml", toml::to_string(plan).context("write the plan as TOML")?)?;
    let timeline = history.map(|history| timeline::of(history, &result.findings));
    let file = json::File::of_runs(vec![RunResult { timeline, ..result.clone() }]);
    put("result.json", json::text(&file))?;
    put("junit.xml", junit::text(&file))?;
    put("index.html", html::page(&file))?;
    if let Some(history) = history {
        let path = folder.join("history.jsonl");
        write_history(&path, history).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn write_history(path: &Path, history: &History) -> Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    serde_json::to_writer(&mut file, &history.header)?;
    file.write_all(b"\n")?;
    for record in &history.records {
        serde_json::to_writer(&mut file, record)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

/// Reads a history; an error names the line.
pub fn read_history(path: &Path) -> Result<History> {
    let name = path.display();
    let file = BufReader::new(fs::File::open(path).with_context(|| format!("open {name}"))?);
    let mut lines = file.lines().enumerate();
    let first = match lines.next() {
        Some((_, line)) => line.with_context(|| format!("{name}:1: read"))?,
        None => bail!("{name}: it is empty; a history begins with a header line"),
    };
    let header: Header = serde_json::from_str(&first).with_context(|| format!("{name}:1: no history header"))?;
    if header.format != FORMAT {
        bail!("{name}:1: history format {} is not readable, only {FORMAT}", header.format);
    }
    let mut records: Vec<Record> = Vec::new();
    let mut numbers = BTreeSet::new();
    for (index, line) in lines {
        let line = line.with_context(|| format!("{name}:{}: read", index + 1))?;
        let record: Record = serde_json::from_str(&line).with_context(|| format!("{name}:{}: no record", index + 1))?;
        let last = records.last().map(|last| (last.t_ns, last.n));
        let in_order = record.t_ns <= LATEST && last.is_none_or(|last| last < (record.t_ns, record.n));
        ensure!(in_order, "{name}:{}: out of order: records stand by `t_ns`, then `n`", index + 1);
        numbers.insert(record.n);
        records.push(record);
    }
    let whole = numbers.len() == records.len() && numbers.iter().copied().eq(0..records.len() as u64);
    ensure!(whole, "{name}: records are missing or stand twice: `n` counts from 0 without a gap");
    let of_the_end = |entry: &Entry| {
        matches!(entry, Entry::FinalRow { .. } | Entry::Stored { .. } | Entry::Device { .. } | Entry::Attached { .. })
    };
    let ended = records.last().is_some_and(|last| of_the_end(&last.entry));
    ensure!(ended, "{name}: it is cut off: a whole history ends with what was there at the end");
    Ok(History { header, records })
}

/// What a plan edited by hand must still hold to.
fn playable(plan: &Plan) -> Result<()> {
    let tick = u64::try_from(plan.tick.0.as_millis()).unwrap_or(u64::MAX);
    let known = plan.engine != Engine::Turmoil || TICKS.contains(&tick);
    ensure!(known, "`tick` {} of engine turmoil is not from 1ms to 1s", plan.tick);
    ensure!(
        plan.is_playable(),
        "`engine` is {}, which cannot play all of its faults and schedules: simnet can",
        plan.engine.name()
    );
    ensure!(presets::preset(&plan.driver).is_some(), "`driver` is one of {}", presets::names().join(", "));
    ensure!(plan.cores.values().all(|cores| CORES.contains(cores)), "`cores` of a host are from 1 to {}", CORES.end());
    ensure!(HOSTS.contains(&plan.backup_hosts), "`backup_hosts` is from 1 to {}", HOSTS.end());
    let latest = Span(LATEST_MOMENT.0 * 2);
    ensure!(plan.end <= latest, "`end` {} is after {latest}, the latest end of a run", plan.end);
    ensure!(plan.gib.0 > 0, "`gib` is at least one byte");
    loader::fits(plan)
}

/// Reads the plan and, if there is one, the result of a run's folder.
pub fn read_plan(folder: &Path) -> Result<(Plan, Option<RunResult>)> {
    let path = folder.join("plan.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let plan: Plan = toml::from_str(&text).with_context(|| format!("{}: no plan", path.display()))?;
    playable(&plan).with_context(|| path.display().to_string())?;
    let result = fs::read_to_string(folder.join("result.json")).ok();
    let result = result.and_then(|text| json::File::read(&text).ok());
    Ok((plan, result.and_then(|file| file.runs.into_iter().next())))
}
