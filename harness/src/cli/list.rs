//! `clinker list`: scenarios, drivers, checks, the profile's cases.

use std::path::Path;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{Exit, say, select};
use crate::conformance::profile::profile;
use crate::loader::presets::PRESETS;

#[derive(Args)]
pub(super) struct List {
    /// What to list.
    #[arg(value_enum, default_value_t = What::Scenarios)]
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Scenarios,
    Drivers,
    Checks,
    /// Of the conformance profile.
    Cases,
}

impl List {
    pub fn execute(self, folder: Option<&Path>) -> Result<Exit> {
        match self.what {
            What::Scenarios => {
                for entry in select::scenarios(folder)? {
                    say(&format!("{}  [{}]", entry.name, entry.scenario.drivers.join(" ")))?;
                    say(&format!("    {}", entry.scenario.about))?;
                }
            }
            What::Drivers => {
                for preset in PRESETS {
                    say(preset.name)?;
                    for (option, value) in preset.options {
                        say(&format!("    {option} = {}", if option.ends_with("_key") { "***" } else { value }))?;
                    }
                }
            }
            What::Cases => {
                for case in &profile().cases {
                    let level = if case.is_core() { "Core" } else { "Extended" };
                    say(&format!("{} {}  {level} [{}]", case.id, case.slug, case.needs.join(" ")))?;
                    say(&format!("    {}", case.rule))?;
                }
            }
            What::Checks => {
                for checker in clinker_judge::CHECKERS {
                    say(&format!("{}\n    {} [{}]", checker.name, checker.about, checker.source))?;
                }
            }
        }
        Ok(Exit::AllAsExpected)
    }
}
