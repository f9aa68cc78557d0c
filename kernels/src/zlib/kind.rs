//! What deserves the encoder's time: granules that look random are told from the others before it sees them.

use std::collections::VecDeque;

use multiversion::multiversion;

use crate::zero::is_zero;

/// Bytes that are judged at once, about a page of a volume. Shorter ones are not judged.
pub const GRANULE: usize = 4 << 10;

/// How far back the encoder finds repeats.
pub const WINDOW: usize = 32 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Zero,
    /// Neither frequent bytes nor repeats: deflate would not make it smaller.
    Random,
    Packable,
}

/// Judges granules in the order of the data.
#[derive(Debug, Default)]
pub struct Judge {
    /// Marks of the random looking granules within the window.
    marks: VecDeque<u32>,
    /// So many granules are packed whatever they look like, since they may repeat what the window holds.
    suspected: usize,
}

impl Judge {
    /// What each granule of the data is.
    pub fn kinds(&mut self, data: &[u8]) -> Vec<Kind> {
        data.chunks(GRANULE).map(|granule| self.kind(granule)).collect()
    }

    fn kind(&mut self, granule: &[u8]) -> Kind {
        if is_zero(granule) {
            return Kind::Zero;
        }
        if granule.len() < GRANULE || !bytes_are_even(granule) {
            return Kind::Packable;
        }
        let mark = smallest_word(granule);
        if self.marks.contains(&mark) {
            self.suspected = WINDOW / GRANULE;
        }
        if self.marks.len() == WINDOW / GRANULE {
            self.marks.pop_front();
        }
        self.marks.push_back(mark);
        if self.suspected > 0 {
            self.suspected -= 1;
            return Kind::Packable;
        }
        Kind::Random
    }
}

/// Whether each byte is about as frequent as any other, as chance makes it. Pearson's chi-squared of random bytes is 255
/// with a deviation of 23. At the upper end coding by frequency alone would save (450 - 255) / (2 * 4096 * 8 * ln 2) =
/// 0.4 %, less than the code table costs; below the lower, five deviations off, the bytes are too even for chance.
fn bytes_are_even(granule: &[u8]) -> bool {
    const CHI_SQUARED: std::ops::Range<u64> = 140..450;
    // Four tables, so that equal neighbours do not wait for one another.
    let mut counts = [[0_u16; 256]; 4];
    for bytes in granule.as_chunks::<4>().0 {
        for (counts, byte) in counts.iter_mut().zip(bytes) {
            counts[usize::from(*byte)] += 1;
        }
    }
    let sum = |byte: usize| u64::from(counts[0][byte] + counts[1][byte] + counts[2][byte] + counts[3][byte]);
    let squares: u64 = (0..256).map(|byte| sum(byte) * sum(byte)).sum();
    let chi_squared = (squares * 256 / granule.len() as u64).saturating_sub(granule.len() as u64);
    CHI_SQUARED.contains(&chi_squared)
}

/// The smallest of the words at all offsets: data that repeat have it again, wherever they begin.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "x86_64+sse4.1"))]
fn smallest_word(granule: &[u8]) -> u32 {
    let mut smallest = u32::MAX;
    for offset in 0..4 {
        for bytes in granule[offset..].as_chunks::<4>().0 {
            smallest = smallest.min(u32::from_le_bytes(*bytes));
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a linear congruence's upper half: as good as random here.
    fn random(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    fn kinds(data: &[u8]) -> Vec<Kind> {
        Judge::default().kinds(data)
    }

    #[test]
    fn granules_are_told_apart() {
        use Kind::{Packable, Random, Zero};
        let check = |what: &str, data: &[u8], expected: Kind| {
            assert!(kinds(data).iter().all(|kind| *kind == expected), "{what}: {:?}", kinds(data));
        };
        check("random", &random(100 * GRANULE), Random);
        check("zeros", &vec![0; 3 * GRANULE + 5], Zero);
        check("less than a granule", &random(GRANULE - 1), Packable);
        check("text", &b"some words, again and again; ".repeat(1000), Packable);
        let hex: Vec<u8> = random(9 * GRANULE).iter().map(|byte| b"0123456789abcdef"[usize::from(byte % 16)]).collect();
        check("hex digits", &hex, Packable);
        let seven: Vec<u8> = random(9 * GRANULE).iter().map(|byte| byte % 128).collect();
        check("bytes without their upper bit", &seven, Packable);
        check("all bytes in turn", &(0..=255).collect::<Vec<u8>>().repeat(32), Packable);
        let counters: Vec<u8> = (1_u32..5000).flat_map(u32::to_le_bytes).collect();
        check("counters", &counters[..4 * GRANULE], Packable);
    }

    #[test]
    fn random_bytes_that_repeat_within_the_window_are_packable_from_the_second_time_on() {
        let repeated = kinds(&random(2 * GRANULE).repeat(10));
        assert_eq!(repeated[..2], [Kind::Random; 2]);
        assert_eq!(repeated[2..], [Kind::Packable; 18]);
        let far_apart = kinds(&random(WINDOW + 2 * GRANULE).repeat(3));
        assert!(far_apart.iter().all(|kind| *kind == Kind::Random), "beyond the window the encoder finds nothing");
    }
}
