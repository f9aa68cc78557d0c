//! FLT: whatever befalls whichever request of whichever operation, it ends, says the truth, and can be got over.

use std::time::Duration;

use clinker_drivers::{Backup, BackupDriver, Error, Kind};
use clinker_model::fault::{Cut, Full, Matching, Side, Slow, Status};
use clinker_model::{ByteSize, Fault as Model, Span};

use super::{Bench, CaseBody, Scale, case};
use crate::conformance::bench::device::Volume;
use crate::conformance::bench::{Call, Fault, Order, Which, during};
use crate::conformance::candidate::{Candidate, Kind as CandidateKind};
use crate::conformance::outcome::{Outcome, Stop, ensure, equal, refused};
use crate::loader::presets::CHUNK;

const LEN: u64 = 4 * CHUNK + 777;

pub(super) static CASES: &[CaseBody] = &[
    CaseBody { variants: matrix, ..case("B-FLT-001", |bench| Box::pin(invariants(bench))) },
    case("B-FLT-002", |bench| Box::pin(retry_budget(bench))),
    CaseBody {
        variants: |_, _| ["1", "middle", "last"].map(str::to_owned).to_vec(),
        ..case("B-FLT-003", |bench| Box::pin(token_expiry(bench)))
    },
    case("B-FLT-004", |bench| Box::pin(indefinite_put(bench))),
    case("B-FLT-006", |bench| Box::pin(enospc(bench))),
];

const OPERATIONS: [&str; 3] = ["create", "restore", "delete"];
const ON_SERVERS: [&str; 12] = [
    "refuse",
    "reset",
    "hold",
    "one-way-out",
    "one-way-in",
    "500",
    "503",
    "401",
    "429",
    "drop-answer",
    "drip",
    "silent",
];
/// What no relay can do, or what takes long in real time.
const IN_SIMULATION: [&str; 3] = ["one-way-out", "one-way-in", "drip"];
const ON_DISKS: [&str; 4] = ["eio", "denied", "full", "slow"];

fn matrix(candidate: &Candidate, scale: Scale) -> Vec<String> {
    let real = candidate.kind == CandidateKind::Adapter;
    let places: Vec<String> = match scale {
        // Real time is somebody's: three places, and no fault that only waits.
        Scale::Gate if real => ["1", "middle", "last"].map(str::to_owned).to_vec(),
        Scale::Gate => ["1", "2", "middle", "last-1", "last"].map(str::to_owned).to_vec(),
        Scale::Full => (1..=16).map(|place| place.to_string()).collect(),
    };
    let faults: &[&str] = if candidate.preset.store == "store" { &ON_DISKS } else { &ON_SERVERS };
    let faults = faults.iter().filter(|fault| !real || !IN_SIMULATION.contains(fault));
    let mut plays = Vec::new();
    for operation in OPERATIONS {
        for place in &places {
            plays.extend(faults.clone().map(|fault| format!("{operation}/{place}/{fault}")));
        }
    }
    plays
}

/// The position among `count` requests, counted from 1; none beyond the last.
fn position(place: &str, count: u64) -> Option<u64> {
    let at = match place {
        "middle" => count.div_ceil(2),
        "last-1" => count.saturating_sub(1),
        "last" => count,
        number => number.parse().ok()?,
    };
    (1..=count).contains(&at).then_some(at)
}

/// A bench with what each operation needs: a backup to restore or to delete.
struct Stage {
    bench: Bench,
    driver: std::sync::Arc<dyn BackupDriver>,
    volume: std::sync::Arc<Volume>,
    backup: Backup,
}

enum Ended {
    Created(Box<Backup>, Result<(), Error>),
    Restored(Volume, Result<(), Error>),
    Deleted(Result<(), Error>),
}

impl Ended {
    fn error(self) -> Option<Error> {
        match self {
            Ended::Created(_, result) | Ended::Restored(_, result) | Ended::Deleted(result) => result.err(),
        }
    }
}

impl Stage {
    async fn build(bench: &Bench) -> Outcome<Stage> {
        let driver = bench.driver().await?;
        let volume = bench.volume(LEN);
        let backup = bench.full(&*driver, &volume).await?;
        Ok(Stage { bench: bench.clone(), driver, volume, backup })
    }

    async fn run(&self, operation: &str) -> Outcome<Ended> {
        let Stage { bench, driver, volume, backup } = self;
        Ok(match operation {
            "create" => {
                let made = bench.backup(&**driver, volume, Order::default()).await;
                Ended::Created(Box::new(made.backup), made.result.map(drop))
            }
            "restore" => {
                let target = Volume::zeros(LEN);
                let restored = bench.restore(&**driver, &[backup], &target, false).await;
                Ended::Restored(target, restored.map(drop))
            }
            "delete" => Ended::Deleted(bench.delete(&**driver, backup).await),
            other => return Err(Stop::Broken(format!("operation {other}"))),
        })
    }

    /// What must be so whether it succeeded or not, once the fault is over.
    async fn judge(&self, ended: Ended) -> Outcome {
        let Stage { bench, driver, volume, backup } = self;
        match ended {
            Ended::Created(made, result) => {
                if result.is_ok() {
                    bench.holds(&[&made], &volume.bytes())?;
                }
                bench.delete(&**driver, &made).await?;
                equal("a delete after the fault left objects", &Vec::<String>::new(), &bench.objects_of(&made.id))
            }
            Ended::Restored(target, result) => {
                let right = result.is_err() || target.bytes() == volume.bytes();
                ensure(right, "a restore reported success over wrong bytes", "the volume's bytes", || {
                    "others".to_owned()
                })?;
                let again = Volume::zeros(LEN);
                bench.restore(&**driver, &[backup], &again, false).await?;
                ensure(again.bytes() == volume.bytes(), "the backup no longer restores", "the volume's bytes", || {
                    "others".to_owned()
                })
            }
            Ended::Deleted(result) => {
                let left = bench.objects_of(&backup.id);
                let right = result.is_err() || left.is_empty();
                ensure(right, "a delete reported success over leftovers", "no object", || format!("{left:?}"))?;
                bench.delete(&**driver, backup).await?;
                equal("a second delete left objects", &Vec::<String>::new(), &bench.objects_of(&backup.id))
            }
        }
    }
}

async fn invariants(bench: Bench) -> Outcome {
    let variant = bench.variant().to_owned();
    let parts: Vec<&str> = variant.split('/').collect();
    let &[operation, place, fault] = parts.as_slice() else { return Err(Stop::Broken(format!("variant {variant}"))) };
    // What it looks like undisturbed tells where the places are.
    let dry = Stage::build(&bench).await?;
    let since = bench.requests().len();
    dry.run(operation).await?;
    let count = if bench.on_disk() { 7 } else { (bench.requests().len() - since) as u64 };
    let Some(at) = position(place, count) else {
        return Err(Stop::Skipped(format!("{operation} has {count} requests")));
    };
    let stage = Stage::build(&bench).await?;
    let (ended, begun) = strike(&stage, operation, fault, at).await?;
    if let Some(begun) = begun {
        bench.heal(&begun).await;
    }
    stage.judge(ended).await?;
    equal("objects are stored that no backup explains", &Vec::<String>::new(), &bench.unexplained())
}

/// Runs the operation with the fault at its `at`th request.
async fn strike(stage: &Stage, operation: &str, fault: &str, at: u64) -> Outcome<(Ended, Option<Fault>)> {
    let bench = &stage.bench;
    if bench.on_disk() {
        let begun = disk_fault(bench, operation, fault, at).await?;
        return Ok((stage.run(operation).await?, Some(begun)));
    }
    if let Some(model) = of_server(fault, at) {
        let begun = bench.begin(model).await?;
        return Ok((stage.run(operation).await?, Some(begun)));
    }
    let since = bench.requests().len();
    let before = since + usize::try_from(at - 1).unwrap_or(usize::MAX);
    let network = async { bench.begin(of_network(fault, bench)?).await };
    let (ended, begun) =
        during(stage.run(operation), bench.until(|bench| bench.requests().len() >= before), network).await;
    let ended = ended?;
    let Some(begun) = begun.transpose()? else {
        // It failed although nothing stood against it; or it made fewer requests than undisturbed.
        return Err(ended.error().map_or_else(|| missed(bench, operation, fault), Stop::from));
    };
    if bench.is_real() && bench.bites(&begun) == 0 {
        return Err(missed(bench, operation, fault));
    }
    Ok((ended, Some(begun)))
}

/// An operation that had ended when the fault began: in real time the two race.
fn missed(bench: &Bench, operation: &str, fault: &str) -> Stop {
    let what = format!("the {operation} had ended when the fault {fault} began");
    if bench.is_real() { Stop::Skipped(what) } else { Stop::failed(what, "as many requests as undisturbed", "fewer") }
}

fn of_server(fault: &str, nth: u64) -> Option<Model> {
    let host = "store".to_owned();
    let requests = |times| Matching { nth, times, ..Matching::default() };
    let status = |code, retry_after, times| {
        Some(Model::Status(Status {
            host: "store".to_owned(),
            code,
            retry_after,
            beyond_per_second: 0,
            requests: requests(times),
        }))
    };
    match fault {
        "500" => status(500, None, 1),
        "503" => status(503, Some(2), 2),
        "401" => status(401, None, 1),
        "429" => status(429, Some(1), 1),
        "drop-answer" => {
            Some(Model::Cut(Cut { host, side: Side::Response, after: ByteSize(0), requests: requests(1) }))
        }
        "drip" => Some(Model::Slow(Slow { host, delay: Span::default(), bytes_per_second: 1, requests: requests(1) })),
        _ => None,
    }
}

fn of_network(fault: &str, bench: &Bench) -> Outcome<Model> {
    use clinker_model::fault::{OneWay, Reset};
    let (own, store) = (crate::conformance::bench::HOST.to_owned(), bench.candidate().preset.store.to_owned());
    let target = Bench::target("store");
    Ok(match fault {
        "refuse" => Model::Refuse(target),
        "hold" => Model::Hold(target),
        "silent" => Model::Silent(target),
        "reset" => Model::Reset(Reset { host: store, after: ByteSize(100) }),
        "one-way-out" => Model::OneWay(OneWay { from: own, to: store }),
        "one-way-in" => Model::OneWay(OneWay { from: store, to: own }),
        other => return Err(Stop::Broken(format!("fault {other}"))),
    })
}

async fn disk_fault(bench: &Bench, operation: &str, fault: &str, at: u64) -> Outcome<Fault> {
    let call = match operation {
        "create" => Call::Put,
        "restore" => Call::Get,
        _ => Call::Delete,
    };
    let which = Which { call, about: "", nth: at, times: 1 };
    match fault {
        "eio" => bench.fail(which, 500).await,
        "denied" => bench.fail(which, 403).await,
        "slow" => bench.slow(which, Duration::from_secs(30), 0).await,
        "full" if operation != "create" => Err(Stop::Skipped(format!("{operation} takes no space"))),
        "full" => bench.begin(Model::Full(Full { after: ByteSize((at - 1).min(4) * CHUNK) })).await,
        other => Err(Stop::Broken(format!("fault {other}"))),
    }
}

/// How many requests the options allow for one call: the first and its repetitions.
fn budget(bench: &Bench) -> usize {
    let options = bench.options();
    let of = |name: &str| options.get(name).and_then(|value| value.parse::<usize>().ok());
    1 + match bench.candidate().preset.store {
        "s3" => of("backup_s3_retry_max_attempts").unwrap_or(4),
        _ => of("backup_swift_retry_attempts").unwrap_or(3),
    }
}

async fn retry_budget(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(2 * CHUNK);
    let budget = budget(&bench);
    let persistent = attempts(&bench, &*driver, &volume, 503, 0).await?;
    ensure(
        (1..=budget).contains(&persistent),
        "more retries than configured",
        format!("at most {budget} requests"),
        || format!("{persistent} requests"),
    )?;
    let definite = attempts(&bench, &*driver, &volume, 403, 0).await?;
    equal("a definite error is retried", &1, &definite)?;
    if persistent == 1 {
        return Ok(());
    }
    // One failure fewer than the budget: the last attempt succeeds.
    let which = Which { call: Call::Put, about: "-00002", nth: 1, times: persistent as u64 - 1 };
    let fault = bench.status(which, 503, None).await?;
    let backup = bench.full(&*driver, &volume).await?;
    bench.heal(&fault).await;
    bench.holds(&[&backup], &volume.bytes())
}

/// How many times a chunk's PUT is sent when it is answered with this status.
async fn attempts(
    bench: &Bench,
    driver: &dyn BackupDriver,
    volume: &Volume,
    status: u16,
    times: u64,
) -> Outcome<usize> {
    let fault = bench.status(Which { call: Call::Put, about: "-00002", nth: 1, times }, status, None).await?;
    let since = bench.requests().len();
    let made = bench.backup(driver, volume, Order::default()).await;
    bench.heal(&fault).await;
    let sent = bench.requests_since(since, "PUT", "-00002").len();
    ensure(made.result.is_err(), "a backup with a refused chunk: succeeded", "an error", || "success".to_owned())?;
    Ok(sent)
}

/// Tokens end in mid-backup: they are renewed, or it fails as `auth`.
async fn token_expiry(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(LEN);
    let place = match bench.variant() {
        "1" => "-00001",
        "middle" => "-00003",
        // One more request follows: it has the old token.
        _ => "_sha256file",
    };
    let host = if bench.candidate().preset.servers.contains(&"keystone") { "keystone" } else { "store" };
    let slow = bench.slow(Which { call: Call::Put, about: "", nth: 1, times: 0 }, Duration::from_millis(20), 0).await?;
    let (made, revoked) = during(
        bench.backup(&*driver, &volume, Order::default()),
        bench.until(|bench| !bench.requests_since(0, "PUT", place).is_empty()),
        bench.begin(Model::RevokeTokens(Bench::target(host))),
    )
    .await;
    bench.heal(&slow).await;
    let Some(revoked) = revoked.transpose()? else {
        made.stored()?;
        return Err(Stop::failed(format!("no object {place} was stored"), "an object before the tokens end", "none"));
    };
    if made.result.is_ok() {
        bench.holds(&[&made.backup], &volume.bytes())?;
    } else {
        let result = made.result.map(drop);
        refused("a backup whose token ended", result, &[Kind::Auth])?;
    }
    // Whoever had the old token asks again now.
    bench.full(&*driver, &volume).await?;
    bench.heal(&revoked).await;
    Ok(())
}

async fn indefinite_put(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(LEN);
    let which = Which { call: Call::Put, about: "-00003", nth: 1, times: 1 };
    let fault = bench.cut(which, Side::Response, 0).await?;
    let backup = bench.full(&*driver, &volume).await?;
    bench.heal(&fault).await;
    bench.holds(&[&backup], &volume.bytes())?;
    // 5 chunks and two documents.
    equal("a repeated upload left another object", &7, &bench.objects_of(&backup.id).len())
}

async fn enospc(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    for after in [0, 2 * CHUNK + 100, 4 * CHUNK + 900] {
        let fault = bench.begin(Model::Full(Full { after: ByteSize(after) })).await?;
        let made = bench.backup(&*driver, &bench.volume(LEN), Order::default()).await;
        bench.heal(&fault).await;
        let result = made.result.map(drop);
        let error = refused("a backup without space", result, &[Kind::Quota])?;
        ensure(!error.what.is_empty(), "the error names nothing", "what was to be stored", || error.to_string())?;
        equal("a backup without space left objects", &Vec::<String>::new(), &bench.objects_of(&made.backup.id))?;
    }
    Ok(())
}
