//! The least time that an operation can take on a link, whoever carries it out; and what it takes strictly in turn.
//!
//! With `n` objects of at most `s` bytes, `S` in all; `B` the rate of the link, `r` its round trip, `p` the store's service
//! time, `W` a connection's window; `t` what one connection takes to send an object, which is `s ÷ B` if `W ≥ B × r`, else a
//! round trip for every whole window before the last bytes, and those ÷ `B`; `q = t + r + p` what one request takes alone, `c`
//! requests at once, `m` chunks with `h` of computing each on `k` cores:
//!
//! ```text
//! T* = head + max( max(s ÷ B, r₁) + (S − s) ÷ B + r + p + h,  ⌈n ÷ c⌉ × q + r₂ + h,  m × h ÷ k + q ) + tail
//! T₁ = head + m × h + n × (t + r + p) + tail
//! ```
//!
//! A connection takes a round trip to open, and the head leaves one. Until a second is there the link carries one object:
//! `r₁ = r`, or 0 where one connection is all there is to be. And all slots but the first begin so much later: `r₂ = r`, or 0
//! where that does no harm, as the last round does not need them.
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
    /// Bytes; none if it never holds a connection up.
    window: Option<u128>,
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
        let window = u128::from(cell.window);
        let hashing = (u128::from(cell.chunk) * 1_000_000_000).checked_div(u128::from(cell.hash_rate)).unwrap_or(0);
        Terms {
            rate,
            window: Some(window).filter(|window| window * 1_000_000_000 < rate * trip),
            trip,
            service: u128::from(cell.service_us) * 1000,
            at_once: cell.at_once,
            computing: if cell.operation == Operation::Restore { 0 } else { hashing },
            cores: u128::from(cell.cores),
        }
    }

    /// One request with nothing beside it.
    fn alone(&self, bytes: u64) -> u128 {
        let bytes = u128::from(bytes);
        let waits = self.window.map_or(0, |window| bytes.saturating_sub(1) / window);
        let last = bytes - waits * self.window.unwrap_or(0);
        waits * self.trip + last * 1_000_000_000 / self.rate + self.trip + self.service
    }

    fn least(&self, objects: &[u64], chunks: u128) -> u128 {
        let (total, largest) = (objects.iter().sum::<u64>(), objects.iter().copied().max().unwrap_or(0));
        if objects.is_empty() {
            return chunks * self.computing / self.cores;
        }
        let slots = u128::from(self.at_once.min(BUDGET / largest.max(1)).max(1));
        let carrying = |bytes: u64| u128::from(bytes) * 1_000_000_000 / self.rate;
        // One connection is left of the head; until a second is open it carries one object and then nothing.
        let first = if slots > 1 && objects.len() > 1 { self.trip.max(carrying(largest)) } else { carrying(largest) };
        let by_link = first + carrying(total - largest) + self.trip + self.service + self.computing;
        let by_requests = self.by_requests(objects, slots) + self.computing;
        let last = objects.last().copied().unwrap_or(0);
        let by_cores = chunks * self.computing / self.cores + self.alone(last);
        by_link.max(by_requests).max(by_cores)
    }

    /// One of the slots has so many requests as the rounds are, and at best the smallest; all slots but one open a connection.
    fn by_requests(&self, objects: &[u64], slots: u128) -> u128 {
        let requests = objects.len() as u128;
        let rounds = requests.div_ceil(slots);
        let mut ascending = objects.to_vec();
        ascending.sort_unstable();
        let smallest: u128 = ascending.iter().take(rounds as usize).map(|bytes| self.alone(*bytes)).sum();
        let by_then = rounds + (slots - 1) * (rounds - 1);
        smallest + if requests <= by_then { 0 } else { self.trip }
    }
}
