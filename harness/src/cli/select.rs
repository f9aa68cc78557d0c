//! Which runs a command line means.

use std::path::Path;

use anyhow::{Context as _, Result};
use clinker_model::plan::Plan;

use crate::catalog::{self, Entry};
use crate::loader::presets::{self, Preset};
use crate::loader::suggest::near;

/// The scenarios of `folder`, or the built-in ones.
pub(super) fn scenarios(folder: Option<&Path>) -> Result<Vec<Entry>> {
    folder.map_or_else(catalog::embedded, catalog::from_folder)
}

/// The preset that a command line names.
pub(super) fn preset(driver: &str) -> Result<&'static Preset> {
    let names = presets::names();
    presets::preset(driver).with_context(|| {
        let (known, near) = (names.join(", "), near(driver, &names));
        format!("--driver: no driver preset is called \"{driver}\"; there are {known}{near}")
    })
}

/// A plan per scenario whose name contains `pattern` and per driver it is for.
pub(super) fn plans(
    folder: Option<&Path>,
    pattern: Option<&str>,
    driver: Option<&str>,
    seed: Option<u64>,
) -> Result<Vec<Plan>> {
    if let Some(driver) = driver {
        preset(driver)?;
    }
    let mut plans = Vec::new();
    for entry in scenarios(folder)? {
        if pattern.is_some_and(|pattern| !entry.name.contains(pattern)) {
            continue;
        }
        for own in entry.scenario.drivers.iter().filter(|own| driver.is_none_or(|driver| driver == own.as_str())) {
            plans.push(entry.plan(own, seed.unwrap_or_else(|| entry.seed()))?);
        }
    }
    Ok(plans)
}
