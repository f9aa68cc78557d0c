//! The hosts of a scenario's world, and the keys that are about backup hosts: zones, workers, disks.

use clinker_model::fault::Fault;
use clinker_model::scenario::Scenario;
use clinker_model::traits::given_keys;

use super::check::{Checker, option_text};
use super::presets::Preset;

/// How many workers a backup host may have.
const WORKERS: std::ops::RangeInclusive<u32> = 1..=8;

/// Names of the backup hosts.
pub fn backup_hosts(scenario: &Scenario) -> Vec<String> {
    (1..=scenario.backup_hosts).map(|number| format!("backup-host-{number}")).collect()
}

/// The world's hosts for the workers beyond a host's first: `backup-host-1#1` …
pub fn further_workers(scenario: &Scenario) -> Vec<String> {
    let workers = workers(scenario);
    let of = |host: String| (1..workers).map(move |worker| format!("{host}#{worker}"));
    backup_hosts(scenario).into_iter().flat_map(of).collect()
}

/// The option `backup_workers`, as far as it is one.
fn workers(scenario: &Scenario) -> u32 {
    let text = scenario.options.get("backup_workers").and_then(option_text);
    text.and_then(|text| text.parse().ok()).filter(|workers| WORKERS.contains(workers)).unwrap_or(1)
}

/// Every host of the scenario's world with this preset, as faults and `cores` may name it.
pub fn of_world(scenario: &Scenario, preset: &Preset) -> Vec<String> {
    let mut hosts = preset.hosts(scenario.backup_hosts);
    hosts.extend(further_workers(scenario));
    let volumes = scenario.volumes.iter().filter_map(|volume| volume.encryption_key_id.as_ref());
    let imports = scenario.steps.iter().filter_map(|step| step.import.as_ref());
    if !given_keys(volumes, imports).is_empty() {
        hosts.push("keymanager".to_owned());
    }
    if !scenario.shared_disk && preset.store == "store" {
        hosts.retain(|host| host != "store");
        hosts.extend((1..=scenario.backup_hosts).map(own_disk));
    }
    hosts
}

/// The name of a backup host's own repository disk, where they share none.
pub fn own_disk(number: u32) -> String {
    format!("store-{number}")
}

/// Whether the name is that of a repository disk.
pub fn is_disk(scenario: &Scenario, preset: &Preset, host: &str) -> bool {
    let own = |number| host == own_disk(number);
    preset.store == "store" && if scenario.shared_disk { host == "store" } else { (1..=scenario.backup_hosts).any(own) }
}

/// Whether it changes what the one store of all backup hosts holds or shows.
pub fn needs_one_store(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Corrupt(_) | Fault::Truncate(_) | Fault::Lose(_) | Fault::Swap(_) | Fault::Lag(_) | Fault::Full(_)
    )
}

impl Checker<'_> {
    /// `zone.<host>`, `[[volume]] host`, `shared_disk`, and `backup_workers`.
    pub fn backup_hosts(&mut self) {
        let scenario = self.scenario;
        let hosts = backup_hosts(scenario);
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        for (host, zone) in &scenario.zone {
            self.known(&["zone", host], "backup host", host, &hosts);
            if zone.is_empty() {
                self.wrong(&["zone", host], "a zone has a name");
            }
        }
        for (index, volume) in scenario.volumes.iter().enumerate() {
            if let Some(host) = &volume.host {
                self.known(&["volume", &index.to_string(), "host"], "backup host", host, &hosts);
            }
        }
        if !scenario.shared_disk && !self.presets.iter().any(|preset| preset.store == "store") {
            let drivers = scenario.drivers.join(", ");
            self.wrong(&["shared_disk"], format!("no repository disk to share for {drivers}: only posix has one"));
        }
        if let Some(value) = scenario.options.get("backup_workers")
            && value.as_integer().is_none_or(|workers| !u32::try_from(workers).is_ok_and(|n| WORKERS.contains(&n)))
        {
            let message = format!("a scenario has from 1 to {} workers a host", WORKERS.end());
            self.wrong(&["options", "backup_workers"], message);
        }
    }
}
