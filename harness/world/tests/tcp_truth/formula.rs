//! How long Linux takes, as a function of its settings: the same function is checked against both worlds.
//!
//! Kernel documentation (`ip-sysctl`): a sender gives up "at the first RTO which exceeds the hypothetical timeout", so that
//! a formula gives a range. Kernel timers are late by up to an eighth of their wait, which is allowed for on Linux only.

use std::time::Duration;

pub const SYN_RETRIES: &str = "ipv4/tcp_syn_retries";
pub const SYN_LINEAR: &str = "ipv4/tcp_syn_linear_timeouts";
pub const RETRIES: &str = "ipv4/tcp_retries2";
pub const ORPHAN_RETRIES: &str = "ipv4/tcp_orphan_retries";

/// What the times hang on.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    pub syn_retries: u32,
    /// Waits of 1 s before those for an answer to a SYN grow.
    pub syn_linear: u32,
    pub retries: u32,
    /// Of a connection that no process holds any more.
    pub orphan_retries: u32,
}

/// Linux as it is installed, but for `syn_linear`, which is 4 from Linux 6.5 on.
pub const DEFAULT: Kernel = Kernel { syn_retries: 6, syn_linear: 0, retries: 15, orphan_retries: 8 };

impl Kernel {
    /// The default one with other values of sysctls.
    pub fn with(settings: &[(&str, u32)]) -> Kernel {
        let mut kernel = DEFAULT;
        for (name, value) in settings {
            match *name {
                SYN_RETRIES => kernel.syn_retries = *value,
                SYN_LINEAR => kernel.syn_linear = *value,
                RETRIES => kernel.retries = *value,
                ORPHAN_RETRIES => kernel.orphan_retries = *value,
                _ => {}
            }
        }
        kernel
    }

    /// After so long a kernel no longer tells of a connection's end that nobody has acknowledged.
    pub fn orphan_is_gone(self) -> Duration {
        let kernel = Kernel { retries: self.orphan_retries, ..self };
        with_late_timers(Time::GivesUp.range(kernel).expect("it has a time")).1
    }
}

/// When something happens, counted from its cause.
#[derive(Clone, Copy, Debug)]
pub enum Time {
    /// As soon as packets have crossed.
    Trip,
    /// Never, as far as one has watched.
    Never,
    /// A connect gives up.
    SynGivesUp,
    /// The first retry of a SYN after so many milliseconds.
    SynRetry(u64),
    /// A sender gives up.
    GivesUp,
    /// The first retransmission after so many milliseconds.
    Retry(u64),
    /// A sender asks again whether there is room, after 4 s without.
    Probe,
}

/// Least and most.
pub type Range = (Duration, Duration);

/// Packets have crossed by then, in either world.
const TRIPS: Duration = Duration::from_millis(100);
const SYN_WAIT_MS: u64 = 1000;
const WAIT_MS: u64 = 200;
/// With a round trip, which is shorter than the difference in either world.
const LONG_WAIT_MS: u64 = 205;
const LONGEST_WAIT_MS: u64 = 120_000;

impl Time {
    pub fn formula(self) -> String {
        let secs = |ms: u64| ms as f64 / 1e3;
        match self {
            Time::Trip => "packets cross".to_owned(),
            Time::Never => "never".to_owned(),
            Time::SynGivesUp => "S(`tcp_syn_retries`)".to_owned(),
            Time::SynRetry(ms) => format!("the first SYN timer after {} s", secs(ms)),
            Time::GivesUp => "R(`tcp_retries2`)".to_owned(),
            Time::Retry(ms) => format!("the first timer after {} s", secs(ms)),
            Time::Probe => "the first timer after 4 s, less those".to_owned(),
        }
    }

    /// None: there is no such time.
    pub fn range(self, kernel: Kernel) -> Option<Range> {
        let ms = Duration::from_millis;
        let exactly = |at: u64| Some((ms(at), ms(at) + TRIPS));
        match self {
            Time::Trip => exactly(0),
            Time::Never => None,
            Time::SynGivesUp => {
                let least = nth(waits(SYN_WAIT_MS, 0), kernel.syn_retries);
                exactly(first_from(waits(SYN_WAIT_MS, kernel.syn_linear), least))
            }
            Time::SynRetry(after) => exactly(first_from(waits(SYN_WAIT_MS, kernel.syn_linear), after)),
            Time::GivesUp => {
                // Counted from the first retransmission, which is a wait after the cause: one timer more, unless those
                // before were so late that they have made up for it.
                let [least, most] =
                    [(WAIT_MS, 0), (LONG_WAIT_MS, 1)].map(|(wait, more)| nth(waits(wait, 0), kernel.retries + more));
                Some((ms(least), ms(most) + TRIPS))
            }
            // Late timers count from the first probe, 4 s before the cause.
            Time::Probe => Some((ms(2200), ms(2200 + 6200 / 8) + TRIPS)),
            Time::Retry(after) => {
                // A probe for a lost tail comes first if one packet only is on its way, and does not double the wait.
                let all = [(WAIT_MS, 0), (WAIT_MS, 1), (LONG_WAIT_MS, 0), (LONG_WAIT_MS, 1)];
                let all = all.map(|(wait, probes)| first_from(waits(wait, probes), after));
                let (least, most) = all.iter().fold((u64::MAX, 0), |(least, most), at| (least.min(*at), most.max(*at)));
                Some((ms(least), ms(most) + TRIPS))
            }
        }
    }
}

/// The same on a real kernel.
pub fn with_late_timers((least, most): Range) -> Range {
    (least, most + most / 8 + TRIPS)
}

/// What passes between transmissions, in ms: `steady` waits before the one from which they double.
fn waits(first: u64, steady: u32) -> impl Iterator<Item = u64> {
    (0..).map(move |n: u32| (first << n.saturating_sub(steady).min(16)).min(LONGEST_WAIT_MS))
}

/// The end of wait `n`, counted from 0.
fn nth(waits: impl Iterator<Item = u64>, n: u32) -> u64 {
    waits.take(n as usize + 1).sum()
}

/// The first end of a wait from `ms` on.
fn first_from(waits: impl Iterator<Item = u64>, ms: u64) -> u64 {
    let mut at = 0;
    for wait in waits {
        at += wait;
        if at >= ms {
            break;
        }
    }
    at
}
