//! On whose behalf an operation runs, and whether what it asks for is still wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

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
    pub stop: Stop,
}

impl RequestContext {
    /// The service's own context: no user, no token, no catalog.
    pub fn admin() -> RequestContext {
        RequestContext::default()
    }
}

/// Tells requests of an operation that has failed: none is begun any more, or sent again; what is on the wire ends as it ends.
#[derive(Clone, Debug, Default)]
pub struct Stop(Option<Arc<Signal>>);

#[derive(Debug, Default)]
struct Signal {
    set: AtomicBool,
    changed: Notify,
}

impl Stop {
    /// One that can be set; the default cannot.
    pub fn new() -> Stop {
        Stop(Some(Arc::default()))
    }

    pub fn set(&self) {
        if let Some(signal) = &self.0 {
            signal.set.store(true, Ordering::Relaxed);
            signal.changed.notify_waiters();
        }
    }

    /// Until it is set; for ever if it never is.
    pub async fn wait(&self) {
        let Some(signal) = &self.0 else { return std::future::pending().await };
        let changed = signal.changed.notified();
        if !signal.set.load(Ordering::Relaxed) {
            changed.await;
        }
    }

    /// What comes of `work`, unless it is set before.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.wait() => None,
            done = work => Some(done),
        }
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
