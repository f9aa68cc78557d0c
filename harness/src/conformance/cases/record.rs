//! IMP: records of backups, as far as they are a driver's matter.

use clinker_drivers::Kind;

use super::{Bench, CaseBody, case};
use crate::conformance::bench::Order;
use crate::conformance::bench::device::Volume;
use crate::conformance::outcome::{Outcome, Stop, ensure, equal};
use crate::loader::presets::CHUNK;

pub(super) static CASES: &[CaseBody] = &[
    case("B-IMP-001", |bench| Box::pin(round_trip(bench))),
    case("B-IMP-008", |bench| Box::pin(force_delete_support(bench))),
];

/// What is known of the backup goes from one driver to another through its record alone.
async fn round_trip(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(3 * CHUNK + 5);
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    let count = made.result.as_ref().map_or(0, |update| update.object_count);
    let backup = made.stored()?;
    let info = driver.export_record(&backup)?;
    drop(driver);
    let other = bench.driver().await?;
    other.import_record(&backup, &info)?;
    match other.verify(&bench.context(), &backup, count).await {
        // There are services that take a record on trust; an adapter of one says so.
        Err(error) if error.kind == Kind::Unsupported && !bench.sees_device() => {}
        verified => verified?,
    }
    let target = Volume::zeros(3 * CHUNK + 5);
    bench.restore(&*other, &[&backup], &target, false).await?;
    ensure(target.bytes() == volume.bytes(), "an imported backup restores other bytes", "the volume's bytes", || {
        "others".to_owned()
    })
}

/// A driver that claims it stops a running create; one that does not is not asked to.
async fn force_delete_support(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let claimed = bench.candidate().claims("force_delete");
    equal("the driver says otherwise than is claimed for it", &claimed, &driver.capabilities().force_delete)?;
    if !claimed {
        return Ok(());
    }
    let order = Order { cancel_at: Some(2), ..Order::default() };
    let made = bench.backup(&*driver, &bench.volume(8 * CHUNK), order).await;
    if made.result.is_ok() {
        return Err(Stop::failed("a create that was to be stopped: succeeded", "cancelled", "success"));
    }
    bench.delete(&*driver, &made.backup).await?;
    equal("objects of a create that was stopped are left", &Vec::<String>::new(), &bench.objects_of(&made.backup.id))
}
