//! The service catalog: v3 as Keystone answers it, and v2 as a request context carries it.

use serde_json::{Value, json};

use super::KeystoneConfig;

/// Where a region's object store is.
#[derive(Clone, Debug)]
pub struct Region {
    pub name: String,
    /// Scheme, host and port, e.g. `http://swift:8080`; `/v1/AUTH_<project id>` is added.
    pub object_store: String,
}

impl Region {
    pub fn new(name: &str, object_store: &str) -> Region {
        Region { name: name.into(), object_store: object_store.into() }
    }
}

/// A 32-digit id that depends on nothing but what it names, as ids of a database that never changes.
pub(super) fn fixed_id(of: &str) -> String {
    use md5::{Digest, Md5};
    hex::encode(Md5::digest(of.as_bytes()))
}

/// The catalog of a token for `project_id`.
pub(super) fn v3(config: &KeystoneConfig, project_id: &str) -> Value {
    let identity = format!("{}/v3/", config.public_url);
    let endpoints = |service: &str, urls: Vec<(&str, String)>| -> Vec<Value> {
        let rows = urls.into_iter().flat_map(|(region, url)| {
            ["public", "internal", "admin"].map(|interface| {
                json!({
                    "id": fixed_id(&format!("{service} {region} {interface}")), "interface": interface,
                    "region_id": region, "url": url, "region": region,
                })
            })
        });
        rows.collect()
    };
    let own = config.regions.first().map_or("RegionOne", |region| region.name.as_str());
    let stores = config.regions.iter().map(|region| (region.name.as_str(), store_url(region, project_id)));
    json!([
        {"endpoints": endpoints("identity", vec![(own, identity)]), "id": fixed_id("identity"), "type": "identity",
         "name": "keystone"},
        {"endpoints": endpoints("object-store", stores.collect()), "id": fixed_id("object-store"),
         "type": "object-store", "name": "swift"},
    ])
}

fn store_url(region: &Region, project_id: &str) -> String {
    format!("{}/v1/AUTH_{project_id}", region.object_store)
}

impl KeystoneConfig {
    /// The catalog in the v2 form that a caller's request context carries: a list of
    /// `{"type", "name", "endpoints": [{"region", "publicURL", "internalURL", "adminURL"}]}`.
    pub fn catalog_v2(&self, project_id: &str) -> Value {
        let entry = |kind: &str, name: &str, urls: Vec<(&str, String)>| {
            let endpoints = urls
                .into_iter()
                .map(|(region, url)| json!({"region": region, "publicURL": url, "internalURL": url, "adminURL": url}));
            json!({"type": kind, "name": name, "endpoints": endpoints.collect::<Vec<_>>()})
        };
        let own = self.regions.first().map_or("RegionOne", |region| region.name.as_str());
        let stores = self.regions.iter().map(|region| (region.name.as_str(), store_url(region, project_id)));
        json!([
            entry("identity", "keystone", vec![(own, format!("{}/v3/", self.public_url))]),
            entry("object-store", "swift", stores.collect()),
        ])
    }
}
