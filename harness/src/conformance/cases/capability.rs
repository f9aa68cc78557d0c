//! CAP: what a driver can do, and setting it up.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use clinker_drivers::{Error, Kind};
use clinker_model::fault::{Fault, Matching, Status};

use super::{Bench, CaseBody, case};
use crate::conformance::bench::device::Volume;
use crate::conformance::bench::{Order, Seen};
use crate::conformance::outcome::{Outcome, Stop, ensure, equal, refused};
use crate::loader::presets::{BLOCK, CHUNK, Preset};

pub(super) static CASES: &[CaseBody] = &[
    case("B-CAP-001", |bench| Box::pin(surface_complete(bench))),
    case("B-CAP-002", |bench| Box::pin(claims_verified(bench))),
    case("B-CAP-003", |bench| Box::pin(missing_option_named(bench))),
    case("B-CAP-004", |bench| Box::pin(setup_ok(bench))),
    case("B-CAP-005", |bench| Box::pin(setup_bad_credentials(bench))),
    CaseBody {
        variants: |_, _| ["refuse", "hold", "silent"].map(str::to_owned).to_vec(),
        ..case("B-CAP-006", |bench| Box::pin(setup_unreachable(bench)))
    },
];

/// D11: requests of a set-up check besides authentication and the container's creation.
const REQUESTS_MAX: usize = 4;

/// The answer of an operation, which must not panic.
async fn answer<T>(what: &str, call: impl Future<Output = Result<T, Error>>) -> Outcome<Result<T, Error>> {
    let mut call = pin!(call);
    let answered =
        std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Some(result)),
            Err(_) => Poll::Ready(None),
        });
    let panicked = || Stop::failed(format!("{what} panicked"), "a result, or an error of a known kind", "a panic");
    answered.await.ok_or_else(panicked)
}

/// An operation that is asked for something it can do: it does that, or says that it is none of its abilities.
async fn works<T>(what: &str, call: impl Future<Output = Result<T, Error>>) -> Outcome<Option<T>> {
    match answer(what, call).await? {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == Kind::Unsupported => Ok(None),
        Err(error) => {
            Err(Stop::failed(format!("{what}: {}", error.kind), "success, or `unsupported`", error.to_string()))
        }
    }
}

/// An operation that is asked for something that cannot be: whatever it says, it is not the word for a bug.
async fn answers<T>(what: &str, call: impl Future<Output = Result<T, Error>>) -> Outcome {
    match answer(what, call).await? {
        Err(error) if error.kind == Kind::Internal => Err(Stop::failed(
            format!("{what}: {}", error.kind),
            "an error whose kind says what is wrong",
            error.to_string(),
        )),
        _ => Ok(()),
    }
}

async fn surface_complete(bench: Bench) -> Outcome {
    let driver = bench.make(&bench.options())?;
    works("do_setup", driver.do_setup()).await?;
    works("check_for_setup_error", driver.check_for_setup_error()).await?;
    let volume = bench.volume(CHUNK + 1);
    let made = answer("backup", async { Ok(bench.backup(&*driver, &volume, Order::default()).await) }).await??;
    let (seen, row) = (made.seen.locations.len(), made.backup.clone());
    ensure(seen > 0, "the location was not saved", "save_location is called", || "it was not".to_owned())?;
    let update = made.result?;
    let target = Volume::zeros(CHUNK + 1);
    works("restore", bench.restore(&*driver, &[&row], &target, true)).await?;
    let exported = works("export_record", async { driver.export_record(&row) }).await?;
    works("import_record", async { driver.import_record(&row, &exported.unwrap_or_default()) }).await?;
    works("verify", driver.verify(&bench.context(), &row, update.object_count)).await?;
    works("delete_backup", bench.delete(&*driver, &row)).await?;
    // What a service may ask when it has lost its way.
    let never = bench.row(&volume, &Order::default());
    works("delete_backup of a backup that was never stored", bench.delete(&*driver, &never)).await?;
    answers("restore of a backup that was never stored", bench.restore(&*driver, &[&never], &target, true)).await?;
    answers("restore of no backup", bench.restore(&*driver, &[], &target, true)).await?;
    answers("restore of a deleted backup", bench.restore(&*driver, &[&row], &target, true)).await?;
    answers("export_record of a backup that was never stored", async { driver.export_record(&never) }).await?;
    let nothing = serde_json::Map::new();
    answers("import_record of a backup that was never stored", async { driver.import_record(&never, &nothing) }).await
}

async fn claims_verified(bench: Bench) -> Outcome {
    let driver = bench.driver_with(&[("backup_object_number_per_notification", "1")]).await?;
    let disagreements = bench.candidate().disagreements(driver.capabilities());
    ensure(disagreements.is_empty(), "claims are not what the driver says of itself", "the same", || {
        format!("they differ in {}", disagreements.join(", "))
    })?;
    let volume = bench.volume(3 * CHUNK);
    let made = bench.backup(&*driver, &volume, Order::default()).await;
    let notes = made.seen.notes.len();
    equal("progress is not as it was claimed", &bench.needs("progress").is_ok(), &(notes > 0))?;
    let full = made.stored()?;
    volume.edit(CHUNK, &[0x11; BLOCK as usize]);
    let order = Order { parent: Some(&full), ..Order::default() };
    let increment = bench.backup(&*driver, &volume, order).await;
    if bench.needs("incremental").is_ok() {
        let increment = increment.stored()?;
        bench.restores(&*driver, &[&full, &increment], &volume.bytes()).await?;
    } else {
        refused("an increment", increment.result, &[Kind::Unsupported])?;
        bench.holds_nothing_of(&increment.backup.id, "a refused increment left objects")?;
    }
    let cancelled = bench.backup(&*driver, &volume, Order { cancel_at: Some(2), ..Order::default() }).await;
    if bench.needs("force_delete").is_ok() {
        refused("a cancelled backup", cancelled.result, &[Kind::Cancelled])?;
        bench.holds_nothing_of(&cancelled.backup.id, "a cancelled backup left objects")?;
    } else {
        equal("a backup that cannot be cancelled asks whether it is", &0, &cancelled.seen.asked)?;
    }
    Ok(())
}

/// Options without which a driver cannot work. One that has a default is missing when it is empty.
fn required(preset: &Preset) -> &'static [(&'static str, Option<&'static str>)] {
    match preset.name {
        "swift" => &[("backup_swift_auth_url", None), ("backup_swift_user", None), ("backup_swift_key", None)],
        "swift-v3" => &[
            ("backup_swift_auth_url", None),
            ("backup_swift_user", None),
            ("backup_swift_key", None),
            ("backup_swift_project", None),
        ],
        "s3" => &[
            ("backup_s3_endpoint_url", None),
            ("backup_s3_store_access_key", None),
            ("backup_s3_store_secret_key", None),
        ],
        "posix" => &[("backup_posix_path", Some(""))],
        _ => &[],
    }
}

/// What a service does with a driver before it is working.
async fn attempt(bench: &Bench, options: &BTreeMap<String, String>) -> Result<(), Error> {
    let driver = bench.make(options)?;
    driver.do_setup().await?;
    driver.check_for_setup_error().await
}

async fn missing_option_named(bench: Bench) -> Outcome {
    let required = required(bench.candidate().preset);
    if required.is_empty() {
        return Err(Stop::Skipped(format!("{} can do without each of its options", bench.candidate().preset.name)));
    }
    for (option, empty) in required {
        let mut options = bench.options();
        match empty {
            Some(value) => drop(options.insert((*option).to_owned(), (*value).to_owned())),
            None => drop(options.remove(*option)),
        }
        let what = format!("setting up without {option}");
        let error = refused(&what, attempt(&bench, &options).await, &[Kind::InvalidConfig])?;
        let text = error.to_string();
        ensure(text.contains(option), &format!("{what}: the error does not name it"), *option, || text.clone())?;
        equal(&format!("{what} sends requests"), &0, &bench.request_count())?;
    }
    Ok(attempt(&bench, &bench.options()).await?)
}

/// Requests that are neither authentication nor the creation of a container.
fn counted(requests: &[Seen]) -> Vec<&Seen> {
    let creates = |seen: &Seen| {
        let path = seen.path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let within = format!("{path}/");
        seen.method == "PUT" && requests.iter().any(|other| other.path.starts_with(&within))
    };
    requests.iter().filter(|seen| !seen.path.contains("/auth/") && !creates(seen)).collect()
}

async fn setup_ok(bench: Bench) -> Outcome {
    for what in ["the first check", "a check that finds its container"] {
        let (before, held) = (bench.request_count(), bench.everything());
        attempt(&bench, &bench.options()).await?;
        let requests = bench.requests().split_off(before);
        let counted = counted(&requests);
        let expected = format!("at most {REQUESTS_MAX} besides authentication and the container's creation");
        ensure(counted.len() <= REQUESTS_MAX, &format!("{what} sends too many requests"), expected, || {
            counted.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect::<Vec<_>>().join(", ")
        })?;
        // A disk is asked without a request, and a server of somebody else's need not say that it was asked.
        let tells = !bench.on_disk() && bench.candidate().server.is_none();
        ensure(!tells || !requests.is_empty(), &format!("{what} asks nothing of its server"), "a request", || {
            "none".to_owned()
        })?;
        equal(&format!("{what} leaves objects"), &held, &bench.everything())?;
    }
    let driver = bench.driver().await?;
    let backup = bench.full(&*driver, &bench.volume(CHUNK)).await?;
    ensure(!bench.objects_of(&backup.id).is_empty(), "a driver that is set up stores nothing", "objects", || {
        "none".to_owned()
    })
}

/// The option that holds the secret of the credentials.
fn secret_option(preset: &Preset) -> &'static str {
    if preset.store == "s3" { "backup_s3_store_secret_key" } else { "backup_swift_key" }
}

/// Fails unless an attempt ends as `auth` that no retry helps against, having sent no request twice.
async fn refused_as_auth(bench: &Bench, what: &str, options: &BTreeMap<String, String>) -> Outcome {
    let before = bench.request_count();
    let error = refused(what, attempt(bench, options).await, &[Kind::Auth])?;
    ensure(!error.retry, &format!("{what}: said to be worth a retry"), "a definite error", || error.to_string())?;
    let mut sent: Vec<(String, String)> =
        bench.requests().split_off(before).into_iter().map(|seen| (seen.method, seen.path)).collect();
    let all = sent.len();
    sent.sort();
    sent.dedup();
    equal(&format!("{what}: requests are sent again"), &sent.len(), &all)?;
    ensure(all > 0 && all <= REQUESTS_MAX, &format!("{what}: more requests than one attempt has"), "1 to 4", || {
        all.to_string()
    })
}

async fn setup_bad_credentials(bench: Bench) -> Outcome {
    let preset = bench.candidate().preset;
    if preset.name == "swift-per-user" {
        return Err(Stop::Skipped("a driver that works with its callers' tokens has no credentials to check".into()));
    }
    let issuer = if preset.servers.contains(&"keystone") { "keystone" } else { "store" };
    attempt(&bench, &bench.options()).await?;
    let wrong = bench.begin(Fault::WrongCredentials(Bench::target(issuer))).await?;
    refused_as_auth(&bench, "credentials that the server refuses", &bench.options()).await?;
    bench.heal(&wrong).await;
    for code in [401, 403] {
        let status = Status {
            host: issuer.to_owned(),
            code,
            retry_after: None,
            beyond_per_second: 0,
            requests: Matching::default(),
        };
        let refusing = bench.begin(Fault::Status(status)).await?;
        refused_as_auth(&bench, &format!("a server that answers {code}"), &bench.options()).await?;
        bench.heal(&refusing).await;
    }
    let mut options = bench.options();
    options.insert(secret_option(preset).to_owned(), "not-the-key".to_owned());
    refused_as_auth(&bench, "a wrong key in the options", &options).await?;
    Ok(attempt(&bench, &bench.options()).await?)
}

/// The driver's time-out for a server that says nothing: the option, and what it is set to unless it has a value.
fn timeout(bench: &Bench) -> (&'static str, String) {
    let option = if bench.candidate().preset.store == "s3" { "backup_s3_timeout" } else { "backup_swift_timeout" };
    (option, bench.options().get(option).cloned().unwrap_or_else(|| "5".to_owned()))
}

async fn setup_unreachable(bench: Bench) -> Outcome {
    let (option, seconds) = timeout(&bench);
    let limit: u64 = seconds.parse().map_err(|error| Stop::Broken(format!("{option} {seconds}: {error}")))?;
    let mut options = bench.options();
    options.insert(option.to_owned(), seconds);
    attempt(&bench, &options).await?;
    let store = Bench::target("store");
    let fault = match bench.variant() {
        "refuse" => Fault::Refuse(store),
        "hold" => Fault::Hold(store),
        _ => Fault::Silent(store),
    };
    let fault = bench.begin(fault).await?;
    let began = bench.now();
    let what = format!("a check while the fault {} is on", fault.name);
    refused(&what, attempt(&bench, &options).await, &[Kind::Unreachable, Kind::Timeout])?;
    let took = bench.now().saturating_sub(began);
    let expected = format!("an end within the {limit} s of {option}");
    // A second for what is not waiting.
    ensure(took <= Duration::from_secs(limit + 1), &format!("{what} outlives its time-out"), expected, || {
        format!("{took:?}")
    })?;
    bench.heal(&fault).await;
    Ok(attempt(&bench, &options).await?)
}
