//! Mutants that wrap a port, or twist a call of one: the object store, the driver, the bus, the network.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use clinker_drivers::driver::BackupUpdate;
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, Capabilities, Device, Error, Kind, RequestContext, RestoreControl, Result,
};
use clinker_env::{BoxStream, Env, Listener, Net, Tasks};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::generic::{How, Twist};
use crate::run::{Parts, wrap, wrap_env};

/// The original: a delete whose listing fails removes the row and leaves every object.
pub(super) fn listing_error_swallowed(parts: &mut Parts) {
    Twist::every("store.list", How::Swallow).plant(parts);
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
    Twist::every("driver.import_record", How::Drop).plant(parts);
    Twist::every("driver.verify", How::Drop).plant(parts);
}

/// A notification counts as delivered whether the broker has confirmed it or not.
pub(super) fn confirm_ignored(parts: &mut Parts) {
    Twist::every("bus.notify", How::Swallow).plant(parts);
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
