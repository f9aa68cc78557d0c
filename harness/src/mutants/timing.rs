//! Mutants of the timing rules: each breaks one rule of `docs/timing.md` and leaves the others whole.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::decisions::{EngineDecisions, Production as ProductionEngine};
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::{Backup, RequestContext, Result};
use clinker_env::{BoxStream, Clock, Env, Listener, Net};
use clinker_manager::db::{Call, Db};
use clinker_manager::lifecycle::{Ended, Lifecycle, Next, Production, Timing};
use clinker_manager::state::Ages;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::sleep;

use crate::run::{Parts, wrap, wrap_env};

/// A lifecycle whose one decision is wrong.
macro_rules! lifecycle_bug {
    ($(#[$doc:meta])* $name:ident, next($timing:ident, $ended:ident) $next:expr, cut_off($limit:ident) $cut_off:expr) => {
        $(#[$doc])*
        pub(super) fn $name(parts: &mut Parts) {
            struct Bug;
            impl Lifecycle for Bug {
                fn next(&self, $timing: &Timing, $ended: Ended) -> Next {
                    $next
                }
                fn cut_off(&self, $limit: &Timing) -> Duration {
                    $cut_off
                }
            }
            parts.lifecycle = Arc::new(Bug);
        }
    };
}

lifecycle_bug!(
    /// The next health check is counted from the end of the last one.
    polling_from_the_end,
    next(timing, ended) Production.next(timing, if ended.ok { Ended { started: ended.ended, ..ended } } else { ended }),
    cut_off(timing) timing.cut_off
);

lifecycle_bug!(
    /// The original: attempts have no time limit.
    no_cut_off,
    next(timing, ended) Production.next(timing, ended),
    cut_off(_timing) Duration::from_secs(86_400)
);

lifecycle_bug!(
    /// Attempts get a second more than configured.
    cut_off_too_late,
    next(timing, ended) Production.next(timing, ended),
    cut_off(timing) timing.cut_off + Duration::from_secs(1)
);

/// What a wrong way to the database does with a call.
enum Fate {
    Late(Duration),
    /// It is never made; the service takes it for done.
    Dropped,
}

struct WrongWay {
    inner: Arc<dyn Db>,
    fate: fn(&Call) -> Option<Fate>,
}

#[async_trait]
impl Db for WrongWay {
    fn new_key(&self) -> String {
        self.inner.new_key()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        match (self.fate)(&call) {
            Some(Fate::Dropped) => return Ok(Value::Null),
            Some(Fate::Late(by)) => sleep(by).await,
            None => {}
        }
        self.inner.call_as(key, call).await
    }
}

/// The original: nothing tells of a failure but the heartbeats that stay away.
pub(super) fn down_by_staleness_only(parts: &mut Parts) {
    fn fate(call: &Call) -> Option<Fate> {
        let failure = matches!(call, Call::ServiceAttempt { attempt, .. } if attempt.error.is_some());
        failure.then_some(Fate::Dropped)
    }
    parts.db = wrap(|inner| Arc::new(WrongWay { inner, fate }));
}

/// The original: a success shows with the next heartbeat of a grid that it knows nothing of.
pub(super) fn success_told_with_the_next_heartbeat(parts: &mut Parts) {
    fn fate(call: &Call) -> Option<Fate> {
        let success = matches!(call, Call::ServiceAttempt { attempt, .. } if attempt.error.is_none());
        success.then_some(Fate::Late(Duration::from_secs(7)))
    }
    parts.db = wrap(|inner| Arc::new(WrongWay { inner, fate }));
}

/// Heartbeats take turns with something slow.
pub(super) fn heartbeats_late(parts: &mut Parts) {
    fn fate(call: &Call) -> Option<Fate> {
        matches!(call, Call::ServiceHeartbeat { .. }).then_some(Fate::Late(Duration::from_millis(1_500)))
    }
    parts.db = wrap(|inner| Arc::new(WrongWay { inner, fate }));
}

pub(super) fn registration_late(parts: &mut Parts) {
    fn fate(call: &Call) -> Option<Fate> {
        matches!(call, Call::ServiceRegister { .. }).then_some(Fate::Late(Duration::from_secs(5)))
    }
    parts.db = wrap(|inner| Arc::new(WrongWay { inner, fate }));
}

/// Clean-up waits as long as a periodic task would.
pub(super) fn clean_up_late(parts: &mut Parts) {
    fn fate(call: &Call) -> Option<Fate> {
        matches!(call, Call::CleanupOne { .. }).then_some(Fate::Late(Duration::from_secs(10)))
    }
    parts.db = wrap(|inner| Arc::new(WrongWay { inner, fate }));
}

/// A worker's processes cannot be told apart: whatever one sent counts for the next.
pub(super) fn the_dead_are_heard(parts: &mut Parts) {
    parts.db = wrap(|inner| Arc::new(Nameless(inner)));
}

struct Nameless(Arc<dyn Db>);

#[async_trait]
impl Db for Nameless {
    fn new_key(&self) -> String {
        self.0.new_key()
    }

    async fn call_as(&self, key: &str, mut call: Call) -> Result<Value> {
        if let Call::ServiceRegister { process, .. }
        | Call::ServiceAttempt { process, .. }
        | Call::ServiceHeartbeat { process, .. } = &mut call
        {
            process.clear();
        }
        self.0.call_as(key, call).await
    }
}

/// Ages are differences of wall-clock times, as in the original.
pub(super) fn ages_by_wall_clock(parts: &mut Parts) {
    struct Bug;
    impl Ages for Bug {
        fn now(&self, _monotonic: u64, wall: &dyn Clock) -> u64 {
            u64::try_from(wall.now().as_nanosecond()).unwrap_or(0)
        }
    }
    parts.ages = Arc::new(Bug);
}

/// Names that once could not be reached are never tried again by this process.
pub(super) fn refusal_remembered(parts: &mut Parts) {
    parts.env =
        wrap_env(|env| Env { net: Arc::new(Grudge { inner: Arc::clone(&env.net), refused: Mutex::default() }), ..env });
}

struct Grudge {
    inner: Arc<dyn Net>,
    refused: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Net for Grudge {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        if self.refused.lock().expect("no panic while the lock is held").contains(host) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let connected = self.inner.connect(host, port).await;
        if connected.is_err() {
            self.refused.lock().expect("no panic while the lock is held").insert(host.to_owned());
        }
        connected
    }

    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        self.inner.listen(port).await
    }
}

/// A driver that worked once says so ever after, without asking its store.
pub(super) fn check_answered_from_memory(parts: &mut Parts) {
    parts.store = wrap(|inner| Arc::new(Remembers { inner, worked: AtomicBool::new(false) }));
}

struct Remembers {
    inner: Arc<dyn ChunkStore>,
    worked: AtomicBool,
}

#[async_trait]
impl ChunkStore for Remembers {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }
    fn host_bound(&self) -> bool {
        self.inner.host_bound()
    }
    fn check_options(&self) -> Result<()> {
        self.inner.check_options()
    }
    async fn check_for_setup_error(&self) -> Result<()> {
        if !self.worked.load(Ordering::Relaxed) {
            self.inner.check_for_setup_error().await?;
            self.worked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
    fn container_for(&self, backup: &Backup) -> Result<String> {
        self.inner.container_for(backup)
    }
    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        self.inner.object_prefix(backup, now)
    }
    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()> {
        self.inner.put_container(context, container).await
    }
    async fn list(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        self.inner.list(context, container, prefix).await
    }
    async fn put(
        &self,
        context: &RequestContext,
        container: &str,
        name: &str,
        body: Bytes,
        md5: [u8; 16],
    ) -> Result<()> {
        self.inner.put(context, container, name, body, md5).await
    }
    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        self.inner.get(context, container, name).await
    }
    async fn delete(&self, context: &RequestContext, container: &str, name: &str) -> Result<()> {
        self.inner.delete(context, container, name).await
    }
    async fn discard_partial(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<()> {
        self.inner.discard_partial(context, container, prefix).await
    }
}

/// The end of an operation is written when somebody next looks for it.
pub(super) fn finish_late(parts: &mut Parts) {
    fn fate(call: &Call) -> Option<Fate> {
        matches!(call, Call::OpFinish(_)).then_some(Fate::Late(Duration::from_secs(700)))
    }
    parts.db = wrap(|inner| Arc::new(WrongWay { inner, fate }));
}

/// The progress timer's period is twice the configured one.
pub(super) fn timer_period_doubled(parts: &mut Parts) {
    struct Bug;
    impl EngineDecisions for Bug {
        fn timer_period(&self, configured: Duration) -> Duration {
            configured * 2
        }
    }
    parts.engine = Arc::new(Bug);
}

/// Counting notes starts with the second.
pub(super) fn first_count_note_left_out(parts: &mut Parts) {
    struct Bug;
    impl EngineDecisions for Bug {
        fn count_note_due(&self, chunks_done: u64, chunks_total: u64, every: u64) -> bool {
            chunks_done != every && ProductionEngine.count_note_due(chunks_done, chunks_total, every)
        }
    }
    parts.engine = Arc::new(Bug);
}
