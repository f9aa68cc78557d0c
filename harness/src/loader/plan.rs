//! From a checked scenario to a plan: options merged, volumes listed, times settled, ids drawn from the seed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use clinker_model::plan::{Engine, Plan, PlannedFault, PlannedStep, PlannedVolume};
use clinker_model::scenario::{Scenario, Volume};
use clinker_model::traits::Traits;
use clinker_model::{ByteSize, Fault, Span};
use xxhash_rust::xxh3::xxh3_128;

use super::check::option_text;
use super::presets::{BLOCK, CHUNK, Preset, preset};

/// What an undeclared volume holds beyond its 8 chunks: a tail that is no multiple of anything.
const TAIL: u64 = 12_345;
/// How long after the last thing asked for a run may go on, unless the scenario says when it ends.
const AFTERWARDS: Span = Span(std::time::Duration::from_secs(600));
/// Volumes and objects are held in memory, several times over.
const MOST_CHUNK: ByteSize = ByteSize(16 << 20);
const MOST_VOLUME: ByteSize = ByteSize(256 << 20);
/// Chunks of a volume.
const MOST_CHUNKS: u64 = 4096;

/// Makes every choice for one driver and one seed. `name` is `<area>/<scenario>`.
///
/// # Errors
/// A driver that is no preset or that the scenario does not name, or an entry that [`super::load`] would refuse.
pub fn plan(scenario: &Scenario, name: &str, driver: &str, seed: u64) -> Result<Plan> {
    let preset = preset(driver).with_context(|| format!("plan {name}: no driver preset is called `{driver}`"))?;
    ensure!(scenario.drivers.iter().any(|own| own == driver), "plan {name}: it does not run for driver `{driver}`");
    let options = options(scenario, preset)?;
    let faults = faults(scenario)?;
    let chunk = size(&options, preset.chunk_option, CHUNK);
    ensure!(chunk <= MOST_CHUNK, "plan {name} for {driver}: chunk {chunk} is more than {MOST_CHUNK}");
    let latest = moments(scenario).max().unwrap_or_default();
    let plan = Plan {
        scenario: name.to_owned(),
        about: scenario.about.clone(),
        driver: driver.to_owned(),
        seed,
        engine: Engine::default(),
        tick: Span::default(),
        schedule: None,
        heal: heal(&faults),
        end: scenario.end.unwrap_or(Span(latest.0 + AFTERWARDS.0)),
        fixed_end: scenario.end.is_some(),
        backup_hosts: scenario.backup_hosts,
        zones: scenario.zone.clone(),
        own_disks: !scenario.shared_disk && preset.store == "store",
        cores: scenario.cores.clone(),
        gib: scenario.gib,
        chunk,
        block: size(&options, preset.block_option, BLOCK),
        options,
        volumes: volumes(scenario, seed, ByteSize(8 * chunk.0 + TAIL)),
        faults,
        steps: steps(scenario)?,
        expect: scenario.expect.clone(),
    };
    fits(&plan).with_context(|| format!("plan {name} for {driver}"))?;
    Ok(plan)
}

/// Whether a run of the plan stays within memory and patience.
///
/// # Errors
/// A chunk that is no whole number of blocks; a chunk or a volume that is too large, or that has too many chunks.
pub fn fits(plan: &Plan) -> Result<()> {
    let (chunk, block) = (plan.chunk, plan.block);
    ensure!(
        chunk.0 > 0 && block.0 > 0 && chunk.0.is_multiple_of(block.0),
        "chunk {chunk} is not a multiple of block {block}"
    );
    ensure!(chunk <= MOST_CHUNK, "chunk {chunk} is more than {MOST_CHUNK}");
    for PlannedVolume { name, size, .. } in &plan.volumes {
        ensure!(*size <= MOST_VOLUME, "volume `{name}`: size {size} is more than {MOST_VOLUME}");
        let chunks = size.0.div_ceil(chunk.0);
        ensure!(chunks <= MOST_CHUNKS, "volume `{name}`: {chunks} chunks of {chunk} are more than {MOST_CHUNKS}");
    }
    Ok(())
}

/// The preset's options, over them the scenario's, over them those of `options.<driver>`.
fn options(scenario: &Scenario, preset: &Preset) -> Result<BTreeMap<String, String>> {
    let geometry = &scenario.geometry;
    let chunk = geometry.chunk.map_or(CHUNK, |size| size.0);
    let block = geometry.block.map_or(BLOCK, |size| size.0);
    let mut options = preset.options(chunk, block);
    if !scenario.shared_disk {
        put_own_disk(&mut options, preset);
    }
    let mut put = |name: &str, value: &toml::Value| -> Result<()> {
        let text = option_text(value).with_context(|| format!("option `{name}` holds a {}", value.type_str()))?;
        if preset.reads(name) {
            options.insert(name.to_owned(), text);
        }
        Ok(())
    };
    for (name, value) in scenario.options.iter().filter(|(_, value)| !value.is_table()) {
        put(name, value)?;
    }
    if let Some(own) = scenario.options.get(preset.name).and_then(toml::Value::as_table) {
        for (name, value) in own {
            put(name, value)?;
        }
    }
    Ok(options)
}

/// A driver whose host has a disk of its own says so, unless the scenario sets the option itself.
fn put_own_disk(options: &mut BTreeMap<String, String>, preset: &Preset) {
    if preset.reads("backup_posix_host_bound") {
        options.insert("backup_posix_host_bound".to_owned(), "true".to_owned());
    }
}

fn size(options: &BTreeMap<String, String>, name: &str, default: u64) -> ByteSize {
    ByteSize(options.get(name).and_then(|text| text.parse().ok()).unwrap_or(default))
}

fn faults(scenario: &Scenario) -> Result<Vec<PlannedFault>> {
    let planned = scenario.faults.iter().enumerate().map(|(index, entry)| {
        let mut kinds = entry.kinds();
        ensure!(kinds.len() == 1, "fault {index} has {} kinds instead of one", kinds.len());
        Ok(PlannedFault { at: entry.at, until: entry.until, fault: kinds.remove(0) })
    });
    planned.collect()
}

fn steps(scenario: &Scenario) -> Result<Vec<PlannedStep>> {
    let planned = scenario.steps.iter().enumerate().map(|(index, entry)| {
        let mut kinds = entry.kinds();
        ensure!(kinds.len() == 1, "step {index} has {} kinds instead of one", kinds.len());
        let (at, maybe, beside) = (entry.at, entry.maybe, entry.beside);
        Ok(PlannedStep { at, refused: entry.refused.clone(), maybe, beside, step: kinds.remove(0) })
    });
    planned.collect()
}

/// When a fault is over; none if it lasts until the run ends.
fn over(at: Span, until: Option<Span>, fault: &Fault) -> Option<Span> {
    match fault {
        Fault::Crash(crash) => Some(Span(until.unwrap_or(at).0 + crash.restart_after.0)),
        fault if fault.is_one_shot() => Some(at),
        _ => until,
    }
}

fn heal(faults: &[PlannedFault]) -> Span {
    let ends = faults.iter().filter_map(|planned| over(planned.at, planned.until, &planned.fault));
    ends.max().unwrap_or_default()
}

/// Every moment a scenario names.
pub fn moments(scenario: &Scenario) -> impl Iterator<Item = Span> + '_ {
    let faults = scenario.faults.iter().flat_map(|entry| {
        let ends = entry.kinds().into_iter().filter_map(|fault| over(entry.at, entry.until, &fault));
        std::iter::once(entry.at).chain(ends.collect::<Vec<_>>())
    });
    let steps = scenario.steps.iter().filter_map(|step| step.at);
    let services = scenario.expect.service.iter().flat_map(|service| [service.at, service.by]).flatten();
    faults.chain(steps).chain(services).chain(scenario.expect.attempts.iter().copied())
}

/// Names of the volumes that exist at the start: declared ones first, then those that steps use, in order.
pub fn existing_volumes(scenario: &Scenario) -> Vec<&str> {
    let mut names: Vec<&str> = scenario.volumes.iter().map(|volume| volume.name.as_str()).collect();
    let mut made: Vec<&str> = Vec::new();
    for entry in &scenario.steps {
        made.extend(entry.restore.iter().filter_map(|restore| restore.new.as_deref()));
        let used = [
            entry.create.as_ref().map(|create| create.volume.as_str()),
            entry.restore.as_ref().and_then(|restore| restore.volume.as_deref()),
            entry.snapshot.as_ref().map(|snapshot| snapshot.volume.as_str()),
            entry.write.as_ref().map(|write| write.volume.as_str()),
            entry.set.as_ref().and_then(|set| set.volume.as_deref()),
        ];
        for name in used.into_iter().flatten() {
            if !names.contains(&name) && !made.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn volumes(scenario: &Scenario, seed: u64, default_size: ByteSize) -> Vec<PlannedVolume> {
    let planned = existing_volumes(scenario).into_iter().map(|name| {
        let declared = scenario.volumes.iter().find(|volume| volume.name == name);
        PlannedVolume {
            name: name.to_owned(),
            id: uuid(seed, name),
            size: declared.and_then(|volume| volume.size).unwrap_or(default_size),
            content: declared.map(|volume| volume.content).unwrap_or_default(),
            status: declared.and_then(|volume| volume.status.clone()).unwrap_or_else(|| "available".to_owned()),
            zone: declared.and_then(|volume| volume.zone.clone()),
            host: declared.and_then(|volume| volume.host.clone()),
            traits: declared.map(traits).unwrap_or_default(),
        }
    });
    planned.collect()
}

fn traits(volume: &Volume) -> Traits {
    Traits {
        description: volume.description.clone(),
        volume_type: volume.volume_type.clone(),
        encryption_key_id: volume.encryption_key_id.clone(),
        metadata: volume.metadata.clone(),
        glance_metadata: volume.glance_metadata.clone(),
    }
}

/// A UUID (version 4 in form) that depends on seed and name alone.
fn uuid(seed: u64, name: &str) -> String {
    let bits = xxh3_128(format!("{seed}/volume/{name}").as_bytes());
    let bits = (bits & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
