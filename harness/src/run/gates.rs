//! Crash points of what is not a port of the manager: the driver's object store, and the database's own process.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::pieces::Pieces;
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::{Backup, RequestContext, Result};
use clinker_manager::db::Request;
use clinker_manager::db::server::Executor;
use clinker_model::fault::When;
use clinker_world::Gate;
use jiff::Timestamp;
use serde_json::Value;

/// Points `store.<call>` of a backup host: before the first request of the call, and after the last answer to it.
pub(super) struct GatedStore {
    pub inner: Arc<dyn ChunkStore>,
    pub gate: Gate,
}

impl GatedStore {
    async fn between<T>(&self, point: &str, call: impl Future<Output = T>) -> T {
        self.gate.pass(point, When::Before).await;
        let done = call.await;
        self.gate.pass(point, When::After).await;
        done
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChunkStore for GatedStore {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }
    fn host_bound(&self) -> bool {
        self.inner.host_bound()
    }

    fn check_options(&self) -> Result<()> {
        self.inner.check_options()
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        self.between("store.check", self.inner.check_for_setup_error()).await
    }

    fn container_for(&self, backup: &Backup) -> Result<String> {
        self.inner.container_for(backup)
    }

    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        self.inner.object_prefix(backup, now)
    }

    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()> {
        self.between("store.put_container", self.inner.put_container(context, container)).await
    }

    async fn list(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        self.between("store.list", self.inner.list(context, container, prefix)).await
    }

    fn wants_md5(&self) -> bool {
        self.inner.wants_md5()
    }

    /// Objects go whole: simulated volumes are small enough, and a put stays one call.
    fn pieces(&self) -> Option<&dyn Pieces> {
        None
    }

    async fn put(
        &self,
        context: &RequestContext,
        container: &str,
        name: &str,
        body: Bytes,
        md5: [u8; 16],
    ) -> Result<()> {
        self.between("store.put", self.inner.put(context, container, name, body, md5)).await
    }

    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        self.between("store.get", self.inner.get(context, container, name)).await
    }

    async fn get_at_most(&self, context: &RequestContext, container: &str, name: &str, max: u64) -> Result<Bytes> {
        self.between("store.get", self.inner.get_at_most(context, container, name, max)).await
    }

    async fn delete(&self, context: &RequestContext, container: &str, name: &str) -> Result<()> {
        self.between("store.delete", self.inner.delete(context, container, name)).await
    }

    async fn discard_partial(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<()> {
        self.between("store.discard_partial", self.inner.discard_partial(context, container, prefix)).await
    }
}

/// Points `db.<call>` of the database's host: before the call is carried out, and after that, before its answer.
pub(super) struct GatedExecutor {
    pub inner: Arc<dyn Executor>,
    pub gate: Gate,
}

#[async_trait]
impl Executor for GatedExecutor {
    fn boot(&self) -> Result<()> {
        self.inner.boot()
    }

    async fn apply(&self, request: Request) -> Result<Value> {
        let point = format!("db.{}", request.call.name());
        self.gate.pass(&point, When::Before).await;
        let answer = self.inner.apply(request).await;
        self.gate.pass(&point, When::After).await;
        answer
    }
}
