//! TCP as Linux does it, as far as software above can tell: handshake, retransmission, windows, FIN, RST, time-outs.
//!
//! No congestion control: what the window allows is sent at once, and the path's bandwidth spaces it. Data and
//! acknowledgements are events of the queue; a packet is either swallowed by a blocked path or arrives, late if it was lost.
//! [`calls`] is what applications ask of the kernel, [`input`] what packets do, [`timers`] what happens when none come.

mod calls;
mod end;
mod input;
mod timers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use clinker_model::{FaultId, Journal as _};

use super::paths::{Change, Freight, Paths};
use super::queue::Queue;
use crate::fabric::Fabric;
use crate::hosts::HostId;
use end::{End, Phase};

/// Number of a connection, never used again.
pub(super) type ConnId = u64;

/// An end of a connection: 0 = the one that connected.
pub(super) type Side = usize;
pub(super) const CLIENT: Side = 0;
pub(super) const SERVER: Side = 1;

/// Connections that wait for `accept`, as tokio asks for (listen(2): further SYNs are dropped).
const BACKLOG: usize = 1024;
/// First of the ports that a kernel picks itself.
const EPHEMERAL: u16 = 32_768;

pub(super) enum Event {
    Packet { conn: ConnId, to: Side, packet: Packet },
    Timer { conn: ConnId, side: Side },
}

pub(super) enum Packet {
    Syn,
    SynAck,
    Data {
        offset: u64,
        bytes: Bytes,
        fin: bool,
    },
    /// Everything before `upto` has come; there is room up to `edge`. `gap`: something is missing before what came last.
    Ack {
        upto: u64,
        edge: u64,
        gap: bool,
    },
    /// Asks a receiver without room for its edge.
    Probe,
    Rst,
}

struct Conn {
    port: u16,
    ends: [Option<End>; 2],
    /// How an end that is no more went: in order, so that its kernel answers a late FIN, or not.
    closed: [bool; 2],
}

struct Listening {
    queue: VecDeque<ConnId>,
    acceptor: Option<Waker>,
    /// Tells a listener from one that listened on the same port before.
    number: u64,
}

/// A `reset` fault that has not struck yet, with the bytes that each connection has carried since its start.
struct Reset {
    fault: FaultId,
    host: HostId,
    after: u64,
    carried: BTreeMap<ConnId, u64>,
}

/// The kernels of all hosts and what is on the way between them.
pub(super) struct Kernel {
    pub(super) queue: Queue<Event>,
    pub(super) paths: Paths,
    fabric: Arc<Fabric>,
    conns: BTreeMap<ConnId, Conn>,
    listeners: BTreeMap<(HostId, u16), Listening>,
    /// Hosts whose machine has no power.
    dark: BTreeSet<HostId>,
    resets: Vec<Reset>,
    struck: Vec<FaultId>,
    window: u64,
    last_conn: ConnId,
    last_listener: u64,
    last_port: u16,
    /// Virtual time of what happens now; within a millisecond it runs ahead of the hosts' clocks.
    now_ns: u64,
}

impl Kernel {
    pub(super) fn new(fabric: Arc<Fabric>, queue: Queue<Event>) -> Kernel {
        let config = fabric.config();
        Kernel {
            paths: Paths::new(config.latency, Arc::clone(fabric.journal())),
            window: config.window.max(1),
            fabric,
            queue,
            conns: BTreeMap::new(),
            listeners: BTreeMap::new(),
            dark: BTreeSet::new(),
            resets: Vec::new(),
            struck: Vec::new(),
            last_conn: 0,
            last_listener: 0,
            last_port: EPHEMERAL,
            now_ns: 0,
        }
    }

    /// Lets everything happen that is due.
    pub(super) fn run_until(&mut self, now_ns: u64) {
        while let Some((at_ns, event)) = self.queue.pop_due(now_ns) {
            self.now_ns = at_ns;
            match event {
                Event::Packet { conn, to, packet } => self.arrive(conn, to, packet),
                Event::Timer { conn, side } => self.fire(conn, side),
            }
        }
        self.now_ns = now_ns;
    }

    /// The faults in force, as the fabric knows them.
    pub(super) fn sync_faults(&mut self, host_of: impl Fn(&str) -> Option<HostId>) {
        let fabric = Arc::clone(&self.fabric);
        let faults = fabric.links().others();
        self.now_ns = self.now_ns.max(u64::try_from(fabric.now().as_nanos()).unwrap_or(u64::MAX));
        let changes = self.paths.shape(&faults, |a, b| fabric.is_held(a, b), self.now_ns);
        if !changes.is_empty() {
            self.retime(&changes);
        }
        self.resets.retain(|reset| faults.iter().any(|(id, _)| *id == reset.fault));
        for (id, fault) in &faults {
            if let clinker_model::Fault::Reset(reset) = fault
                && !self.struck.contains(id)
                && !self.resets.iter().any(|known| known.fault == *id)
                && let Some(host) = host_of(&reset.host)
            {
                self.resets.push(Reset { fault: *id, host, after: reset.after.0, carried: BTreeMap::new() });
            }
        }
    }

    /// What is under way on a path that has become faster or slower arrives accordingly, still in order; and who waits for
    /// an answer waits as long as the path is now.
    fn retime(&mut self, changes: &[Change]) {
        let change = |from, to| changes.iter().find(|change| change.from == from && change.to == to);
        let conns = &mut self.conns;
        self.queue.retime(|at_ns, event| {
            let Event::Packet { conn, to, .. } = event else { return None };
            let known = conns.get_mut(conn)?;
            let (from, here) = input::way(known, *to)?;
            let at_ns = change(from, here)?.retimed(at_ns);
            let Some(sender) = &mut known.ends[1 - *to] else { return Some(at_ns) };
            let at_ns = at_ns.max(sender.out.retimed_ns.saturating_add(1));
            sender.out.retimed_ns = at_ns;
            Some(at_ns)
        });
        let ends: Vec<(ConnId, Side)> = self.conns.keys().flat_map(|conn| [(*conn, CLIENT), (*conn, SERVER)]).collect();
        for (conn, side) in ends {
            let Some(end) = self.end(conn, side) else { continue };
            let (from, to) = (end.host, end.peer);
            if changes.iter().any(|change| change.from == from && change.to == to) {
                end.out.last_arrival_ns = std::mem::take(&mut end.out.retimed_ns);
            }
            if end.phase == Phase::Open && end.out.timer.is_some() {
                self.rearm(conn, side);
            }
        }
    }

    /// The machine is gone, and with it what its kernel knew.
    pub(super) fn power_off(&mut self, host: HostId) {
        self.dark.insert(host);
        self.listeners.retain(|(listening, _), _| *listening != host);
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in conns {
            for side in [CLIENT, SERVER] {
                if self.end(conn, side).is_some_and(|end| end.host == host) {
                    self.remove(conn, side, false);
                }
            }
        }
    }

    pub(super) fn power_on(&mut self, host: HostId) {
        self.dark.remove(&host);
    }

    fn end(&mut self, conn: ConnId, side: Side) -> Option<&mut End> {
        self.conns.get_mut(&conn)?.ends[side].as_mut()
    }

    /// Forgets an end; the connection goes with the second.
    fn remove(&mut self, conn: ConnId, side: Side, in_order: bool) {
        let Some(known) = self.conns.get_mut(&conn) else { return };
        if let Some(end) = known.ends[side].take()
            && let Some(timer) = end.out.timer
        {
            self.queue.cancel(timer);
        }
        known.closed[side] = in_order;
        if known.ends.iter().all(Option::is_none) {
            self.conns.remove(&conn);
        }
    }

    /// Sends a packet from one end's host to the other's.
    fn send(&mut self, conn: ConnId, from: Side, (here, there): (HostId, HostId), packet: Packet) {
        let freight = match &packet {
            Packet::Syn | Packet::SynAck => Freight::Handshake,
            Packet::Data { bytes, .. } => Freight::Data(bytes.len() as u64),
            Packet::Ack { .. } | Packet::Probe | Packet::Rst => Freight::Control,
        };
        let Some(mut at_ns) = self.paths.send(here, there, freight, self.now_ns) else {
            return self.swallowed((here, there));
        };
        if let Packet::Data { .. } | Packet::Rst = packet
            && let Some(end) = self.end(conn, from)
        {
            at_ns = at_ns.max(end.out.last_arrival_ns.saturating_add(1));
            end.out.last_arrival_ns = at_ns;
        }
        self.queue.push(at_ns, Event::Packet { conn, to: 1 - from, packet });
    }

    /// A path that is blocked has swallowed a packet: a bite of every hold that blocks it.
    fn swallowed(&self, (from, to): (HostId, HostId)) {
        let (from, to) = (self.paths.name(from), self.paths.name(to));
        self.fabric.links().bite_holds(from, to, "a packet to");
    }

    /// Sends what the window allows and sees to the timer.
    fn pump(&mut self, conn: ConnId, side: Side) {
        while let Some(end) = self.conns.get_mut(&conn).and_then(|conn| conn.ends[side].as_mut()) {
            if end.phase != Phase::Open || end.over {
                return;
            }
            // Until what was repeated is answered, nothing new goes out (RFC 5681 §3.1: a loss window of one segment).
            if end.out.tries > 0 && end.out.outstanding() {
                break;
            }
            let way = (end.host, end.peer);
            let Some(piece) = end.out.next_piece(self.paths.piece(way.0, way.1)) else { break };
            let packet = Packet::Data { offset: piece.offset, bytes: piece.bytes, fin: piece.fin };
            self.send(conn, side, way, packet);
        }
        self.arm(conn, side);
    }

    /// Tells the sender what has come and how much room there is.
    fn acknowledge(&mut self, conn: ConnId, side: Side, gap: bool) {
        let window = self.window;
        let Some(end) = self.end(conn, side) else { return };
        let (upto, edge, way) = (end.inn.nxt, end.inn.edge(window), (end.host, end.peer));
        self.send(conn, side, way, Packet::Ack { upto, edge, gap });
    }

    /// Ends both halves at once, as the kernel of `side`.
    fn reset(&mut self, conn: ConnId, side: Side) {
        let Some(end) = self.end(conn, side) else { return };
        let way = (end.host, end.peer);
        self.send(conn, side, way, Packet::Rst);
        self.remove(conn, side, false);
    }

    /// The end hears of a reset, from its peer or from something between them.
    fn be_reset(&mut self, conn: ConnId, side: Side) {
        let Some(end) = self.end(conn, side) else { return };
        let error = match (end.phase, end.inn.fin) {
            (Phase::SynSent, _) => io::ErrorKind::ConnectionRefused,
            // tcp(7): the peer had finished, so that the reset answers what was written since.
            (_, true) => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::ConnectionReset,
        };
        self.fail(conn, side, error);
    }

    fn fail(&mut self, conn: ConnId, side: Side, error: io::ErrorKind) {
        let Some(end) = self.end(conn, side) else { return };
        let timer = end.out.timer.take();
        end.finish(Some(error));
        let held = end.held;
        if let Some(timer) = timer {
            self.queue.cancel(timer);
        }
        if !held {
            self.remove(conn, side, false);
        }
    }

    /// Counts bytes for `reset` faults; one that is due breaks this connection for both ends.
    fn strikes(&mut self, conn: ConnId, bytes: u64) -> bool {
        if self.resets.is_empty() {
            return false;
        }
        let Some(server) = self.server_host(conn) else { return false };
        let due = self.resets.iter_mut().position(|reset| {
            if reset.host != server {
                return false;
            }
            let carried = reset.carried.entry(conn).or_default();
            *carried += bytes;
            *carried > reset.after
        });
        let Some(due) = due else { return false };
        let reset = self.resets.remove(due);
        self.struck.push(reset.fault);
        let name = Arc::clone(self.paths.name(reset.host));
        self.fabric.journal().bite(reset.fault, &name, "a connection was reset on the way");
        self.be_reset(conn, CLIENT);
        self.be_reset(conn, SERVER);
        true
    }

    fn server_host(&self, conn: ConnId) -> Option<HostId> {
        let ends = &self.conns.get(&conn)?.ends;
        ends[SERVER].as_ref().map(|end| end.host).or_else(|| ends[CLIENT].as_ref().map(|end| end.peer))
    }
}
