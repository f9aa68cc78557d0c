//! `clinker replay TOKEN|DIR`: the same run again, compared with what it was.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use clinker_model::Span;
use clinker_model::plan::Plan;
use clinker_model::verdict::{RunResult, Verdict};

use super::run::explain;
use super::{Exit, exit_of, select};
use crate::artifacts;
use crate::examine::examine;
use crate::run::Parts;
use crate::token::{Token, this_build};

#[derive(Args)]
pub(super) struct Replay {
    /// A token (clk1:…) or the folder of a run.
    what: String,
}

impl Replay {
    pub fn execute(self, folder: Option<&Path>) -> Result<Exit> {
        let (plan, before) = self.resolve(folder)?;
        let examined = examine(&plan, &Parts::default());
        let result = &examined.result;
        if result.verdict != Verdict::Pass {
            eprintln!("{}", explain(&examined));
        } else {
            println!("{}", examined.sequence);
        }
        println!("{}  hash {}  {} events", clinker_reports::verdict_word(result.verdict), result.hash, result.events);
        if let Some(before) = before.filter(|before| before.hash != result.hash) {
            let same_build = before.replay == result.replay;
            eprintln!("clinker: the run differs from the one recorded there: hash {} was {}", result.hash, before.hash);
            if same_build {
                return Ok(Exit::Internal);
            }
            eprintln!("clinker: it was recorded by another build ({}), for which the seed held", before.replay);
        }
        Ok(exit_of(std::slice::from_ref(result)))
    }

    fn resolve(&self, folder: Option<&Path>) -> Result<(Plan, Option<RunResult>)> {
        if !self.what.starts_with("clk1:") {
            return artifacts::read_plan(Path::new(&self.what))
                .with_context(|| format!("\"{}\" is neither a token (clk1:…) nor the folder of a run", self.what));
        }
        let token = Token::parse(&self.what)?;
        if !token.fits_this_build() {
            eprintln!("clinker: the token is of build {}, this is {}: the run may differ", token.build, this_build());
        }
        let entries = select::scenarios(folder)?;
        let entry = entries
            .iter()
            .find(|entry| entry.name == token.scenario)
            .with_context(|| format!("no scenario is called \"{}\"; `clinker list` shows them", token.scenario))?;
        let mut plan = entry.plan(&token.driver, token.seed)?;
        plan.tick = Span(Duration::from_millis(token.tick_ms));
        Ok((plan, None))
    }
}
