//! Faults of links and names: what is between hosts.

use serde::{Deserialize, Serialize};

use crate::{ByteSize, Span};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneWay {
    /// Packets of this host do not reach `to`; those of `to` reach it.
    pub from: String,
    pub to: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    pub host: String,
    /// Of each direction of each link of the host; at least 1.
    pub bytes_per_second: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub host: String,
    /// Added to every packet, each way.
    #[serde(default)]
    pub by: Span,
    /// Up to so much more, evenly distributed and drawn for each packet.
    #[serde(default)]
    pub jitter: Span,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    pub host: String,
    /// Of the packets, each way; above 0, at most 100.
    pub percent: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    pub host: String,
    /// Bytes that a connection to the host still carries, both ways together, counted from the start of the fault.
    #[serde(default)]
    pub after: ByteSize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    pub host: String,
    pub answer: Answer,
    /// Until the answer comes.
    #[serde(default)]
    pub delay: Span,
}

/// What a resolver says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The right address.
    Right,
    /// There is no such name.
    Nxdomain,
    /// The name server has failed.
    Servfail,
    /// Nothing: the resolver gives up after two tries of 5 s.
    Silent,
    /// An address that is nobody's any more: connects there are not answered.
    Stale,
}
