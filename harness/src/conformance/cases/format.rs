//! CHK: how data objects are packed, named, counted and ordered. Their documents are in [`super::documents`].

use std::time::Duration;

use clinker_drivers::{Backup, Kind};

use super::{Bench, CaseBody, Scale, case};
use crate::conformance::bench::device::{Volume, random};
use crate::conformance::bench::{Call, End, Order, Which, untouched};
use crate::conformance::outcome::{Outcome, Stop, ensure, equal, fixture, refused};
use crate::loader::presets::{BLOCK, CHUNK};

pub(super) static CASES: &[CaseBody] = &[
    case("B-CHK-001", |bench| Box::pin(compressors(bench))),
    case("B-CHK-002", |bench| Box::pin(ineffective_compression(bench))),
    case("B-CHK-003", |bench| Box::pin(names(bench))),
    case("B-CHK-006", |bench| Box::pin(block_divides_chunk(bench))),
    CaseBody { variants: |_, scale| ends(scale), ..case("B-CHK-007", |bench| Box::pin(metadata_written_last(bench))) },
    case("B-CHK-008", |bench| Box::pin(object_count(bench))),
    case("B-CHK-012", |bench| Box::pin(no_partial_put(bench))),
    case("B-CHK-013", |bench| Box::pin(bounded_memory(bench))),
];

const TAIL: u64 = 12_345;
const COMPRESSION: &str = "backup_compression_algorithm";
/// Each compressor, and the other name it has.
const COMPRESSORS: &[&str] = &["zlib", "gzip", "bz2", "bzip2", "zstd"];

async fn compressors(bench: Bench) -> Outcome {
    let volume = Volume::text(CHUNK + TAIL);
    for name in ["none", "off", "no"].iter().chain(COMPRESSORS) {
        let capitalised = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        for spelling in [(*name).to_owned(), name.to_uppercase(), capitalised] {
            let driver = bench.driver_with(&[(COMPRESSION, &spelling)]).await?;
            let backup = bench.full(&*driver, &volume).await?;
            let expected = if COMPRESSORS.contains(name) { name } else { "none" };
            for (object, extent) in bench.metadata(&backup)?.extents() {
                equal("a chunk's compression is not as configured", expected, &extent.compression[..])?;
                let stored = bench.object(backup.container.as_deref().unwrap_or_default(), object)?.len() as u64;
                ensure(
                    (stored < extent.length) == (expected != "none"),
                    "a chunk is not packed as configured",
                    format!("{expected} of {} bytes", extent.length),
                    || format!("{stored} bytes"),
                )?;
            }
            bench.holds(&[&backup], &volume.bytes())?;
            bench.restores(&*driver, &[&backup], &volume.bytes()).await?;
        }
    }
    let refusal = async {
        let mut options = bench.options();
        options.insert(COMPRESSION.to_owned(), "lzma".to_owned());
        let driver = bench.make(&options)?;
        driver.do_setup().await?;
        bench.backup(&*driver, &volume, Order::default()).await.result
    };
    let held = bench.everything();
    let error = refused("a compressor that nobody knows", refusal.await, &[Kind::InvalidConfig])?;
    let text = error.to_string();
    ensure(text.contains(COMPRESSION) || text.contains("lzma"), "the error does not name it", COMPRESSION, || {
        text.clone()
    })?;
    equal("a compressor that nobody knows changed the store", &held, &bench.everything())
}

async fn ineffective_compression(bench: Bench) -> Outcome {
    let mut bytes = Volume::text(CHUNK).bytes();
    bytes.extend(random(bench.seed(), CHUNK));
    bytes.extend(Volume::text(CHUNK).bytes());
    let volume = Volume::holding(bytes);
    for name in ["zlib", "bz2", "zstd"] {
        let driver = bench.driver_with(&[(COMPRESSION, name)]).await?;
        let backup = bench.full(&*driver, &volume).await?;
        let metadata = bench.metadata(&backup)?;
        let labels: Vec<&str> = metadata.extents().map(|(_, extent)| &extent.compression[..]).collect();
        equal("labels are not those of how the chunks are stored", &vec![name, "none", name], &labels)?;
        bench.holds(&[&backup], &volume.bytes())?;
        bench.restores(&*driver, &[&backup], &volume.bytes()).await?;
    }
    Ok(())
}

/// The names of a backup of so many data objects, sorted.
fn names_of(backup: &Backup, objects: u64) -> Vec<String> {
    let prefix = backup.service_metadata.as_deref().unwrap_or_default();
    let data = (1..=objects).map(|number| format!("{prefix}-{number:05}"));
    let mut names: Vec<String> = data.chain(["_metadata", "_sha256file"].map(|end| format!("{prefix}{end}"))).collect();
    names.sort();
    names
}

async fn names(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(3 * CHUNK + TAIL);
    let backup = bench.full(&*driver, &volume).await?;
    let prefix = backup.service_metadata.as_deref().unwrap_or_default();
    ensure(prefix.contains(&backup.id), "the prefix does not tell whose objects they are", "the id in it", || {
        prefix.to_owned()
    })?;
    let mut stored = bench.objects_of(&backup.id);
    stored.sort();
    equal("objects have other names", &names_of(&backup, 4), &stored)?;
    let metadata = bench.metadata(&backup)?;
    let listed: Vec<&String> = metadata.extents().map(|(name, _)| name).collect();
    let expected: Vec<String> = (1..=4).map(|number| format!("{prefix}-{number:05}")).collect();
    equal("objects are not listed in the order of their numbers", &expected.iter().collect(), &listed)?;
    let renamed = renumbered(&bench, &backup)?;
    bench.restores(&*bench.driver().await?, &[&renamed], &volume.bytes()).await?;
    bench.delete(&*driver, &renamed).await?;
    bench.holds_nothing_of(&renamed.id, "a delete leaves objects with long numbers")
}

/// The same backup under another id, its objects numbered from 99,998 on: longer numbers sort before shorter ones.
fn renumbered(bench: &Bench, backup: &Backup) -> Outcome<Backup> {
    let id = bench.uuid();
    let prefix = backup.service_metadata.clone().unwrap_or_default();
    let container = backup.container.as_deref().unwrap_or_default();
    let rename = |text: &str| text.replace(&backup.id, &id);
    let mut document = fixture(String::from_utf8(bench.object(container, &format!("{prefix}_metadata"))?))?;
    for number in 1..=4 {
        let (old, new) = (format!("-{number:05}"), format!("-{}", 99_997 + number));
        let bytes = bench.object(container, &format!("{prefix}{old}"))?;
        bench.put_object(container, &rename(&format!("{prefix}{new}")), &bytes)?;
        document = document.replace(&format!("{prefix}{old}\""), &format!("{prefix}{new}\""));
    }
    bench.put_object(container, &rename(&format!("{prefix}_metadata")), rename(&document).as_bytes())?;
    let hashes = fixture(String::from_utf8(bench.object(container, &format!("{prefix}_sha256file"))?))?;
    bench.put_object(container, &rename(&format!("{prefix}_sha256file")), rename(&hashes).as_bytes())?;
    Ok(Backup { id: id.clone(), service_metadata: Some(rename(&prefix)), ..backup.clone() })
}

async fn block_divides_chunk(bench: Bench) -> Outcome {
    let preset = bench.candidate().preset;
    for (chunk, block) in [(3 * BLOCK + 1, BLOCK), (BLOCK, 2 * BLOCK), (10_000, 3_000)] {
        let mut options = bench.options();
        options.insert(preset.chunk_option.to_owned(), chunk.to_string());
        options.insert(preset.block_option.to_owned(), block.to_string());
        let volume = bench.volume(CHUNK);
        let (held, before) = (bench.everything(), bench.request_count());
        let refusal = async {
            let driver = bench.make(&options)?;
            driver.do_setup().await?;
            let made = bench.backup(&*driver, &volume, Order::default()).await;
            made.result.map(drop)
        };
        refused(&format!("a chunk of {chunk} with blocks of {block}"), refusal.await, &[Kind::InvalidBackup])?;
        if bench.sees_device() {
            equal("the volume was read before the sizes were looked at", &0, &volume.reads())?;
        }
        equal("requests were sent before the sizes were looked at", &before, &bench.request_count())?;
        equal("the store was changed before the sizes were looked at", &held, &bench.everything())?;
    }
    Ok(())
}

/// Where a process ends: at which object, and whether its write lands.
fn ends(scale: Scale) -> Vec<String> {
    let text = |ends: &[&str]| ends.iter().map(|end| (*end).to_owned()).collect::<Vec<_>>();
    if scale == Scale::Gate {
        return text(&[
            "-00001/lands",
            "-00005/breaks",
            "-00009/lands",
            "_sha256file/lands",
            "_metadata/breaks",
            "_metadata/lands",
        ]);
    }
    let objects = (1..=9).map(|number| format!("-{number:05}")).chain(text(&["_sha256file", "_metadata"]));
    // On a disk storing an object takes several calls; a server sees one.
    let calls = ["lands", "breaks", "call-2", "call-3", "call-4"];
    objects.flat_map(|object| calls.map(|call| format!("{object}/{call}"))).collect()
}

async fn metadata_written_last(bench: Bench) -> Outcome {
    let variant = bench.variant().to_owned();
    let (object, how) = variant.split_once('/').ok_or_else(|| Stop::Broken(format!("variant {variant}")))?;
    let nth = how.strip_prefix("call-").map_or(1, |nth| nth.parse().unwrap_or(1));
    if nth > 1 && !bench.on_disk() {
        return Err(Stop::Skipped("a server sees one call for each object".to_owned()));
    }
    let volume = bench.volume(8 * CHUNK + TAIL);
    let cut = {
        let driver = bench.driver().await?;
        bench.backup_cut(&*driver, &volume, Order::default(), End { object, nth, lands: how == "lands" }).await?
    };
    let metadata = format!("{}_metadata", cut.service_metadata.as_deref().unwrap_or_default());
    let complete = bench.objects_of(&cut.id).contains(&metadata);
    ensure(
        !complete || object == "_metadata",
        "metadata exist before all that they vouch for",
        "none until every chunk is stored",
        || format!("{metadata} is there while {object} is being stored"),
    )?;
    let next = bench.driver().await?;
    if complete {
        bench.restores(&*next, &[&cut], &volume.bytes()).await?;
    } else {
        let target = Volume::zeros(volume.bytes().len() as u64);
        let restored = bench.restore(&*next, &[&cut], &target, true).await;
        refused("a restore of a backup that was cut", restored, &[Kind::InvalidBackup, Kind::NotFound])?;
        untouched("a refused restore wrote", &target)?;
    }
    bench.delete(&*next, &cut).await?;
    bench.holds_nothing_of(&cut.id, "a delete does not find what a crash left")
}

async fn object_count(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let what = "object_count is not the number of data objects";
    for (len, count) in [(1, 1), (CHUNK, 1), (CHUNK + 1, 2), (8 * CHUNK + TAIL, 9)] {
        let volume = bench.volume(len);
        let made = bench.backup(&*driver, &volume, Order::default()).await;
        equal(what, &count, &made.result?.object_count)?;
        equal("other objects are stored than the row counts", &(count + 2), &stored(&bench, &made.backup))?;
    }
    if bench.needs("incremental").is_err() {
        return Ok(());
    }
    let volume = bench.volume(2 * CHUNK);
    let full = bench.full(&*driver, &volume).await?;
    for (edits, count) in [(vec![], 0), (vec![0], 1), (vec![2, 5, CHUNK / BLOCK], 4)] {
        for block in edits {
            volume.edit(block * BLOCK, &[0x33; BLOCK as usize]);
        }
        let made = bench.backup(&*driver, &volume, Order { parent: Some(&full), ..Order::default() }).await;
        equal(what, &count, &made.result?.object_count)?;
        equal("other objects are stored than the row counts", &(count + 2), &stored(&bench, &made.backup))?;
    }
    Ok(())
}

fn stored(bench: &Bench, backup: &Backup) -> u64 {
    bench.objects_of(&backup.id).len() as u64
}

async fn no_partial_put(bench: Bench) -> Outcome {
    bench.must_see_device()?;
    let driver = bench.driver().await?;
    for chunk in [1, 4, 9] {
        let volume = bench.volume(8 * CHUNK + TAIL);
        volume.fail_read(chunk);
        let before = bench.request_count();
        let made = bench.backup(&*driver, &volume, Order::default()).await;
        let error = refused("a backup of a volume that cannot be read", made.result, &[Kind::Internal])?;
        said_first(&error)?;
        bench.holds_nothing_of(&made.backup.id, "a chunk that could not be read was stored")?;
        let put = bench.requests_since(before, "PUT", &format!("{}-{chunk:05}", made.backup.id));
        equal("a part of a chunk was sent", &Vec::new(), &put)?;
    }
    // What goes wrong while cleaning up is not what is told.
    let volume = bench.volume(3 * CHUNK);
    volume.fail_read(3);
    let which = Which { call: Call::Delete, about: "-0000", nth: 1, times: 0 };
    let stuck = bench.fail(which, 403).await?;
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    bench.heal(&stuck).await;
    let container = made.container().to_owned();
    said_first(&refused("a backup of a volume that cannot be read", made.result, &[Kind::Internal])?)?;
    for name in bench.objects_of(&made.backup.id) {
        let whole = bench.object(&container, &name)?.len() as u64;
        ensure(whole == CHUNK, "a part of a chunk was stored", format!("{CHUNK} bytes in {name}"), || {
            format!("{whole} bytes")
        })?;
    }
    bench.delete(&*driver, &made.backup).await?;
    bench.holds_nothing_of(&made.backup.id, "a delete leaves what a failed clean-up left")
}

/// The error is the volume's.
fn said_first(error: &clinker_drivers::Error) -> Outcome {
    let text = error.to_string();
    let expected = "the volume could not be read";
    ensure(text.contains(expected), "the error is not the first one", expected, || text.clone())
}

async fn bounded_memory(bench: Bench) -> Outcome {
    bench.must_see_device()?;
    /// Chunks that may be on their way: one that is read, one that is sent, and as much again.
    const CHUNKS_MAX: u64 = 4;
    let driver = bench.driver_with(&[(COMPRESSION, "none")]).await?;
    let volume = bench.volume(32 * CHUNK);
    let slow = Which { call: Call::Put, about: "-0000", nth: 3, times: 4 };
    // Shorter than an adapter's time-out.
    let delay = Duration::from_millis(if bench.is_real() { 300 } else { 10_000 });
    let slow = bench.slow(slow, delay, 0).await?;
    let held_before: u64 = data_bytes(&bench);
    let operation = bench.full(&*driver, &volume);
    let mut operation = std::pin::pin!(operation);
    let mut most = 0;
    let backup = loop {
        tokio::select! {
            biased;
            result = &mut operation => break result?,
            () = bench.wait(Duration::from_millis(5)) => {
                let stored = data_bytes(&bench) - held_before;
                most = most.max(volume.read_end().saturating_sub(stored));
            }
        }
    };
    bench.heal(&slow).await;
    ensure(most > 0, "nothing was seen under way", "a chunk between volume and store", || "none".to_owned())?;
    let expected = format!("at most {CHUNKS_MAX} chunks between volume and store");
    ensure(most <= CHUNKS_MAX * CHUNK, "data pile up before a slow store", expected, || {
        format!("{} chunks", most.div_ceil(CHUNK))
    })?;
    bench.holds(&[&backup], &volume.bytes())
}

/// Bytes of all data objects.
fn data_bytes(bench: &Bench) -> u64 {
    let special = |name: &str| name.ends_with("_metadata") || name.ends_with("_sha256file");
    bench.ledger().into_iter().filter(|object| !special(&object.name)).map(|object| object.len).sum()
}
