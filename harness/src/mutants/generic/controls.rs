//! What a running operation is handed: its control and its device.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{BackupControl, Device, RestoreControl, Result};

use super::{Hit, How};

/// The control of a backup.
pub(super) struct Making {
    pub inner: Arc<dyn BackupControl>,
    pub hit: Arc<Hit>,
}

#[async_trait]
impl BackupControl for Making {
    async fn save_location(&self, container: &str, service_metadata: &str) -> Result<()> {
        match self.hit.strikes_late("control.save_location").await {
            Some(How::Drop) => Ok(()),
            Some(How::Alter) => self.inner.save_location("elsewhere", service_metadata).await,
            _ => self.inner.save_location(container, service_metadata).await,
        }
    }
    async fn check_cancelled(&self) -> Result<()> {
        match self.hit.strikes("control.check_cancelled") {
            Some(How::Drop) => Ok(()),
            // Asked, and not listened to.
            Some(_) => {
                let _ = self.inner.check_cancelled().await;
                Ok(())
            }
            None => self.inner.check_cancelled().await,
        }
    }
    async fn progress(&self, backup_percent: f64) -> Result<()> {
        match self.hit.strikes("control.progress") {
            Some(How::Drop) => return Ok(()),
            Some(How::Alter) => return self.inner.progress((backup_percent - 1.0).max(0.0)).await,
            Some(How::Repeat) => self.inner.progress(backup_percent).await?,
            _ => {}
        }
        self.inner.progress(backup_percent).await
    }
}

/// The control of a restore.
pub(super) struct Restoring {
    pub inner: Arc<dyn RestoreControl>,
    pub hit: Arc<Hit>,
}

#[async_trait]
impl RestoreControl for Restoring {
    async fn check_cancelled(&self) -> Result<()> {
        match self.hit.strikes("control.restore_cancelled") {
            Some(_) => Ok(()),
            None => self.inner.check_cancelled().await,
        }
    }
    async fn volume_meta(&self, volume_meta: Option<&str>) -> Result<()> {
        match self.hit.strikes("control.volume_meta") {
            Some(How::Drop) => return Ok(()),
            Some(_) => self.inner.volume_meta(volume_meta).await?,
            None => {}
        }
        self.inner.volume_meta(volume_meta).await
    }
    fn warn(&self, finding: &str) {
        self.inner.warn(finding);
    }
}

pub(super) struct Bent<'a> {
    pub inner: &'a dyn Device,
    pub hit: &'a Hit,
}

fn flipped(data: &Bytes) -> Bytes {
    let mut bytes = data.to_vec();
    if let Some(byte) = bytes.first_mut() {
        *byte ^= 1;
    }
    Bytes::from(bytes)
}

#[async_trait]
impl Device for Bent<'_> {
    fn len(&self) -> u64 {
        self.inner.len()
    }
    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let how = self.hit.strikes("device.read");
        let read = self.inner.read_at(offset, len).await;
        match how {
            Some(How::Alter) => Ok(flipped(&read?)),
            Some(How::Swallow) => Ok(read.unwrap_or_else(|_| Bytes::from(vec![0; len]))),
            _ => read,
        }
    }
    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        match self.hit.strikes("device.write") {
            Some(How::Drop) => Ok(()),
            Some(How::Alter) => self.inner.write_at(offset, flipped(&data)).await,
            Some(How::Repeat) => {
                self.inner.write_at(0, data.clone()).await?;
                self.inner.write_at(offset, data).await
            }
            _ => self.inner.write_at(offset, data).await,
        }
    }
    async fn flush(&self) -> Result<()> {
        match self.hit.strikes("device.flush") {
            Some(_) => Ok(()),
            None => self.inner.flush().await,
        }
    }
}
