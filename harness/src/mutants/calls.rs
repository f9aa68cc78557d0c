//! Mutants of calls over the message bus.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::Result;
use clinker_manager::bus::{Bus, Cast, Consumer, ReplyTo};
use serde_json::Value;

use crate::run::{Parts, wrap};

/// A client that does not know `rpc_response_timeout`.
pub(super) fn outlives_its_limit(parts: &mut Parts) {
    parts.bus = wrap(|inner| Arc::new(Wrong { inner, patience: 10, answers: None }));
}

/// A client that does not look at `_msg_id`.
pub(super) fn answer_of_another_call(parts: &mut Parts) {
    parts.bus = wrap(|inner| Arc::new(Wrong { inner, patience: 1, answers: Some(Mutex::default()) }));
}

struct Wrong {
    inner: Arc<dyn Bus>,
    /// How many times its time-out a call is waited for.
    patience: u32,
    /// Answers that are given to the next who asks.
    answers: Option<Mutex<VecDeque<Value>>>,
}

#[async_trait]
impl Bus for Wrong {
    async fn cast(&self, host: &str, cast: &Cast) -> Result<()> {
        self.inner.cast(host, cast).await
    }
    async fn call(&self, host: &str, call: &Cast, limit: Duration) -> Result<Value> {
        let answer = self.inner.call(host, call, limit * self.patience).await?;
        let Some(answers) = &self.answers else { return Ok(answer) };
        let mut answers = answers.lock().expect("no panic while the lock is held");
        answers.push_back(answer.clone());
        // The first call leaves its answer behind.
        Ok(if answers.len() > 1 { answers.pop_front().unwrap_or(answer) } else { answer })
    }
    async fn reply(&self, to: &ReplyTo, answer: &Result<Value>) -> Result<()> {
        self.inner.reply(to, answer).await
    }
    async fn consume(&self, host: &str) -> Result<Box<dyn Consumer>> {
        self.inner.consume(host).await
    }
    async fn notify(&self, message: &Value) -> Result<()> {
        self.inner.notify(message).await
    }
}
