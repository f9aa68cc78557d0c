//! The life of a process: its software, from start to end, and how it ended.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use crate::panics::capture;
use crate::world::{BoxError, WorldError};

/// Hosts whose software has ended since somebody looked, and how.
pub(crate) type Ended = Arc<Mutex<Vec<(String, Result<(), WorldError>)>>>;

/// Runs software to its end, reports how it ended, and then waits to be cleared away.
pub(crate) async fn supervise(host: Arc<str>, process: impl Future<Output = Result<(), BoxError>>, ended: Ended) {
    let mut process = pin!(process);
    let result = poll_fn(|cx| match capture(|| process.as_mut().poll(cx)) {
        Ok(poll) => poll.map(|result| {
            result.map_err(|error| WorldError::Software { host: host.to_string(), reason: error.to_string() })
        }),
        Err(caught) => Poll::Ready(Err(WorldError::Panic { host: host.to_string(), message: caught.message })),
    })
    .await;
    ended.lock().expect("no panic while the lock is held").push((host.to_string(), result));
    pending::<()>().await;
}
