//! What an end does when no answer comes: repeat, ask for room, give up.

use std::io;

use super::end::Phase;
use super::{CLIENT, ConnId, Event, Kernel, Packet, Side};
use crate::simnet::paths::{RTO_MIN_NS, SYN_RTO_NS};

/// tcp(7): `tcp_syn_retries`; with 1, 2, 4 … s between them a connect gives up after 127 s.
const SYN_RETRIES: u32 = 6;
/// tcp(7): `tcp_synack_retries`; a handshake that is not finished is forgotten after 63 s.
const SYNACK_RETRIES: u32 = 5;
/// tcp(7): `tcp_retries2`; with 200 ms, 400 ms … and at most 120 s between them a sender gives up after about 924 s.
const RETRIES: u32 = 15;
/// Of an end that no process holds any more; `tcp_orphan_retries` of 0 means 8. It is forgotten after about 102 s.
const ORPHAN_RETRIES: u32 = 8;
const RTO_MAX_NS: u64 = 120_000_000_000;

impl Kernel {
    /// Sets the timer that the end needs now, or none. A running one goes on.
    pub(super) fn arm(&mut self, conn: ConnId, side: Side) {
        let Some(end) = self.conns.get_mut(&conn).and_then(|conn| conn.ends[side].as_mut()) else { return };
        let needed = match end.phase {
            Phase::SynSent | Phase::SynReceived => true,
            Phase::Open => end.out.outstanding() || end.out.blocked(),
        };
        if end.over || !needed {
            if let Some(timer) = end.out.timer.take() {
                self.queue.cancel(timer);
            }
            return;
        }
        if end.out.timer.is_some() {
            return;
        }
        let wait_ns = match end.phase {
            Phase::SynSent | Phase::SynReceived => SYN_RTO_NS << end.out.tries,
            Phase::Open => {
                let first_ns = RTO_MIN_NS.saturating_add(self.paths.round_trip_ns(end.host, end.peer));
                let wait_ns = first_ns.saturating_mul(1 << end.out.backoff.min(20)).min(RTO_MAX_NS);
                // The round trips that TCP measures have the queue before a slow link in them.
                wait_ns.saturating_add(self.paths.backlog_ns(end.host, end.peer, self.now_ns))
            }
        };
        let due_ns = self.now_ns.saturating_add(wait_ns);
        end.out.timer = Some(self.queue.push(due_ns, Event::Timer { conn, side }));
    }

    /// Starts the timer again from now, as after an answer.
    pub(super) fn rearm(&mut self, conn: ConnId, side: Side) {
        if let Some(timer) = self.end(conn, side).and_then(|end| end.out.timer.take()) {
            self.queue.cancel(timer);
        }
        self.arm(conn, side);
    }

    pub(super) fn fire(&mut self, conn: ConnId, side: Side) {
        let Some(end) = self.end(conn, side) else { return };
        end.out.timer = None;
        end.out.tries += 1;
        end.out.backoff += 1;
        // One that waits to be accepted is nobody's yet, but its listener holds it.
        let retries = if end.held || !end.out.fin { RETRIES } else { ORPHAN_RETRIES };
        let (tries, way) = (end.out.tries, (end.host, end.peer));
        match end.phase {
            Phase::SynSent if tries > SYN_RETRIES => return self.fail(conn, side, io::ErrorKind::TimedOut),
            Phase::SynSent => self.send(conn, CLIENT, way, Packet::Syn),
            Phase::SynReceived if tries > SYNACK_RETRIES => return self.remove(conn, side, false),
            Phase::SynReceived => self.send(conn, side, way, Packet::SynAck),
            Phase::Open if tries > retries => return self.fail(conn, side, io::ErrorKind::TimedOut),
            Phase::Open if end.out.outstanding() => self.repeat(conn, side),
            Phase::Open => self.send(conn, side, way, Packet::Probe),
        }
        self.arm(conn, side);
    }

    /// Sends the first piece that is not acknowledged again; the others follow when an answer has come.
    fn repeat(&mut self, conn: ConnId, side: Side) {
        let Some(end) = self.conns.get_mut(&conn).and_then(|conn| conn.ends[side].as_mut()) else { return };
        end.out.rewind();
        let way = (end.host, end.peer);
        if let Some(piece) = end.out.next_piece(self.paths.piece(way.0, way.1)) {
            let packet = Packet::Data { offset: piece.offset, bytes: piece.bytes, fin: piece.fin };
            self.send(conn, side, way, packet);
        }
    }
}
