//! Calls of the driver's port, and what they are handed.

use std::sync::Arc;

use async_trait::async_trait;
use clinker_drivers::driver::BackupUpdate;
use clinker_drivers::registry;
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, Capabilities, Device, Error, Kind, Options, RequestContext, RestoreControl,
    Result,
};
use serde_json::{Map, Value};

use super::controls::{Bent, Making, Restoring};
use super::{Hit, How, Twist};
use crate::run::{Made, Parts};

pub(super) fn plant(twist: Twist, parts: &mut Parts) {
    let (hit, before) = (Arc::new(Hit::new(twist)), Arc::clone(&parts.driver));
    parts.driver = Arc::new(move |inner| Arc::new(Twisted { inner: before(inner), hit: Arc::clone(&hit) }));
    match (twist.call, &parts.made) {
        ("driver.set_up", Made::Registry) => {
            parts.made = Made::Store(Arc::new(|options, env| registry::store(options, env).map_err(wordless)));
        }
        ("driver.customer_key", Made::Registry) => {
            parts.made = Made::Store(Arc::new(|options, env| registry::store(&keyless(options), env)));
        }
        _ => {}
    }
}

fn keyless(options: &Options) -> Options {
    Options { backup_s3_sse_customer_key: None, backup_s3_sse_customer_algorithm: None, ..options.clone() }
}

/// An error that does not say what is wrong.
fn wordless(error: Error) -> Error {
    Error::new(error.kind, "something is wrong")
}

struct Twisted {
    inner: Arc<dyn BackupDriver>,
    hit: Arc<Hit>,
}

fn refused() -> Error {
    Error::new(Kind::Internal, super::PLANTED)
}

/// A call without an answer worth keeping.
macro_rules! plain {
    ($self:ident, $name:literal, $call:expr) => {{
        let how = $self.hit.strikes_late($name).await;
        match how {
            Some(How::Drop) => return Ok(()),
            Some(How::Refuse) => return Err(refused()),
            _ => {}
        }
        let result = $call.await;
        if how == Some(How::Swallow) { Ok(()) } else { result }
    }};
}

#[async_trait]
impl BackupDriver for Twisted {
    fn capabilities(&self) -> Capabilities {
        let own = self.inner.capabilities();
        match self.hit.strikes("driver.capabilities") {
            Some(_) => Capabilities {
                progress: !own.progress,
                force_delete: !own.force_delete,
                incremental: !own.incremental,
                host_bound: own.host_bound,
            },
            None => own,
        }
    }
    async fn do_setup(&self) -> Result<()> {
        if self.hit.strikes("driver.set_up").is_some() {
            return self.inner.do_setup().await.map_err(wordless);
        }
        plain!(self, "driver.do_setup", self.inner.do_setup())
    }
    async fn check_for_setup_error(&self) -> Result<()> {
        if self.hit.strikes("driver.set_up").is_some() {
            return self.inner.check_for_setup_error().await.map_err(wordless);
        }
        plain!(self, "driver.check_for_setup_error", self.inner.check_for_setup_error())
    }
    async fn backup(
        &self,
        context: &RequestContext,
        backup: &Backup,
        parent: Option<&Backup>,
        device: &dyn Device,
        control: Arc<dyn BackupControl>,
    ) -> Result<BackupUpdate> {
        let stranger = RequestContext { token: None, ..context.clone() };
        let context = if self.hit.strikes("driver.context").is_some() { &stranger } else { context };
        let how = self.hit.strikes_late("driver.backup").await;
        match how {
            Some(How::Drop) => return Ok(BackupUpdate::default()),
            Some(How::Refuse) => return Err(refused()),
            Some(How::Repeat) => {
                self.inner.backup(context, backup, parent, device, Arc::clone(&control)).await?;
            }
            _ => {}
        }
        // An altered one takes every backup for a full one.
        let parent = if how == Some(How::Alter) { None } else { parent };
        let control = Arc::new(Making { inner: control, hit: Arc::clone(&self.hit) });
        let device = &Bent { inner: device, hit: &self.hit };
        let result = self.inner.backup(context, backup, parent, device, control).await;
        if how == Some(How::Swallow) { Ok(result.unwrap_or_default()) } else { result }
    }
    async fn restore(
        &self,
        context: &RequestContext,
        chain: &[Backup],
        device: &dyn Device,
        volume_is_new: bool,
        control: Arc<dyn RestoreControl>,
    ) -> Result<()> {
        let how = self.hit.strikes_late("driver.restore").await;
        match how {
            Some(How::Drop) => return Ok(()),
            Some(How::Refuse) => return Err(refused()),
            _ => {}
        }
        // An altered one restores the oldest link only, and takes every volume for a new one.
        let altered = how == Some(How::Alter);
        let chain = if altered { &chain[..chain.len().min(1)] } else { chain };
        let control = Arc::new(Restoring { inner: control, hit: Arc::clone(&self.hit) });
        let device = &Bent { inner: device, hit: &self.hit };
        let result = self.inner.restore(context, chain, device, volume_is_new || altered, control).await;
        if how == Some(How::Swallow) { Ok(()) } else { result }
    }
    async fn delete_backup(&self, context: &RequestContext, backup: &Backup) -> Result<()> {
        // An altered one takes a backup without a place for one of everything.
        let of_all = Backup { service_metadata: Some("volume_".to_owned()), ..backup.clone() };
        let nowhere = backup.service_metadata.as_deref().unwrap_or_default().is_empty();
        let altered = self.hit.twist == Twist::every("driver.delete_backup", How::Alter);
        let backup = if nowhere && altered { &of_all } else { backup };
        plain!(self, "driver.delete_backup", self.inner.delete_backup(context, backup))
    }
    fn export_record(&self, backup: &Backup) -> Result<Map<String, Value>> {
        match self.hit.strikes("driver.export_record") {
            Some(_) => Err(refused()),
            None => self.inner.export_record(backup),
        }
    }
    fn import_record(&self, backup: &Backup, driver_info: &Map<String, Value>) -> Result<()> {
        match self.hit.strikes("driver.import_record") {
            Some(How::Drop) => Ok(()),
            Some(_) => Err(refused()),
            None => self.inner.import_record(backup, driver_info),
        }
    }
    async fn verify(&self, context: &RequestContext, backup: &Backup, object_count: u64) -> Result<()> {
        plain!(self, "driver.verify", self.inner.verify(context, backup, object_count))
    }
}
