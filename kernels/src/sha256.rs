//! SHA-256 of each block of a buffer. The blocks do not depend on one another: with 512-bit vectors sixteen of them side
//! by side are faster than the processor's own SHA instructions one by one; without, the crate and those are.

mod rounds;

use rounds::{LANES, START};
use sha2::{Digest as _, Sha256};

use crate::lanes::{self, BLOCK};
use crate::zero::{self, PerLength, is_zero};

/// So many blocks in sixteen lanes, some of them idle, are as fast as one after the other.
const WORTH_LANES: usize = 10;

/// The digest of each block of so many bytes; the last may be short. Zero blocks are looked up.
///
/// # Panics
/// When a block has no bytes.
pub fn blocks(data: &[u8], block: usize) -> Vec<[u8; 32]> {
    let mut digests = vec![[0; 32]; data.len().div_ceil(block)];
    let mut waiting: Vec<(&mut [u8; 32], &[u8])> = Vec::with_capacity(LANES);
    let in_lanes = lanes::wide() && block.is_multiple_of(BLOCK);
    let mut of_zeros = None;
    for (digest, data) in digests.iter_mut().zip(data.chunks(block)) {
        if data.len() == block && is_zero(data) {
            *digest = *of_zeros.get_or_insert_with(|| zeros(block));
        } else if in_lanes && data.len() == block {
            waiting.push((digest, data));
            if waiting.len() == LANES {
                together(&mut waiting);
            }
        } else {
            *digest = one(data);
        }
    }
    if waiting.len() >= WORTH_LANES {
        together(&mut waiting);
    }
    for (digest, data) in waiting {
        *digest = one(data);
    }
    digests
}

/// The digest of one buffer.
pub fn one(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// The digest of so many zeros; remembered for the last few lengths.
pub fn zeros(length: usize) -> [u8; 32] {
    static KNOWN: PerLength<[u8; 32]> = PerLength::new();
    KNOWN.get(length, || {
        let mut hasher = Sha256::new();
        zero::pieces(length).for_each(|zeros| hasher.update(zeros));
        hasher.finalize().into()
    })
}

/// Up to sixteen buffers of one length, a multiple of a block's. Lanes without a buffer repeat the first.
fn together(waiting: &mut Vec<(&mut [u8; 32], &[u8])>) {
    let mut states = START.map(|word| [word; LANES]);
    let data: [&[u8]; LANES] = std::array::from_fn(|n| waiting.get(n).unwrap_or(&waiting[0]).1);
    rounds::sixteen(&mut states, &data);
    let mut padding = [0; BLOCK];
    padding[0] = 0x80;
    padding[BLOCK - 8..].copy_from_slice(&(data[0].len() as u64 * 8).to_be_bytes());
    rounds::sixteen(&mut states, &[&padding; LANES]);
    for (n, (digest, _)) in waiting.drain(..).enumerate() {
        for (bytes, word) in digest.chunks_exact_mut(4).zip(&states) {
            bytes.copy_from_slice(&word[n].to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zeros_have_their_digest() {
        for length in [0, 1, 4096, 200_001] {
            assert_eq!(zeros(length), one(&vec![0; length]), "{length}");
        }
    }

    /// The lanes themselves, on a machine without wide vectors as well.
    #[test]
    fn any_number_of_lanes_agrees_with_the_crate() {
        let data: Vec<u8> = (0..LANES * 192).map(|n| (n * n / 7) as u8).collect();
        for count in 1..=LANES {
            let mut digests = vec![[0; 32]; count];
            together(&mut digests.iter_mut().zip(data.chunks(192)).collect());
            assert!(digests.iter().zip(data.chunks(192)).all(|(digest, data)| *digest == one(data)), "{count} lanes");
        }
    }

    proptest! {
        #[test]
        fn blocks_agree_with_the_crate(
            mut data in prop::collection::vec(any::<u8>(), 0..8000),
            block in prop::sample::select(vec![1, 63, 64, 100, 128, 192, 256, 8192]),
            zeroed in any::<prop::sample::Index>(),
        ) {
            let at = zeroed.index(data.len() + 1);
            let end = data.len().min(at + 600);
            data[at..end].fill(0);
            let expected: Vec<[u8; 32]> = data.chunks(block).map(one).collect();
            prop_assert_eq!(blocks(&data, block), expected);
        }
    }
}
