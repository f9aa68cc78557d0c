//! Calls of the message bus and of the database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::{Error, Kind, Result};
use clinker_manager::bus::{Bus, Cast, Consumer, Method, ReplyTo};
use clinker_manager::db::{Begin, Call, Db};
use serde_json::{Value, json};

use super::{Hit, How, LATE, Twist};
use crate::run::Parts;

pub(super) fn plant(twist: Twist, parts: &mut Parts) {
    plant_altering(twist, altered, parts);
}

/// As [`plant`], with what becomes of a notification that is altered.
pub(super) fn plant_altering(twist: Twist, alter: fn(&Value) -> Value, parts: &mut Parts) {
    let (hit, before) = (Arc::new(Hit::new(twist)), Arc::clone(&parts.bus));
    parts.bus = Arc::new(move |inner| Arc::new(Twisted { inner: before(inner), alter, hit: Arc::clone(&hit) }));
}

pub(super) fn plant_in_db(twist: Twist, parts: &mut Parts) {
    let (hit, before) = (Arc::new(Hit::new(twist)), Arc::clone(&parts.db));
    parts.db = Arc::new(move |inner| Arc::new(TwistedDb { inner: before(inner), hit: Arc::clone(&hit) }));
}

struct Twisted {
    inner: Arc<dyn Bus>,
    alter: fn(&Value) -> Value,
    hit: Arc<Hit>,
}

/// Another priority, and a payload without its first field.
fn altered(message: &Value) -> Value {
    let mut message = message.clone();
    message["priority"] = json!("WARN");
    if let Some(payload) = message.get_mut("payload").and_then(Value::as_object_mut)
        && let Some(first) = payload.keys().next().cloned()
    {
        payload.shift_remove(&first);
    }
    message
}

#[async_trait]
impl Bus for Twisted {
    async fn cast(&self, host: &str, cast: &Cast) -> Result<()> {
        let record = cast.method == Method::ImportRecord;
        let how = record.then(|| self.hit.strikes("bus.cast_record")).flatten();
        match how.or_else(|| self.hit.strikes("bus.cast")) {
            Some(How::Drop) => return Ok(()),
            Some(_) => {
                let again = Cast { id: format!("{}-again", cast.id), ..cast.clone() };
                self.inner.cast(host, &again).await?;
            }
            None => {}
        }
        self.inner.cast(host, cast).await
    }
    async fn call(&self, host: &str, call: &Cast, limit: Duration) -> Result<Value> {
        self.inner.call(host, call, limit).await
    }
    async fn reply(&self, to: &ReplyTo, answer: &Result<Value>) -> Result<()> {
        self.inner.reply(to, answer).await
    }
    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>> {
        self.inner.consume(host).await
    }
    async fn notify(&self, message: &Value) -> Result<()> {
        match self.hit.strikes("bus.notify") {
            Some(How::Drop) => return Ok(()),
            Some(How::Alter) => return self.inner.notify(&(self.alter)(message)).await,
            Some(How::Swallow) => {
                drop(self.inner.notify(message).await);
                return Ok(());
            }
            Some(How::Repeat) => self.inner.notify(message).await?,
            _ => {}
        }
        self.inner.notify(message).await
    }
}

/// A driver that works whether it does or not; a percentage beyond 100.
fn told_otherwise(call: Call) -> Call {
    match call {
        Call::OpBegin(begin) => Call::OpBegin(Begin { working: true, ..begin }),
        Call::OpProgress { backup_id, host, event_type, percent } => {
            Call::OpProgress { backup_id, host, event_type, percent: percent + 100.0 }
        }
        other => other,
    }
}

struct TwistedDb {
    inner: Arc<dyn Db>,
    hit: Arc<Hit>,
}

#[async_trait]
impl Db for TwistedDb {
    fn new_key(&self) -> String {
        self.inner.new_key()
    }
    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        match self.hit.strikes(&format!("db.{}", call.name())) {
            Some(How::Refuse) => return Err(Error::new(Kind::Internal, super::PLANTED)),
            Some(How::Delay) => tokio::time::sleep(LATE).await,
            Some(How::Repeat) => {
                self.inner.call(call.clone()).await?;
            }
            Some(How::Alter) => return self.inner.call_as(key, told_otherwise(call)).await,
            _ => {}
        }
        self.inner.call_as(key, call).await
    }
}
