//! `clinker replay TOKEN|DIR`: the same run again, compared with what it was.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;
use clinker_model::plan::Plan;
use clinker_model::verdict::{RunResult, Verdict};

use super::run::explain;
use super::{Exit, exit_of, say, select, tell};
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
            tell(&explain(&examined));
        } else {
            say(&examined.sequence)?;
        }
        say(&format!(
            "{}  hash {}  {} events",
            clinker_reports::verdict_word(result.verdict),
            result.hash,
            result.events
        ))?;
        if let Some(before) = before.filter(|before| before.hash != result.hash) {
            let own = before.replay.ends_with(&Token::of(&plan).to_string());
            tell(&format!(
                "clinker: the run differs from the one recorded there: hash {} was {}",
                result.hash, before.hash
            ));
            if own {
                return Ok(Exit::Internal);
            }
            tell(&format!(
                "clinker: it was recorded for another build or plan ({}), for which the seed held",
                before.replay
            ));
        }
        Ok(exit_of(std::slice::from_ref(result)))
    }

    fn resolve(&self, folder: Option<&Path>) -> Result<(Plan, Option<RunResult>)> {
        if !self.what.starts_with("clk1:") {
            let path = Path::new(&self.what);
            let known = path.join("plan.toml").is_file();
            ensure!(known, "\"{}\" is neither a token (clk1:…) nor the folder of a run (plan.toml in it)", self.what);
            return artifacts::read_plan(path);
        }
        let token = Token::parse(&self.what)?;
        if !token.fits_this_build() {
            tell(&format!(
                "clinker: the token is of build {}, this is {}: the run may differ",
                token.build,
                this_build()
            ));
        }
        let entries = select::scenarios(folder)?;
        let entry = entries.iter().find(|entry| entry.name == token.scenario).with_context(|| {
            format!(
                "no scenario is called \"{}\"; `clinker list` shows them, and `--scenarios DIR` reads yours",
                token.scenario
            )
        })?;
        let mut plan = entry.plan(&token.driver, token.seed)?;
        token.apply(&mut plan);
        Ok((plan, None))
    }
}
