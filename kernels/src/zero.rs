//! Zeros: whether bytes are all zero, and what is the same for all zeros of one length.

use std::sync::Mutex;

/// At the speed of memory: bytes that equal their successors are all alike, and such a comparison is one `memcmp`.
pub fn is_zero(data: &[u8]) -> bool {
    data.first().is_none_or(|first| *first == 0 && data[..data.len() - 1] == data[1..])
}

/// What was made of so many zeros, for the last few lengths asked for. A backup has two: its chunk and its last one.
pub(crate) struct PerLength<T>(Mutex<Vec<(usize, T)>>);

const LENGTHS_MAX: usize = 8;

impl<T: Clone> PerLength<T> {
    pub const fn new() -> PerLength<T> {
        PerLength(Mutex::new(Vec::new()))
    }

    pub fn get(&self, length: usize, make: impl FnOnce() -> T) -> T {
        // The list is whole at any time, even if somebody panicked beside it.
        let locked = || self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, known)) = locked().iter().find(|(known, _)| *known == length) {
            return known.clone();
        }
        let made = make();
        let mut known = locked();
        if known.len() == LENGTHS_MAX {
            known.remove(0);
        }
        known.push((length, made.clone()));
        made
    }
}

/// So many zeros in pieces: no buffer of that length is needed.
pub(crate) fn pieces(length: usize) -> impl Iterator<Item = &'static [u8]> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    (0..length).step_by(ZEROS.len()).map(move |at| &ZEROS[..ZEROS.len().min(length - at)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_of_any_length_are_zero() {
        for length in [0, 1, 2, 63, 64, 65, 4096, 100_001] {
            assert!(is_zero(&vec![0; length]), "{length}");
            assert_eq!(pieces(length).map(<[u8]>::len).sum::<usize>(), length);
        }
    }

    #[test]
    fn one_other_byte_anywhere_is_found() {
        for length in [1, 2, 63, 64, 65, 4097] {
            for at in [0, length / 2, length - 1] {
                let mut data = vec![0; length];
                data[at] = 128;
                assert!(!is_zero(&data), "{at} of {length}");
            }
            assert!(!is_zero(&vec![7; length]), "{length} sevens");
        }
    }

    #[test]
    fn what_is_known_is_not_made_again_until_many_other_lengths_were_asked_for() {
        let (known, made) = (PerLength::new(), std::cell::Cell::new(0));
        let get = |length| {
            known.get(length, || {
                made.set(made.get() + 1);
                length * 10
            })
        };
        assert_eq!((get(5), get(5), get(6), get(5)), (50, 50, 60, 50));
        assert_eq!(made.get(), 2);
        for length in 100..100 + LENGTHS_MAX {
            get(length);
        }
        assert_eq!((get(5), made.get()), (50, 3 + LENGTHS_MAX));
    }
}
