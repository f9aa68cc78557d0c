//! What applications ask of their kernel: connect, listen, accept, read, write, shut down, close.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::end::{End, Phase};
use super::{CLIENT, Conn, ConnId, EPHEMERAL, Kernel, Listening, Packet, SERVER, Side};
use crate::hosts::HostId;

impl Kernel {
    /// Sends a SYN; [`Kernel::poll_connected`] tells what became of it.
    pub(in crate::simnet) fn connect(&mut self, client: HostId, server: HostId, port: u16) -> ConnId {
        self.last_conn += 1;
        let conn = self.last_conn;
        let end = End::new(client, server, Phase::SynSent, self.window);
        self.conns.insert(conn, Conn { port, ends: [Some(end), None], closed: [false; 2] });
        self.send(conn, CLIENT, (client, server), Packet::Syn);
        self.arm(conn, CLIENT);
        conn
    }

    pub(in crate::simnet) fn poll_connected(&mut self, conn: ConnId, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(end) = self.end(conn, CLIENT) else { return Poll::Pending };
        if let Some(error) = end.error.take() {
            return Poll::Ready(Err(error.into()));
        }
        if end.phase == Phase::Open {
            return Poll::Ready(Ok(()));
        }
        end.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Listens on a port, 0 for a free one; returns the port and the listener's number.
    pub(in crate::simnet) fn listen(&mut self, host: HostId, port: u16) -> io::Result<(u16, u64)> {
        let port = if port == 0 { self.free_port(host)? } else { port };
        if self.listeners.contains_key(&(host, port)) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("port {port} is in use")));
        }
        self.last_listener += 1;
        let listening = Listening { queue: VecDeque::new(), acceptor: None, number: self.last_listener };
        self.listeners.insert((host, port), listening);
        Ok((port, self.last_listener))
    }

    fn free_port(&mut self, host: HostId) -> io::Result<u16> {
        for _ in EPHEMERAL..=u16::MAX {
            self.last_port = if self.last_port == u16::MAX { EPHEMERAL } else { self.last_port + 1 };
            if !self.listeners.contains_key(&(host, self.last_port)) {
                return Ok(self.last_port);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "every port is in use"))
    }

    /// The next connection, with the host that made it.
    pub(in crate::simnet) fn poll_accept(
        &mut self,
        host: HostId,
        port: u16,
        cx: &mut Context<'_>,
    ) -> Poll<(ConnId, HostId)> {
        let Some(listening) = self.listeners.get_mut(&(host, port)) else { return Poll::Pending };
        while let Some(conn) = listening.queue.pop_front() {
            // One that was reset meanwhile is passed over.
            if let Some(end) = self.conns.get_mut(&conn).and_then(|known| known.ends[SERVER].as_mut()) {
                end.held = true;
                return Poll::Ready((conn, end.peer));
            }
        }
        listening.acceptor = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Stops listening; whoever waits to be accepted is reset.
    pub(in crate::simnet) fn unlisten(&mut self, host: HostId, port: u16, number: u64) {
        if self.listeners.get(&(host, port)).is_none_or(|listening| listening.number != number) {
            return;
        }
        let waiting = self.listeners.remove(&(host, port)).map(|listening| listening.queue).unwrap_or_default();
        for conn in waiting {
            self.reset(conn, SERVER);
        }
    }

    pub(in crate::simnet) fn poll_read(
        &mut self,
        conn: ConnId,
        side: Side,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let window = self.window;
        let Some(end) = self.end(conn, side) else { return Poll::Pending };
        if !end.inn.is_empty() {
            end.inn.read(buf);
            if !end.over && end.inn.should_tell(window) {
                self.acknowledge(conn, side, false);
            }
            return Poll::Ready(Ok(()));
        }
        // After the peer's end there is nothing to read, whatever came later; the error waits for a write.
        if end.inn.fin {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = end.error.take() {
            return Poll::Ready(Err(error.into()));
        }
        if end.over {
            return Poll::Ready(Ok(()));
        }
        end.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(in crate::simnet) fn poll_write(
        &mut self,
        conn: ConnId,
        side: Side,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let window = self.window;
        let Some(end) = self.end(conn, side) else { return Poll::Pending };
        if let Some(error) = end.error.take() {
            return Poll::Ready(Err(error.into()));
        }
        if end.over || end.out.fin {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = usize::try_from(window.saturating_sub(end.out.buffered())).unwrap_or(usize::MAX);
        let n = buf.len().min(room);
        if n == 0 && !buf.is_empty() {
            end.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if n > 0 {
            end.out.write(&buf[..n]);
            self.pump(conn, side);
        }
        Poll::Ready(Ok(n))
    }

    /// Says that no more will be written.
    pub(in crate::simnet) fn shutdown(&mut self, conn: ConnId, side: Side) -> io::Result<()> {
        let Some(end) = self.end(conn, side) else { return Ok(()) };
        if end.over {
            return Err(io::ErrorKind::NotConnected.into());
        }
        end.out.fin = true;
        self.pump(conn, side);
        Ok(())
    }

    /// The application lets go of the socket. What it has written is still delivered, unless it leaves something unread:
    /// then the peer gets a reset (RFC 2525 §2.17).
    pub(in crate::simnet) fn close(&mut self, conn: ConnId, side: Side) {
        let Some(end) = self.end(conn, side) else { return };
        end.held = false;
        (end.reader, end.writer) = (None, None);
        if end.over || end.phase == Phase::SynSent {
            return self.remove(conn, side, false);
        }
        if !end.inn.is_empty() {
            return self.reset(conn, side);
        }
        end.out.fin = true;
        self.pump(conn, side);
        self.let_go(conn, side);
    }

    /// Forgets an end that the application has closed, once everything written has come through.
    pub(super) fn let_go(&mut self, conn: ConnId, side: Side) {
        if self.end(conn, side).is_some_and(|end| !end.held && end.out.fin && end.out.fin_acked) {
            self.remove(conn, side, true);
        }
    }
}
