//! How long Linux takes, as a function of its settings; checked against both worlds.

use std::time::Duration;

/// What the times hang on.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    pub syn_retries: u32,
    /// Retries of a SYN before they are spaced further and further, which are not counted in `syn_retries`.
    pub syn_linear: u32,
    pub retries: u32,
}

/// Of Linux, but for `syn_linear`: kernels from 6.5 on have 4.
pub const DEFAULT: Kernel = Kernel { syn_retries: 6, syn_linear: 0, retries: 15 };

/// Until a SYN is sent again.
const SYN_RTO: Duration = Duration::from_secs(1);
/// Until data are sent again; a round trip comes on top.
const RTO: Duration = Duration::from_millis(200);
/// Most that one waits for the next retransmission.
const RTO_MAX: Duration = Duration::from_secs(120);

impl Kernel {
    /// The default one with other values of sysctls.
    pub fn with(settings: &[(&str, u32)]) -> Kernel {
        let mut kernel = DEFAULT;
        for (name, value) in settings {
            match *name {
                SYN_RETRIES => kernel.syn_retries = *value,
                SYN_LINEAR => kernel.syn_linear = *value,
                RETRIES => kernel.retries = *value,
                _ => {}
            }
        }
        kernel
    }
}

pub const SYN_RETRIES: &str = "ipv4/tcp_syn_retries";
pub const SYN_LINEAR: &str = "ipv4/tcp_syn_linear_timeouts";
pub const RETRIES: &str = "ipv4/tcp_retries2";

/// When something happens, counted from its cause.
#[derive(Clone, Copy, Debug)]
pub enum Time {
    /// As soon as packets have crossed.
    Trip,
    /// One does not wait for it to happen.
    Never,
    /// A connect gives up.
    SynGivesUp,
    /// The first retry of a SYN after so many milliseconds.
    SynRetry(u64),
    /// A sender gives up.
    GivesUp,
    /// The first retransmission after so many milliseconds.
    Retry(u64),
}

impl Time {
    pub fn formula(self) -> String {
        match self {
            Time::Trip => "a round trip".to_owned(),
            Time::Never => "—".to_owned(),
            Time::SynGivesUp => {
                "1 + 2 + 4 … s: l + 1 waits of 1 s for l > 0, then doubling, n + l + 1 waits".to_owned()
            }
            Time::SynRetry(after) => format!("first of 1, 3, 7, 15 … s after {} s", after as f64 / 1e3),
            Time::GivesUp => "0.2 + 0.4 + 0.8 … s, each at most 120 s: n + 1 waits".to_owned(),
            Time::Retry(after) => format!("first of 0.2, 0.6, 1.4, 3.0 … s after {} s", after as f64 / 1e3),
        }
    }

    /// None: there is no such time.
    pub fn at(self, kernel: Kernel) -> Option<Duration> {
        let syns = || waits(SYN_RTO, kernel.syn_linear);
        match self {
            Time::Trip => Some(Duration::ZERO),
            Time::Never => None,
            Time::SynGivesUp => Some(syns().take((kernel.syn_retries + kernel.syn_linear + 1) as usize).sum()),
            Time::SynRetry(after) => Some(first_after(syns(), after)),
            Time::GivesUp => Some(waits(RTO, 0).take(kernel.retries as usize + 1).sum()),
            Time::Retry(after) => Some(first_after(waits(RTO, 0), after)),
        }
    }
}

/// What passes between transmissions.
fn waits(first: Duration, linear: u32) -> impl Iterator<Item = Duration> {
    (0..).map(move |n: u32| (first * 2_u32.pow(n.saturating_sub(linear).min(16))).min(RTO_MAX))
}

fn first_after(waits: impl Iterator<Item = Duration>, ms: u64) -> Duration {
    let sums = waits.scan(Duration::ZERO, |sum, wait| {
        *sum += wait;
        Some(*sum)
    });
    sums.into_iter().find(|at| *at > Duration::from_millis(ms)).expect("they grow")
}
