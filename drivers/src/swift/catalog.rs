//! Choosing the object store's URL from a service catalog.

use serde::Deserialize;

use crate::context::{CatalogEndpoint, CatalogEntry};
use crate::error::shown;
use crate::{Error, Kind, Result};

/// The option that says which entry and URL of a catalog are the object store's.
const INFO_OPTION: &str = "swift_catalog_info";
const REGION_OPTION: &str = "backup_swift_region_name";

/// What to look for in a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    kind: String,
    endpoint_type: String,
    region: Option<String>,
}

impl Wanted {
    /// `info` is `type:name:endpoint_type`; the name is never compared.
    pub(super) fn parse(info: &str, region: Option<&str>) -> Result<Wanted> {
        let [kind, _name, endpoint_type] = info.split(':').collect::<Vec<_>>()[..] else {
            return Err(wrong_info(info, "type:name:endpoint_type"));
        };
        if !["publicURL", "internalURL", "adminURL"].contains(&endpoint_type) {
            return Err(wrong_info(info, "an endpoint_type of publicURL, internalURL or adminURL"));
        }
        let region = region.map(str::to_owned);
        Ok(Wanted { kind: kind.to_owned(), endpoint_type: endpoint_type.to_owned(), region })
    }

    /// The URL of the first service of the wanted type, in the wanted region, else in the first one listed.
    pub(super) fn find<'a>(&self, catalog: &'a [CatalogEntry]) -> Result<&'a str> {
        let endpoints = match catalog.iter().find(|entry| entry.kind == self.kind) {
            Some(entry) => &entry.endpoints[..],
            None => return Err(self.no_url()),
        };
        let region = match &self.region {
            Some(region) if endpoints.iter().any(|endpoint| endpoint.region.as_ref() == Some(region)) => Some(region),
            Some(region) => return Err(unknown_region(region, endpoints)),
            None => endpoints.first().and_then(|endpoint| endpoint.region.as_ref()),
        };
        let in_region = endpoints.iter().filter(|endpoint| endpoint.region.as_ref() == region);
        in_region.filter_map(|endpoint| self.url(endpoint)).next().ok_or_else(|| self.no_url())
    }

    fn url<'a>(&self, endpoint: &'a CatalogEndpoint) -> Option<&'a str> {
        match self.endpoint_type.as_str() {
            "publicURL" => endpoint.public_url.as_deref(),
            "internalURL" => endpoint.internal_url.as_deref(),
            _ => endpoint.admin_url.as_deref(),
        }
    }

    fn no_url(&self) -> Error {
        let Wanted { kind, endpoint_type, .. } = self;
        let what = format!("option {INFO_OPTION}: the catalog has no {endpoint_type} of a service of type {kind}");
        Error::new(Kind::InvalidConfig, what)
    }
}

fn wrong_info(found: &str, expected: &str) -> Error {
    let found = found.escape_debug();
    Error::new(Kind::InvalidConfig, format!("option {INFO_OPTION}: found \"{found}\", expected {expected}"))
}

fn unknown_region(region: &str, endpoints: &[CatalogEndpoint]) -> Error {
    let mut known: Vec<&str> = endpoints.iter().filter_map(|endpoint| endpoint.region.as_deref()).collect();
    known.sort_unstable();
    known.dedup();
    let known = shown(&known.join(", "));
    let what = format!("option {REGION_OPTION}: found \"{region}\", expected one of {known}");
    Error::new(Kind::InvalidConfig, what)
}

/// Keystone's answer to a v3 authentication, as far as it is read.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    region: Option<String>,
    url: String,
}

impl TokenAnswer {
    /// The answer's catalog in the v2 form, one URL per endpoint.
    pub(super) fn into_catalog(self) -> Vec<CatalogEntry> {
        let entry = |service: Service| CatalogEntry {
            kind: service.kind,
            name: service.name,
            endpoints: service.endpoints.into_iter().map(Endpoint::into_v2).collect(),
        };
        self.token.catalog.into_iter().map(entry).collect()
    }
}

impl Endpoint {
    fn into_v2(self) -> CatalogEndpoint {
        let mut endpoint = CatalogEndpoint { region: self.region, ..CatalogEndpoint::default() };
        let url = Some(self.url);
        match self.interface.as_str() {
            "public" => endpoint.public_url = url,
            "internal" => endpoint.internal_url = url,
            "admin" => endpoint.admin_url = url,
            // An interface nobody can ask for.
            _ => {}
        }
        endpoint
    }
}
