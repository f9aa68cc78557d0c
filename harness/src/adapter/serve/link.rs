//! Lines to and from the harness: requests in one queue, answers to our questions to whoever asked.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::sync::{Arc, Mutex};

use clinker_drivers::{Error, Kind, Result};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use crate::adapter::message::{Event, Failed, Question};

/// The adapter's side of the pipes.
#[derive(Default)]
pub(super) struct Link {
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    last: u64,
    /// The harness has gone away: nobody answers any more.
    over: bool,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Value>>>,
}

impl Link {
    /// Reads standard input from now on; the queue ends with it.
    pub fn open() -> (Arc<Link>, UnboundedReceiver<Value>) {
        let link = Arc::new(Link::default());
        let (to, requests) = unbounded_channel();
        let reader = Arc::clone(&link);
        let read = move || {
            for line in std::io::stdin().lock().lines() {
                // A harness that sends what is no JSON is not one: there is nobody to tell.
                let Some(message) = line.ok().and_then(|line| serde_json::from_str::<Value>(&line).ok()) else { break };
                match message["answer"].as_u64() {
                    Some(ask) => reader.answered(ask, message),
                    None => drop(to.send(message)),
                }
            }
            reader.end();
        };
        std::thread::Builder::new().name("requests".to_owned()).spawn(read).expect("a thread can be started");
        (link, requests)
    }

    /// Writes a line.
    pub fn say(&self, message: &Value) {
        let mut out = std::io::stdout().lock();
        // A harness that has gone away ends the input as well.
        let _ = writeln!(out, "{message}").and_then(|()| out.flush());
    }

    pub fn tell(&self, event: &Event) {
        self.say(&json!(event));
    }

    pub async fn ask(&self, question: &Question) -> Result<Value> {
        let (to, answer) = oneshot::channel();
        let ask = {
            let mut asked = self.asked.lock().expect("no panic while the lock is held");
            asked.last += 1;
            let ask = asked.last;
            match asked.over {
                true => drop(to),
                false => drop(asked.waiting.insert(ask, to)),
            }
            ask
        };
        let mut line = json!(question);
        line["ask"] = ask.into();
        self.say(&line);
        let gone = || Err(Error::new(Kind::Internal, "the harness has gone away"));
        answer.await.unwrap_or_else(|_| gone())
    }

    /// Whoever waits for an answer waits no more.
    fn end(&self) {
        let mut asked = self.asked.lock().expect("no panic while the lock is held");
        asked.over = true;
        asked.waiting.clear();
    }

    fn answered(&self, ask: u64, mut message: Value) {
        let to = self.asked.lock().expect("no panic while the lock is held").waiting.remove(&ask);
        let answer = match message.get_mut("error") {
            Some(error) => {
                Err(serde_json::from_value::<Failed>(error.take()).map(Error::from).unwrap_or_else(|error| {
                    Error::new(Kind::Internal, "the harness answered with a wrong error").with_source(error)
                }))
            }
            None => Ok(message["value"].take()),
        };
        // An answer that nobody waits for any more.
        let _ = to.map(|to| to.send(answer));
    }
}
