//! DEL: a delete leaves nothing behind, or says so and can be repeated.

use clinker_drivers::{Backup, BackupDriver};

use super::{Bench, CaseBody, Scale, case};
use crate::conformance::bench::device::Volume;
use crate::conformance::bench::{Call, Which};
use crate::conformance::outcome::{Outcome, Stop, ensure, equal};
use crate::loader::presets::CHUNK;

pub(super) static CASES: &[CaseBody] = &[
    case("B-DEL-001", |bench| Box::pin(all_gone(bench))),
    case("B-DEL-002", |bench| Box::pin(idempotent(bench))),
    case("B-DEL-004", |bench| Box::pin(no_prefix(bench))),
    case("B-DEL-006", |bench| Box::pin(list_fails(bench))),
    CaseBody {
        variants: |_, scale| {
            let places: &[u64] = if scale == Scale::Full { &[1, 2, 3, 4, 5, 6] } else { &[1, 3, 6] };
            places.iter().map(u64::to_string).collect()
        },
        ..case("B-DEL-007", |bench| Box::pin(partial_delete(bench)))
    },
    CaseBody { page: Some(10), ..case("B-DEL-008", |bench| Box::pin(paged_listing(bench))) },
];

/// Fails unless nothing of the backup is stored any more.
fn gone(bench: &Bench, backup: &Backup) -> Outcome {
    let left = bench.objects_of(&backup.id);
    ensure(left.is_empty(), "a delete reported success over leftovers", "no object of the backup", || {
        format!("{} objects, the first {}", left.len(), left[0])
    })
}

/// Fails unless so many objects of the backup are stored: what is not there is not deleted.
fn is_there(bench: &Bench, backup: &Backup, objects: usize) -> Outcome {
    let held = bench.objects_of(&backup.id).len();
    ensure(held >= objects, "fewer objects are stored than the case is about", format!("{objects} or more"), || {
        held.to_string()
    })
}

async fn delete(bench: &Bench, driver: &dyn BackupDriver, backup: &Backup) -> Outcome {
    bench.delete(driver, backup).await?;
    gone(bench, backup)
}

async fn all_gone(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(4 * CHUNK + 1);
    let (kept, backup) = (bench.full(&*driver, &volume).await?, bench.full(&*driver, &volume).await?);
    delete(&bench, &*driver, &backup).await?;
    bench.holds(&[&kept], &volume.bytes())
}

async fn idempotent(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let backup = bench.full(&*driver, &bench.volume(3 * CHUNK)).await?;
    bench.lose(&backup, "-00002").await?;
    for _ in 0..10 {
        delete(&bench, &*driver, &backup).await?;
    }
    Ok(())
}

async fn no_prefix(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(2 * CHUNK);
    let other = bench.full(&*driver, &volume).await?;
    is_there(&bench, &other, 1)?;
    let before = bench.ledger();
    for (container, prefix) in
        [(other.container.clone(), None), (other.container.clone(), Some(String::new())), (None, None)]
    {
        let never_stored = Backup { id: bench.uuid(), container, service_metadata: prefix, ..other.clone() };
        bench.delete(&*driver, &never_stored).await?;
        equal("a delete of what was never stored touched objects", &before, &bench.ledger())?;
    }
    Ok(())
}

async fn list_fails(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let backup = bench.full(&*driver, &bench.volume(3 * CHUNK)).await?;
    let fault = bench.fail(Which { call: Call::List, about: &backup.id, nth: 1, times: 0 }, 500).await?;
    if bench.delete(&*driver, &backup).await.is_ok() {
        return Err(Stop::failed("a delete whose listing failed: succeeded", "an error", "success"));
    }
    bench.heal(&fault).await;
    delete(&bench, &*driver, &backup).await
}

async fn partial_delete(bench: Bench) -> Outcome {
    let place: u64 = bench.variant().parse().map_err(|_| Stop::Broken(format!("variant {}", bench.variant())))?;
    let driver = bench.driver().await?;
    let backup = bench.full(&*driver, &bench.volume(4 * CHUNK)).await?;
    let fault = bench.fail(Which { call: Call::Delete, about: &backup.id, nth: place, times: 0 }, 500).await?;
    if bench.delete(&*driver, &backup).await.is_ok() {
        return Err(Stop::failed("a delete that failed in the middle: succeeded", "an error", "success"));
    }
    bench.heal(&fault).await;
    delete(&bench, &*driver, &backup).await
}

/// Fails unless a listing went beyond its first page. A server of somebody else's need not have pages.
fn turned_pages(bench: &Bench, since: usize) -> Outcome {
    if bench.candidate().server.is_some() {
        return Ok(());
    }
    let pages = bench.listings(since);
    ensure(pages > 1, "a delete asks for one page of the listing", "2 or more", || pages.to_string())
}

async fn paged_listing(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    if bench.on_disk() {
        return Err(Stop::Skipped("a disk lists all that it holds at once".to_owned()));
    }
    let volume = bench.volume(25 * CHUNK);
    let backup = bench.full(&*driver, &volume).await?;
    is_there(&bench, &backup, 25)?;
    bench.restores_to(&*driver, &[&backup], &Volume::zeros(25 * CHUNK), true, &volume.bytes()).await?;
    let before = bench.request_count();
    delete(&bench, &*driver, &backup).await?;
    turned_pages(&bench, before)
}
