//! An adapter as a driver: every call is a request, and the device is a file meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

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
///
/// Several may be behind one process, each with its own options: the process is configured anew when another one is used.
pub struct AdapterDriver {
    process: AdapterProcess,
    configure: Op,
    number: u64,
    /// Why the adapter does not take the options: what every operation answers then.
    misconfigured: Mutex<Option<Failed>>,
}

impl AdapterDriver {
    /// A driver with these options, by Cinder's names. The adapter hears of them with the first operation.
    pub fn new(process: &AdapterProcess, options: BTreeMap<String, String>) -> AdapterDriver {
        let (configure, number) = (Op::Configure { options }, AdapterProcess::number());
        AdapterDriver { process: process.clone(), configure, number, misconfigured: Mutex::new(None) }
    }

    pub fn process(&self) -> &AdapterProcess {
        &self.process
    }

    fn configured(&self, answer: Result<Value>) -> Result<()> {
        let misconfigured = answer.err().map(|error| Failed::from(&error.during("configure")));
        *self.misconfigured.lock().expect("no panic while the lock is held") = misconfigured;
        self.process.given_options_of(self.number);
        self.sound()
    }

    /// Whether the adapter has taken the options, or is of no use at all.
    fn sound(&self) -> Result<()> {
        if let Some(failure) = self.process.failure() {
            return Err(failure.into());
        }
        let misconfigured = self.misconfigured.lock().expect("no panic while the lock is held").clone();
        misconfigured.map_or(Ok(()), |failed| Err(failed.into()))
    }

    async fn ask(&self, op: Op) -> Result<Value> {
        self.listening(op, Listener::Nobody).await
    }

    async fn listening(&self, op: Op, listener: Listener<'_>) -> Result<Value> {
        if self.process.has_options_of(self.number) {
            self.sound()?;
        } else {
            self.configured(self.process.call(&self.configure, Listener::Nobody).await)?;
        }
        self.process.call(&op, listener).await.map_err(|error| error.during(op.name()))
    }

    fn ask_blocking(&self, op: Op) -> Result<Value> {
        if self.process.has_options_of(self.number) {
            self.sound()?;
        } else {
            self.configured(self.process.call_blocking(&self.configure))?;
        }
        self.process.call_blocking(&op)
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
        self.ask(Op::DoSetup {}).await.map(drop)
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
        let file = DeviceFile::copy_of(self.process.devices(), device).await?;
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
        let folder = self.process.devices();
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
        let answer = self.ask_blocking(Op::ExportRecord { backup: backup.into() })?;
        self.field("export_record", answer, "driver_info")
    }

    fn import_record(&self, backup: &Backup, driver_info: &Map<String, Value>) -> Result<()> {
        let op = Op::ImportRecord { backup: backup.into(), driver_info: driver_info.clone() };
        self.ask_blocking(op).map(drop)
    }

    async fn verify(&self, context: &RequestContext, backup: &Backup, object_count: u64) -> Result<()> {
        let op = Op::Verify { context: context.into(), backup: backup.into(), object_count };
        self.ask(op).await.map(drop)
    }
}
