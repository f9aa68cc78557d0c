//! The ways between hosts, one for each direction: how long a packet takes, and whether it comes through at all.

use std::sync::Arc;
use std::time::Duration;

use clinker_model::{Fault, FaultId, Journal as _};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use crate::hosts::HostId;
use crate::journal::SimJournal;

/// Bytes of a packet, for the share of them that is lost.
const PACKET: u64 = 1460;
/// Linux' least retransmission time-out; the path's round trip is added to it.
pub(super) const RTO_MIN_NS: u64 = 200_000_000;
/// Until a SYN is sent again.
pub(super) const SYN_RTO_NS: u64 = 1_000_000_000;
/// Most that is sent as one piece on a path without limits.
const PIECE: u64 = 64 << 10;
/// On a path with a limit a piece takes about this long.
const PIECES_PER_SECOND: u64 = 200;

/// What a packet is, as far as a path cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freight {
    /// A SYN or its answer; lost ones are repeated after 1, 2, 4 … s.
    Handshake,
    /// So many bytes of a stream; lost ones are repeated after 200 ms, 400 ms …
    Data(u64),
    /// An acknowledgement or a reset: no bytes, and later ones make up for a lost one.
    Control,
}

struct Path {
    latency_ns: u64,
    /// Longest extra time, evenly drawn.
    jitter_ns: u64,
    /// 0 = unlimited.
    bytes_per_second: u64,
    /// Probability that a packet is lost.
    loss: f64,
    /// Until when bytes already sent occupy it.
    busy_until_ns: u64,
    /// Nothing comes through, for the first of the faults (`hold` counts its own bites).
    blocked: bool,
    /// Faults that touch every packet, with what a bite of theirs is.
    shaping: Vec<(FaultId, &'static str)>,
    /// Faults that bite when a packet is lost.
    losing: Vec<FaultId>,
    draw: ChaCha8Rng,
}

pub(super) struct Paths {
    hosts: Vec<Arc<str>>,
    /// Row = from, column = to.
    table: Vec<Path>,
    latency_ns: u64,
    journal: Arc<SimJournal>,
}

fn ns(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Paths {
    pub(super) fn new(latency: Duration, journal: Arc<SimJournal>) -> Paths {
        Paths { hosts: Vec::new(), table: Vec::new(), latency_ns: ns(latency), journal }
    }

    /// Lays the ways between all hosts; `draw` makes the random stream of each.
    pub(super) fn lay(&mut self, hosts: Vec<Arc<str>>, draw: impl Fn(&str) -> ChaCha8Rng) {
        self.table.clear();
        for from in &hosts {
            for to in &hosts {
                self.table.push(Path {
                    latency_ns: if from == to { 0 } else { self.latency_ns },
                    jitter_ns: 0,
                    bytes_per_second: 0,
                    loss: 0.0,
                    busy_until_ns: 0,
                    blocked: false,
                    shaping: Vec::new(),
                    losing: Vec::new(),
                    draw: draw(&format!("net {from} {to}")),
                });
            }
        }
        self.hosts = hosts;
    }

    pub(super) fn name(&self, host: HostId) -> &Arc<str> {
        &self.hosts[host]
    }

    pub(super) fn host(&self, name: &str) -> Option<HostId> {
        self.hosts.iter().position(|known| &**known == name)
    }

    fn path(&self, from: HostId, to: HostId) -> &Path {
        &self.table[from * self.hosts.len() + to]
    }

    /// Applies the faults in force and forgets those that are over; returns the paths that are faster or slower now.
    pub(super) fn shape(
        &mut self,
        faults: &[(FaultId, Fault)],
        held: impl Fn(&str, &str) -> bool,
        now_ns: u64,
    ) -> Vec<Change> {
        let hosts = self.hosts.clone();
        let mut changes = Vec::new();
        for (from, from_name) in hosts.iter().enumerate() {
            for (to, to_name) in hosts.iter().enumerate().filter(|(to, _)| *to != from) {
                let path = &mut self.table[from * hosts.len() + to];
                let old = (path.bytes_per_second, path.longest_ns());
                path.reset(self.latency_ns, held(from_name, to_name));
                for (id, fault) in faults {
                    path.apply(*id, fault, from_name, to_name);
                }
                let new = (path.bytes_per_second, path.longest_ns());
                if old != new {
                    let change = Change { from, to, now_ns, old, new };
                    // What the queue before the link holds has no latency behind it yet.
                    path.busy_until_ns =
                        change.queued(path.busy_until_ns.saturating_sub(now_ns)).saturating_add(now_ns);
                    changes.push(change);
                }
            }
        }
        changes
    }

    /// Sends at `now_ns`; returns when it arrives, unless the path swallows it.
    pub(super) fn send(&mut self, from: HostId, to: HostId, freight: Freight, now_ns: u64) -> Option<u64> {
        let hosts = self.hosts.len();
        let path = &mut self.table[from * hosts + to];
        for (id, what) in &path.shaping {
            self.journal.bite(*id, &self.hosts[from], &format!("{what} {}", self.hosts[to]));
        }
        if path.blocked {
            return None;
        }
        let (arrives_ns, lost) = path.carry(freight, now_ns);
        if lost {
            for id in &path.losing {
                self.journal.bite(
                    *id,
                    &self.hosts[from],
                    &format!("a packet was lost on its way to {}", self.hosts[to]),
                );
            }
        }
        Some(arrives_ns)
    }

    /// Whether a packet on its way is swallowed, because the path was blocked after it was sent.
    pub(super) fn is_blocked(&self, from: HostId, to: HostId) -> bool {
        self.path(from, to).blocked
    }

    /// Both ways, at the longest.
    pub(super) fn round_trip_ns(&self, a: HostId, b: HostId) -> u64 {
        self.path(a, b).longest_ns().saturating_add(self.path(b, a).longest_ns())
    }

    /// Until all that was sent so far has left for its destination.
    pub(super) fn backlog_ns(&self, from: HostId, to: HostId, now_ns: u64) -> u64 {
        self.path(from, to).busy_until_ns.saturating_sub(now_ns)
    }

    /// Most bytes to send as one piece.
    pub(super) fn piece(&self, from: HostId, to: HostId) -> u64 {
        match self.path(from, to).bytes_per_second {
            0 => PIECE,
            rate => (rate / PIECES_PER_SECOND).clamp(PACKET, PIECE),
        }
    }
}

/// A path's speed has changed: what is under way comes at another time.
pub(super) struct Change {
    pub(super) from: HostId,
    pub(super) to: HostId,
    now_ns: u64,
    /// Bytes per second (0 = unlimited) and the longest latency.
    old: (u64, u64),
    new: (u64, u64),
}

impl Change {
    /// When something arrives that was to arrive at `at_ns`: bytes that wait for the link are sent at its new rate.
    pub(super) fn retimed(&self, at_ns: u64) -> u64 {
        let left_ns = at_ns.saturating_sub(self.now_ns);
        if left_ns <= self.old.1.min(self.new.1) {
            return at_ns;
        }
        let queued_ns = self.queued(left_ns.saturating_sub(self.old.1));
        self.now_ns.saturating_add(queued_ns).saturating_add(left_ns.min(self.new.1))
    }

    /// How long the new rate takes for what the old one would have sent in `wait_ns`.
    fn queued(&self, wait_ns: u64) -> u64 {
        match (self.old.0, self.new.0) {
            (_, 0) => 0,
            (0, _) => wait_ns,
            (old, new) => u64::try_from(u128::from(wait_ns) * u128::from(old) / u128::from(new)).unwrap_or(u64::MAX),
        }
    }
}

impl Path {
    fn reset(&mut self, latency_ns: u64, blocked: bool) {
        self.latency_ns = latency_ns;
        self.jitter_ns = 0;
        self.bytes_per_second = 0;
        self.loss = 0.0;
        self.blocked = blocked;
        self.shaping.clear();
        self.losing.clear();
    }

    fn apply(&mut self, id: FaultId, fault: &Fault, from: &str, to: &str) {
        let touches = |host: &str| host == from || host == to;
        match fault {
            Fault::OneWay(link) if link.from == from && link.to == to => {
                self.blocked = true;
                self.shaping.push((id, "a packet was swallowed on its way to"));
            }
            Fault::Bandwidth(link) if touches(&link.host) => {
                let rate = link.bytes_per_second.max(1);
                self.bytes_per_second = if self.bytes_per_second == 0 { rate } else { self.bytes_per_second.min(rate) };
                self.shaping.push((id, "a packet was slowed on its way to"));
            }
            Fault::Latency(link) if touches(&link.host) => {
                self.latency_ns = self.latency_ns.saturating_add(ns(link.by.0));
                self.jitter_ns = self.jitter_ns.saturating_add(ns(link.jitter.0));
                self.shaping.push((id, "a packet was late on its way to"));
            }
            Fault::Loss(link) if touches(&link.host) => {
                self.loss = 1.0 - (1.0 - self.loss) * (1.0 - link.percent / 100.0);
                self.losing.push(id);
            }
            _ => {}
        }
    }

    /// One way, without load.
    fn longest_ns(&self) -> u64 {
        self.latency_ns.saturating_add(self.jitter_ns)
    }

    /// When it arrives, and whether it was lost on the way before.
    fn carry(&mut self, freight: Freight, now_ns: u64) -> (u64, bool) {
        let bytes = match freight {
            Freight::Data(bytes) => bytes,
            Freight::Handshake | Freight::Control => 0,
        };
        let sent_ns = if self.bytes_per_second == 0 || bytes == 0 {
            now_ns
        } else {
            let takes = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
            self.busy_until_ns =
                self.busy_until_ns.max(now_ns).saturating_add(u64::try_from(takes).unwrap_or(u64::MAX));
            self.busy_until_ns
        };
        let mut arrives_ns = sent_ns.saturating_add(self.latency_ns);
        if self.jitter_ns > 0 {
            arrives_ns = arrives_ns.saturating_add(self.draw.next_u64() % (self.jitter_ns + 1));
        }
        if self.loss <= 0.0 || freight == Freight::Control {
            return (arrives_ns, false);
        }
        let repeats_ns = self.repeats_ns(freight, bytes);
        arrives_ns = arrives_ns.saturating_add(repeats_ns);
        (arrives_ns, repeats_ns > 0)
    }

    /// How much later the last of the lost packets comes through.
    fn repeats_ns(&mut self, freight: Freight, bytes: u64) -> u64 {
        let packets = bytes.div_ceil(PACKET).max(1);
        let through = (1.0 - self.loss).powf(packets as f64);
        let mut wait_ns = if freight == Freight::Handshake { SYN_RTO_NS } else { RTO_MIN_NS + 2 * self.latency_ns };
        let mut total_ns: u64 = 0;
        let mut chance = through;
        // Linux gives up after 15 repeats; so long a run of losses counts as the last of them coming through.
        for _ in 0..15 {
            if self.unit() < chance {
                break;
            }
            total_ns = total_ns.saturating_add(wait_ns);
            wait_ns = wait_ns.saturating_mul(2);
            chance = 1.0 - self.loss;
        }
        total_ns
    }

    /// Evenly in 0..1.
    fn unit(&mut self) -> f64 {
        (self.draw.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
