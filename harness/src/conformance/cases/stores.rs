//! SWF, S3, PSX: what holds for one kind of back end only.

use std::sync::Arc;

use clinker_drivers::{BackupDriver, Kind, RequestContext};
use clinker_model::fault::Lag;
use clinker_model::{Fault as Model, Span};

use super::{Bench, CaseBody, case};
use crate::conformance::bench::device::Volume;
use crate::conformance::bench::{Call, Order, Watch, Which};
use crate::conformance::outcome::{Outcome, Stop, ensure, equal, refused};
use crate::loader::presets::CHUNK;

pub(super) static CASES: &[CaseBody] = &[
    case("B-SWF-001", |bench| Box::pin(endpoint_selection(bench))),
    case("B-SWF-004", |bench| Box::pin(error_mapping(bench))),
    case("B-SWF-005", |bench| Box::pin(listing_delay(bench))),
    case("B-S3-002", |bench| Box::pin(bucket_rules(bench))),
    case("B-S3-003", |bench| Box::pin(md5_and_sse_c(bench))),
    case("B-S3-004", |bench| Box::pin(empty_listing(bench))),
    CaseBody { page: Some(3), ..case("B-S3-005", |bench| Box::pin(listing_pages(bench))) },
    case("B-PSX-001", |bench| Box::pin(paths_and_modes(bench))),
];

/// A driver that is set up with these options and knows of no URL but one of them, whatever its preset says.
async fn driver_told(bench: &Bench, options: &[(&str, &str)]) -> Outcome<Arc<dyn BackupDriver>> {
    let mut all = bench.options();
    all.remove("backup_swift_url");
    all.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let driver = bench.make(&all)?;
    driver.do_setup().await?;
    Ok(driver)
}

/// The account that a request of this caller goes to.
async fn account_asked(bench: &Bench, options: &[(&str, &str)], context: &RequestContext) -> Outcome<String> {
    let driver = driver_told(bench, options).await?;
    let since = bench.requests().len();
    let volume = bench.volume(CHUNK);
    let row = bench.row(&volume, &Order::default());
    let watch = Watch::new(bench.journal(), None);
    // Whether the server lets it in is another matter: where it was sent is what is asked here.
    let _ = driver.backup(context, &row, None, &*volume, watch).await;
    let seen = bench.requests().into_iter().nth(since);
    let path =
        seen.ok_or_else(|| Stop::failed("no request was sent", "a request to the chosen endpoint", "none"))?.path;
    Ok(path.split('/').nth(2).unwrap_or_default().to_owned())
}

/// Endpoints of two regions in the caller's catalog.
fn catalog(bench: &Bench) -> RequestContext {
    use clinker_drivers::context::{CatalogEndpoint, CatalogEntry};
    let endpoint = |region: &str, account: &str| CatalogEndpoint {
        region: Some(region.to_owned()),
        public_url: Some(bench.url(&format!("/v1/{account}"))),
        ..CatalogEndpoint::default()
    };
    let endpoints = vec![endpoint("one", "AUTH_one"), endpoint("two", "AUTH_two")];
    let entry = CatalogEntry { kind: "object-store".to_owned(), name: "swift".to_owned(), endpoints };
    let token = Some(clinker_drivers::Secret::new("a-token-of-nobody"));
    RequestContext { token, catalog: vec![entry], ..bench.context() }
}

async fn endpoint_selection(bench: Bench) -> Outcome {
    let context = catalog(&bench);
    let per_user = ("backup_swift_auth", "per_user");
    let url = bench.url("/v1/AUTH_");
    let project = format!("AUTH_{}", bench.project());
    for (options, expected) in [
        (vec![per_user], "AUTH_one"),
        (
            vec![per_user, ("backup_swift_region_name", "two"), ("swift_catalog_info", "object-store:swift:publicURL")],
            "AUTH_two",
        ),
        (vec![per_user, ("backup_swift_url", url.as_str())], project.as_str()),
    ] {
        let asked = account_asked(&bench, &options, &context).await?;
        equal("another endpoint was chosen", &expected.to_owned(), &asked)?;
    }
    for malformed in ["object-store", "object-store:swift", "a:b:c:d"] {
        let driver = driver_told(&bench, &[per_user, ("swift_catalog_info", malformed)]).await;
        let named = matches!(&driver, Err(Stop::Failed { observed, .. }) if observed.contains("swift_catalog_info"));
        ensure(
            named,
            "a malformed swift_catalog_info is not refused by name",
            "invalid_config with the option's name",
            || {
                if driver.is_ok() { "success".to_owned() } else { format!("{:?}", driver.as_ref().err()) }
            },
        )?;
    }
    Ok(())
}

async fn error_mapping(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(2 * CHUNK);
    for (status, kinds) in [
        (401, &[Kind::Auth][..]),
        (403, &[Kind::Auth]),
        (404, &[Kind::NotFound, Kind::InvalidBackup]),
        (500, &[Kind::Unreachable, Kind::Internal]),
        (503, &[Kind::Unreachable]),
        (507, &[Kind::Quota]),
    ] {
        for call in [Call::Put, Call::Get, Call::List, Call::Delete] {
            // A 404 of what is to be removed is no error.
            if status == 404 && matches!(call, Call::Delete | Call::List) {
                continue;
            }
            let backup = bench.full(&*driver, &volume).await?;
            let about = if call == Call::Put { "-00002" } else { backup.id.as_str() };
            let fault = bench.status(Which { call, about, nth: 1, times: 0 }, status, None).await?;
            let result = match call {
                Call::Put => bench.backup(&*driver, &volume, Order::default()).await.result.map(drop),
                Call::Get => {
                    let target = Volume::zeros(2 * CHUNK);
                    bench.restore(&*driver, &[&backup], &target, false).await.map(drop)
                }
                Call::List | Call::Delete => bench.delete(&*driver, &backup).await,
            };
            bench.heal(&fault).await;
            refused(&format!("{} answered {status}", call.method()), result, kinds)?;
        }
    }
    Ok(())
}

/// Listings that are behind: a delete never reports success over what it did not see.
async fn listing_delay(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(3 * CHUNK);
    let backup = bench.full(&*driver, &volume).await?;
    let lag = bench.unit() * 2;
    let fault = bench.begin(Model::Lag(Lag { by: Span(lag) })).await?;
    let restored = Volume::zeros(3 * CHUNK);
    if bench.restore(&*driver, &[&backup], &restored, false).await.is_ok() {
        ensure(
            restored.bytes() == volume.bytes(),
            "a restore with a stale listing gave other bytes",
            "the volume's",
            || "others".to_owned(),
        )?;
    }
    let deleted = bench.delete(&*driver, &backup).await;
    let left = bench.objects_of(&backup.id);
    let honest = deleted.is_err() || left.is_empty();
    ensure(honest, "a delete reported success over leftovers", "an error, or nothing left", || format!("{left:?}"))?;
    bench.wait(lag * 2).await;
    bench.heal(&fault).await;
    bench.delete(&*driver, &backup).await?;
    equal("a repeated delete left objects", &Vec::<String>::new(), &bench.objects_of(&backup.id))
}

async fn bucket_rules(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(CHUNK);
    let fresh = Order { container: Some("a-new-bucket"), ..Order::default() };
    bench.backup(&*driver, &volume, fresh.clone()).await.stored()?;
    // Once there, it is not created again.
    let since = bench.requests().len();
    bench.backup(&*driver, &volume, fresh).await.stored()?;
    let created =
        bench.requests_since(since, "PUT", "").into_iter().filter(|seen| !seen.path.contains("volume_")).count();
    equal("a bucket that exists is created again", &0, &created)?;
    for (status, kinds) in [(403, &[Kind::Auth][..]), (301, &[Kind::InvalidConfig, Kind::Internal, Kind::Unreachable])]
    {
        let fault = bench
            .begin(Model::Status(clinker_model::fault::Status {
                host: "store".to_owned(),
                code: status,
                retry_after: None,
                beyond_per_second: 0,
                requests: clinker_model::fault::Matching { method: "HEAD".to_owned(), ..Default::default() },
            }))
            .await?;
        let order = Order { container: Some("another-bucket"), ..Order::default() };
        let made = bench.backup(&*driver, &volume, order).await;
        bench.heal(&fault).await;
        refused(&format!("a bucket answered {status}"), made.result.map(drop), kinds)?;
        equal("a refused backup left objects", &Vec::<String>::new(), &bench.objects_of(&made.backup.id))?;
    }
    Ok(())
}

/// With a customer's key what is stored can be read with that key only.
async fn md5_and_sse_c(bench: Bench) -> Outcome {
    let sse = [
        ("backup_s3_md5_validation", "true"),
        ("backup_s3_sse_customer_key", "0123456789abcdef0123456789abcdef"),
        ("backup_s3_sse_customer_algorithm", "AES256"),
    ];
    let driver = bench.driver_with(&sse).await?;
    let volume = bench.volume(2 * CHUNK);
    let backup = bench.full(&*driver, &volume).await?;
    let target = Volume::zeros(2 * CHUNK);
    bench.restore(&*driver, &[&backup], &target, false).await?;
    ensure(target.bytes() == volume.bytes(), "restored bytes are others", "the volume's", || "others".to_owned())?;
    let keyless = bench.driver().await?;
    let read = bench.restore(&*keyless, &[&backup], &Volume::zeros(2 * CHUNK), false).await;
    ensure(read.is_err(), "what was stored with a customer's key is read without it", "an error", || {
        "success".to_owned()
    })
}

async fn empty_listing(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let backup = bench.full(&*driver, &bench.volume(CHUNK)).await?;
    let held = bench.objects_of(&backup.id);
    ensure(!held.is_empty(), "no object of the backup is stored", "objects to delete", || "none".to_owned())?;
    bench.delete(&*driver, &backup).await?;
    bench.holds_nothing_of(&backup.id, "a delete reported success over leftovers")?;
    // Nothing is listed any more, and that is no error.
    let before = bench.request_count();
    bench.delete(&*driver, &backup).await?;
    let listed = bench.listings(before);
    ensure(listed > 0, "what is left is not asked for", "a listing", || "none".to_owned())
}

async fn listing_pages(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let order = Order { container: Some("paged"), ..Order::default() };
    let backup = bench.backup(&*driver, &bench.volume(10 * CHUNK), order).await.stored()?;
    let held = bench.objects_of(&backup.id).len();
    ensure(held > 10, "fewer objects are stored than the backup has", "more than 10", || held.to_string())?;
    let before = bench.request_count();
    bench.delete(&*driver, &backup).await?;
    let pages = bench.listings(before);
    ensure(pages > 1, "a delete asks for one page of the listing", "2 or more", || pages.to_string())?;
    equal("objects beyond the first page are left", &Vec::<String>::new(), &bench.objects_of(&backup.id))
}

async fn paths_and_modes(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let backup = bench.full(&*driver, &bench.volume(CHUNK)).await?;
    let id = &backup.id;
    let expected = format!("{}/{}/{id}", &id[..2], &id[2..4]);
    equal("the default container is not id[0:2]/id[2:4]/id", &Some(expected.clone()), &backup.container)?;
    let root = bench.options().get("backup_posix_path").cloned().unwrap_or_default();
    let has_mode = |what: &str, path: String, mode: u32| {
        let found = bench.mode(&path)?;
        ensure(found == mode, what, format!("{path} with {mode:#o}"), || format!("{found:#o}"))
    };
    has_mode("the container's mode is not 0770", format!("{root}/{expected}"), 0o770)?;
    for object in bench.objects_of(id) {
        has_mode("an object's mode is not 0660", format!("{root}/{expected}/{object}"), 0o660)?;
    }
    for outside in ["../outside", "/etc", "a/../../b", ".."] {
        let order = Order { container: Some(outside), ..Order::default() };
        let made = bench.backup(&*driver, &bench.volume(CHUNK), order).await;
        let what = format!("a container named {outside}");
        refused(&what, made.result.map(drop), &[Kind::InvalidBackup, Kind::InvalidConfig])?;
    }
    Ok(())
}
