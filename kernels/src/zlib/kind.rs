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

/// Whether each byte is about as frequent as any other. Pearson's chi-squared of random bytes is 255 with a deviation of
/// 23; at `LIMIT` coding by frequency alone would save (LIMIT - 255) / (2 * 4096 * 8 * ln 2) = 0.4 %, less than the code
/// table costs.
fn bytes_are_even(granule: &[u8]) -> bool {
    const LIMIT: u64 = 450;
    // Four tables, so that equal neighbours do not wait for one another.
    let mut counts = [[0_u16; 256]; 4];
    for bytes in granule.as_chunks::<4>().0 {
        for (counts, byte) in counts.iter_mut().zip(bytes) {
            counts[usize::from(*byte)] += 1;
        }
    }
    let sum = |byte: usize| u64::from(counts[0][byte] + counts[1][byte] + counts[2][byte] + counts[3][byte]);
    let squares: u64 = (0..256).map(|byte| sum(byte) * sum(byte)).sum();
    // chi2 = 256 / n * squares - n
    let n = granule.len() as u64;
    squares * 256 < (n + LIMIT) * n
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
