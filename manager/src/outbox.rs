//! Delivery of the outbox (D5): this process's own publisher, in order, at least once, until the bus has taken it.

use clinker_env::Env;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::Result;
use crate::bus::{Backoff, Bus};
use crate::db::{Call, Db, Queued, ask};

/// Rows fetched at once.
const BATCH: u32 = 50;

/// Delivers what host `host` emits, for ever; `published` wakes it.
pub(crate) async fn deliver(db: &dyn Db, bus: &dyn Bus, env: &Env, host: &str, published: &Notify) {
    let publisher_id = format!("backup.{host}");
    let mut backoff = Backoff::default();
    loop {
        match drain(db, bus, env, &publisher_id, &mut backoff).await {
            Ok(()) => published.notified().await,
            Err(error) => {
                tracing::warn!("notifications wait: {error}");
                sleep(backoff.failed()).await;
            }
        }
    }
}

/// Delivers what is there, then returns.
async fn drain(db: &dyn Db, bus: &dyn Bus, env: &Env, publisher_id: &str, backoff: &mut Backoff) -> Result<()> {
    loop {
        let fetch = Call::OutboxFetch { publisher_id: publisher_id.to_owned(), limit: BATCH };
        let rows: Vec<Queued> = ask(db, fetch).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            bus.notify(&envelope(env, row.message)).await?;
            backoff.succeeded();
            db.call(Call::OutboxDelivered { publisher_id: publisher_id.to_owned(), up_to: row.seq }).await?;
        }
    }
}

/// Each delivery has a `_unique_id` of its own; the `message_id` stays.
fn envelope(env: &Env, mut message: Value) -> Value {
    message["_unique_id"] = json!(env.rng.uuid().replace('-', ""));
    message
}
