//! Wrappers around the service's ports: crash points before and after each call, and the record of driver calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::driver::BackupUpdate;
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, Capabilities, Device, Error, RequestContext, RestoreControl, Result,
};
use clinker_manager::bus::{Bus, Cast, Consumer, ReplyTo};
use clinker_manager::db::{Call, Db};
use clinker_model::fault::When;
use clinker_model::history::{Failure, Phase};
use clinker_model::{Entry, Journal};
use clinker_world::{Gate, SimJournal};
use serde_json::{Map, Value};

/// Points `db.<call>`.
pub(super) struct GatedDb<D> {
    pub inner: D,
    pub gate: Gate,
}

#[async_trait]
impl<D: Db> Db for GatedDb<D> {
    fn new_key(&self) -> String {
        self.inner.new_key()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        let point = format!("db.{}", call.name());
        self.gate.pass(&point, When::Before).await;
        let answer = self.inner.call_as(key, call).await;
        self.gate.pass(&point, When::After).await;
        answer
    }
}

/// Points `bus.cast`, `bus.call`, `bus.reply`, `bus.consume`, `bus.notify`, `bus.acknowledge`.
pub(super) struct GatedBus<B> {
    pub inner: B,
    pub gate: Gate,
}

#[async_trait]
impl<B: Bus> Bus for GatedBus<B> {
    async fn cast(&self, host: &str, cast: &Cast) -> Result<()> {
        self.gate.pass("bus.cast", When::Before).await;
        let done = self.inner.cast(host, cast).await;
        self.gate.pass("bus.cast", When::After).await;
        done
    }

    async fn call(&self, host: &str, call: &Cast, limit: Duration) -> Result<Value> {
        self.gate.pass("bus.call", When::Before).await;
        let answer = self.inner.call(host, call, limit).await;
        self.gate.pass("bus.call", When::After).await;
        answer
    }

    async fn reply(&self, to: &ReplyTo, answer: &Result<Value>) -> Result<()> {
        self.gate.pass("bus.reply", When::Before).await;
        let done = self.inner.reply(to, answer).await;
        self.gate.pass("bus.reply", When::After).await;
        done
    }

    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>> {
        self.gate.pass("bus.consume", When::Before).await;
        let inner = self.inner.consume(host).await?;
        Ok(Box::new(GatedConsumer { inner, gate: self.gate.clone() }))
    }

    async fn notify(&self, message: &Value) -> Result<()> {
        self.gate.pass("bus.notify", When::Before).await;
        let done = self.inner.notify(message).await;
        self.gate.pass("bus.notify", When::After).await;
        done
    }
}

struct GatedConsumer {
    inner: Box<dyn Consumer>,
    gate: Gate,
}

#[async_trait]
impl Consumer for GatedConsumer {
    async fn next(&mut self) -> Result<Cast> {
        let cast = self.inner.next().await;
        self.gate.hold_if_parked().await;
        cast
    }

    async fn acknowledge(&mut self) -> Result<()> {
        self.gate.pass("bus.acknowledge", When::Before).await;
        let done = self.inner.acknowledge().await;
        self.gate.pass("bus.acknowledge", When::After).await;
        done
    }
}

/// Records each call of the driver, with its end; a call that its caller gave up ends as `info`.
pub(super) struct RecordedDriver {
    pub inner: Arc<dyn BackupDriver>,
    pub journal: Arc<SimJournal>,
    pub host: String,
    /// Numbers the calls of all drivers of a host.
    pub calls: Arc<AtomicU64>,
}

impl RecordedDriver {
    async fn record<T>(
        &self,
        method: &str,
        backup: Option<&Backup>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut under_way = UnderWay {
            driver: self,
            call: self.calls.fetch_add(1, Ordering::Relaxed),
            method: method.to_owned(),
            backup_id: backup.map(|backup| backup.id.clone()),
            ended: false,
        };
        under_way.note(Phase::Invoke, None);
        let result = call.await;
        under_way.ended = true;
        match &result {
            Ok(_) => under_way.note(Phase::Ok, None),
            Err(error) => under_way.note(Phase::Fail, Some(failure(error))),
        }
        result
    }
}

struct UnderWay<'a> {
    driver: &'a RecordedDriver,
    call: u64,
    method: String,
    backup_id: Option<String>,
    ended: bool,
}

impl UnderWay<'_> {
    fn note(&self, phase: Phase, failure: Option<Failure>) {
        let entry = Entry::Driver {
            phase,
            call: self.call,
            method: self.method.clone(),
            backup_id: self.backup_id.clone(),
            failure,
        };
        self.driver.journal.record(&self.driver.host, entry);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.note(Phase::Info, None);
        }
    }
}

/// An error as the history keeps it.
pub(super) fn failure(error: &Error) -> Failure {
    Failure { kind: error.kind.to_string(), reason: error.to_string() }
}

#[async_trait]
impl BackupDriver for RecordedDriver {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn do_setup(&self) -> Result<()> {
        self.record("do_setup", None, self.inner.do_setup()).await
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        self.record("check_for_setup_error", None, self.inner.check_for_setup_error()).await
    }

    async fn backup(
        &self,
        context: &RequestContext,
        backup: &Backup,
        parent: Option<&Backup>,
        device: &dyn Device,
        control: Arc<dyn BackupControl>,
    ) -> Result<BackupUpdate> {
        let call = self.inner.backup(context, backup, parent, device, control);
        self.record("backup", Some(backup), call).await
    }

    async fn restore(
        &self,
        context: &RequestContext,
        chain: &[Backup],
        device: &dyn Device,
        volume_is_new: bool,
        control: Arc<dyn RestoreControl>,
    ) -> Result<()> {
        let call = self.inner.restore(context, chain, device, volume_is_new, control);
        self.record("restore", chain.last(), call).await
    }

    async fn delete_backup(&self, context: &RequestContext, backup: &Backup) -> Result<()> {
        self.record("delete_backup", Some(backup), self.inner.delete_backup(context, backup)).await
    }

    fn export_record(&self, backup: &Backup) -> Result<Map<String, Value>> {
        self.inner.export_record(backup)
    }

    fn import_record(&self, backup: &Backup, driver_info: &Map<String, Value>) -> Result<()> {
        self.inner.import_record(backup, driver_info)
    }

    async fn verify(&self, context: &RequestContext, backup: &Backup, object_count: u64) -> Result<()> {
        self.record("verify", Some(backup), self.inner.verify(context, backup, object_count)).await
    }
}
