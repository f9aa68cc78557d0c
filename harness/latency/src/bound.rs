//! The least time that an operation can take on a link, whoever carries it out; and what it takes strictly in turn.
//!
//! With `n` objects of at most `s` bytes, `S` in all; `B` the rate of the link, `r` its round trip, `p` the store's service
//! time, `W` a connection's window, `b = min(B, W ÷ r)` what one connection carries, `q = s ÷ b + r + p` what one request
//! takes alone, `c` requests at once, `m` chunks with `h` of computing each on `k` cores:
//!
//! ```text
//! T* = head + max( S ÷ B + r + p + h,  ⌈n ÷ c⌉ × q + h,  m × h ÷ k + q ) + tail
//! T₁ = head + m × h + S ÷ b + n × (r + p) + tail
//! ```
//!
//! `c` is what the option allows and what the memory budget has room for, one at least. `head` and `tail` are the requests
//! that nothing can go on beside: a connection (`r`), authentication, a look at the container; of an increment the parent's
//! hashes, of a restore metadata, listing and hashes; and at the end of a backup the two documents.

use clinker_drivers::chunked::BUDGET;

use crate::store::{Request, Verb};
use clinker_model::latency::{Cell, Operation};

/// Nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    pub least_ns: u64,
    pub in_turn_ns: u64,
    /// Until the first note about ten chunks; none if there is none.
    pub first_note_ns: Option<u64>,
}

/// The bounds for what was carried: the requests say how many objects there were, and how large.
pub fn bound(cell: &Cell, requests: &[Request], chunks_per_note: u64) -> Bound {
    let terms = Terms::new(cell);
    let data: Vec<u64> = requests.iter().filter(|request| request.is_data()).map(|request| request.bytes).collect();
    let serial = |request: &&Request| !request.is_data() && request.verb != Verb::Auth;
    let (head, tail): (Vec<&Request>, Vec<&Request>) = requests
        .iter()
        .filter(serial)
        .partition(|request| cell.operation == Operation::Restore || request.verb != Verb::Put);
    let alone = |requests: &[&Request]| requests.iter().map(|request| terms.alone(request.bytes)).sum::<u128>();
    // A connection and the authentication; then what must be known before the first object.
    let head_ns = terms.trip + terms.alone(0) + alone(&head);
    let tail_ns = alone(&tail);
    let chunks = u128::from(cell.volume.div_ceil(cell.chunk));
    let least = head_ns + terms.least(&data, chunks) + tail_ns;
    let objects: u128 = data.iter().map(|bytes| terms.alone(*bytes)).sum();
    let in_turn = head_ns + chunks * terms.computing + objects + tail_ns;
    let counted = u128::from(chunks_per_note).min(chunks);
    let noted = (chunks > u128::from(chunks_per_note) && cell.operation == Operation::Full)
        .then(|| head_ns + terms.least(&data[..data.len().min(counted as usize)], counted));
    let whole = |ns: u128| u64::try_from(ns).unwrap_or(u64::MAX);
    Bound { least_ns: whole(least), in_turn_ns: whole(in_turn), first_note_ns: noted.map(whole) }
}

/// The letters of the formula, in nanoseconds and bytes.
struct Terms {
    rate: u128,
    /// Of one connection.
    own_rate: u128,
    trip: u128,
    service: u128,
    at_once: u64,
    /// Of one chunk.
    computing: u128,
    cores: u128,
}

impl Terms {
    fn new(cell: &Cell) -> Terms {
        let (rate, trip) = (u128::from(cell.bandwidth), u128::from(cell.rtt_us) * 1000);
        let by_window = (u128::from(cell.window) * 1_000_000_000).checked_div(trip).unwrap_or(rate);
        let hashing = (u128::from(cell.chunk) * 1_000_000_000).checked_div(u128::from(cell.hash_rate)).unwrap_or(0);
        Terms {
            rate,
            own_rate: rate.min(by_window).max(1),
            trip,
            service: u128::from(cell.service_us) * 1000,
            at_once: cell.at_once,
            computing: if cell.operation == Operation::Restore { 0 } else { hashing },
            cores: u128::from(cell.cores),
        }
    }

    /// One request with nothing beside it.
    fn alone(&self, bytes: u64) -> u128 {
        u128::from(bytes) * 1_000_000_000 / self.own_rate + self.trip + self.service
    }

    fn least(&self, objects: &[u64], chunks: u128) -> u128 {
        let (total, largest) = (objects.iter().sum::<u64>(), objects.iter().copied().max().unwrap_or(0));
        if objects.is_empty() {
            return chunks * self.computing / self.cores;
        }
        let at_once = u128::from(self.at_once.min(BUDGET / largest.max(1)).max(1));
        let by_link = u128::from(total) * 1_000_000_000 / self.rate + self.trip + self.service + self.computing;
        // Objects of unlike size: as many rounds as their mean size allows.
        let mean = total / objects.len() as u64;
        let by_requests = (objects.len() as u128).div_ceil(at_once) * self.alone(mean) + self.computing;
        let by_cores = chunks * self.computing / self.cores + self.alone(mean);
        by_link.max(by_requests).max(by_cores)
    }
}
