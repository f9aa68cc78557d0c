//! What arriving packets do.

use bytes::Bytes;

use super::end::{End, Phase};
use super::{BACKLOG, CLIENT, Conn, ConnId, Event, Kernel, Packet, SERVER, Side};
use crate::hosts::HostId;
use crate::simnet::paths::Freight;

impl Kernel {
    pub(super) fn arrive(&mut self, conn: ConnId, to: Side, packet: Packet) {
        let Some(known) = self.conns.get(&conn) else { return };
        let Some((from, here)) = way(known, to) else { return };
        if self.dark.contains(&here) {
            return;
        }
        if self.paths.is_blocked(from, here) {
            return self.swallowed((from, here));
        }
        if let Packet::Syn = packet {
            return self.arrive_syn(conn, from, here);
        }
        if self.end(conn, to).is_none_or(|end| end.over) {
            return self.arrive_late(conn, to, (here, from), &packet);
        }
        match packet {
            Packet::Syn => {}
            Packet::SynAck => self.arrive_syn_ack(conn),
            Packet::Data { offset, bytes, fin } => self.arrive_data(conn, to, offset, bytes, fin),
            Packet::Ack { upto, edge, gap } => self.arrive_ack(conn, to, upto, edge, gap),
            Packet::Probe => self.acknowledge(conn, to, false),
            Packet::Rst => self.be_reset(conn, to),
        }
    }

    /// For an end that its kernel does not know (any more), or only until the application lets go.
    fn arrive_late(&mut self, conn: ConnId, to: Side, (here, peer): (HostId, HostId), packet: &Packet) {
        let in_order = self.conns.get(&conn).is_some_and(|known| known.closed[to]);
        let answer = match packet {
            Packet::Data { offset, bytes, fin: true } if in_order && bytes.is_empty() => {
                Packet::Ack { upto: offset + 1, edge: 0, gap: false }
            }
            Packet::Data { .. } | Packet::SynAck => Packet::Rst,
            Packet::Ack { .. } | Packet::Probe if !in_order => Packet::Rst,
            _ => return,
        };
        // Not through `send`: there is no end whose order of arrival would matter.
        if let Some(at_ns) = self.paths.send(here, peer, Freight::Control, self.now_ns) {
            self.queue.push(at_ns, Event::Packet { conn, to: 1 - to, packet: answer });
        }
    }

    fn arrive_syn(&mut self, conn: ConnId, client: HostId, server: HostId) {
        let Some(known) = self.conns.get_mut(&conn) else { return };
        if known.ends[SERVER].is_some() {
            return self.send(conn, SERVER, (server, client), Packet::SynAck);
        }
        let port = known.port;
        let (client_name, server_name) = (self.paths.name(client).clone(), self.paths.name(server).clone());
        let refuses = self.fabric.links().is_refusing(&server_name);
        if refuses {
            self.fabric.links().bite_refusals(&client_name, &server_name);
        }
        match self.listeners.get(&(server, port)) {
            Some(listening) if !refuses => {
                if listening.queue.len() >= BACKLOG {
                    return;
                }
                let end = End::new(server, client, Phase::SynReceived, self.window);
                if let Some(known) = self.conns.get_mut(&conn) {
                    known.ends[SERVER] = Some(end);
                }
                self.send(conn, SERVER, (server, client), Packet::SynAck);
                self.arm(conn, SERVER);
            }
            _ => self.send(conn, SERVER, (server, client), Packet::Rst),
        }
    }

    fn arrive_syn_ack(&mut self, conn: ConnId) {
        let Some(end) = self.end(conn, CLIENT) else { return };
        if end.phase == Phase::SynSent {
            end.phase = Phase::Open;
            (end.out.tries, end.out.backoff) = (0, 0);
            end.wake_both();
            self.rearm(conn, CLIENT);
        }
        self.acknowledge(conn, CLIENT, false);
    }

    /// Finishes the handshake on the server's side; false if nobody listens any more.
    fn open_server(&mut self, conn: ConnId, to: Side) -> bool {
        let port = self.conns.get(&conn).map_or(0, |known| known.port);
        let Some(end) = self.end(conn, to) else { return false };
        if end.phase != Phase::SynReceived {
            return true;
        }
        end.phase = Phase::Open;
        (end.out.tries, end.out.backoff) = (0, 0);
        let host = end.host;
        self.rearm(conn, to);
        let Some(listening) = self.listeners.get_mut(&(host, port)) else {
            self.reset(conn, to);
            return false;
        };
        listening.queue.push_back(conn);
        if let Some(acceptor) = listening.acceptor.take() {
            acceptor.wake();
        }
        true
    }

    fn arrive_data(&mut self, conn: ConnId, to: Side, offset: u64, bytes: Bytes, fin: bool) {
        if !self.open_server(conn, to) || self.strikes(conn, bytes.len() as u64) {
            return;
        }
        let Some(end) = self.end(conn, to) else { return };
        let waits_for_accept = to == SERVER && !end.held && !end.out.fin;
        if !end.held && !waits_for_accept && !bytes.is_empty() {
            // tcp(7): data for a socket that was closed.
            return self.reset(conn, to);
        }
        let gap = offset > end.inn.nxt;
        end.inn.take_in(offset, bytes, fin);
        end.wake_reader();
        self.acknowledge(conn, to, gap);
        self.let_go(conn, to);
    }

    fn arrive_ack(&mut self, conn: ConnId, to: Side, upto: u64, edge: u64, gap: bool) {
        if !self.open_server(conn, to) {
            return;
        }
        let Some(end) = self.conns.get_mut(&conn).and_then(|known| known.ends[to].as_mut()) else { return };
        let asked = end.out.blocked();
        let news = end.out.acknowledged(upto, edge);
        if news || asked {
            end.out.tries = 0;
        }
        if news {
            end.out.backoff = 0;
            end.wake_writer();
        }
        // A gap means that pieces were swallowed: all is sent again, once in a round trip.
        let round_trip_ns = self.paths.round_trip_ns(end.host, end.peer);
        if gap && self.now_ns > end.out.resent_ns.saturating_add(round_trip_ns) {
            end.out.resent_ns = self.now_ns;
            end.out.rewind();
        }
        if news {
            self.rearm(conn, to);
        }
        self.pump(conn, to);
        self.let_go(conn, to);
    }
}

/// From which host to which a packet for this end goes; none if neither end is left.
pub(super) fn way(known: &Conn, to: Side) -> Option<(HostId, HostId)> {
    match (&known.ends[to], &known.ends[1 - to]) {
        (Some(end), _) => Some((end.peer, end.host)),
        (None, Some(peer)) => Some((peer.host, peer.peer)),
        (None, None) => None,
    }
}
