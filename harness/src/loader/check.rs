//! What a scenario must satisfy beyond its grammar: the frame; faults, steps and expectations have files of their own.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use clinker_drivers::Options;
use clinker_model::Span;
use clinker_model::scenario::Scenario;

use super::Problem;
use super::locate::Document;
use super::presets::{BLOCK, CHUNK, Preset, names, preset};
use super::suggest::hint;

/// Kinds of errors, for `refused`.
pub const KINDS: [&str; 14] = [
    "invalid_config",
    "invalid_volume",
    "invalid_backup",
    "auth",
    "unreachable",
    "timeout",
    "not_found",
    "conflict",
    "quota",
    "integrity",
    "unsupported",
    "service_down",
    "cancelled",
    "internal",
];
pub const BACKUP_STATUSES: [&str; 7] =
    ["creating", "available", "deleting", "deleted", "restoring", "error", "error_deleting"];
pub const VOLUME_STATUSES: [&str; 7] =
    ["creating", "available", "in-use", "backing-up", "restoring-backup", "error_restoring", "error"];
pub const SNAPSHOT_STATUSES: [&str; 2] = ["available", "backing-up"];

/// How many backup services a scenario may have.
pub const HOSTS: RangeInclusive<u32> = 1..=16;
/// The latest moment that a scenario may name, 31 days: idle waiting is quick, not free.
pub const LATEST_MOMENT: Span = Span(Duration::from_secs(31 * 86_400));

/// How many cores a host may have.
pub const CORES: RangeInclusive<u32> = 1..=64;

/// A scenario under inspection and what was found wrong with it.
pub struct Checker<'d> {
    document: &'d Document<'d>,
    pub scenario: &'d Scenario,
    /// The presets of its drivers, unknown names left out.
    pub presets: Vec<&'static Preset>,
    pub problems: Vec<Problem>,
}

impl<'d> Checker<'d> {
    pub fn new(document: &'d Document<'d>, scenario: &'d Scenario) -> Checker<'d> {
        let presets = scenario.drivers.iter().filter_map(|name| preset(name)).collect();
        Checker { document, scenario, presets, problems: Vec::new() }
    }

    fn cores(&mut self) {
        for (host, cores) in &self.scenario.cores {
            let path = ["cores", host];
            if !CORES.contains(cores) {
                self.wrong(&path, format!("`{host}` has from 1 to {} cores", CORES.end()));
            }
            for preset in self.presets.clone() {
                let hosts = super::hosts::of_world(self.scenario, preset);
                let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
                if !hosts.contains(&host.as_str()) {
                    let message = format!("unknown host `{host}` for driver {}{}", preset.name, hint(host, &hosts));
                    self.wrong(&path, message);
                }
            }
        }
    }

    /// Notes a problem at a path of keys and positions.
    pub fn wrong(&mut self, path: &[&str], message: impl Into<String>) {
        self.problems.push(self.document.problem(path, message.into()));
    }

    /// Notes an unknown word unless it is one of `known`.
    pub fn known(&mut self, path: &[&str], what: &str, word: &str, known: &[&str]) {
        if !known.contains(&word) {
            self.wrong(path, format!("unknown {what} `{word}`{}", hint(word, known)));
        }
    }

    /// Applies every check; problems are in the order of the file.
    pub fn run(&mut self, options: &[&str]) {
        self.frame();
        self.options(options);
        self.faults();
        self.steps();
        self.expectations();
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
    }

    fn frame(&mut self) {
        let scenario = self.scenario;
        if scenario.about.trim().is_empty() {
            self.wrong(&["about"], "`about` is empty: say in a sentence what happens and what must come of it");
        }
        if scenario.drivers.is_empty() {
            let message = format!("`drivers` is empty: name at least one of {}", names().join(", "));
            self.wrong(&["drivers"], message);
        }
        let mut seen = BTreeSet::new();
        for (index, driver) in scenario.drivers.iter().enumerate() {
            let index = index.to_string();
            self.known(&["drivers", &index], "driver", driver, &names());
            if !seen.insert(driver) {
                self.wrong(&["drivers", &index], format!("driver `{driver}` is listed twice"));
            }
        }
        self.cores();
        self.backup_hosts();
        if !HOSTS.contains(&scenario.backup_hosts) {
            self.wrong(&["backup_hosts"], format!("`backup_hosts` is from 1 to {}", HOSTS.end()));
        }
        if scenario.gib.0 == 0 {
            self.wrong(&["gib"], "`gib` is at least one byte");
        }
        let chunk = scenario.geometry.chunk.map_or(CHUNK, |size| size.0);
        let block = scenario.geometry.block.map_or(BLOCK, |size| size.0);
        if block == 0 || chunk == 0 || !chunk.is_multiple_of(block) {
            let message = format!("chunk {chunk} is not a multiple of block {block} (bytes)");
            self.wrong(&["geometry", "chunk"], message);
        }
        self.volumes();
    }

    fn volumes(&mut self) {
        let mut seen = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for (index, volume) in self.scenario.volumes.iter().enumerate() {
            let index = index.to_string();
            if !seen.insert(&volume.name) {
                self.wrong(&["volume", &index, "name"], format!("volume `{}` is declared twice", volume.name));
            }
            if volume.encryption_key_id.as_ref().is_some_and(|key| key.is_empty() || !keys.insert(key)) {
                self.wrong(&["volume", &index, "encryption_key_id"], "every encrypted volume has a key of its own");
            }
            if let Some(status) = &volume.status {
                self.known(&["volume", &index, "status"], "volume status", status, &VOLUME_STATUSES);
            }
        }
    }

    fn options(&mut self, known: &[&str]) {
        for (name, value) in &self.scenario.options {
            match value {
                toml::Value::Table(table) => {
                    let drivers: Vec<&str> = self.scenario.drivers.iter().map(String::as_str).collect();
                    self.known(&["options", name], "driver in `options`", name, &drivers);
                    let readers: Vec<&Preset> = preset(name).into_iter().collect();
                    for (inner, value) in table {
                        self.option(&["options", name, inner], inner, value, known, &readers);
                    }
                }
                value => self.option(&["options", name], name, value, known, &self.presets.clone()),
            }
        }
    }

    fn option(&mut self, path: &[&str], name: &str, value: &toml::Value, known: &[&str], readers: &[&Preset]) {
        if !known.contains(&name) {
            self.wrong(path, format!("unknown option `{name}`{}", hint(name, known)));
            return;
        }
        match option_text(value) {
            None => {
                let kind = value.type_str();
                let message = format!("option `{name}` is a string, number, boolean or list of strings, not a {kind}");
                self.wrong(path, message);
            }
            Some(text) => {
                if let Err(error) = Options::default().set(name, &text) {
                    self.wrong(path, error.what.clone());
                }
            }
        }
        if value.as_integer().is_some_and(|number| number > i64::from(u32::MAX)) {
            self.wrong(path, format!("option `{name}` is at most {}", u32::MAX));
        }
        if !readers.is_empty() && !readers.iter().any(|preset| preset.reads(name)) {
            let drivers: Vec<&str> = readers.iter().map(|preset| preset.name).collect();
            self.wrong(path, format!("option `{name}` is not used by {}", drivers.join(", ")));
        }
    }
}

/// An option's value as `cinder.conf` would hold it.
pub fn option_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(values) => {
            let texts: Option<Vec<&str>> = values.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
