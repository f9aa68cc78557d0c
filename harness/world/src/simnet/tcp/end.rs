//! One end of a connection, as its host's kernel knows it: what is sent and not acknowledged, what is received and not read.
//!
//! Offsets count the bytes of one direction from 0; a FIN takes the number after the last byte (RFC 9293 §3.4).

use std::collections::VecDeque;
use std::io;
use std::task::Waker;

use bytes::Bytes;

use crate::hosts::HostId;
use crate::simnet::queue::Key;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client waits for an answer to its SYN.
    SynSent,
    /// The server waits for the last packet of the handshake.
    SynReceived,
    Open,
}

pub(super) struct End {
    pub(super) host: HostId,
    pub(super) peer: HostId,
    pub(super) phase: Phase,
    pub(super) out: Outgoing,
    pub(super) inn: Incoming,
    /// What the next call of the application fails with, once.
    pub(super) error: Option<io::ErrorKind>,
    /// Reset or timed out: nothing is sent or taken any more.
    pub(super) over: bool,
    /// The application holds the socket; without it the kernel only finishes what was written.
    pub(super) held: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// The sending half. `una ≤ nxt ≤ end`, as in RFC 9293 §3.3.1.
#[derive(Default)]
pub(super) struct Outgoing {
    /// From `una` on, cut as they were or will be sent.
    pieces: VecDeque<Bytes>,
    /// How many of them are sent.
    sent: usize,
    /// First offset not acknowledged.
    pub(super) una: u64,
    /// First offset not sent.
    nxt: u64,
    /// After the last byte written.
    end: u64,
    /// First offset the receiver has no room for.
    edge: u64,
    /// The application writes no more.
    pub(super) fin: bool,
    fin_sent: bool,
    pub(super) fin_acked: bool,
    /// The running timer and how often it has fired without an answer.
    pub(super) timer: Option<Key>,
    pub(super) tries: u32,
    /// How often the wait was doubled; also by probes that were answered, as long as there is no room.
    pub(super) backoff: u32,
    /// Arrival of the latest piece; nothing of one direction overtakes.
    pub(super) last_arrival_ns: u64,
    /// The same while a changed path's packets are given new times.
    pub(super) retimed_ns: u64,
    /// When all of it was last sent again because of a gap.
    pub(super) resent_ns: u64,
}

/// The receiving half.
#[derive(Default)]
pub(super) struct Incoming {
    unread: VecDeque<Bytes>,
    /// Next offset expected.
    pub(super) nxt: u64,
    /// Bytes that the application has taken.
    taken: u64,
    /// The edge that the sender was last told.
    told: u64,
    pub(super) fin: bool,
}

/// A piece to send.
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) bytes: Bytes,
    pub(super) fin: bool,
}

impl End {
    pub(super) fn new(host: HostId, peer: HostId, phase: Phase, window: u64) -> End {
        End {
            host,
            peer,
            phase,
            out: Outgoing { edge: window, ..Outgoing::default() },
            inn: Incoming { told: window, ..Incoming::default() },
            error: None,
            over: false,
            held: phase == Phase::SynSent,
            reader: None,
            writer: None,
        }
    }

    pub(super) fn wake_both(&mut self) {
        self.wake_reader();
        self.wake_writer();
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Nothing more will happen to it, but for the application letting go.
    pub(super) fn finish(&mut self, error: Option<io::ErrorKind>) {
        self.over = true;
        self.error = error;
        self.out.clear();
        self.wake_both();
    }
}

impl Outgoing {
    pub(super) fn buffered(&self) -> u64 {
        self.end - self.una
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.pieces.push_back(Bytes::copy_from_slice(bytes));
        self.end += bytes.len() as u64;
    }

    /// The next piece that the receiver has room for, of at most `most` bytes.
    pub(super) fn next_piece(&mut self, most: u64) -> Option<Piece> {
        let offset = self.nxt;
        let room = usize::try_from(self.edge.saturating_sub(offset).min(most)).unwrap_or(usize::MAX);
        if let Some(piece) = self.pieces.get_mut(self.sent) {
            if room == 0 {
                return None;
            }
            if piece.len() > room {
                let rest = piece.split_off(room);
                self.pieces.insert(self.sent + 1, rest);
            }
            let bytes = self.pieces[self.sent].clone();
            self.sent += 1;
            self.nxt += bytes.len() as u64;
            let fin = self.fin && self.sent == self.pieces.len();
            self.fin_sent |= fin;
            return Some(Piece { offset, bytes, fin });
        }
        if self.fin && !self.fin_sent {
            self.fin_sent = true;
            return Some(Piece { offset, bytes: Bytes::new(), fin: true });
        }
        None
    }

    /// Takes an acknowledgement; returns whether it was news: of bytes that have come, or of room that was missing.
    pub(super) fn acknowledged(&mut self, upto: u64, edge: u64) -> bool {
        let mut news = self.blocked() && edge > self.edge;
        self.edge = self.edge.max(edge);
        while let Some(piece) = self.pieces.front()
            && self.una + piece.len() as u64 <= upto
        {
            self.una += piece.len() as u64;
            self.pieces.pop_front();
            self.sent = self.sent.saturating_sub(1);
            self.nxt = self.nxt.max(self.una);
            news = true;
        }
        if self.fin && !self.fin_acked && upto > self.end {
            (self.fin_sent, self.fin_acked) = (true, true);
            news = true;
        }
        news
    }

    /// Whether something sent is not acknowledged.
    pub(super) fn outstanding(&self) -> bool {
        self.sent > 0 || (self.fin_sent && !self.fin_acked)
    }

    /// Whether the receiver's full window alone keeps bytes back.
    pub(super) fn blocked(&self) -> bool {
        !self.outstanding() && self.sent < self.pieces.len()
    }

    /// Everything not acknowledged counts as not sent.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
        self.nxt = self.una;
        self.fin_sent = self.fin_acked;
    }

    fn clear(&mut self) {
        self.pieces.clear();
        self.sent = 0;
        self.end = self.una;
        self.nxt = self.una;
    }
}

impl Incoming {
    /// Takes a piece if it is the next one.
    pub(super) fn take_in(&mut self, offset: u64, bytes: Bytes, fin: bool) {
        if offset != self.nxt || self.fin {
            return;
        }
        self.nxt += bytes.len() as u64;
        if !bytes.is_empty() {
            self.unread.push_back(bytes);
        }
        if fin {
            self.fin = true;
            self.nxt += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// Copies to the application what fits.
    pub(super) fn read(&mut self, buf: &mut tokio::io::ReadBuf<'_>) {
        while let Some(first) = self.unread.front_mut() {
            let n = first.len().min(buf.remaining());
            if n == 0 {
                break;
            }
            buf.put_slice(&first[..n]);
            self.taken += n as u64;
            if n == first.len() {
                self.unread.pop_front();
            } else {
                bytes::Buf::advance(first, n);
            }
        }
    }

    /// What to tell the sender that there is room up to.
    pub(super) fn edge(&mut self, window: u64) -> u64 {
        self.told = self.taken + window;
        self.told
    }

    /// Whether so much was read since the sender was told that it should hear of it.
    pub(super) fn should_tell(&self, window: u64) -> bool {
        let news = self.taken + window - self.told;
        news > 0 && (news >= window / 4 || self.told <= self.nxt)
    }
}
