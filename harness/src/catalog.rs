//! The scenarios at hand: those embedded in the program, or a folder of the user's.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clinker_drivers::Options;
use clinker_model::plan::Plan;
use clinker_model::scenario::Scenario;
use xxhash_rust::xxh3::xxh3_64;

use crate::loader;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// Hash of the lock file this program was built with.
pub use embedded::LOCK;

/// A scenario with its name, `<area>/<file>`.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub scenario: Scenario,
}

impl Entry {
    /// The scenario's own seed, at which its golden holds.
    pub fn seed(&self) -> u64 {
        own_seed(&self.name)
    }

    pub fn plan(&self, driver: &str, seed: u64) -> Result<Plan> {
        loader::plan(&self.scenario, &self.name, driver, seed)
    }
}

/// The seed at which a scenario's golden holds: small, so that it can be typed.
pub fn own_seed(name: &str) -> u64 {
    xxh3_64(name.as_bytes()) % 100_000
}

/// The scenarios embedded in the program, sorted by name.
pub fn embedded() -> Result<Vec<Entry>> {
    embedded::SCENARIOS.iter().map(|(name, text)| entry(name, &format!("scenarios/{name}.toml"), text)).collect()
}

/// The scenarios of a folder: `<area>/<name>.toml`.
pub fn from_folder(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for area in sorted(folder)? {
        if !area.is_dir() {
            continue;
        }
        for file in sorted(&area)? {
            if file.extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
                let name = file.with_extension("");
                let name = name.strip_prefix(folder).unwrap_or(&name).to_string_lossy().into_owned();
                entries.push(entry(&name, &file.display().to_string(), &text)?);
            }
        }
    }
    if entries.is_empty() {
        bail!("folder {} holds no scenario (<area>/<name>.toml)", folder.display());
    }
    Ok(entries)
}

/// The accepted sequence of a scenario and driver, below insta's header.
pub fn golden(name: &str, driver: &str) -> Option<&'static str> {
    let key = format!("{name}@{driver}");
    let (_, file) = embedded::GOLDENS.iter().find(|(known, _)| *known == key)?;
    file.splitn(3, "---\n").nth(2)
}

/// Names of all embedded goldens, `<area>/<scenario>@<driver>`.
pub fn goldens() -> impl Iterator<Item = &'static str> {
    embedded::GOLDENS.iter().map(|(name, _)| *name)
}

/// The scenario `name` from its text; `file` is what errors call it.
pub fn entry(name: &str, file: &str, text: &str) -> Result<Entry> {
    let options: Vec<&str> = Options::table().iter().map(|option| option.name).collect();
    let scenario = loader::load(file, text, &options)?;
    Ok(Entry { name: name.to_owned(), scenario })
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let listed = std::fs::read_dir(folder).with_context(|| format!("read folder {}", folder.display()))?;
    let mut paths = listed.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}
