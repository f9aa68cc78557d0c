//! CRT: what a backup stores, where, and what its row learns.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clinker_drivers::{Backup, BackupControl, Error, Kind};

use super::{Bench, CaseBody, Scale, case};
use crate::conformance::bench::device::Volume;
use crate::conformance::bench::{End, Order, Seen};
use crate::conformance::outcome::{Outcome, Stop, ensure, equal, refused};
use crate::loader::presets::{BLOCK, CHUNK};

/// What a standard volume holds beyond its 8 chunks.
const TAIL: u64 = 12_345;

pub(super) static CASES: &[CaseBody] = &[
    case("B-CRT-001", |bench| Box::pin(full_small(bench))),
    case("B-CRT-002", |bench| Box::pin(full_many(bench))),
    case("B-CRT-003", |bench| Box::pin(sizes_edge(bench))),
    case("B-CRT-008", |bench| Box::pin(driver_updates(bench))),
    case("B-CRT-010", |bench| Box::pin(container_rules(bench))),
    case("B-CRT-011", |bench| Box::pin(container_creation_disabled(bench))),
    CaseBody { variants: |_, scale| cancels(scale), ..case("B-CRT-012", |bench| Box::pin(cancel_mid_backup(bench))) },
];

/// Chunks of a standard volume, its tail included.
const CHUNKS: u64 = 9;

async fn full_small(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(CHUNK);
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    let (container, prefix) = (made.container().to_owned(), made.prefix().to_owned());
    ensure(!container.is_empty() && !prefix.is_empty(), "the location was not saved", "container and prefix", || {
        format!("container \"{container}\", prefix \"{prefix}\"")
    })?;
    let update = made.result?;
    equal("object_count is not the number of chunks", &1, &update.object_count)?;
    bench.holds(&[&made.backup], &volume.bytes())
}

async fn full_many(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(8 * CHUNK + TAIL);
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    let backup = made.stored()?;
    let metadata = bench.metadata(&backup)?;
    let mut next = 0;
    for (name, extent) in metadata.extents() {
        ensure(extent.offset == next, "the chunks do not tile the volume", format!("a chunk at {next}"), || {
            format!("{name} at {}", extent.offset)
        })?;
        next += extent.length;
    }
    equal("the chunks do not tile the volume", &(8 * CHUNK + TAIL), &next)?;
    bench.holds(&[&backup], &volume.bytes())
}

async fn sizes_edge(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let empty = Volume::zeros(0);
    let made = bench.backup(&*driver, &empty, Order::default()).await;
    refused("a backup of an empty volume", made.result, &[Kind::InvalidVolume])?;
    equal("a refused backup left objects", &Vec::<String>::new(), &bench.objects_of(&made.backup.id))?;
    for len in [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
        let volume = bench.volume(len);
        let backup = bench.full(&*driver, &volume).await?;
        bench.holds(&[&backup], &volume.bytes())?;
        let target = Volume::zeros(len);
        bench.restore(&*driver, &[&backup], &target, false).await?;
        ensure(
            target.bytes() == volume.bytes(),
            "the restored bytes are not the volume's",
            format!("{len} bytes"),
            || "others".to_owned(),
        )?;
    }
    Ok(())
}

async fn driver_updates(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(8 * CHUNK + TAIL);
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    let full = told(&bench, made.backup, made.result, None)?;
    if bench.needs("incremental").is_err() {
        return Ok(());
    }
    for block in [3, 5, 40] {
        volume.edit(block * BLOCK, &[0x22; BLOCK as usize]);
    }
    let made = bench.backup(&*driver, &volume, Order { parent: Some(&full), ..Order::default() }).await;
    let increment = told(&bench, made.backup, made.result, Some(&full))?;
    bench.restores(&*driver, &[&full, &increment], &volume.bytes()).await.map(drop)
}

/// What the driver gave back must be what it stored, and upon what.
fn told(
    bench: &Bench,
    backup: Backup,
    result: Result<clinker_drivers::BackupUpdate, Error>,
    parent: Option<&Backup>,
) -> Outcome<Backup> {
    let update = result?;
    let metadata = bench.metadata(&backup)?;
    let listed = metadata.extents().count() as u64;
    equal("the object count given back is not that of the stored backup", &listed, &update.object_count)?;
    let upon = parent.map(|parent| parent.id.clone());
    equal("the stored backup has another parent than its row", &upon, &metadata.parent_id)?;
    let stored = bench.objects_of(&backup.id).len() as u64;
    equal("more is stored than the data objects, the hash list and the metadata", &(listed + 2), &stored)?;
    Ok(backup)
}

/// A service that looks into the store whenever a location is saved.
struct Onlooker {
    bench: Bench,
    backup_id: String,
    saves: Mutex<Vec<Saved>>,
}

struct Saved {
    container: String,
    prefix: String,
    /// Objects of the backup at that moment.
    stored: Vec<String>,
    /// Requests until then.
    requests: usize,
}

#[async_trait]
impl BackupControl for Onlooker {
    async fn save_location(&self, container: &str, service_metadata: &str) -> Result<(), Error> {
        let saved = Saved {
            container: container.to_owned(),
            prefix: service_metadata.to_owned(),
            stored: self.bench.objects_of(&self.backup_id),
            requests: self.bench.request_count(),
        };
        self.saves.lock().expect("no panic while the lock is held").push(saved);
        Ok(())
    }

    async fn check_cancelled(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn progress(&self, _backup_percent: f64) -> Result<(), Error> {
        Ok(())
    }
}

async fn container_rules(bench: Bench) -> Outcome {
    let default = match bench.candidate().preset.store {
        "swift" => "backup_swift_container",
        "s3" => "backup_s3_store_bucket",
        _ => "backup_container",
    };
    let configured = [(default, "of-the-house")];
    saved_in_time(&bench, &[], Some("asked-for"), Some("asked-for")).await?;
    saved_in_time(&bench, &configured, None, Some("of-the-house")).await?;
    saved_in_time(&bench, &configured, Some("asked-for-too"), Some("asked-for-too")).await?;
    saved_in_time(&bench, &[], None, None).await?;
    // What a crash leaves is found by the location that was saved.
    let driver = bench.driver().await?;
    let end = End { object: "-00002", nth: 1, lands: true };
    let cut = bench.backup_cut(&*driver, &bench.volume(3 * CHUNK), Order::default(), end).await?;
    ensure(!bench.objects_of(&cut.id).is_empty(), "a backup that was cut has stored nothing", "an object", || {
        "none".to_owned()
    })?;
    bench.delete(&*bench.driver().await?, &cut).await?;
    bench.holds_nothing_of(&cut.id, "a delete does not find what a crash left")
}

async fn saved_in_time(
    bench: &Bench,
    options: &[(&str, &str)],
    asked: Option<&str>,
    expected: Option<&str>,
) -> Outcome {
    let driver = bench.driver_with(options).await?;
    let volume = bench.volume(CHUNK + 1);
    let mut backup = bench.row(&volume, &Order { container: asked, ..Order::default() });
    let control = Arc::new(Onlooker { bench: bench.clone(), backup_id: backup.id.clone(), saves: Mutex::default() });
    let before = bench.request_count();
    driver.backup(&bench.context(), &backup, None, &*volume, control.clone()).await?;
    let saves = std::mem::take(&mut *control.saves.lock().expect("no panic while the lock is held"));
    let (Some(first), Some(last)) = (saves.first(), saves.last()) else {
        return Err(Stop::failed("the location was not saved", "save_location is called", "it was not"));
    };
    equal("objects were stored before their location was saved", &Vec::<String>::new(), &last.stored)?;
    equal("the container was saved under another name at first", &last.container, &first.container)?;
    if let Some(expected) = expected {
        equal("the container is not the one that was asked for or configured", expected, &last.container[..])?;
    }
    let within = format!("/{}", last.container);
    let creates = |seen: &&Seen| {
        seen.method == "PUT" && seen.path.split('?').next().unwrap_or_default().trim_end_matches('/').ends_with(&within)
    };
    let early = bench.requests()[before..first.requests].iter().filter(creates).count();
    equal("the container was created before its name was saved", &0, &early)?;
    let elsewhere: Vec<String> = bench
        .ledger()
        .into_iter()
        .filter(|object| object.name.contains(&backup.id) && object.container != last.container)
        .map(|object| format!("{}/{}", object.container, object.name))
        .collect();
    equal("objects lie outside the saved container", &Vec::new(), &elsewhere)?;
    (backup.container, backup.service_metadata) = (Some(last.container.clone()), Some(last.prefix.clone()));
    bench.holds(&[&backup], &volume.bytes())
}

async fn container_creation_disabled(bench: Bench) -> Outcome {
    let (off, missing) = (("backup_create_containers", "false"), "never-made");
    let driver = bench.driver_with(&[off]).await?;
    let volume = bench.volume(CHUNK + 1);
    let (held, before) = (bench.everything(), bench.request_count());
    let made = bench.backup(&*driver, &volume, Order { container: Some(missing), ..Order::default() }).await;
    refused("a backup into a missing container that may not be created", made.result, &[Kind::NotFound])?;
    equal("a refused backup changed the store", &held, &bench.everything())?;
    let requests = bench.requests().split_off(before);
    let written = requests.into_iter().filter(|seen| matches!(&seen.method[..], "PUT" | "POST"));
    let done: Vec<String> =
        written.filter(|seen| seen.status < 300 && !seen.path.contains("/auth/")).map(|seen| seen.path).collect();
    equal("a refused backup wrote", &Vec::new(), &done)?;
    // The same container, once somebody has made it, is fine.
    let maker = bench.driver().await?;
    bench.backup(&*maker, &volume, Order { container: Some(missing), ..Order::default() }).await.stored()?;
    let made = bench.backup(&*driver, &volume, Order { container: Some(missing), ..Order::default() }).await;
    let backup = made.stored()?;
    bench.holds(&[&backup], &volume.bytes())
}

fn cancels(scale: Scale) -> Vec<String> {
    let chunks = if scale == Scale::Full { (1..=CHUNKS).collect() } else { vec![1, CHUNKS / 2 + 1, CHUNKS] };
    chunks.into_iter().map(|chunk| format!("chunk-{chunk}")).collect()
}

async fn cancel_mid_backup(bench: Bench) -> Outcome {
    bench.needs("force_delete")?;
    let chunk: u64 = bench.variant().trim_start_matches("chunk-").parse().unwrap_or(1);
    let driver = bench.driver_with(&[("backup_object_number_per_notification", "1")]).await?;
    let volume = bench.volume(8 * CHUNK + TAIL);
    let made = bench.backup(&*driver, &volume, Order { cancel_at: Some(chunk), ..Order::default() }).await;
    let seen = made.seen_by_now();
    refused("a cancelled backup", made.result, &[Kind::Cancelled])?;
    // Until it asked for the nth time a chunk less than n was done, and at most one more may follow.
    let most = chunk * CHUNK;
    let stopped = !bench.sees_device() || volume.read_end() <= most;
    ensure(stopped, "it goes on after the cancel", format!("at most {most} bytes read"), || {
        format!("{} bytes read", volume.read_end())
    })?;
    bench.holds_nothing_of(&made.backup.id, "a cancelled backup left objects")?;
    let percents: Vec<f64> = seen.notes.iter().map(|(_, percent)| *percent).collect();
    ensure(
        percents.iter().all(|percent| *percent < 100.0),
        "a cancelled backup is announced as complete",
        "less",
        || format!("{percents:?}"),
    )?;
    // The delete that cancelled it comes next, and finds nothing amiss.
    bench.delete(&*driver, &made.backup).await?;
    let another = bench.full(&*driver, &volume).await?;
    bench.holds(&[&another], &volume.bytes())
}
