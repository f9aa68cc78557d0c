//! The least time that an operation can take on a link, whoever carries it out with these requests in this order; and what
//! it takes strictly in turn. That the engine makes no request more is under test.
//!
//! With `n` objects of at most `s` bytes, `S` in all; `B` the rate of the link, `r` its round trip, `p` the store's service
//! time, `W` a connection's window; `t` what one connection takes to send an object, which is `s ÷ B` if `W ≥ B × r`, else a
//! round trip for every whole window before the last bytes, and those ÷ `B`; `q = t + r + p` what one request takes alone, `c`
//! requests at once, `V` bytes of the volume, which are read at the rate `R` and hashed at the rate `H` by each of `k` cores, `h` what that
//! takes for a chunk:
//!
//! ```text
//! T* = head + max( h + max(s ÷ B, r₁) + (S − s) ÷ B + r + p,  h + ⌈n ÷ c⌉ × q + r₂,
//!                V ÷ H ÷ k + q,  V ÷ R + q ) + tail
//! T₁ = head + V ÷ R + V ÷ H + n × (t + r + p) + tail
//! ```
//!
//! A connection takes a round trip to open, and the head leaves one. Until a second is there the link carries one object:
//! `r₁ = r`, or 0 where one connection is all there is to be. And all slots but the first begin so much later: `r₂ = r`, or 0
//! where that does no harm, as the last round does not need them.
//!
//! Of an increment the last `q` is not counted, as its last chunks may have no object; of a restore `h` is the hashing of its
//! smallest object, and `R` has no part in it.
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
    let least = head_ns + terms.least(&data, cell.volume) + tail_ns;
    let objects: u128 = data.iter().map(|bytes| terms.alone(*bytes)).sum();
    let in_turn = head_ns + terms.reading(cell.volume) + terms.computing(cell.volume) + objects + tail_ns;
    let noted = (cell.volume > chunks_per_note * cell.chunk && cell.operation == Operation::Full).then(|| {
        let counted = data.len().min(chunks_per_note as usize);
        head_ns + terms.least(&data[..counted], chunks_per_note * cell.chunk)
    });
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
    chunk: u64,
    operation: Operation,
    /// Bytes per second of one core and of the disk; none if they are without end. A restore does not read the volume.
    hash_rate: Option<u128>,
    cores: u128,
    read_rate: Option<u128>,
}

impl Terms {
    fn new(cell: &Cell) -> Terms {
        let (rate, trip) = (u128::from(cell.bandwidth), u128::from(cell.rtt_us) * 1000);
        let window = u128::from(cell.window);
        let rate_of = |rate: u64| Some(u128::from(rate)).filter(|rate| *rate > 0);
        Terms {
            rate,
            window: Some(window).filter(|window| window * 1_000_000_000 < rate * trip),
            trip,
            service: u128::from(cell.service_us) * 1000,
            at_once: cell.at_once,
            chunk: cell.chunk,
            hash_rate: rate_of(cell.hash_rate),
            cores: u128::from(cell.cores),
            read_rate: rate_of(cell.read_rate).filter(|_| cell.operation != Operation::Restore),
            operation: cell.operation,
        }
    }

    /// One request with nothing beside it.
    fn alone(&self, bytes: u64) -> u128 {
        let bytes = u128::from(bytes);
        let waits = self.window.map_or(0, |window| bytes.saturating_sub(1) / window);
        let last = bytes - waits * self.window.unwrap_or(0);
        waits * self.trip + last * 1_000_000_000 / self.rate + self.trip + self.service
    }

    /// What one core computes of so many bytes of the volume.
    fn computing(&self, bytes: u64) -> u128 {
        self.hash_rate.map_or(0, |rate| u128::from(bytes) * 1_000_000_000 / rate)
    }

    fn reading(&self, bytes: u64) -> u128 {
        self.read_rate.map_or(0, |rate| u128::from(bytes) * 1_000_000_000 / rate)
    }

    /// For these objects of so many bytes of the volume.
    fn least(&self, objects: &[u64], bytes: u64) -> u128 {
        let (reading, computing) = (self.reading(bytes), self.computing(bytes) / self.cores);
        let (total, largest) = (objects.iter().sum::<u64>(), objects.iter().copied().max().unwrap_or(0));
        if objects.is_empty() {
            return reading.max(computing);
        }
        let slots = u128::from(self.at_once.min(BUDGET / largest.max(1)).max(1));
        let carrying = |bytes: u64| u128::from(bytes) * 1_000_000_000 / self.rate;
        // One connection is left of the head; until a second is open it carries one object and then nothing.
        let first = if slots > 1 && objects.len() > 1 { self.trip.max(carrying(largest)) } else { carrying(largest) };
        let smallest = objects.iter().copied().min().unwrap_or(0);
        let one_chunk = self.reading(self.chunk.min(bytes)) + self.computing(self.chunk.min(bytes));
        let (beside_link, beside_computing) = match self.operation {
            // Before the first object a chunk is read and hashed, and after the last chunk its object is sent.
            Operation::Full => (one_chunk, self.alone(objects.last().copied().unwrap_or(0))),
            // The last chunks may have no object.
            Operation::Incremental => (one_chunk, 0),
            // What comes last is hashed, and before anything is hashed something has come.
            Operation::Restore => (self.computing(smallest), self.alone(smallest)),
        };
        let by_link = beside_link + first + carrying(total - largest) + self.trip + self.service;
        let by_requests = beside_link + self.by_requests(objects, slots);
        by_link.max(by_requests).max(computing.max(reading) + beside_computing)
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
