//! CRT: full backups.

use clinker_drivers::Kind;

use super::{Bench, CaseBody, case};
use crate::conformance::bench::Order;
use crate::conformance::bench::device::Volume;
use crate::conformance::outcome::{Outcome, ensure, equal, refused};
use crate::loader::presets::CHUNK;

/// What a standard volume holds beyond its 8 chunks.
const TAIL: u64 = 12_345;

pub(super) static CASES: &[CaseBody] = &[
    case("B-CRT-001", |bench| Box::pin(full_small(bench))),
    case("B-CRT-002", |bench| Box::pin(full_many(bench))),
    case("B-CRT-003", |bench| Box::pin(sizes_edge(bench))),
];

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
