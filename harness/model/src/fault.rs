//! Faults: one bad thing each, with a target. Start and end are in [`crate::plan::PlannedFault`].
//!
//! `docs/scenario-format.md` lists every fault with what counts as its bite.

mod network;

use serde::{Deserialize, Serialize};

use crate::{ByteSize, Span};

pub use network::{Answer, Bandwidth, Dns, Latency, Loss, OneWay, Reset};

/// Position of a fault in its scenario, counted from 0.
pub type FaultId = usize;

/// One bad thing. The name of the variant is the name of the field in a scenario's `[[fault]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Black hole: nothing crosses between `host` and anyone else. What was sent is sent again when the fault has ended.
    Hold(HostTarget),
    /// New connections to `host` are refused; open ones are reset.
    Refuse(HostTarget),
    /// The server accepts connections and requests but never answers.
    Silent(HostTarget),
    /// The server takes its time.
    Slow(Slow),
    /// The server answers matching requests with an HTTP status of its own.
    Status(Status),
    /// The connection is closed in the middle of a matching request's or answer's body.
    Cut(Cut),
    /// The identity service (or v1 auth) no longer accepts the configured credentials.
    WrongCredentials(HostTarget),
    /// Every token issued so far stops working at the start of the fault.
    RevokeTokens(HostTarget),
    /// Tokens issued while the fault is on live only this long.
    ExpireTokens(ExpireTokens),
    /// A stored object's bytes change (one bit is flipped).
    Corrupt(Stored),
    /// A stored object loses its second half.
    Truncate(Stored),
    /// A stored object disappears.
    Lose(Stored),
    /// A stored object changes places with another.
    Swap(Swap),
    /// Listings show the store as it was `by` ago.
    Lag(Lag),
    /// No space is left (Swift: 507 … 413 by quota; POSIX: ENOSPC) once `after` more bytes are stored.
    Full(Full),
    /// The repository disk refuses writes.
    ReadOnly(HostTarget),
    /// The process on `host` ends, at a time or at a named point; its memory is gone, its disk is not.
    /// With `power` the whole machine: its peers hear nothing, and what was not synced is lost.
    Crash(Crash),
    /// The wall clock of `host` is off by this much.
    Skew(Skew),
    /// The wall clock of `host` runs too fast or too slow.
    Drift(Drift),
    /// The process on `host` stands still, as stopped by a signal; its kernel goes on.
    Pause(HostTarget),
    /// Black hole in one direction.
    OneWay(OneWay),
    /// Links of a host carry so many bytes per second.
    Bandwidth(Bandwidth),
    /// Links of a host are slower than usual.
    Latency(Latency),
    /// Links of a host lose packets, which are sent again later.
    Loss(Loss),
    /// One connection to `host` is reset after so many bytes.
    Reset(Reset),
    /// The name of `host` resolves wrongly, late, or not at all.
    Dns(Dns),
}

/// A world host: `store` (the preset's back end), `keystone`, `swift`, `volume`, `backup-host-1` …
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostTarget {
    pub host: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    pub host: String,
    /// Added before each answer.
    #[serde(default)]
    pub delay: Span,
    /// Bodies move at this rate, in bytes per second; 0 = unlimited.
    #[serde(default)]
    pub bytes_per_second: u64,
    #[serde(default)]
    pub requests: Matching,
}

/// Which requests a fault applies to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matching {
    /// HTTP method; any if empty. `LIST` is a GET of a container, `GET` then means objects only.
    pub method: String,
    /// Text that the path and query contain; any if empty.
    pub path: String,
    /// The first matching request it applies to, counted from 1 at the start of the fault.
    pub nth: u64,
    /// To how many matching requests in a row it applies; 0 = to all from `nth` on.
    pub times: u64,
}

impl Default for Matching {
    fn default() -> Matching {
        Matching { method: String::new(), path: String::new(), nth: 1, times: 0 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub host: String,
    pub code: u16,
    /// Value of a `Retry-After` header, in seconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// Of the matching requests only those beyond so many in a second, as a store with a rate limit does; 0 = all.
    #[serde(default)]
    pub beyond_per_second: u64,
    #[serde(default)]
    pub requests: Matching,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    pub host: String,
    /// `request` (while the server reads the body) or `response` (while it sends its own).
    pub side: Side,
    /// Body bytes that still pass.
    #[serde(default)]
    pub after: ByteSize,
    #[serde(default)]
    pub requests: Matching,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Request,
    Response,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpireTokens {
    pub host: String,
    /// Life of a token from its issue.
    pub after: Span,
}

/// A stored object: the first whose name contains `backup`'s id and ends with `object`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// The name a `[[do]] create` gave by `as`.
    pub backup: String,
    /// End of the object's name: `00002`, `_metadata`, `_sha256file`.
    pub object: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swap {
    pub backup: String,
    pub object: String,
    pub with: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lag {
    pub by: Span,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Full {
    #[serde(default)]
    pub after: ByteSize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    pub host: String,
    /// Where: `<port>.<call>`, e.g. `db.op_finish`, `fs.rename`, `net.connect`; the start of the fault if absent.
    #[serde(default)]
    pub point: Option<String>,
    /// Before or after the call.
    #[serde(default)]
    pub when: When,
    /// Which time the point is passed, counted from 1 at the start of the fault.
    #[serde(default = "one")]
    pub nth: u64,
    /// Until the process is started again.
    pub restart_after: Span,
    /// The machine loses power, not only the process its life.
    #[serde(default)]
    pub power: bool,
}

fn one() -> u64 {
    1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    #[default]
    Before,
    After,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {
    pub host: String,
    /// Seconds added to the wall clock; negative = slow.
    pub seconds: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    pub host: String,
    /// Millionths by which the wall clock runs fast; negative = slow. It is right at the start and again at the end.
    pub ppm: i64,
}

impl Fault {
    /// Every name, in the order of the variants.
    pub const NAMES: [&'static str; 26] = [
        "hold",
        "refuse",
        "silent",
        "slow",
        "status",
        "cut",
        "wrong_credentials",
        "revoke_tokens",
        "expire_tokens",
        "corrupt",
        "truncate",
        "lose",
        "swap",
        "lag",
        "full",
        "read_only",
        "crash",
        "skew",
        "drift",
        "pause",
        "one_way",
        "bandwidth",
        "latency",
        "loss",
        "reset",
        "dns",
    ];

    /// The world hosts it is aimed at, each with the name of its key; none for faults of stored objects and of the store
    /// as a whole.
    pub fn hosts_mut(&mut self) -> Vec<(&'static str, &mut String)> {
        match self {
            Fault::Hold(target)
            | Fault::Refuse(target)
            | Fault::Silent(target)
            | Fault::WrongCredentials(target)
            | Fault::RevokeTokens(target)
            | Fault::ReadOnly(target)
            | Fault::Pause(target) => vec![("host", &mut target.host)],
            Fault::Slow(slow) => vec![("host", &mut slow.host)],
            Fault::Status(status) => vec![("host", &mut status.host)],
            Fault::Cut(cut) => vec![("host", &mut cut.host)],
            Fault::ExpireTokens(expire) => vec![("host", &mut expire.host)],
            Fault::Crash(crash) => vec![("host", &mut crash.host)],
            Fault::Skew(skew) => vec![("host", &mut skew.host)],
            Fault::Drift(drift) => vec![("host", &mut drift.host)],
            Fault::OneWay(link) => vec![("from", &mut link.from), ("to", &mut link.to)],
            Fault::Bandwidth(link) => vec![("host", &mut link.host)],
            Fault::Latency(link) => vec![("host", &mut link.host)],
            Fault::Loss(link) => vec![("host", &mut link.host)],
            Fault::Reset(link) => vec![("host", &mut link.host)],
            Fault::Dns(dns) => vec![("host", &mut dns.host)],
            Fault::Corrupt(_)
            | Fault::Truncate(_)
            | Fault::Lose(_)
            | Fault::Swap(_)
            | Fault::Lag(_)
            | Fault::Full(_) => vec![],
        }
    }

    /// As [`Fault::hosts_mut`], to read.
    pub fn hosts(&self) -> Vec<(&'static str, String)> {
        let mut copy = self.clone();
        copy.hosts_mut().into_iter().map(|(key, host)| (key, host.clone())).collect()
    }

    /// Whether it is a matter of hosts and the network between them, whatever runs on them.
    pub fn is_of_world(&self) -> bool {
        let plain = matches!(
            self,
            Fault::Hold(_) | Fault::Refuse(_) | Fault::Skew(_) | Fault::Drift(_) | Fault::Crash(_) | Fault::Dns(_)
        );
        plain || self.needs_packets()
    }

    /// Whether it takes an engine that models packets and machines.
    pub fn needs_packets(&self) -> bool {
        match self {
            Fault::Pause(_)
            | Fault::OneWay(_)
            | Fault::Bandwidth(_)
            | Fault::Latency(_)
            | Fault::Loss(_)
            | Fault::Reset(_) => true,
            Fault::Crash(crash) => crash.power,
            _ => false,
        }
    }

    /// Whether it happens at its `at` and is over, so that an `until` would mean nothing.
    pub fn is_one_shot(&self) -> bool {
        match self {
            Fault::Corrupt(_) | Fault::Truncate(_) | Fault::Lose(_) | Fault::Swap(_) | Fault::RevokeTokens(_) => true,
            Fault::Crash(crash) => crash.point.is_none(),
            _ => false,
        }
    }

    /// The name a scenario uses.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Hold(_) => "hold",
            Fault::Refuse(_) => "refuse",
            Fault::Silent(_) => "silent",
            Fault::Slow(_) => "slow",
            Fault::Status(_) => "status",
            Fault::Cut(_) => "cut",
            Fault::WrongCredentials(_) => "wrong_credentials",
            Fault::RevokeTokens(_) => "revoke_tokens",
            Fault::ExpireTokens(_) => "expire_tokens",
            Fault::Corrupt(_) => "corrupt",
            Fault::Truncate(_) => "truncate",
            Fault::Lose(_) => "lose",
            Fault::Swap(_) => "swap",
            Fault::Lag(_) => "lag",
            Fault::Full(_) => "full",
            Fault::ReadOnly(_) => "read_only",
            Fault::Crash(_) => "crash",
            Fault::Skew(_) => "skew",
            Fault::Drift(_) => "drift",
            Fault::Pause(_) => "pause",
            Fault::OneWay(_) => "one_way",
            Fault::Bandwidth(_) => "bandwidth",
            Fault::Latency(_) => "latency",
            Fault::Loss(_) => "loss",
            Fault::Reset(_) => "reset",
            Fault::Dns(_) => "dns",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_the_name_of_its_variant() {
        let fault = Fault::ReadOnly(HostTarget { host: "store".to_owned() });
        assert_eq!(fault.name(), "read_only");
        assert!(Fault::NAMES.contains(&fault.name()));
        assert_eq!(fault.hosts(), [("host", "store".to_owned())]);
    }

    #[test]
    fn only_a_crash_at_a_point_lasts() {
        let crash = |point: Option<&str>| {
            let point = point.map(str::to_owned);
            let restart_after = Span::secs(1);
            Fault::Crash(Crash {
                host: "db".to_owned(),
                point,
                when: When::Before,
                nth: 1,
                restart_after,
                power: false,
            })
        };
        assert!(crash(None).is_one_shot());
        assert!(!crash(Some("db.op_finish")).is_one_shot());
    }
}
