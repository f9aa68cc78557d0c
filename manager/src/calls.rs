//! The manager's side of calls: work whose caller waits, and the way of its answer.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::bus::{Backoff, Cast};
use crate::operation::Manager;
use crate::{Error, Result};

/// Answers a call, unless that takes so long (`rpc_response_timeout`) that nobody waits any more. The answer is sent
/// again until the caller's queue is there: a broker that restarts forgets it, and the caller declares it again.
pub(crate) async fn answer(manager: &Manager, call: &Cast, method: &str, work: impl Future<Output = Result<Value>>) {
    let Some(to) = &call.reply_to else {
        tracing::error!("{method} of backup {} is dropped: it is a call, and nobody waits for it", call.backup_id);
        return;
    };
    let limit = Duration::from_secs(manager.options.rpc_response_timeout);
    let mut last: Option<Error> = None;
    let answered = timeout(limit, async {
        let answer = work.await.map_err(|error| error.during(method));
        if let Err(error) = &answer {
            tracing::error!("{method} of backup {} failed: {error}", call.backup_id);
        }
        let mut backoff = Backoff::default();
        while let Err(error) = manager.bus.reply(to, &answer).await {
            last = Some(error);
            sleep(backoff.failed()).await;
        }
    });
    if answered.await.is_err() {
        let why = last.map(|error| format!(": {error}")).unwrap_or_default();
        tracing::warn!("{method} of backup {} is given up, nobody waits for it any more{why}", call.backup_id);
    }
}
