//! What is sent again, and when: the one retry table, shared by every driver that speaks HTTP.

use std::time::Duration;

use clinker_env::Rng;

use crate::{Error, Result, Stop};

/// The longest wait between two requests, also when a server asks for more.
pub const DELAY_MAX: Duration = Duration::from_secs(64);

/// How often a request is sent, and the waits between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Requests in all; at least one is sent.
    pub attempts: u64,
    /// The wait before the second request; each further one is twice as long.
    pub first_delay: Duration,
    /// Bounds every wait.
    pub cap: Duration,
}

/// A failed attempt, with the wait that the server asked for.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    pub retry_after: Option<Duration>,
    /// The client holds the next request up itself for as long as the server asked.
    pub paced: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, retry_after: None, paced: false }
    }
}

impl RetryPolicy {
    /// Each request is sent once.
    pub const ONCE: RetryPolicy = RetryPolicy { attempts: 1, first_delay: Duration::ZERO, cap: DELAY_MAX };

    /// Runs `attempt` until it succeeds, fails for good, or the attempts are used up; fails with the last error.
    pub async fn run<T, F>(&self, stop: &Stop, attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.run_with(stop, attempt, |delay| delay).await
    }

    /// As [`RetryPolicy::run`], with every wait changed by `spread`, which never undercuts what the server asked for, and not
    /// again after a stop.
    pub async fn run_with<T, F>(
        &self,
        stop: &Stop,
        mut attempt: impl FnMut() -> F,
        spread: impl Fn(Duration) -> Duration,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut sent = 0;
        loop {
            let failure = match attempt().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            sent += 1;
            if !failure.error.retry || sent >= self.attempts {
                return Err(failure.error);
            }
            if failure.paced {
                continue;
            }
            let asked = failure.retry_after.unwrap_or_default().min(self.cap);
            let delay = spread(self.delay(sent)).max(asked);
            tracing::warn!(reason = %failure.error, attempt = sent, ?delay, "sending a request again");
            if stop.unless(tokio::time::sleep(delay)).await.is_none() {
                return Err(failure.error);
            }
        }
    }

    /// The wait after `sent` requests: doubling, within the cap.
    fn delay(&self, sent: u64) -> Duration {
        let factor = u32::try_from(sent - 1).ok().and_then(|doublings| 1u32.checked_shl(doublings)).unwrap_or(u32::MAX);
        self.first_delay.saturating_mul(factor).min(self.cap)
    }
}

/// A random share of `delay`, so that clients that failed together do not come back together.
pub fn spread(rng: &dyn Rng, delay: Duration) -> Duration {
    let share = u128::from(rng.next_u64("jitter") >> 32);
    // Below `delay`, so it fits.
    Duration::from_nanos(u64::try_from((delay.as_nanos() * share) >> 32).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use tokio::time::Instant;

    /// Seconds at which an always failing attempt runs.
    async fn check(attempts: u64, first_delay: u64, retry_after: Option<u64>, transient: bool, expected: &[u64]) {
        let policy = RetryPolicy { attempts, first_delay: Duration::from_secs(first_delay), cap: DELAY_MAX };
        let start = Instant::now();
        let mut at = Vec::new();
        let result: Result<()> = policy
            .run(&Stop::default(), || {
                at.push(start.elapsed().as_secs());
                let error =
                    if transient { Error::transient(Kind::Unreachable, "x") } else { Error::new(Kind::Auth, "x") };
                async move { Err(Failure { error, retry_after: retry_after.map(Duration::from_secs), paced: false }) }
            })
            .await;
        assert!(result.is_err());
        assert_eq!(at, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_the_cap() {
        check(4, 2, None, true, &[0, 2, 6, 14]).await;
        // 2, 4, 8, 16, 32, 64, then 64 for ever
        check(9, 2, None, true, &[0, 2, 6, 14, 30, 62, 126, 190, 254]).await;
        check(3, 0, None, true, &[0, 0, 0]).await;
        check(0, 2, None, true, &[0]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_ask_for_a_longer_wait_within_the_cap() {
        check(3, 2, Some(10), true, &[0, 10, 20]).await;
        check(3, 2, Some(1), true, &[0, 2, 6]).await;
        check(2, 2, Some(3600), true, &[0, 64]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_definite_error_ends_it_at_once() {
        check(4, 2, Some(10), false, &[0]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn many_attempts_do_not_overflow_the_delay() {
        let policy = RetryPolicy { attempts: u64::MAX, first_delay: Duration::from_secs(2), cap: DELAY_MAX };
        assert_eq!(policy.delay(u64::MAX), DELAY_MAX);
        assert_eq!(policy.delay(33), DELAY_MAX);
    }
}
