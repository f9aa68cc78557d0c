//! Mutants that wrap a port: the object store, the driver, the volume service, the network.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::driver::BackupUpdate;
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, Capabilities, Device, Error, Kind, RequestContext, RestoreControl, Result,
};
use clinker_env::{BoxStream, Env, Listener, Net, Tasks};
use clinker_manager::bus::{Bus, Cast, Consumer, ReplyTo};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::run::{Parts, wrap, wrap_env};

/// The original: a delete whose listing fails removes the row and leaves every object.
pub(super) fn listing_error_swallowed(parts: &mut Parts) {
    parts.store = wrap(|inner| Arc::new(SwallowsListing(inner)));
}

struct SwallowsListing(Arc<dyn ChunkStore>);

#[async_trait]
impl ChunkStore for SwallowsListing {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }
    fn host_bound(&self) -> bool {
        self.0.host_bound()
    }
    fn check_options(&self) -> Result<()> {
        self.0.check_options()
    }
    async fn check_for_setup_error(&self) -> Result<()> {
        self.0.check_for_setup_error().await
    }
    fn container_for(&self, backup: &Backup) -> Result<String> {
        self.0.container_for(backup)
    }
    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        self.0.object_prefix(backup, now)
    }
    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()> {
        self.0.put_container(context, container).await
    }
    async fn list(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        Ok(self.0.list(context, container, prefix).await.unwrap_or_default())
    }
    async fn put(
        &self,
        context: &RequestContext,
        container: &str,
        name: &str,
        body: Bytes,
        md5: [u8; 16],
    ) -> Result<()> {
        self.0.put(context, container, name, body, md5).await
    }
    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        self.0.get(context, container, name).await
    }
    async fn delete(&self, context: &RequestContext, container: &str, name: &str) -> Result<()> {
        self.0.delete(context, container, name).await
    }
    async fn discard_partial(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<()> {
        self.0.discard_partial(context, container, prefix).await
    }
}

/// The original until 2020: the cut-off gives up waiting, not the attempt, so the next one runs beside it.
pub(super) fn attempts_overlap(parts: &mut Parts) {
    parts.driver = wrap(|inner| Arc::new(OutlivesItsCutOff(inner)));
}

struct OutlivesItsCutOff(Arc<dyn BackupDriver>);

#[async_trait]
impl BackupDriver for OutlivesItsCutOff {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn do_setup(&self) -> Result<()> {
        self.0.do_setup().await
    }
    async fn check_for_setup_error(&self) -> Result<()> {
        let driver = Arc::clone(&self.0);
        let check = Tasks::LocalSet.spawn(async move { driver.check_for_setup_error().await });
        check.await.unwrap_or_else(|error| Err(Error::new(Kind::Internal, "the check panicked").with_source(error)))
    }
    async fn backup(
        &self,
        context: &RequestContext,
        backup: &Backup,
        parent: Option<&Backup>,
        device: &dyn Device,
        control: Arc<dyn BackupControl>,
    ) -> Result<BackupUpdate> {
        self.0.backup(context, backup, parent, device, control).await
    }
    async fn restore(
        &self,
        context: &RequestContext,
        chain: &[Backup],
        device: &dyn Device,
        volume_is_new: bool,
        control: Arc<dyn RestoreControl>,
    ) -> Result<()> {
        self.0.restore(context, chain, device, volume_is_new, control).await
    }
    async fn delete_backup(&self, context: &RequestContext, backup: &Backup) -> Result<()> {
        self.0.delete_backup(context, backup).await
    }
    fn export_record(&self, backup: &Backup) -> Result<Map<String, Value>> {
        self.0.export_record(backup)
    }
    fn import_record(&self, backup: &Backup, driver_info: &Map<String, Value>) -> Result<()> {
        self.0.import_record(backup, driver_info)
    }
    async fn verify(&self, context: &RequestContext, backup: &Backup, object_count: u64) -> Result<()> {
        self.0.verify(context, backup, object_count).await
    }
}

/// The original: a record is believed, whatever the store holds.
pub(super) fn import_unverified(parts: &mut Parts) {
    parts.driver = wrap(|inner| Arc::new(Credulous(inner)));
}

struct Credulous(Arc<dyn BackupDriver>);

#[async_trait]
impl BackupDriver for Credulous {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn do_setup(&self) -> Result<()> {
        self.0.do_setup().await
    }
    async fn check_for_setup_error(&self) -> Result<()> {
        self.0.check_for_setup_error().await
    }
    async fn backup(
        &self,
        context: &RequestContext,
        backup: &Backup,
        parent: Option<&Backup>,
        device: &dyn Device,
        control: Arc<dyn BackupControl>,
    ) -> Result<BackupUpdate> {
        self.0.backup(context, backup, parent, device, control).await
    }
    async fn restore(
        &self,
        context: &RequestContext,
        chain: &[Backup],
        device: &dyn Device,
        volume_is_new: bool,
        control: Arc<dyn RestoreControl>,
    ) -> Result<()> {
        self.0.restore(context, chain, device, volume_is_new, control).await
    }
    async fn delete_backup(&self, context: &RequestContext, backup: &Backup) -> Result<()> {
        self.0.delete_backup(context, backup).await
    }
    fn export_record(&self, backup: &Backup) -> Result<Map<String, Value>> {
        self.0.export_record(backup)
    }
    fn import_record(&self, _: &Backup, _: &Map<String, Value>) -> Result<()> {
        Ok(())
    }
    async fn verify(&self, _: &RequestContext, _: &Backup, _: u64) -> Result<()> {
        Ok(())
    }
}

/// A notification counts as delivered whether the broker has confirmed it or not.
pub(super) fn confirm_ignored(parts: &mut Parts) {
    parts.bus = wrap(|inner| Arc::new(IgnoresConfirms(inner)));
}

struct IgnoresConfirms(Arc<dyn Bus>);

#[async_trait]
impl Bus for IgnoresConfirms {
    async fn cast(&self, host: &str, cast: &Cast) -> Result<()> {
        self.0.cast(host, cast).await
    }
    async fn call(&self, host: &str, call: &Cast, limit: Duration) -> Result<Value> {
        self.0.call(host, call, limit).await
    }
    async fn reply(&self, to: &ReplyTo, answer: &Result<Value>) -> Result<()> {
        self.0.reply(to, answer).await
    }
    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>> {
        self.0.consume(host).await
    }
    async fn notify(&self, message: &Value) -> Result<()> {
        drop(self.0.notify(message).await);
        Ok(())
    }
}

/// A debugging aid that was forgotten: request heads, tokens and all, go to the log.
pub(super) fn token_logged(parts: &mut Parts) {
    parts.env = wrap_env(|env| Env { net: Arc::new(Chatty(Arc::clone(&env.net))), ..env });
}

struct Chatty(Arc<dyn Net>);

#[async_trait]
impl Net for Chatty {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        Ok(Box::new(ChattyStream(self.0.connect(host, port).await?)))
    }
    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        self.0.listen(port).await
    }
}

struct ChattyStream(BoxStream);

impl AsyncRead for ChattyStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for ChattyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let head = String::from_utf8_lossy(data);
        if head.contains(" HTTP/1.1\r\n") {
            let head = head.split("\r\n\r\n").next().unwrap_or_default();
            tracing::debug!(target: "clinker_drivers::http", "sending {head}");
        }
        Pin::new(&mut self.0).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
