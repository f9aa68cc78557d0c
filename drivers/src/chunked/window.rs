//! How many bytes of one operation are on their way at once: what the link and the server hold, and little more.
//!
//! That is delivery rate × answer time, both as measured: the highest rate of the last seconds, and the shortest time that
//! there was, since a wait of our own making lengthens the one and never raises the other. Only when the rate has fallen
//! to less than half is the time measured anew, as it may be another way by now. Nothing here waits or sends.

use std::time::Duration;

use tokio::time::Instant;

use crate::recent::Recent;

/// On their way before anything is known: enough for 10 Gbit/s at 40 ms, or 1 Gbit/s at 400 ms; or so many requests, as
/// the window of each may be small.
const FIRST: u64 = 48 << 20;
const REQUESTS_FIRST: usize = 8;
/// Requests that may be on their way whatever was measured: one is answered while the next is sent.
const REQUESTS_MIN: usize = 2;
/// Half as much again as was measured, so that a link that could take more is found out.
const GAIN: (u128, u128) = (3, 2);

pub(super) struct Window {
    /// `backup_max_inflight_chunks`.
    requests_max: usize,
    requests: usize,
    bytes: u64,
    /// Answered so far, bytes.
    delivered: u64,
    /// When the first answer came, and to how many bytes.
    first: Option<(Instant, u64)>,
    /// Bytes per second: of the last seconds, and the highest since the answer time was measured anew.
    rate_max: Recent,
    rate_best: u64,
    /// Nanoseconds: the shortest since it was measured anew, and of the last seconds.
    answer_ns: Option<u64>,
    answer_min: Recent,
}

/// A request on its way.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    at: Instant,
    bytes: u64,
    delivered: u64,
}

impl Window {
    pub fn new(requests_max: u64, now: Instant) -> Window {
        let requests_max = usize::try_from(requests_max).unwrap_or(usize::MAX).max(1);
        let (rate_max, answer_min) = (Recent::new(u64::max, now), Recent::new(u64::min, now));
        Window {
            requests_max,
            requests: 0,
            bytes: 0,
            delivered: 0,
            first: None,
            rate_max,
            rate_best: 0,
            answer_ns: None,
            answer_min,
        }
    }

    /// Whether one more request may begin.
    pub fn admits(&self) -> bool {
        let least = if self.rate_max.value().is_none() { REQUESTS_FIRST } else { REQUESTS_MIN };
        self.requests < self.requests_max && (self.requests < least || self.bytes < self.wanted())
    }

    /// Whether requests go strictly in turn, with nothing done ahead of them.
    pub fn is_one(&self) -> bool {
        self.requests_max == 1
    }

    /// Bytes that are worth having on their way.
    fn wanted(&self) -> u64 {
        let (Some(rate), Some(answer_ns)) = (self.rate_max.value(), self.answer_ns) else { return FIRST };
        let held = u128::from(rate) * u128::from(answer_ns) / 1_000_000_000;
        u64::try_from(held * GAIN.0 / GAIN.1).unwrap_or(u64::MAX)
    }

    pub fn begin(&mut self, bytes: u64, now: Instant) -> Begun {
        self.requests += 1;
        self.bytes += bytes;
        Begun { at: now, bytes, delivered: self.delivered }
    }

    /// Takes note of the answer, and tells how long it took to come.
    pub fn answered(&mut self, begun: Begun, now: Instant) -> Duration {
        self.requests -= 1;
        self.bytes -= begun.bytes;
        self.delivered += begun.bytes;
        let took = now - begun.at;
        let took_ns = ns(took).max(1);
        self.answer_min.add(took_ns, now);
        let answer_ns = self.answer_ns.map_or(took_ns, |shortest| shortest.min(took_ns));
        self.answer_ns = Some(answer_ns);
        let (first_at, first_bytes) = *self.first.get_or_insert((now, begun.bytes));
        // Of the requests that began before any answer came, the wait for the first answer tells nothing of the rate.
        let (span, in_that_time) = match begun.delivered {
            0 => (now - first_at, self.delivered - first_bytes),
            before => (took, self.delivered - before),
        };
        if ns(span) >= (answer_ns / 2).max(1) {
            let rate = u128::from(in_that_time) * 1_000_000_000 / span.as_nanos();
            self.rate_is(u64::try_from(rate).unwrap_or(u64::MAX), now);
        }
        took
    }

    fn rate_is(&mut self, rate: u64, now: Instant) {
        self.rate_max.add(rate, now);
        let recent = self.rate_max.value().unwrap_or(rate);
        if recent < self.rate_best / 2 {
            (self.rate_best, self.answer_ns) = (recent, self.answer_min.value());
        }
        self.rate_best = self.rate_best.max(recent);
    }
}

fn ns(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A link of `rate` bytes per second and an answer some time after the last byte: the requests of `size` bytes that are
    /// on their way in the second half of many, in which the answer takes another time.
    fn settled(requests_max: u64, size: u64, rate: u64, [answer, later]: [Duration; 2]) -> usize {
        let start = Instant::now();
        let mut window = Window::new(requests_max, start);
        let (mut now, mut link_free) = (start, start);
        let mut under_way = std::collections::VecDeque::new();
        let mut most = 0;
        let rounds = 40_000;
        for round in 0..rounds {
            while window.admits() {
                let takes = Duration::from_nanos(size * 1_000_000_000 / rate);
                link_free = link_free.max(now) + takes;
                let answer = if round < rounds / 2 { answer } else { later };
                under_way.push_back((window.begin(size, now), link_free + answer));
            }
            if round > rounds * 3 / 4 {
                most = most.max(under_way.len());
            }
            let (begun, at) = under_way.pop_front().expect("two at least are admitted");
            now = at;
            window.answered(begun, now);
        }
        most
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_are_on_their_way_as_the_link_holds_and_half_as_many_again() {
        let check = |size, mbit_per_s: u64, answer_ms, expected: std::ops::RangeInclusive<usize>| {
            let found = settled(10_000, size, mbit_per_s * 125_000, [Duration::from_millis(answer_ms); 2]);
            assert!(expected.contains(&found), "{size} bytes, {mbit_per_s} Mbit/s, {answer_ms} ms: {found}");
        };
        // ceil(rate × time ÷ size): 2 of 50 MiB, 39 of 64 KiB, 192 of 64 KiB, 13 of 1 MiB.
        check(50 * MIB, 1000, 100, 2..=4);
        check(64 << 10, 1000, 20, 39..=64);
        check(64 << 10, 1000, 100, 191..=300);
        check(MIB, 1000, 100, 13..=22);
        check(MIB, 100, 1, 2..=3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_option_is_a_limit() {
        for limit in [1, 2, 7] {
            assert_eq!(settled(limit, 64 << 10, 125_000_000, [Duration::from_millis(100); 2]), limit as usize);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_that_becomes_longer_is_measured_anew() {
        // 382 of 64 KiB are 200 ms of 1 Gbit/s.
        let found = settled(10_000, 64 << 10, 125_000_000, [20, 200].map(Duration::from_millis));
        assert!((382..=600).contains(&found), "{found}");
    }
}
