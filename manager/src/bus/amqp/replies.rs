//! The caller's side of calls: a queue of this process's own, and who waits for which answer in it.
//!
//! The queue is there from the first call on. When its connection breaks it is declared again under its name, so that
//! an answer that is tried again finds it, also after the broker has forgotten it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::super::Backoff;
use super::answer::{Answer, read};
use super::delivered::Delivered;
use super::topology::reply_queue;
use super::{Dialer, in_time};
use crate::{Error, Kind, Result};

/// Dropped, it listens no more.
pub(super) struct Replies {
    dialer: Arc<Dialer>,
    pub queue: String,
    waiting: Waiting,
    listening: Mutex<Option<(watch::Receiver<State>, AbortHandle)>>,
}

/// How the queue is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    /// Why it is not open.
    Away(String),
}

#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<BTreeMap<String, Waiter>>>);

struct Waiter {
    /// What came without being the end.
    result: Value,
    answer: oneshot::Sender<Result<Value>>,
}

/// One who waits; dropped, what is said to him is dropped too.
pub(super) struct Expected {
    waiting: Waiting,
    call: String,
    answer: oneshot::Receiver<Result<Value>>,
}

impl Replies {
    pub fn new(dialer: Arc<Dialer>) -> Replies {
        let rng = &dialer.env.rng;
        let queue = format!("reply_{:016x}{:016x}", rng.next_u64("amqp"), rng.next_u64("amqp"));
        Replies { dialer, queue, waiting: Waiting::default(), listening: Mutex::default() }
    }

    /// From here on an answer to this call is waited for.
    pub fn expect(&self, call: &str) -> Expected {
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().insert(call.to_owned(), Waiter { result: Value::Null, answer: sender });
        Expected { waiting: self.waiting.clone(), call: call.to_owned(), answer }
    }

    /// Waits until answers can come; `obstacle` says what is in the way.
    pub async fn ready(&self, obstacle: &mut Option<String>) {
        let mut state = self.listen();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Open => return,
                State::Away(why) => *obstacle = Some(why),
                State::Opening => {}
            }
            // Its sender ends with the listening only, which `self` keeps up.
            let _ = state.changed().await;
        }
    }

    fn listen(&self) -> watch::Receiver<State> {
        let mut listening = self.listening.lock().expect("no panic while the lock is held");
        let (state, _) = listening.get_or_insert_with(|| {
            let (sender, receiver) = watch::channel(State::Opening);
            let work = listen(Arc::clone(&self.dialer), self.queue.clone(), self.waiting.clone(), sender);
            (receiver, self.dialer.env.tasks.spawn(work).abort_handle())
        });
        state.clone()
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        if let Ok(Some((_, task))) = self.listening.get_mut() {
            task.abort();
        }
    }
}

impl Expected {
    pub async fn answer(&mut self) -> Result<Value> {
        let gone = |_| Err(Error::new(Kind::Internal, "nobody listens for the answer any more"));
        (&mut self.answer).await.unwrap_or_else(gone)
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.call);
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Waiter>> {
        self.0.lock().expect("no panic while the lock is held")
    }

    /// Hands an answer to whoever waits for it. Later ones to the same call find nobody.
    fn hand_over(&self, answer: Answer) {
        let Answer { call, result, ending } = answer;
        let mut waiting = self.lock();
        let Some(mut waiter) = waiting.remove(&call) else {
            tracing::info!("an answer is dropped: nobody waits for call {call} any more");
            return;
        };
        match result {
            Ok(Value::Null) => {}
            Ok(result) => waiter.result = result,
            Err(error) => {
                // A caller that has just given up does not miss it.
                let _ = waiter.answer.send(Err(error));
                return;
            }
        }
        if ending {
            let _ = waiter.answer.send(Ok(waiter.result));
        } else {
            waiting.insert(call, waiter);
        }
    }
}

/// Listens for ever.
async fn listen(dialer: Arc<Dialer>, queue: String, waiting: Waiting, state: watch::Sender<State>) {
    let mut backoff = Backoff::default();
    loop {
        let open = async { Delivered::from(dialer.connect().await?, vec![reply_queue(&queue)?], &[&queue]).await };
        let error = match in_time(open).await {
            Ok(delivered) => {
                backoff.succeeded();
                state.send_replace(State::Open);
                take_all(delivered, &waiting).await
            }
            Err(error) => error,
        };
        tracing::warn!("the reply queue is away: {error}");
        state.send_replace(State::Away(error.what));
        sleep(backoff.failed()).await;
    }
}

/// Takes answers until the connection breaks.
async fn take_all(mut delivered: Delivered, waiting: &Waiting) -> Error {
    loop {
        let taken = async {
            let (tag, body) = delivered.next().await?;
            match read(&body) {
                Ok(answer) => waiting.hand_over(answer),
                Err(error) => tracing::error!("a message in the reply queue is dropped: {error}"),
            }
            delivered.settle(tag).await
        };
        if let Err(error) = taken.await {
            return error;
        }
    }
}
