//! What a running operation is handed: its control and its device.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::driver::BackupUpdate;
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, Capabilities, Device, RequestContext, RestoreControl, Result,
};
use serde_json::{Map, Value};

use super::{Hit, How, Twist};
use crate::run::Parts;

pub(super) fn plant(twist: Twist, parts: &mut Parts) {
    let hit = Arc::new(Hit::new(twist));
    parts.driver = Arc::new(move |inner| Arc::new(Handing { inner, hit: Arc::clone(&hit) }));
}

/// A driver that is handed bent controls and devices.
struct Handing {
    inner: Arc<dyn BackupDriver>,
    hit: Arc<Hit>,
}

#[async_trait]
impl BackupDriver for Handing {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    async fn do_setup(&self) -> Result<()> {
        self.inner.do_setup().await
    }
    async fn check_for_setup_error(&self) -> Result<()> {
        self.inner.check_for_setup_error().await
    }
    async fn backup(
        &self,
        context: &RequestContext,
        backup: &Backup,
        parent: Option<&Backup>,
        device: &dyn Device,
        control: Arc<dyn BackupControl>,
    ) -> Result<BackupUpdate> {
        let control = Arc::new(Making { inner: control, hit: Arc::clone(&self.hit) });
        let device = Bent { inner: device, hit: &self.hit };
        self.inner.backup(context, backup, parent, &device, control).await
    }
    async fn restore(
        &self,
        context: &RequestContext,
        chain: &[Backup],
        device: &dyn Device,
        volume_is_new: bool,
        control: Arc<dyn RestoreControl>,
    ) -> Result<()> {
        let control = Arc::new(Restoring { inner: control, hit: Arc::clone(&self.hit) });
        let device = Bent { inner: device, hit: &self.hit };
        self.inner.restore(context, chain, &device, volume_is_new, control).await
    }
    async fn delete_backup(&self, context: &RequestContext, backup: &Backup) -> Result<()> {
        self.inner.delete_backup(context, backup).await
    }
    fn export_record(&self, backup: &Backup) -> Result<Map<String, Value>> {
        self.inner.export_record(backup)
    }
    fn import_record(&self, backup: &Backup, driver_info: &Map<String, Value>) -> Result<()> {
        self.inner.import_record(backup, driver_info)
    }
    async fn verify(&self, context: &RequestContext, backup: &Backup, object_count: u64) -> Result<()> {
        self.inner.verify(context, backup, object_count).await
    }
}

struct Making {
    inner: Arc<dyn BackupControl>,
    hit: Arc<Hit>,
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

struct Restoring {
    inner: Arc<dyn RestoreControl>,
    hit: Arc<Hit>,
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

struct Bent<'a> {
    inner: &'a dyn Device,
    hit: &'a Hit,
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
