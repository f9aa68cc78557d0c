//! On whose behalf an operation runs.

use crate::Secret;

/// The caller's request context: an argument of every operation, never stored in the database.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    pub user_id: String,
    pub project_id: String,
    /// The caller's own token; none for work the service does by itself (set-up, start-up clean-up).
    pub token: Option<Secret>,
    /// The caller's service catalog, in Keystone's v2 form.
    pub catalog: Vec<CatalogEntry>,
}

impl RequestContext {
    /// The service's own context: no user, no token, no catalog.
    pub fn admin() -> RequestContext {
        RequestContext::default()
    }
}

/// One service of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CatalogEntry {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub endpoints: Vec<CatalogEndpoint>,
}

/// One region's URLs of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogEndpoint {
    pub region: Option<String>,
    #[serde(rename = "publicURL")]
    pub public_url: Option<String>,
    #[serde(rename = "internalURL")]
    pub internal_url: Option<String>,
    #[serde(rename = "adminURL")]
    pub admin_url: Option<String>,
}
