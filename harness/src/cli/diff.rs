//! `clinker diff A B`: what changed from one result to another.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use clinker_reports::diff;

use super::{Exit, report, say};

#[derive(Args)]
pub(super) struct Diff {
    /// The result.json from before.
    before: PathBuf,
    /// The result.json of now.
    after: PathBuf,
    /// Print the changes as JSON.
    #[arg(long)]
    json: bool,
}

impl Diff {
    /// Ends with 1 if anything got worse: another verdict that is worse, an item that vanished, a role or claim taken back,
    /// or other rules (another profile).
    pub fn execute(self) -> Result<Exit> {
        let changes = diff::of(&report::read(&self.before)?, &report::read(&self.after)?);
        if self.json {
            say(&serde_json::to_string_pretty(&changes).context("write the changes as JSON")?)?;
        } else {
            say(&diff::text(&changes))?;
        }
        Ok(if diff::any_worse(&changes) { Exit::CheckFailed } else { Exit::AllAsExpected })
    }
}
