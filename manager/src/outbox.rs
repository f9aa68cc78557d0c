//! Delivery of the outbox (D5): this process's own publisher, in order, at least once, until the bus has taken it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::Result;
use crate::bus::Bus;
use crate::db::{Call, Db, Queued, ask};
use crate::operation::Manager;

/// Rows fetched at once.
const BATCH: u32 = 50;
/// Pause after a failed delivery.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers for ever.
pub(crate) async fn deliver(manager: Arc<Manager>) {
    let publisher_id = format!("backup.{}", manager.options.host);
    loop {
        match drain(manager.db.as_ref(), manager.bus.as_ref(), &manager.env, &publisher_id).await {
            Ok(()) => manager.published.notified().await,
            Err(error) => {
                tracing::warn!("notifications wait: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Delivers what is there, then returns.
pub(crate) async fn drain(db: &dyn Db, bus: &dyn Bus, env: &clinker_env::Env, publisher_id: &str) -> Result<()> {
    loop {
        let fetch = Call::OutboxFetch { publisher_id: publisher_id.to_owned(), limit: BATCH };
        let rows: Vec<Queued> = ask(db, fetch).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            bus.notify(&envelope(env, row.message)).await?;
            db.call(Call::OutboxDelivered { publisher_id: publisher_id.to_owned(), up_to: row.seq }).await?;
        }
    }
}

/// Each delivery has a `_unique_id` of its own; the `message_id` stays.
fn envelope(env: &clinker_env::Env, mut message: Value) -> Value {
    message["_unique_id"] = json!(env.rng.uuid().replace('-', ""));
    message
}
