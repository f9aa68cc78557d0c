//! What will happen, by virtual time; at one instant in order of arrival, or in an order drawn for exploration.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

/// Nanoseconds, a draw (0 unless order is explored), and a serial number.
pub(super) type Key = (u64, u32, u64);

pub(super) struct Queue<E> {
    events: BTreeMap<Key, E>,
    last: u64,
    /// Permutes what happens at one instant.
    draw: Option<ChaCha8Rng>,
}

impl<E> Queue<E> {
    pub(super) fn new(draw: Option<ChaCha8Rng>) -> Queue<E> {
        Queue { events: BTreeMap::new(), last: 0, draw }
    }

    pub(super) fn push(&mut self, at_ns: u64, event: E) -> Key {
        self.last += 1;
        let key = (at_ns, self.draw.as_mut().map_or(0, |draw| draw.next_u32()), self.last);
        self.events.insert(key, event);
        key
    }

    pub(super) fn cancel(&mut self, key: Key) {
        self.events.remove(&key);
    }

    /// The next event up to and including `now_ns`, with its own time.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<(u64, E)> {
        let first = self.events.first_entry()?;
        if first.key().0 > now_ns {
            return None;
        }
        let (key, event) = first.remove_entry();
        Some((key.0, event))
    }

    /// Moves the events for which there is another time, in their order.
    pub(super) fn retime(&mut self, mut time: impl FnMut(u64, &E) -> Option<u64>) {
        let moved: Vec<(Key, u64)> =
            self.events.iter().filter_map(|(key, event)| Some((*key, time(key.0, event)?))).collect();
        for (key, at_ns) in moved {
            if let Some(event) = self.events.remove(&key) {
                self.push(at_ns, event);
            }
        }
    }

    pub(super) fn next_ns(&self) -> Option<u64> {
        self.events.first_key_value().map(|(key, _)| key.0)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    fn order(draw: Option<ChaCha8Rng>) -> Vec<u64> {
        let mut queue = Queue::new(draw);
        for n in 0..8 {
            queue.push(5, n);
        }
        queue.push(4, 100);
        std::iter::from_fn(|| queue.pop_due(5)).map(|(_, n)| n).collect()
    }

    #[test]
    fn one_instant_is_served_in_order_of_arrival_unless_order_is_drawn() {
        assert_eq!(order(None), [100, 0, 1, 2, 3, 4, 5, 6, 7]);
        let drawn = order(Some(ChaCha8Rng::seed_from_u64(1)));
        assert_eq!(drawn[0], 100, "time comes before the draw");
        assert_ne!(drawn, order(None));
        assert_eq!(drawn, order(Some(ChaCha8Rng::seed_from_u64(1))));
    }

    #[test]
    fn what_is_cancelled_or_not_due_does_not_happen() {
        let mut queue = Queue::new(None);
        let key = queue.push(1, "cancelled");
        queue.push(3, "later");
        queue.cancel(key);
        assert_eq!(queue.next_ns(), Some(3));
        assert_eq!(queue.pop_due(2), None);
        assert_eq!(queue.pop_due(3), Some((3, "later")));
    }
}
