//! Which runs a command line means.

use std::path::Path;

use anyhow::{Result, bail};
use clinker_model::plan::Plan;

use crate::catalog::{self, Entry};
use crate::loader::presets;

/// The scenarios of `folder`, or the built-in ones.
pub(super) fn scenarios(folder: Option<&Path>) -> Result<Vec<Entry>> {
    folder.map_or_else(catalog::embedded, catalog::from_folder)
}

/// A plan per scenario whose name contains `pattern` and per driver it is for.
pub(super) fn plans(
    folder: Option<&Path>,
    pattern: Option<&str>,
    driver: Option<&str>,
    seed: Option<u64>,
) -> Result<Vec<Plan>> {
    if let Some(driver) = driver
        && presets::preset(driver).is_none()
    {
        bail!("--driver: no driver preset is called \"{driver}\"; there are {}", presets::names().join(", "));
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
