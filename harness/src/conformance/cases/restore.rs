//! RST: what a restore writes, and what it refuses before it writes.

use clinker_drivers::{Backup, BackupDriver, Kind};

use super::{Bench, CaseBody, case};
use crate::conformance::bench::device::{Volume, random};
use crate::conformance::bench::{Order, untouched};
use crate::conformance::outcome::{Outcome, ensure, equal, refused};
use crate::loader::presets::{BLOCK, CHUNK};

pub(super) static CASES: &[CaseBody] = &[
    case("B-RST-001", |bench| Box::pin(same_volume(bench))),
    case("B-RST-004", |bench| Box::pin(sparse_new(bench))),
    case("B-RST-011", |bench| Box::pin(object_list_mismatch(bench))),
    case("B-RST-013", |bench| Box::pin(flush_each_chunk(bench))),
];

const TAIL: u64 = 12_345;

async fn same_volume(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(8 * CHUNK + TAIL);
    let image = volume.bytes();
    let backup = bench.full(&*driver, &volume).await?;
    ensure(volume.writes().is_empty(), "a backup writes to its volume", "no write", || {
        format!("{:?}", volume.writes())
    })?;
    // Its user goes on: every byte is another, or is gone.
    volume.edit(0, &random(bench.seed() ^ 7, 5 * CHUNK));
    volume.edit(5 * CHUNK, &vec![0; (3 * CHUNK + TAIL) as usize]);
    bench.restores_to(&*driver, &[&backup], &volume, false, &image).await?;
    // Once more, by a driver that knows nothing of the first time.
    let another = bench.driver().await?;
    bench.restores_to(&*another, &[&backup], &volume, false, &image).await?;
    bench.holds(&[&backup], &image)
}

/// Bytes of `range` that a restore wrote.
fn written_within(target: &Volume, start: u64, end: u64) -> u64 {
    let within = |(offset, len): (u64, u64)| (offset + len).min(end).saturating_sub(offset.max(start));
    target.writes().into_iter().map(within).sum()
}

async fn sparse_new(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(6 * CHUNK + TAIL);
    let zeros = |from: u64, to: u64| volume.edit(from, &vec![0; (to - from) as usize]);
    // The first, two neighbours and the tail; half a chunk too, which is not a whole region of zeros.
    let regions = [(0, CHUNK), (2 * CHUNK, 4 * CHUNK), (6 * CHUNK, 6 * CHUNK + TAIL)];
    regions.iter().for_each(|(from, to)| zeros(*from, *to));
    zeros(5 * CHUNK, 5 * CHUNK + CHUNK / 2);
    let full = bench.full(&*driver, &volume).await?;
    let image = volume.bytes();
    let target = Volume::zeros(image.len() as u64);
    bench.restores_to(&*driver, &[&full], &target, true, &image).await?;
    let old = Volume::holding(vec![0xee; image.len()]);
    bench.restores_to(&*driver, &[&full], &old, false, &image).await?;
    for (from, to) in regions {
        equal("zeros are written to a new volume", &0, &written_within(&target, from, to))?;
        let written = written_within(&old, from, to);
        ensure(written >= to - from, "zeros are not written over other bytes", format!("{} bytes", to - from), || {
            written.to_string()
        })?;
    }
    if bench.needs("incremental").is_err() {
        return Ok(());
    }
    // Zeros of an increment, over bytes that its parent has just written to the new volume, and over zeros.
    zeros(CHUNK, 2 * CHUNK);
    zeros(4 * CHUNK, 4 * CHUNK + BLOCK);
    volume.edit(2 * CHUNK, &random(5, BLOCK));
    let increment = bench.increment(&*driver, &volume, &full).await?;
    bench.restores(&*driver, &[&full, &increment], &volume.bytes()).await?;
    volume.edit(2 * CHUNK, &vec![0; BLOCK as usize]);
    let last = bench.increment(&*driver, &volume, &increment).await?;
    bench.restores(&*driver, &[&full, &increment, &last], &volume.bytes()).await.map(drop)
}

/// Fails unless a restore is refused as `invalid_backup` before the first write.
async fn refused_untouched(
    bench: &Bench,
    driver: &dyn BackupDriver,
    what: &str,
    chain: &[&Backup],
    len: u64,
) -> Outcome {
    let target = Volume::zeros(len);
    refused(what, bench.restore(driver, chain, &target, true).await, &[Kind::InvalidBackup])?;
    untouched(&format!("{what} writes"), &target)
}

async fn object_list_mismatch(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let len = 3 * CHUNK + TAIL;
    let volume = bench.volume(len);
    for extra in ["-00005", "-00003.part", "-99999"] {
        let backup = bench.full(&*driver, &volume).await?;
        put_beside(&bench, &backup, extra)?;
        refused_untouched(&bench, &*driver, "a restore with an object too many", &[&backup], len).await?;
    }
    for missing in ["-00001", "-00003", "-00004"] {
        let backup = bench.full(&*driver, &volume).await?;
        let lost = bench.lose(&backup, missing).await?;
        refused_untouched(&bench, &*driver, "a restore with an object too few", &[&backup], len).await?;
        bench.heal(&lost).await;
    }
    let sound = bench.full(&*driver, &volume).await?;
    if bench.needs("incremental").is_ok() {
        let increment = bench.increment(&*driver, &volume, &sound).await?;
        bench.restores(&*driver, &[&sound, &increment], &volume.bytes()).await?;
        put_beside(&bench, &increment, "-00001")?;
        let chain = [&sound, &increment];
        refused_untouched(&bench, &*driver, "a restore with an object too many", &chain, len).await?;
        let order = Order { parent: Some(&sound), ..Order::default() };
        let another = bench.backup(&*driver, &volume, order).await.stored()?;
        let lost = bench.lose(&sound, "-00002").await?;
        let chain = [&sound, &another];
        refused_untouched(&bench, &*driver, "a restore whose parent has an object too few", &chain, len).await?;
        bench.heal(&lost).await;
    }
    Ok(())
}

fn put_beside(bench: &Bench, backup: &Backup, ending: &str) -> Outcome {
    let name = format!("{}{ending}", backup.service_metadata.as_deref().unwrap_or_default());
    bench.put_object(backup.container.as_deref().unwrap_or_default(), &name, b"what nobody has written")
}

async fn flush_each_chunk(bench: Bench) -> Outcome {
    bench.must_see_device()?;
    let driver = bench.driver().await?;
    let volume = bench.volume(8 * CHUNK + TAIL);
    let backup = bench.full(&*driver, &volume).await?;
    for new in [true, false] {
        let target = Volume::holding(vec![if new { 0 } else { 0xee }; (8 * CHUNK + TAIL) as usize]);
        bench.restores_to(&*driver, &[&backup], &target, new, &volume.bytes()).await?;
        let (left, most) = target.unflushed();
        equal("the last bytes are not flushed", &0, &left)?;
        ensure(
            most <= CHUNK,
            "more than a chunk is written without a flush",
            format!("at most {CHUNK} bytes"),
            || format!("{most} bytes"),
        )?;
    }
    Ok(())
}
