//! The service's side of the wire: connections are reused, a lost answer is asked for again under the same key.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use clinker_env::Env;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::server::PORT;
use super::{Answer, Call, Db, Request};
use crate::model::Stamp;
use crate::wire::Lines;
use crate::{Error, Kind, Result};

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries before the call fails: about a minute of a mute database, a few seconds of a refusing one.
const TRIES: u32 = 6;

/// A client of the database on host `host`.
pub struct DbClient {
    env: Env,
    host: String,
    idle: Mutex<Vec<Lines>>,
}

impl DbClient {
    pub fn new(env: Env, host: &str) -> DbClient {
        DbClient { env, host: host.to_owned(), idle: Mutex::new(Vec::new()) }
    }

    async fn once(&self, request: &Request) -> Result<Answer> {
        let idle = self.idle.lock().expect("no panic while the lock is held").pop();
        let mut lines = match idle {
            Some(lines) => lines,
            None => Lines::connect(&self.env, &self.host, PORT, "database").await?,
        };
        let answer = lines.ask(request).await?;
        self.idle.lock().expect("no panic while the lock is held").push(lines);
        Ok(answer)
    }
}

#[async_trait]
impl Db for DbClient {
    fn new_key(&self) -> String {
        self.env.rng.uuid()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        let name = call.name();
        let request = Request { key: key.to_owned(), now: Stamp(self.env.clock.now()), call };
        let mut last = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(PAUSE).await;
            }
            match timeout(TRY_TIMEOUT, self.once(&request)).await {
                Ok(Ok(Answer::Ok(value))) => return Ok(value),
                Ok(Ok(Answer::Err(error))) => return Err(error.into()),
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(Error::transient(Kind::Timeout, "database did not answer within 10s")),
            }
            // What broke one connection has broken those that were idle meanwhile: the next try takes a fresh one.
            self.idle.lock().expect("no panic while the lock is held").clear();
        }
        Err(last.expect("at least one try").during(name))
    }
}
