//! Plans and data that more than one bench measures.

pub mod data;

use clinker::catalog;
use clinker_model::plan::{Engine, Plan};

/// A day of one backup service: heartbeats each 10 s, a check of the driver each minute, nothing else to do.
pub const DAY: &str = include_str!("../scenarios/day.toml");

/// Ten minutes: down, re-initialised, one backup and restore of 256 KiB without compression.
pub const TEN_MINUTES: &str = include_str!("../scenarios/ten-minutes.toml");

/// Whether this is a bench's own run; else (`cargo test`, `-- --test`) it only shows that it runs.
pub fn is_measured() -> bool {
    let has = |flag| std::env::args().any(|argument| argument == flag);
    has("--bench") && !has("--test")
}

/// One second: a service comes up.
pub const START: &str = include_str!("../scenarios/start.toml");

/// The plan of one of the texts above.
///
/// # Panics
/// When the text is no scenario for the driver: a bench without its plan measures nothing.
pub fn plan(name: &str, text: &str, driver: &str, engine: Engine, tick_ms: u64) -> Plan {
    let entry = catalog::entry(name, name, text).unwrap_or_else(|error| panic!("{error:#}"));
    let mut plan = entry.plan(driver, 1).unwrap_or_else(|error| panic!("{error:#}"));
    plan.play_on(engine, tick_ms);
    plan
}
