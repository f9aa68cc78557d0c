//! INT: what is damaged on the way or in the store is never taken for the volume's data.

use clinker_drivers::{Backup, BackupDriver, Kind};
use clinker_model::fault::Side;

use super::{Bench, CaseBody, case};
use crate::conformance::bench::device::Volume;
use crate::conformance::bench::{Call, Order, Which};
use crate::conformance::outcome::{Outcome, Stop, ensure, refused};
use crate::loader::presets::CHUNK;

const LEN: u64 = 4 * CHUNK + 777;

pub(super) static CASES: &[CaseBody] = &[
    case("B-INT-001", |bench| Box::pin(bit_flip(bench))),
    case("B-INT-002", |bench| Box::pin(truncated_object(bench))),
    case("B-INT-003", |bench| Box::pin(swapped_objects(bench))),
    case("B-INT-004", |bench| Box::pin(wire_corruption_on_put(bench))),
    case("B-INT-005", |bench| Box::pin(short_read(bench))),
    case("B-INT-007", |bench| Box::pin(garbage_metadata(bench))),
];

/// A restore of damaged data must fail with one of these kinds.
async fn restore_must_fail(
    bench: &Bench,
    driver: &dyn BackupDriver,
    backup: &Backup,
    what: &str,
    kinds: &[Kind],
) -> Outcome {
    let target = Volume::zeros(LEN);
    let restored = bench.restore(driver, &[backup], &target, false).await;
    refused(what, restored, kinds).map(drop)
}

async fn bit_flip(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    for object in ["-00001", "-00003", "-00005"] {
        let volume = bench.volume(LEN);
        let backup = bench.full(&*driver, &volume).await?;
        bench.flip(&backup, object).await?;
        restore_must_fail(&bench, &*driver, &backup, "a restore with a flipped bit", &[Kind::Integrity]).await?;
    }
    Ok(())
}

async fn truncated_object(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    for object in ["-00001", "-00005"] {
        let volume = bench.volume(LEN);
        let backup = bench.full(&*driver, &volume).await?;
        bench.truncate(&backup, object).await?;
        restore_must_fail(&bench, &*driver, &backup, "a restore with half an object", &[Kind::Integrity]).await?;
    }
    Ok(())
}

async fn swapped_objects(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(LEN);
    let backup = bench.full(&*driver, &volume).await?;
    bench.swap(&backup, "-00002", "-00003").await?;
    restore_must_fail(&bench, &*driver, &backup, "a restore with two chunks exchanged", &[Kind::Integrity]).await
}

/// Once: it may be sent again. For ever: there is no way to store it, so an error it must be.
async fn wire_corruption_on_put(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(LEN);
    let fault = bench.corrupt_uploads(1)?;
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    if made.result.is_ok() {
        bench.holds(&[&made.backup], &volume.bytes())?;
    }
    bench.heal(&fault).await;
    let fault = bench.corrupt_uploads(0)?;
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    let kinds = [Kind::Integrity, Kind::Unreachable, Kind::Auth, Kind::InvalidBackup];
    refused("a backup whose uploads are corrupted on the way", made.result, &kinds)?;
    bench.heal(&fault).await;
    Ok(())
}

async fn short_read(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(LEN);
    let backup = bench.full(&*driver, &volume).await?;
    for times in [1, 0] {
        let which = Which { call: Call::Get, about: "-00003", nth: 1, times };
        let fault = bench.cut(which, Side::Response, CHUNK / 2).await?;
        let target = Volume::zeros(LEN);
        let restored = bench.restore(&*driver, &[&backup], &target, false).await;
        bench.heal(&fault).await;
        match restored {
            Ok(_) => ensure(
                target.bytes() == volume.bytes(),
                "a short answer was taken for the object",
                "the volume's bytes",
                || "others, and success".to_owned(),
            )?,
            Err(error) if matches!(error.kind, Kind::Unreachable | Kind::Timeout | Kind::Integrity) => {}
            Err(error) => {
                let what = format!("a short answer: {} instead", error.kind);
                return Err(Stop::failed(what, "unreachable, timeout or integrity", error.to_string()));
            }
        }
    }
    Ok(())
}

async fn garbage_metadata(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(LEN);
    let backup = bench.full(&*driver, &volume).await?;
    let (container, prefix) =
        (backup.container.clone().unwrap_or_default(), backup.service_metadata.clone().unwrap_or_default());
    let name = format!("{prefix}_metadata");
    let good = bench.object(&container, &name)?;
    for (what, text) in garbage(&String::from_utf8_lossy(&good)) {
        bench.put_object(&container, &name, text.as_bytes())?;
        let target = Volume::zeros(LEN);
        let restored = bench.restore(&*driver, &[&backup], &target, false).await;
        let what = format!("a restore with metadata that are {what}");
        // A number that is merely too large makes the target too small for it.
        refused(&what, restored, &[Kind::InvalidBackup, Kind::Integrity, Kind::InvalidVolume])?;
        ensure(target.writes().is_empty(), "a refused restore wrote to its target", "no write", || {
            format!("{:?}, with metadata that are {what}", target.writes())
        })?;
    }
    Ok(())
}

fn garbage(good: &str) -> Vec<(&'static str, String)> {
    let length = format!("\"length\": {CHUNK}");
    vec![
        ("empty", String::new()),
        ("no JSON", "<html>busy</html>".to_owned()),
        ("cut off", good[..good.len() / 2].to_owned()),
        ("a list", "[1, 2]".to_owned()),
        ("a number", "17".to_owned()),
        ("deep", "[".repeat(100_000)),
        ("without objects", r#"{"version": "1.0.0"}"#.to_owned()),
        ("with objects of another type", good.replacen("\"objects\": [", "\"objects\": [17, ", 1)),
        ("with a length beyond the volume", good.replacen(&length, "\"length\": 18446744073709551615", 1)),
        ("with a negative length", good.replacen(&length, "\"length\": -1", 1)),
        ("with a length of words", good.replacen(&length, "\"length\": \"many\"", 1)),
    ]
}
