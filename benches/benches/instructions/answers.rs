//! Answers of servers, as long as they get.

use clinker_drivers::{Options, fuzzing};

use super::measured;

const PREFIX: &str = "volume_6f1d2c3b/20260101000000/az_nova_backup_0a1b2c3d";

/// A whole page of 10,000 names.
pub fn swift_listing() {
    let entry = |n: u32| {
        format!(
            "{{\"hash\":\"{n:032x}\",\"last_modified\":\"2026-01-01T00:00:00.000000\",\"bytes\":52428800,\
             \"name\":\"{PREFIX}-{n:05}\",\"content_type\":\"application/octet-stream\"}}"
        )
    };
    let entries: Vec<String> = (1..=10_000).map(entry).collect();
    let page = fuzzing::answer(200, &[], format!("[{}]", entries.join(",")).as_bytes());
    assert_eq!(measured(|| fuzzing::swift_page(PREFIX, &page)).expect("it is sound").len(), 10_000);
}

/// A whole page of 1,000 names.
pub fn s3_listing() {
    let entry = |n: u32| {
        format!(
            "<Contents><Key>{PREFIX}-{n:05}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;{n:032x}&quot;</ETag><Size>52428800</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    };
    let entries: String = (1..=1_000).map(entry).collect();
    let page = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>volumebackups</Name><Prefix>{PREFIX}</Prefix><KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys>\
         <IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    );
    let page = fuzzing::answer(200, &[], page.as_bytes());
    assert_eq!(measured(|| fuzzing::s3_page(PREFIX, &page)).expect("it is sound").len(), 1_000);
}

/// Forty services in five regions.
pub fn keystone_catalog() {
    let endpoint = |service: usize, region: usize| {
        format!(
            "{{\"id\":\"{service:032x}\",\"interface\":\"public\",\"region\":\"region-{region}\",\
             \"region_id\":\"region-{region}\",\"url\":\"http://region-{region}:8080/v1/AUTH_{service}\"}}"
        )
    };
    let service = |service: usize| {
        let kind = if service == 39 { "object-store" } else { "other" };
        let endpoints: Vec<String> = (0..5).map(|region| endpoint(service, region)).collect();
        format!(
            "{{\"id\":\"{service:032x}\",\"type\":\"{kind}\",\"name\":\"s\",\"endpoints\":[{}]}}",
            endpoints.join(",")
        )
    };
    let services: Vec<String> = (0..40).map(service).collect();
    let text = format!(
        "{{\"token\":{{\"expires_at\":\"2026-01-01T01:00:00.000000Z\",\"catalog\":[{}]}}}}",
        services.join(",")
    );
    let answer = fuzzing::answer(201, &[("X-Subject-Token", b"t")], text.as_bytes());
    let options = Options { backup_swift_region_name: Some("region-4".to_owned()), ..Options::default() };
    measured(|| fuzzing::keystone_account(&options, &answer)).expect("it is sound");
}
