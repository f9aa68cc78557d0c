//! NOTE: when progress is told, and what is told.

use std::time::Duration;

use clinker_drivers::Kind;

use super::{Bench, CaseBody, case};
use crate::conformance::bench::{Call, Made, Order, Which};
use crate::conformance::outcome::{Outcome, Stop, ensure, equal, refused};
use crate::loader::presets::CHUNK;

const LEN: u64 = 8 * CHUNK + 12_345;

pub(super) static CASES: &[CaseBody] = &[
    case("B-NOTE-010", |bench| Box::pin(count_rule(bench))),
    case("B-NOTE-011", |bench| Box::pin(percent_right(bench))),
    case("B-NOTE-012", |bench| Box::pin(timer_rule(bench))),
    case("B-NOTE-013", |bench| Box::pin(final_100_once(bench))),
    case("B-NOTE-014", |bench| Box::pin(silent_after_failure(bench))),
];

/// floor(processed × 10000 ÷ device bytes) ÷ 100 (D5).
fn percent(processed: u64, len: u64) -> f64 {
    (processed.min(len) * 10_000 / len) as f64 / 100.0
}

fn percents(made: &Made) -> Vec<f64> {
    made.seen_by_now().notes.iter().map(|(_, percent)| *percent).collect()
}

/// The option that turns the timer of this driver off and on.
fn timer_option(bench: &Bench) -> &'static str {
    match bench.candidate().preset.store {
        "swift" => "backup_swift_enable_progress_timer",
        "s3" => "backup_s3_enable_progress_timer",
        _ => "backup_enable_progress_timer",
    }
}

async fn count_rule(bench: Bench) -> Outcome {
    let timer = timer_option(&bench);
    // 9 chunks: notes after the 3rd and the 6th, none after the last, then the final one.
    for (every, expected) in [(3, vec![3, 6]), (9, vec![]), (100, vec![])] {
        let options = [("backup_object_number_per_notification", every.to_string()), (timer, "false".to_owned())];
        let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let driver = bench.driver_with(&options).await?;
        let made = bench.backup(&*driver, &bench.volume(LEN), Order::default()).await;
        let mut expected: Vec<f64> = expected.iter().map(|chunks| percent(chunks * CHUNK, LEN)).collect();
        expected.push(100.0);
        let told = percents(&made);
        made.stored()?;
        equal("count notes are not as the rule says", &expected, &told)?;
    }
    Ok(())
}

async fn percent_right(bench: Bench) -> Outcome {
    let options = [("backup_object_number_per_notification", "1"), (timer_option(&bench), "false")];
    let driver = bench.driver_with(&options).await?;
    let volume = bench.volume(LEN);
    let expected: Vec<f64> = (1..=8).map(|chunk| percent(chunk * CHUNK, LEN)).chain([100.0]).collect();
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    equal("percentages of a full backup are wrong", &expected, &percents(&made))?;
    let full = made.stored()?;
    if !bench.candidate().claims("incremental") {
        return Ok(());
    }
    volume.edit(2 * CHUNK + 5, b"changed");
    let made = bench.backup(&*driver, &volume, Order { parent: Some(&full), ..Order::default() }).await;
    equal("percentages of an incremental backup are wrong", &expected, &percents(&made))?;
    made.stored().map(drop)
}

/// A timer note at once and then each interval while the data move.
async fn timer_rule(bench: Bench) -> Outcome {
    let interval = bench.unit() * 2;
    let seconds = interval.as_secs().to_string();
    let driver = bench.driver_with(&[("backup_timer_interval", &seconds), (timer_option(&bench), "true")]).await?;
    let volume = bench.volume(LEN);
    let started = bench.now();
    let which = Which { call: Call::Put, about: "-0000", nth: 1, times: 0 };
    // An adapter's driver waits for an answer no longer than a second.
    let delay = if bench.is_real() { bench.unit() / 2 } else { bench.unit() };
    let fault = bench.slow(which, delay, 0).await?;
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    bench.heal(&fault).await;
    let notes = made.seen.notes.clone();
    made.stored()?;
    let (last, timed) =
        notes.split_last().ok_or_else(|| Stop::failed("there are no notes", "a note at once", "none"))?;
    equal("the last note is not 100", &100.0, &last.1)?;
    ensure(timed.len() >= 3, "the timer tells too little", "a note every interval", || format!("{timed:?}"))?;
    let slack = bench.unit() / 4;
    for (n, (at, _)) in timed.iter().enumerate() {
        let due = started + interval * u32::try_from(n).unwrap_or(u32::MAX);
        let late = at.abs_diff(due);
        ensure(late <= slack, "a timer note is not on the timer's grid", format!("a note at {due:?}"), || {
            format!("at {at:?}")
        })?;
    }
    let monotone = timed.windows(2).all(|pair| pair[0].1 <= pair[1].1);
    ensure(monotone, "percentages go back", "a percentage that never falls", || format!("{timed:?}"))
}

async fn final_100_once(bench: Bench) -> Outcome {
    let options = [("backup_object_number_per_notification", "2")];
    let driver = bench.driver_with(&options).await?;
    let volume = bench.volume(LEN);
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    let told = percents(&made);
    let hundreds = told.iter().filter(|percent| **percent >= 100.0).count();
    equal("100 is not told exactly once", &1, &hundreds)?;
    ensure(told.last() == Some(&100.0), "100 is not the last note", "100.0 at the end", || format!("{told:?}"))?;
    let at = made.seen.notes.last().map(|(at, _)| *at).unwrap_or_default();
    let id = made.backup.id.clone();
    made.stored()?;
    let metadata = bench.requests_since(0, "PUT", &id).into_iter().rfind(|seen| seen.path.ends_with("_metadata"));
    if let Some(stored) = metadata {
        ensure(
            at >= stored.at,
            "100 is told before the metadata object is stored",
            format!("after {:?}", stored.at),
            || format!("at {at:?}"),
        )?;
    }
    let fault = bench.fail(Which { call: Call::Put, about: "_metadata", nth: 1, times: 0 }, 403).await?;
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    ensure(made.result.is_err(), "a backup without its metadata object: succeeded", "an error", || {
        "success".to_owned()
    })?;
    let told = percents(&made);
    bench.heal(&fault).await;
    ensure(!told.contains(&100.0), "100 is told though the metadata object was refused", "no 100.0", || {
        format!("{told:?}")
    })
}

async fn silent_after_failure(bench: Bench) -> Outcome {
    let interval = bench.unit();
    let seconds = interval.as_secs().to_string();
    let driver = bench.driver_with(&[("backup_timer_interval", &seconds), (timer_option(&bench), "true")]).await?;
    let volume = bench.volume(LEN);
    let fault = bench.fail(Which { call: Call::Put, about: "-00003", nth: 1, times: 0 }, 403).await?;
    let failed = bench.backup(&*driver, &volume, Order::default()).await;
    ensure(failed.result.is_err(), "a backup with a refused chunk: succeeded", "an error", || "success".to_owned())?;
    bench.heal(&fault).await;
    quiet(&bench, &failed, interval, "a failure").await?;
    let order = Order { cancel_at: Some(4), ..Order::default() };
    let cancelled = bench.backup(&*driver, &volume, order).await;
    let result = match &cancelled.result {
        Ok(_) => Ok(()),
        Err(error) => Err(clinker_drivers::Error::new(error.kind, error.what.clone())),
    };
    refused("a cancelled backup", result, &[Kind::Cancelled])?;
    quiet(&bench, &cancelled, interval, "a cancel").await
}

async fn quiet(bench: &Bench, made: &Made, interval: Duration, what: &str) -> Outcome {
    let told = || made.seen_by_now().notes.len() + bench.late_notes(&made.backup.id);
    let before = made.seen.notes.len();
    bench.wait(interval * 10 + interval / 2).await;
    let after = told();
    ensure(before == after, &format!("progress is told after {what}"), "silence for 10 intervals", || {
        format!("{} more notes", after - before)
    })
}
