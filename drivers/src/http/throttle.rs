//! What a server gets that asks for fewer requests, or cannot answer them in time: none until it says, then one, and more as
//! long as it takes them.
//!
//! As TCP does after a loss (RFC 5681 §3.1): half of what was refused is the threshold up to which the number grows by one
//! with each answer; beyond it, by one with each round of answers. Until a server has refused one there is no limit.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::retry::DELAY_MAX;

/// Beyond that many at once there is no need of a limit.
const UNLIMITED: u64 = 1024;

#[derive(Default)]
pub(super) struct Throttle {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    running: u64,
    limit: Option<u64>,
    threshold: u64,
    /// Answers since the limit last grew.
    answers: u64,
    /// How often the limit was set: a request that began before says nothing of it.
    refusals: u64,
    resume_at: Option<Instant>,
    /// Who waits: whoever has timed out most often first, so that of a mute server it is soon known; else in the order in
    /// which they came, so that of a server's refusals everybody gets a share.
    waiting: BTreeSet<Turn>,
    came: u64,
}

/// Time-outs so far, and a number of its own.
type Turn = (Reverse<u64>, u64);

/// The right to have one request on its way.
pub(super) struct Pass<'a> {
    throttle: &'a Throttle,
    refusals: u64,
}

impl Throttle {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    /// Waits until the server may be asked.
    pub(super) async fn enter(&self, timeouts: u64) -> Pass<'_> {
        let place = Place::of(self, timeouts);
        loop {
            let changed = self.changed.notified();
            let resume_at = {
                let mut state = self.state();
                let resume_at = state.resume_at.filter(|at| *at > Instant::now());
                let is_first = state.waiting.first() == Some(&place.turn);
                if is_first && resume_at.is_none() && state.limit.is_none_or(|limit| state.running < limit) {
                    state.running += 1;
                    return Pass { throttle: self, refusals: state.refusals };
                }
                resume_at
            };
            match resume_at {
                Some(at) => sleep_until(at).await,
                None => changed.await,
            }
        }
    }
}

/// A place among those who wait.
struct Place<'a> {
    throttle: &'a Throttle,
    turn: Turn,
}

impl Place<'_> {
    fn of(throttle: &Throttle, timeouts: u64) -> Place<'_> {
        let mut state = throttle.state();
        state.came += 1;
        let turn = (Reverse(timeouts), state.came);
        state.waiting.insert(turn);
        Place { throttle, turn }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.throttle.state().waiting.remove(&self.turn);
        self.throttle.changed.notify_waiters();
    }
}

impl Pass<'_> {
    /// The server has too much to do; `retry_after` is how long it asks to be left alone.
    pub(super) fn refused(self, retry_after: Option<Duration>) {
        let mut state = self.throttle.state();
        let resume_at = Instant::now() + retry_after.unwrap_or_default().min(DELAY_MAX);
        state.resume_at = state.resume_at.max(Some(resume_at));
        if self.refusals == state.refusals {
            state.threshold = (state.running / 2).max(1);
            state.limit = Some(1);
            state.answers = 0;
            state.refusals += 1;
        }
    }

    /// The server has answered.
    pub(super) fn answered(self) {
        let mut state = self.throttle.state();
        let Some(limit) = state.limit else { return };
        state.answers += 1;
        if limit < state.threshold || state.answers >= limit {
            state.answers = 0;
            state.limit = Some(limit + 1).filter(|limit| *limit < UNLIMITED);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.throttle.state().running -= 1;
        self.throttle.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_there_is_silence_then_one_and_then_more() {
        let throttle = Throttle::default();
        let mut passes = Vec::new();
        for _ in 0..8 {
            passes.push(throttle.enter(0).await);
        }
        let start = Instant::now();
        // Seven of eight are refused; the six after the first say nothing new.
        for pass in passes.drain(1..) {
            pass.refused(Some(Duration::from_secs(3)));
        }
        passes.remove(0).answered();
        throttle.enter(0).await.answered();
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        // The answer that came late has raised the limit, as each does up to half of what was too much.
        let limits = || {
            let state = throttle.state();
            (state.limit, state.threshold)
        };
        assert_eq!(limits(), (Some(3), 4));
        throttle.enter(0).await.answered();
        for _ in 0..4 {
            assert_eq!(limits().0, Some(4));
            throttle.enter(0).await.answered();
        }
        assert_eq!(limits().0, Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_go_out_than_the_limit_and_who_waits_is_let_in() {
        let throttle = Throttle::default();
        throttle.enter(0).await.refused(None);
        let one = throttle.enter(0).await;
        let mut next = std::pin::pin!(throttle.enter(0));
        let early = tokio::time::timeout(Duration::from_secs(1), next.as_mut()).await;
        assert!(early.is_err());
        drop(one);
        next.await.answered();
    }
}
