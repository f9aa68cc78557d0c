//! `clinker expectations`: checks files of known failures, and rewrites one from a result.
//!
//! Here the present day is read; everything else takes it as an argument.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use clinker_reports::json::File;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Exit, say, tell};
use crate::conformance::expectations::{self, Expectations};

#[derive(Args)]
pub(super) struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Read files and tell what is wrong with them, and which entries' last day is over.
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Rewrite a file so that it says what a result says: reasons, trackers, dates and comments stay.
    Update {
        /// The result.json of `clinker conform`, or of a test program's `--result`.
        #[arg(value_name = "RESULT.json")]
        result: PathBuf,
        /// The expectations file; a new one is made if it is not there.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

impl Command {
    pub fn execute(self) -> Result<Exit> {
        match self.action {
            Action::Check { files } => check(&files),
            Action::Update { result, file } => update(&result, &file),
        }
    }
}

/// The day it is, in UTC.
pub(crate) fn today() -> Result<Date> {
    #[expect(clippy::disallowed_methods, reason = "whether an entry has expired is asked of the real calendar")]
    let now = std::time::SystemTime::now();
    let now = Timestamp::try_from(now).context("the machine's clock shows no date")?;
    Ok(now.to_zoned(TimeZone::UTC).date())
}

/// Reads a file of expectations.
pub(crate) fn read(file: &Path) -> Result<Expectations> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Ok(Expectations::read(&file.display().to_string(), &text)?)
}

fn check(files: &[PathBuf]) -> Result<Exit> {
    let today = today()?;
    let mut expired = 0;
    for file in files {
        let read = read(file)?;
        for entry in read.expired(today) {
            let on = entry.expires.as_deref().unwrap_or_default();
            say(&format!("{}: {}: the entry was good until {on}", file.display(), entry.case))?;
            expired += 1;
        }
        say(&format!("{}: {} entries", file.display(), read.entries.len()))?;
    }
    Ok(if expired > 0 { Exit::ExpectationsStale } else { Exit::AllAsExpected })
}

fn update(result: &Path, file: &Path) -> Result<Exit> {
    let text = std::fs::read_to_string(result).with_context(|| format!("read {}", result.display()))?;
    let played = File::read(&text).with_context(|| format!("read {}", result.display()))?;
    let subject = played.subject.with_context(|| format!("{}: it holds no cases", result.display()))?;
    let old = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("read {}", file.display()))?,
    };
    let updated = expectations::update(&old, &subject, &played.cases);
    let (new, changes) = updated.with_context(|| format!("read {}", file.display()))?;
    if new != old {
        std::fs::write(file, &new).with_context(|| format!("write {}", file.display()))?;
    }
    for change in &changes {
        say(&change.to_string())?;
    }
    // What people have to fill in is told at once, with its lines; the file itself is as it should be.
    match Expectations::read(&file.display().to_string(), &new) {
        Ok(_) if changes.is_empty() => say("nothing to change")?,
        Ok(_) => {}
        Err(error) => tell(&error.to_string()),
    }
    Ok(Exit::AllAsExpected)
}
