//! An adapter as a driver: every call is a request, and the device is a file meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, BackupUpdate, Capabilities, Device, RequestContext, RestoreControl, Result,
};
use serde_json::{Map, Value};

use super::device::DeviceFile;
use super::failure::How;
use super::message::{Failed, Op};
use super::process::{AdapterProcess, Listener};

/// A driver behind an adapter of the role `driver`.
pub struct AdapterDriver {
    process: AdapterProcess,
    /// Why it does not take its options: what `do_setup` answers.
    misconfigured: Option<Failed>,
}

impl AdapterDriver {
    /// The driver with these options, by Cinder's names. Options that it refuses show when it is set up.
    pub async fn configured(process: &AdapterProcess, options: &BTreeMap<String, String>) -> AdapterDriver {
        let answer = process.call(&Op::Configure { options: options.clone() }, Listener::Nobody).await;
        let misconfigured = answer.err().map(|error| Failed::from(&error.during("configure")));
        AdapterDriver { process: process.clone(), misconfigured }
    }

    pub fn process(&self) -> &AdapterProcess {
        &self.process
    }

    async fn ask(&self, op: Op) -> Result<Value> {
        self.listening(op, Listener::Nobody).await
    }

    async fn listening(&self, op: Op, listener: Listener<'_>) -> Result<Value> {
        self.process.call(&op, listener).await.map_err(|error| error.during(op.name()))
    }

    /// A field of an answer; without it the adapter is of no use.
    fn field<T: serde::de::DeserializeOwned>(&self, op: &str, mut answer: Value, name: &str) -> Result<T> {
        let value = answer.get_mut(name).map(Value::take).unwrap_or_default();
        let wrong =
            |error| self.process.fail(How::Protocol, format!("answered {op} with a wrong \"{name}\" ({error})"));
        serde_json::from_value(value).map_err(|error| wrong(error).into())
    }
}

#[async_trait]
impl BackupDriver for AdapterDriver {
    fn capabilities(&self) -> Capabilities {
        let claims = |name: &str| self.process.hello().capabilities.iter().any(|claim| claim == name);
        Capabilities {
            progress: claims("progress"),
            force_delete: claims("force_delete"),
            incremental: claims("incremental"),
            host_bound: claims("host_bound"),
        }
    }

    async fn do_setup(&self) -> Result<()> {
        match &self.misconfigured {
            Some(failed) => Err(failed.clone().into()),
            None => self.ask(Op::DoSetup {}).await.map(drop),
        }
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        self.ask(Op::CheckForSetupError {}).await.map(drop)
    }

    async fn backup(
        &self,
        context: &RequestContext,
        backup: &Backup,
        parent: Option<&Backup>,
        device: &dyn Device,
        control: Arc<dyn BackupControl>,
    ) -> Result<BackupUpdate> {
        let file = DeviceFile::copy_of(self.process.folder(), device).await?;
        let op = Op::Backup {
            context: context.into(),
            backup: backup.into(),
            parent: parent.map(Into::into),
            device: file.path(),
            volume_size: device.len(),
        };
        let answer = self.listening(op, Listener::Backup(&*control)).await?;
        self.field("backup", answer, "object_count").map(|object_count| BackupUpdate { object_count })
    }

    async fn restore(
        &self,
        context: &RequestContext,
        chain: &[Backup],
        device: &dyn Device,
        volume_is_new: bool,
        control: Arc<dyn RestoreControl>,
    ) -> Result<()> {
        let folder = self.process.folder();
        let file = match volume_is_new {
            true => DeviceFile::empty(folder, device.len())?,
            false => DeviceFile::copy_of(folder, device).await?,
        };
        let op = Op::Restore {
            context: context.into(),
            chain: chain.iter().map(Into::into).collect(),
            device: file.path(),
            volume_size: device.len(),
            volume_is_new,
        };
        let answer = self.listening(op, Listener::Restore(&*control)).await;
        // What a failed restore wrote is on the device, too.
        let applied = file.apply(device, volume_is_new).await.map_err(|error| error.during("restore"));
        answer.and(applied)
    }

    async fn delete_backup(&self, context: &RequestContext, backup: &Backup) -> Result<()> {
        self.ask(Op::DeleteBackup { context: context.into(), backup: backup.into() }).await.map(drop)
    }

    fn export_record(&self, backup: &Backup) -> Result<Map<String, Value>> {
        let answer = self.process.call_blocking(&Op::ExportRecord { backup: backup.into() })?;
        self.field("export_record", answer, "driver_info")
    }

    fn import_record(&self, backup: &Backup, driver_info: &Map<String, Value>) -> Result<()> {
        let op = Op::ImportRecord { backup: backup.into(), driver_info: driver_info.clone() };
        self.process.call_blocking(&op).map(drop)
    }

    async fn verify(&self, context: &RequestContext, backup: &Backup, object_count: u64) -> Result<()> {
        let op = Op::Verify { context: context.into(), backup: backup.into(), object_count };
        self.ask(op).await.map(drop)
    }
}
