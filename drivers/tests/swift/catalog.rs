//! Which endpoint of a caller's catalog is used, and what is wrong when there is none.

use clinker_drivers::RequestContext;
use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::context::CatalogEntry;
use serde_json::json;

use crate::support::{caller, object, reason, store};

fn catalog() -> Vec<CatalogEntry> {
    serde_json::from_value(json!([
        { "type": "volume", "name": "cinder", "endpoints": [{ "region": "One", "publicURL": "http://cinder/" }] },
        { "type": "object-store", "name": "any", "endpoints": [
            { "region": "One", "publicURL": "http://one:80/p", "internalURL": "http://one:81/i" },
            { "region": "Two", "publicURL": "http://two:80/p" },
        ] },
        { "type": "object-store", "name": "second", "endpoints": [{ "region": "Three", "publicURL": "http://three/" }] },
    ]))
    .unwrap()
}

/// The URL a get goes to, or the reason it cannot.
async fn check(sets: &[(&str, &str)], expected: Result<&str, &str>) {
    let (store, script) = store(&[sets], [object(b"x")]);
    let context = RequestContext { catalog: catalog(), ..caller(Some("caller-token")) };
    let got = store.get(&context, "vb", "o").await;
    match expected {
        Ok(line) => {
            got.unwrap();
            assert_eq!(script.seen()[0].line, line);
        }
        Err(expected) => assert_eq!(reason(got), expected),
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_service_of_the_type_is_used_in_the_wanted_region() {
    check(&[], Ok("one:80 GET /p/vb/o")).await;
    check(&[("backup_swift_region_name", "One")], Ok("one:80 GET /p/vb/o")).await;
    check(&[("backup_swift_region_name", "Two")], Ok("two:80 GET /p/vb/o")).await;
    check(
        &[("swift_catalog_info", "object-store:other:internalURL")],
        Ok("one:81 GET /p/vb/o".replace("/p/", "/i/").as_str()),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_region_never_falls_back_to_another() {
    check(
        &[("backup_swift_region_name", "Three")],
        Err("invalid_config: get of o: option backup_swift_region_name: found \"Three\", expected one of One, Two"),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_catalog_without_the_endpoint_is_named_with_what_was_wanted() {
    let wanted = |endpoint: &str, kind: &str| {
        format!(
            "invalid_config: get of o: option swift_catalog_info: the catalog has no {endpoint} of a service of type {kind}"
        )
    };
    check(&[("swift_catalog_info", "s3:s3:publicURL")], Err(&wanted("publicURL", "s3"))).await;
    check(&[("swift_catalog_info", "object-store:swift:adminURL")], Err(&wanted("adminURL", "object-store"))).await;
    // Region Two has no internal URL; region One's must not be used instead.
    check(
        &[("swift_catalog_info", "object-store:swift:internalURL"), ("backup_swift_region_name", "Two")],
        Err(&wanted("internalURL", "object-store")),
    )
    .await;
}
