//! What the harness knows of a running adapter: the request under way, what it has told, and why it ended.

use std::collections::BTreeSet;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};

use clinker_drivers::Error;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Map, Value};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::{AdapterFailure, How};
use super::message::{Event, Failed, FromAdapter, MESSAGE_BYTES_MAX, MESSAGES_MAX, Question, answer_line};

/// A notification that the adapter forwarded.
#[derive(Clone, Debug)]
pub struct Noted {
    pub backup: String,
    pub event_type: String,
    pub payload: Map<String, Value>,
    /// Told while no `backup` request of that backup was under way.
    pub late: bool,
}

/// What reaches the request that is under way.
pub(super) enum Incoming {
    Answer(Result<Value, Failed>),
    Ask(u64, Question),
    Event(Event),
}

/// The request under way.
pub(super) struct Current {
    pub id: u64,
    pub op: &'static str,
    /// The backup that it makes or restores.
    pub about: Option<String>,
    pub to: UnboundedSender<Incoming>,
    /// Lets the next request begin when this one is answered, whoever waits for it.
    pub turn: OwnedSemaphorePermit,
}

#[derive(Default)]
struct State {
    requests: u64,
    current: Option<Current>,
    notes: Vec<Noted>,
    /// Numbers of questions.
    asked: BTreeSet<u64>,
    /// Questions and events since the last request began, and their bytes.
    messages: (u64, u64),
    failure: Option<AdapterFailure>,
    /// The process has been waited for: its group's number may be another's.
    reaped: bool,
    to_adapter: Option<Sender<String>>,
}

/// Shared by the handle and the thread that reads the adapter's lines.
pub(super) struct Shared {
    state: Mutex<State>,
    pub turn: Arc<Semaphore>,
    group: Pid,
}

impl Shared {
    pub fn new(group: Pid, to_adapter: Sender<String>) -> Shared {
        let state = State { to_adapter: Some(to_adapter), ..State::default() };
        Shared { state: Mutex::new(state), turn: Arc::new(Semaphore::new(1)), group }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }

    /// Makes a request the one under way and sends its line.
    pub fn begin(&self, line: impl FnOnce(u64) -> String, current: impl FnOnce(u64) -> Current) {
        let mut state = self.state();
        state.requests += 1;
        state.messages = (0, 0);
        let id = state.requests;
        state.current = Some(current(id));
        state.send(line(id));
    }

    /// What the request under way is called.
    pub fn busy_with(&self) -> Option<&'static str> {
        self.state().current.as_ref().map(|current| current.op)
    }

    pub fn answer(&self, ask: u64, value: Result<Value, &Error>) {
        self.state().send(answer_line(ask, value));
    }

    pub fn failure(&self) -> Option<AdapterFailure> {
        self.state().failure.clone()
    }

    pub fn notes(&self) -> Vec<Noted> {
        self.state().notes.clone()
    }

    pub fn forget_notes(&self) {
        self.state().notes.clear();
    }

    /// Ends the process and all others of its group. The first reason counts.
    pub fn end(&self, failure: AdapterFailure) {
        let mut state = self.state();
        state.failure.get_or_insert(failure);
        state.current = None;
        state.to_adapter = None;
        self.turn.close();
        self.kill(&state);
    }

    fn kill(&self, state: &State) {
        if !state.reaped {
            // Fails only when nothing of the group is left.
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }

    /// The process has been waited for. What is left of its group has been ended before.
    pub fn reaped(&self) {
        self.state().reaped = true;
    }

    pub fn is_reaped(&self) -> bool {
        self.state().reaped
    }

    /// Acts on a line of the adapter, of so many bytes.
    pub fn take(&self, message: FromAdapter, len: usize) -> Result<(), AdapterFailure> {
        let mut state = self.state();
        let wrong = |what: String| Err(AdapterFailure::new(How::Protocol, what));
        if state.is_flooded(&message, len) {
            return wrong(format!(
                "sent more than {MESSAGES_MAX} questions and events, or {MESSAGE_BYTES_MAX} bytes of them, in one request"
            ));
        }
        match message {
            FromAdapter::Answer(id, result) => return state.answered(id, result),
            FromAdapter::Ask(ask, question) => match state.asked(ask, question) {
                Ok(()) => {}
                Err(what) => return wrong(what),
            },
            FromAdapter::Event(event) => state.told(event),
        }
        Ok(())
    }
}

impl State {
    fn send(&self, line: String) {
        // The thread that writes has ended: its reader has closed, and that is told as the adapter's end.
        let _ = self.to_adapter.as_ref().map(|to| to.send(line));
    }

    /// Counts what is kept until somebody asks for it.
    fn is_flooded(&mut self, message: &FromAdapter, len: usize) -> bool {
        if !matches!(message, FromAdapter::Answer(..)) {
            self.messages = (self.messages.0 + 1, self.messages.1 + len as u64);
        }
        self.messages.0 > MESSAGES_MAX || self.messages.1 > MESSAGE_BYTES_MAX
    }

    /// Hands a question on; an error says what is wrong with it.
    fn asked(&mut self, ask: u64, question: Question) -> Result<(), String> {
        let Some(current) = &self.current else { return Err(format!("asked {question:?} without a request")) };
        if !self.asked.insert(ask) {
            return Err(format!("asked {question:?} under the number {ask} of an earlier question"));
        }
        match &current.about {
            Some(about) if about != question.backup() => {
                return Err(format!("asked {question:?} during the {} of backup {about}", current.op));
            }
            _ => {}
        }
        // Whoever made the request has gone away: it is to end soon.
        if current.to.send(Incoming::Ask(ask, question)).is_err() {
            self.send(answer_line(ask, Ok(Value::Bool(true))));
        }
        Ok(())
    }

    fn answered(&mut self, id: u64, result: Result<Value, Failed>) -> Result<(), AdapterFailure> {
        // The request stays under way until the failure is known: whoever waits for it is to hear of that.
        let wrong = match &self.current {
            Some(current) if current.id == id => None,
            Some(current) => Some(format!("answered request {id} while {} ({}) was under way", current.id, current.op)),
            None => Some(format!("answered request {id}, which nobody has made")),
        };
        if let Some(what) = wrong {
            return Err(AdapterFailure::new(How::Protocol, what));
        }
        if let Some(current) = self.current.take() {
            // Whoever made the request may have gone away.
            let _ = current.to.send(Incoming::Answer(result));
            drop(current.turn);
        }
        Ok(())
    }

    fn told(&mut self, event: Event) {
        let backup_under_way = self.current.as_ref().filter(|current| current.op == "backup");
        let makes = backup_under_way.and_then(|current| current.about.as_deref());
        let late = match &event {
            Event::Notification { backup, event_type, payload } => {
                let late = makes != Some(backup);
                let (backup, event_type, payload) = (backup.clone(), event_type.clone(), payload.clone());
                self.notes.push(Noted { backup, event_type, payload, late });
                late
            }
            Event::Warning { .. } => false,
            Event::Log { level, text } => return tracing::info!(level, "adapter: {text}"),
        };
        if let (Some(current), false) = (&self.current, late) {
            // As above.
            let _ = current.to.send(Incoming::Event(event));
        }
    }
}
