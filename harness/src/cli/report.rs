//! `clinker report RESULT.json`: the reports of a result once more, from its file; or of several files of runs together.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use clinker_reports::json::{self, File};
use clinker_reports::{annotations, html, junit, markdown, ndjson, terminal};

use super::{Exit, say, tell};

#[derive(Args)]
pub(super) struct Report {
    /// The result.json of a run or of a whole invocation; several, if they are of runs, are reported together.
    #[arg(required_unless_present = "schema")]
    result: Vec<PathBuf>,
    /// Write JUnit XML to this file; `-` is standard output, here and below.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a self-contained HTML page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a summary in Markdown, as for $GITHUB_STEP_SUMMARY; it is appended to what is there.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write a JSON object per line.
    #[arg(long, value_name = "FILE")]
    ndjson: Option<PathBuf>,
    /// Print commands by which GitHub Actions shows failures, instead of the table; on standard error, where it reads
    /// them as well, if standard output is taken.
    #[arg(long)]
    annotations: bool,
    /// Print the JSON Schema of result.json.
    #[arg(long)]
    schema: bool,
}

impl Report {
    pub fn execute(self) -> Result<Exit> {
        if self.schema {
            say(json::SCHEMA.trim_end())?;
        }
        let file = match &self.result[..] {
            [] => return Ok(Exit::AllAsExpected),
            [path] => read(path)?,
            paths => joined(paths)?,
        };
        let to_stdout = self.write(&file)?;
        if self.annotations {
            annotate(&file, to_stdout || self.schema)?;
        } else if !to_stdout && !self.schema {
            say(&terminal::text(&file))?;
        }
        Ok(Exit::AllAsExpected)
    }

    /// Writes what was asked for; says whether any of it went to standard output.
    fn write(&self, file: &File) -> Result<bool> {
        type Render = fn(&File) -> String;
        let reports: [(&Option<PathBuf>, Render, bool); 4] = [
            (&self.junit, junit::text, false),
            (&self.html, html::page, false),
            (&self.markdown, markdown::text, true),
            (&self.ndjson, ndjson::text, false),
        ];
        let mut to_stdout = false;
        for (path, render, append) in reports {
            let Some(path) = path else { continue };
            to_stdout |= path == Path::new("-");
            put(path, &render(file), append)?;
        }
        Ok(to_stdout)
    }
}

/// Prints workflow commands: GitHub reads them from both streams, and one that others read has to stay what it is.
pub(super) fn annotate(file: &File, stdout_is_taken: bool) -> Result<()> {
    let lines = annotations::lines(file);
    if stdout_is_taken {
        lines.iter().for_each(|line| tell(line));
        return Ok(());
    }
    lines.iter().try_for_each(|line| say(line))
}

/// The runs of several files.
fn joined(paths: &[PathBuf]) -> Result<File> {
    let mut runs = Vec::new();
    for path in paths {
        let file = read(path)?;
        let name = path.display();
        ensure!(file.cases.is_empty(), "{name}: it is of a profile's cases; only files of runs are reported together");
        runs.extend(file.runs);
    }
    Ok(File::of_runs(runs))
}

/// Reads a `result.json`; an error names the file.
pub(super) fn read(path: &Path) -> Result<File> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    File::read(&text).with_context(|| path.display().to_string())
}

/// Writes a report to a file, or to standard output if that is called `-`.
pub(super) fn put(path: &Path, text: &str, append: bool) -> Result<()> {
    if path == Path::new("-") {
        return say(text.trim_end());
    }
    let mut file = fs::OpenOptions::new();
    file.create(true).write(true).append(append).truncate(!append);
    let opened = file.open(path).with_context(|| format!("open {} to write a report", path.display()))?;
    std::io::Write::write_all(&mut { opened }, text.as_bytes()).with_context(|| format!("write {}", path.display()))
}
