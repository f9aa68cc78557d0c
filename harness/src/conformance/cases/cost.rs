//! PERF: what a backup costs in requests, bytes and virtual time; exact, so that one round trip more is seen.

use std::sync::Arc;
use std::time::Duration;

use clinker_model::history::Entry;

use super::{Bench, CaseBody, case};
use crate::conformance::bench::device::Volume;
use crate::conformance::candidate::Kind;
use crate::conformance::outcome::{Outcome, Stop, ensure, equal};
use crate::loader::presets::CHUNK;

const LEN: u64 = 8 * CHUNK + 12_345;
const CHUNKS: usize = 9;

pub(super) static CASES: &[CaseBody] = &[
    case("B-PERF-001", |bench| Box::pin(request_budget(bench))),
    case("B-PERF-002", |bench| Box::pin(virtual_latency(bench))),
];

/// What a standard volume costs a driver of ours, at the latency of a LAN (1 ms one way). A change that moves one of these
/// numbers says so by moving it here.
struct Baseline {
    preset: &'static str,
    backup: Cost,
    restore: Cost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    requests: usize,
    /// Bodies, both ways.
    bytes: u64,
    microseconds: u64,
}

const BASELINES: [Baseline; 5] = [
    baseline("swift", [12, 549_278, 46_000], [13, 552_377, 36_000]),
    baseline("swift-v3", [12, 549_278, 46_000], [13, 552_377, 36_000]),
    baseline("swift-per-user", [12, 549_278, 46_000], [13, 552_377, 36_000]),
    baseline("s3", [12, 549_278, 47_000], [12, 552_972, 35_000]),
    baseline("posix", [0, 0, 14_000], [0, 0, 1_000]),
];

const fn baseline(preset: &'static str, backup: [u64; 3], restore: [u64; 3]) -> Baseline {
    Baseline { preset, backup: cost(backup), restore: cost(restore) }
}

const fn cost([requests, bytes, microseconds]: [u64; 3]) -> Cost {
    Cost { requests: requests as usize, bytes, microseconds }
}

/// A full backup and its restore, and what each cost.
async fn measured(bench: &Bench) -> Outcome<(Cost, Cost)> {
    let driver = bench.driver().await?;
    let volume = Arc::new(Volume::random(1, LEN));
    // The first backup pays for what is paid once: a token, the container.
    bench.full(&*driver, &volume).await?;
    let before = bench.spent();
    let backup = bench.full(&*driver, &volume).await?;
    let between = bench.spent();
    bench.restores_to(&*driver, &[&backup], &Volume::zeros(LEN), false, &volume.bytes()).await?;
    let after = bench.spent();
    Ok((difference(before, between), difference(between, after)))
}

fn difference(before: (usize, u64, Duration), after: (usize, u64, Duration)) -> Cost {
    let microseconds = u64::try_from((after.2 - before.2).as_micros()).unwrap_or(u64::MAX);
    Cost { requests: after.0 - before.0, bytes: after.1 - before.1, microseconds }
}

impl Bench {
    /// Requests and bytes of bodies so far, and the time.
    fn spent(&self) -> (usize, u64, Duration) {
        let records = self.journal().records();
        let sizes = records.iter().filter_map(|record| match &record.entry {
            Entry::Request { request_bytes, response_bytes, .. } => Some(request_bytes + response_bytes),
            _ => None,
        });
        let (count, bytes) = sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
        (count, bytes, self.now())
    }
}

fn baseline_of(bench: &Bench) -> Option<&'static Baseline> {
    let ours = bench.candidate().kind == Kind::BuiltIn;
    BASELINES.iter().find(|baseline| ours && baseline.preset == bench.candidate().preset.name)
}

/// A request per chunk and a few more; no byte twice.
async fn request_budget(bench: Bench) -> Outcome {
    let (backup, restore) = measured(&bench).await?;
    let budget = CHUNKS + 6;
    for (what, cost) in [("backup", backup), ("restore", restore)] {
        ensure(
            cost.requests <= budget,
            &format!("a {what} sends too many requests"),
            format!("at most {budget}"),
            || cost.requests.to_string(),
        )?;
        let most = LEN + LEN / 10 + 16_384;
        ensure(cost.bytes <= most, &format!("a {what} moves too many bytes"), format!("at most {most}"), || {
            cost.bytes.to_string()
        })?;
    }
    let Some(baseline) = baseline_of(&bench) else { return Ok(()) };
    let of = |cost: Cost| (cost.requests, cost.bytes);
    let (expected, found) = ([of(baseline.backup), of(baseline.restore)], [of(backup), of(restore)]);
    equal("requests and bytes of a backup and its restore are not the baseline's", &expected, &found)
}

async fn virtual_latency(bench: Bench) -> Outcome {
    let Some(baseline) = baseline_of(&bench) else {
        return Err(Stop::Skipped(format!("there is no baseline of {}", bench.candidate().name)));
    };
    let (backup, restore) = measured(&bench).await?;
    let expected = [baseline.backup.microseconds, baseline.restore.microseconds];
    let found = [backup.microseconds, restore.microseconds];
    equal("a backup and its restore take another time than the baseline's, in microseconds", &expected, &found)
}
