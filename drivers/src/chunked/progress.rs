//! Progress notes of a running backup: when each is sent and which percentage it bears (D5).
//!
//! Two sources send: the data loop after every N-th chunk, and a timer task. They share one lock around sending and take
//! the percentage under it, so that notes never go backwards and none follows the last.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker_env::Tasks;
use tokio::sync::{Mutex as SendLock, Notify};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::decisions::EngineDecisions;
use crate::{BackupControl, Error, Kind, Result};

/// What stays below 100.0 until the metadata object is stored: the data alone are not yet a backup.
const UNFINISHED_MAX: f64 = 99.99;

/// How often a timer that fires lets other tasks run first, so that a count note of the same instant goes before it.
const YIELDS: u32 = 32;

/// How a backup is measured and how often it tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub device_len: u64,
    pub chunks_total: u64,
    /// Chunks per count note; 0 for none.
    pub every: u64,
    /// The timer's period, if there is a timer.
    pub timer: Option<Duration>,
}

pub(super) struct Progress {
    shared: Arc<Shared>,
    timer: Option<Timer>,
}

struct Shared {
    schedule: Schedule,
    control: Arc<dyn BackupControl>,
    decisions: Arc<dyn EngineDecisions>,
    done: Mutex<Done>,
    sending: SendLock<()>,
    stopped: AtomicBool,
    wake: Notify,
}

#[derive(Clone, Copy, Default)]
struct Done {
    processed: u64,
    chunks: u64,
}

/// The running timer task, which ends when this is dropped.
struct Timer(Option<JoinHandle<Result<()>>>);

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Progress {
    /// Begins: with a timer, its first note goes out before this returns.
    pub async fn start(
        schedule: Schedule,
        control: Arc<dyn BackupControl>,
        decisions: Arc<dyn EngineDecisions>,
        tasks: Tasks,
    ) -> Result<Progress> {
        let shared = Arc::new(Shared {
            schedule,
            control,
            decisions,
            done: Mutex::default(),
            sending: SendLock::default(),
            stopped: AtomicBool::new(false),
            wake: Notify::new(),
        });
        let Some(period) = schedule.timer.filter(|period| !period.is_zero()) else {
            return Ok(Progress { shared, timer: None });
        };
        let begun = Instant::now();
        shared.send().await?;
        let period = shared.decisions.timer_period(period);
        let task = tasks.spawn(run_timer(Arc::clone(&shared), begun, period));
        Ok(Progress { shared, timer: Some(Timer(Some(task))) })
    }

    /// Fails if a note of the timer could not be sent.
    pub async fn check(&mut self) -> Result<()> {
        match self.timer.take() {
            Some(timer) if timer.0.as_ref().is_some_and(JoinHandle::is_finished) => timer.join().await,
            running => {
                self.timer = running;
                Ok(())
            }
        }
    }

    /// Counts a chunk that is stored or found unchanged; `processed` is the volume's prefix up to its end, bytes.
    pub async fn chunk_done(&self, processed: u64) -> Result<()> {
        let Schedule { chunks_total, every, .. } = self.shared.schedule;
        let chunks = {
            let mut done = self.shared.done.lock().expect("no panic while the lock is held");
            done.processed = processed;
            done.chunks += 1;
            done.chunks
        };
        if self.shared.decisions.count_note_due(chunks, chunks_total, every) {
            let _one_at_a_time = self.shared.sending.lock().await;
            self.shared.send().await?;
        }
        Ok(())
    }

    /// Stops the timer, waits for its end, and sends the one note of 100.0.
    pub async fn finish(self) -> Result<()> {
        let Progress { shared, timer } = self;
        shared.stop();
        if let Some(timer) = timer {
            timer.join().await?;
        }
        shared.control.progress(100.0).await
    }

    /// Stops the timer of a backup that failed, and waits for its end.
    pub async fn abandon(self) {
        let Progress { shared, timer } = self;
        let Some(mut timer) = timer else { return };
        if shared.decisions.timer_stops_after_failure() {
            shared.stop();
            // The backup fails for its first reason; that the timer failed too adds nothing.
            let _ = timer.join().await;
        } else {
            drop(timer.0.take());
        }
    }
}

impl Timer {
    async fn join(mut self) -> Result<()> {
        let Some(task) = self.0.as_mut() else { return Ok(()) };
        let ended = task.await;
        self.0 = None;
        ended.unwrap_or_else(|panic| Err(Error::new(Kind::Internal, "the progress timer panicked").with_source(panic)))
    }
}

impl Shared {
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Sends what is done now. The caller holds `sending`, or is alone.
    async fn send(&self) -> Result<()> {
        let done = *self.done.lock().expect("no panic while the lock is held");
        let Schedule { device_len, chunks_total, .. } = self.schedule;
        let percent = self.decisions.percent(done.processed, device_len, done.chunks, chunks_total);
        self.control.progress(percent.min(UNFINISHED_MAX)).await
    }
}

async fn run_timer(shared: Arc<Shared>, begun: Instant, period: Duration) -> Result<()> {
    let mut ticks = interval_at(begun + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = shared.wake.notified() => return Ok(()),
            _ = ticks.tick() => {}
        }
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
        let _one_at_a_time = tokio::select! {
            biased;
            () = shared.wake.notified() => return Ok(()),
            guard = shared.sending.lock() => guard,
        };
        if shared.stopped.load(Ordering::SeqCst) {
            return Ok(());
        }
        shared.send().await?;
    }
}
