//! The record of RPC calls: who asked what and what he was told, and what managers answered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::Result;
use clinker_manager::bus::{Bus, Cast, Consumer, ReplyTo};
use clinker_model::history::Phase;
use clinker_model::{Entry, Journal};
use clinker_world::SimJournal;
use serde_json::Value;

use super::ports::failure;

/// Records each call with its end, and each answer as it goes out. A call that its caller gave up ends as `info`.
pub(super) struct RecordedBus {
    pub inner: Arc<dyn Bus>,
    pub journal: Arc<SimJournal>,
    pub host: String,
}

#[async_trait]
impl Bus for RecordedBus {
    async fn cast(&self, host: &str, cast: &Cast) -> Result<()> {
        self.inner.cast(host, cast).await
    }

    async fn call(&self, host: &str, call: &Cast, limit: Duration) -> Result<Value> {
        let mut under_way = UnderWay { bus: self, call, to: host, ended: false };
        under_way.note(Phase::Invoke, None);
        let answer = self.inner.call(host, call, limit).await;
        under_way.ended = true;
        under_way.note(if answer.is_ok() { Phase::Ok } else { Phase::Fail }, Some(&answer));
        answer
    }

    async fn reply(&self, to: &ReplyTo, answer: &Result<Value>) -> Result<()> {
        let (value, failure) = (answer.as_ref().ok().cloned(), answer.as_ref().err().map(failure));
        let entry = Entry::Answer { call: to.call.clone(), value: value.unwrap_or_default(), failure };
        self.journal.record(&self.host, entry);
        self.inner.reply(to, answer).await
    }

    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>> {
        self.inner.consume(host).await
    }

    async fn notify(&self, message: &Value) -> Result<()> {
        self.inner.notify(message).await
    }
}

struct UnderWay<'a> {
    bus: &'a RecordedBus,
    call: &'a Cast,
    to: &'a str,
    ended: bool,
}

impl UnderWay<'_> {
    fn note(&self, phase: Phase, answer: Option<&Result<Value>>) {
        let (value, failure) = match answer {
            Some(Ok(value)) => (value.clone(), None),
            Some(Err(error)) => (Value::Null, Some(failure(error))),
            None => (Value::Null, None),
        };
        let (call, to) = (self.call.id.clone(), self.to.to_owned());
        self.bus.journal.record(&self.bus.host, Entry::Call { phase, call, to, value, failure });
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.note(Phase::Info, None);
        }
    }
}
