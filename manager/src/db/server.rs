//! The database's side of the wire: one request line, one answer line.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clinker_env::{BoxStream, Env};
use serde_json::Value;

use super::sqlite::Store;
use super::{Answer, Request};
use crate::wire::Lines;
use crate::{Error, Kind, Result};

/// Where the database listens.
pub const PORT: u16 = 3306;

/// What carries the calls out.
#[async_trait]
pub trait Executor: Send + Sync {
    /// A process that serves it starts.
    fn boot(&self) -> Result<()>;

    async fn apply(&self, request: Request) -> Result<Value>;
}

#[async_trait]
impl Executor for Mutex<Store> {
    fn boot(&self) -> Result<()> {
        self.lock().expect("no call panics").boot()
    }

    async fn apply(&self, request: Request) -> Result<Value> {
        self.lock().expect("no call panics").apply(request)
    }
}

/// Serves the store until the host ends. A new boot of the store's clock begins here.
pub async fn serve(store: Arc<dyn Executor>, env: Env) -> Result<()> {
    store.boot()?;
    let mut listener = env.net.listen(PORT).await.map_err(|error| {
        Error::new(Kind::Unreachable, format!("the database cannot listen on port {PORT}")).with_source(error)
    })?;
    loop {
        match listener.accept().await {
            Ok(stream) => {
                env.tasks.spawn(answer_all(Arc::clone(&store), stream));
            }
            Err(error) => tracing::warn!("database: accept failed: {}", error.kind()),
        }
    }
}

async fn answer_all(store: Arc<dyn Executor>, stream: BoxStream) {
    let mut lines = Lines::over(stream, "database client");
    while let Ok(Some(request)) = lines.receive::<Request>().await {
        let answer = match store.apply(request).await {
            Ok(value) => Answer::Ok(value),
            Err(error) => Answer::Err(error.into()),
        };
        if lines.send(&answer).await.is_err() {
            // The client repeats the call with the same key.
            return;
        }
    }
}
