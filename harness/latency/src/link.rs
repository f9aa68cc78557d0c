//! The link between a backup host and its store: two directions, a rate, a round trip, windows. Arithmetic in nanoseconds.
//!
//! A direction carries one piece after the other; of the bodies that have something to send and room in their window, the
//! oldest goes first. Waiting is tokio's, whose grain is 1 ms: software hears of an arrival up to that much later, while
//! everything below it goes on by the nanosecond.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use clinker_model::latency::Cell;

/// Least bytes that are sent as one piece.
const PIECE_MIN: u64 = 16 << 10;
/// Bytes of a packet, of which each may be lost.
const PACKET: u64 = 1460;
/// Linux' least retransmission time-out; the round trip is added to it.
const RTO_MIN_NS: u64 = 200_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the store.
    Up,
    Down,
}

#[derive(Clone)]
pub struct Link(Arc<Mutex<State>>, Arc<Notify>);

struct State {
    start: Instant,
    /// Up and down.
    ways: [Way; 2],
    transfers: BTreeMap<Key, Transfer>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    numbers: u64,
    rate: u64,
    half_trip_ns: u64,
    window: u64,
    loss_ppm: u64,
    draws: ChaCha8Rng,
    /// Bytes that are between an end and the other, with the moments at which that changed.
    in_flight: u64,
    timeline: Vec<(u64, u64)>,
}

#[derive(Default)]
struct Way {
    busy: bool,
    /// When it was, nanoseconds since the start.
    spans: Vec<(u64, u64)>,
}

/// When the bytes were there, whose turn it was, and a number of its own.
type Key = (u64, u64, u64);

struct Transfer {
    way: Direction,
    left: u64,
    unacknowledged: u64,
    /// Bytes that have not arrived.
    missing: u64,
    arrived_ns: Option<u64>,
    last_arrival_ns: u64,
    waker: Option<Waker>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The last bit of a piece has left.
    Sent(u8),
    Arrived(Key, u64),
    Acknowledged(Key, u64),
}

impl Link {
    pub fn new(cell: &Cell, start: Instant) -> Link {
        Link(
            Arc::new(Mutex::new(State {
                start,
                ways: Default::default(),
                transfers: BTreeMap::new(),
                events: BinaryHeap::new(),
                numbers: 0,
                rate: cell.bandwidth,
                half_trip_ns: cell.rtt_us * 500,
                window: cell.window,
                loss_ppm: cell.loss_ppm,
                draws: ChaCha8Rng::seed_from_u64(0),
                in_flight: 0,
                timeline: Vec::new(),
            })),
            Arc::default(),
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the lock is held")
    }

    /// Carries bytes that are there at a moment; returns when the last has arrived, with that moment. Of two that are there at
    /// the same moment, the one with the smaller turn goes first. Moments are nanoseconds since the start.
    pub async fn carry(&self, way: Direction, bytes: u64, at_ns: u64, turn: u64) -> u64 {
        self.until_ns(at_ns).await;
        let mine = Mine { link: self, key: self.state().begin(way, bytes, at_ns, turn) };
        self.1.notify_one();
        poll_fn(|cx| {
            let mut state = self.state();
            let transfer = state.transfers.get_mut(&mine.key).expect("it goes with its future");
            match transfer.arrived_ns {
                Some(arrived_ns) => Poll::Ready(arrived_ns),
                None => {
                    transfer.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Lets everything happen that is due, for ever: to be polled beside whoever uses the link.
    pub async fn drive(&self) {
        loop {
            let next = {
                let mut state = self.state();
                let now_ns = state.now_ns();
                state.run_until(now_ns);
                state.next_ns().map(|at_ns| state.start + Duration::from_nanos(at_ns))
            };
            match next {
                Some(at) => drop(timeout_at(at, self.1.notified()).await),
                None => self.1.notified().await,
            }
        }
    }

    /// Nanoseconds since the start.
    pub fn now_ns(&self) -> u64 {
        self.state().now_ns()
    }

    /// Waits until a moment, in nanoseconds since the start.
    pub async fn until_ns(&self, at_ns: u64) {
        let start = self.state().start;
        sleep_until(start + Duration::from_nanos(at_ns)).await;
    }

    /// When a direction was busy: nanoseconds since the start.
    pub fn busy(&self, way: Direction) -> Vec<(u64, u64)> {
        self.state().ways[way as usize].spans.clone()
    }

    /// Bytes on the way, at each moment at which that changed: nanoseconds since the start, and bytes.
    pub fn timeline(&self) -> Vec<(u64, u64)> {
        self.state().timeline.clone()
    }
}

/// A transfer that ends when nobody waits for it any more.
struct Mine<'a> {
    link: &'a Link,
    key: Key,
}

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        self.link.state().transfers.remove(&self.key);
    }
}

impl State {
    fn now_ns(&self) -> u64 {
        u64::try_from((Instant::now() - self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    fn next_ns(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((at_ns, ..))| *at_ns)
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn push(&mut self, at_ns: u64, event: Event) {
        let number = self.number();
        self.events.push(Reverse((at_ns, number, event)));
    }

    fn begin(&mut self, way: Direction, bytes: u64, at_ns: u64, turn: u64) -> Key {
        let now_ns = self.now_ns();
        self.run_until(now_ns);
        let key = (at_ns, turn, self.number());
        let transfer = Transfer {
            way,
            left: bytes,
            unacknowledged: 0,
            missing: bytes,
            arrived_ns: None,
            last_arrival_ns: 0,
            waker: None,
        };
        self.transfers.insert(key, transfer);
        if bytes == 0 {
            self.push(at_ns + self.half_trip_ns, Event::Arrived(key, 0));
        }
        self.send_next(way, now_ns.max(at_ns));
        key
    }

    fn run_until(&mut self, now_ns: u64) {
        while self.next_ns().is_some_and(|at_ns| at_ns <= now_ns) {
            let Some(Reverse((at_ns, _, event))) = self.events.pop() else { return };
            match event {
                Event::Sent(way) => {
                    let way = if way == 0 { Direction::Up } else { Direction::Down };
                    self.ways[way as usize].busy = false;
                    self.send_next(way, at_ns);
                }
                Event::Arrived(key, bytes) => self.arrived(key, bytes, at_ns),
                Event::Acknowledged(key, bytes) => {
                    let Some(transfer) = self.transfers.get_mut(&key) else { continue };
                    transfer.unacknowledged -= bytes;
                    let way = transfer.way;
                    self.send_next(way, at_ns);
                }
            }
        }
    }

    /// Sends the next piece of the oldest body that has room in its window.
    fn send_next(&mut self, way: Direction, at_ns: u64) {
        if self.ways[way as usize].busy {
            return;
        }
        let window = self.window;
        let next = self
            .transfers
            .iter_mut()
            .find(|(_, transfer)| transfer.way == way && transfer.left > 0 && transfer.unacknowledged < window);
        let Some((&key, transfer)) = next else { return };
        let piece = (window / 4).max(PIECE_MIN);
        let bytes = transfer.left.min(piece).min(window - transfer.unacknowledged);
        transfer.left -= bytes;
        transfer.unacknowledged += bytes;
        let takes_ns = u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(self.rate)).unwrap_or(u64::MAX);
        let sent_ns = at_ns + takes_ns;
        let late_ns = self.late_ns(bytes);
        let half_trip_ns = self.half_trip_ns;
        let transfer = self.transfers.get_mut(&key).expect("it was found just now");
        let arrives_ns = (sent_ns + half_trip_ns + late_ns).max(transfer.last_arrival_ns);
        transfer.last_arrival_ns = arrives_ns;
        self.ways[way as usize].busy = true;
        self.ways[way as usize].spans.push((at_ns, sent_ns));
        self.in_flight += bytes;
        self.timeline.push((at_ns, self.in_flight));
        self.push(sent_ns, Event::Sent(way as u8));
        self.push(arrives_ns, Event::Arrived(key, bytes));
        self.push(arrives_ns + half_trip_ns, Event::Acknowledged(key, bytes));
    }

    fn arrived(&mut self, key: Key, bytes: u64, at_ns: u64) {
        self.in_flight -= bytes;
        self.timeline.push((at_ns, self.in_flight));
        let Some(transfer) = self.transfers.get_mut(&key) else { return };
        transfer.missing -= bytes;
        if transfer.missing == 0 {
            transfer.arrived_ns = Some(at_ns);
            if let Some(waker) = transfer.waker.take() {
                waker.wake();
            }
        }
    }

    /// How much later a piece comes through because packets of it are lost.
    fn late_ns(&mut self, bytes: u64) -> u64 {
        if self.loss_ppm == 0 {
            return 0;
        }
        let packets = bytes.div_ceil(PACKET).max(1);
        let lost = (0..packets).any(|_| (u64::from(self.draws.next_u32()) * 1_000_000) >> 32 < self.loss_ppm);
        if lost { RTO_MIN_NS + 2 * self.half_trip_ns } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(cell: Cell) -> Link {
        Link::new(&cell, Instant::now())
    }

    fn cell() -> Cell {
        Cell { rtt_us: 20_000, bandwidth: 1_000_000, window: 4 << 20, ..Cell::default() }
    }

    /// From now on.
    async fn carry(link: &Link, way: Direction, bytes: u64) -> u64 {
        link.carry(way, bytes, link.now_ns(), 0).await
    }

    /// What `work` on a link gives.
    async fn on<T>(cell: Cell, work: impl AsyncFnOnce(Link) -> T) -> T {
        let link = link(cell);
        tokio::select! {
            biased;
            done = work(link.clone()) => done,
            () = link.drive() => unreachable!("it never ends"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_takes_its_bytes_and_half_a_round_trip() {
        on(cell(), async |link| {
            assert_eq!(carry(&link, Direction::Up, 1_000_000).await, 1_010_000_000);
            assert_eq!(carry(&link, Direction::Down, 0).await - 1_010_000_000, 10_000_000);
            assert_eq!(link.busy(Direction::Up), [(0, 1_000_000_000)]);
            assert_eq!(link.busy(Direction::Down), []);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_bodies_the_older_arrives_as_if_it_were_alone() {
        on(cell(), async |link| {
            let both = tokio::join!(carry(&link, Direction::Up, 1_000_000), carry(&link, Direction::Up, 1_000_000));
            assert_eq!(both, (1_010_000_000, 2_010_000_000));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_is_too_small_for_the_link_leaves_room_for_another_body() {
        // 64 KiB in each round trip of 20 ms are 3.3 MB/s of 100 MB/s.
        let slow = Cell { bandwidth: 100_000_000, window: 64 << 10, ..cell() };
        on(slow, async |link| {
            let alone = carry(&link, Direction::Up, 1 << 20).await;
            assert!((310_000_000..340_000_000).contains(&alone), "{alone}");
            let start_ns = 340_000_000;
            link.until_ns(start_ns).await;
            let both = tokio::join!(carry(&link, Direction::Up, 1 << 20), carry(&link, Direction::Up, 1 << 20));
            assert!(both.1 - start_ns < alone + 10_000_000, "{both:?}");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_comes_later_and_always_as_late() {
        let lossy = Cell { loss_ppm: 500_000, ..cell() };
        let once = async || on(lossy, async |link| carry(&link, Direction::Up, 10_000).await).await;
        let late = once().await;
        assert!(late >= 220_000_000);
        assert_eq!(once().await, late);
    }
}
