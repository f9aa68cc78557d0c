//! What a run leaves on disk: `plan.toml`, `history.jsonl`, `result.json`; and reading it back.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clinker_model::history::Header;
use clinker_model::plan::Plan;
use clinker_model::verdict::RunResult;
use clinker_model::{History, Record};
use clinker_reports::json;

/// The only history format there is.
const FORMAT: u32 = 1;

/// Folder of a run below `out`.
pub fn folder(out: &Path, plan: &Plan) -> PathBuf {
    out.join(format!("{}@{}-{}", plan.scenario, plan.driver, plan.seed))
}

/// Writes a run's files.
pub fn write(folder: &Path, plan: &Plan, history: Option<&History>, result: &RunResult) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create folder {}", folder.display()))?;
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    put("plan.toml", toml::to_string(plan).context("write the plan as TOML")?)?;
    put("result.json", json::text(std::slice::from_ref(result)))?;
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
    for (index, line) in lines {
        let line = line.with_context(|| format!("{name}:{}: read", index + 1))?;
        let record = serde_json::from_str(&line).with_context(|| format!("{name}:{}: no record", index + 1))?;
        records.push(record);
    }
    Ok(History { header, records })
}

/// Reads the plan and, if there is one, the result of a run's folder.
pub fn read_plan(folder: &Path) -> Result<(Plan, Option<RunResult>)> {
    let path = folder.join("plan.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let plan = toml::from_str(&text).with_context(|| format!("{}: no plan", path.display()))?;
    let result = fs::read_to_string(folder.join("result.json")).ok();
    let result = result.and_then(|text| serde_json::from_str::<json::File>(&text).ok());
    Ok((plan, result.and_then(|file| file.runs.into_iter().next())))
}
