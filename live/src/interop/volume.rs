//! The volume: three states of it, each after the first an edit of the one before.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Bytes of the volume that a data object holds.
pub const CHUNK: usize = 1 << 20;
/// Bytes per hash.
pub const BLOCK: usize = 32 << 10;
/// Five chunks and an odd tail.
pub const LEN: usize = 5 * CHUNK + 12_345;

/// The volume at one point in time: as bytes, and as the file that stands for the device.
pub struct State {
    pub data: Vec<u8>,
    pub file: PathBuf,
}

/// Writes every state as a file into the folder.
pub fn write_states(folder: &Path) -> anyhow::Result<Vec<State>> {
    let write = |(link, data): (usize, Vec<u8>)| {
        let file = folder.join(format!("volume-{link}.img"));
        std::fs::write(&file, &data).with_context(|| format!("write {}", file.display()))?;
        Ok(State { data, file })
    };
    states().into_iter().enumerate().map(write).collect()
}

fn states() -> Vec<Vec<u8>> {
    // Random, text, zeros, half random and half zeros, text, and a tail of text.
    let mut first = vec![0; LEN];
    noise(&mut first[..CHUNK], 1);
    text(&mut first[CHUNK..2 * CHUNK], "alpha");
    noise(&mut first[3 * CHUNK..3 * CHUNK + CHUNK / 2], 2);
    text(&mut first[4 * CHUNK..], "beta");

    // One byte; two runs of blocks, one of them across the border of two chunks; data that become zeros.
    let mut second = first.clone();
    second[BLOCK + 17] ^= 1;
    text(&mut second[5 * BLOCK + 100..9 * BLOCK - 100], "gamma");
    noise(&mut second[2 * CHUNK - BLOCK - 5..2 * CHUNK + BLOCK + 5], 3);
    second[3 * CHUNK..3 * CHUNK + 4 * BLOCK].fill(0);

    // A whole chunk of text, zeros that become random data, the last byte.
    let mut third = second.clone();
    text(&mut third[..CHUNK], "delta");
    noise(&mut third[3 * CHUNK + BLOCK..3 * CHUNK + 3 * BLOCK], 4);
    third[LEN - 1] ^= 0xff;
    vec![first, second, third]
}

/// Bytes that do not compress (xorshift64).
fn noise(range: &mut [u8], seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for byte in range {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 32) as u8;
    }
}

fn text(range: &mut [u8], word: &str) {
    let lines = (0u32..).flat_map(|line| format!("{word} {line:08}\n").into_bytes());
    range.iter_mut().zip(lines).for_each(|(byte, new)| *byte = new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_differs_from_the_one_before_and_has_its_length() {
        let states = states();
        assert!(states.iter().all(|state| state.len() == LEN));
        assert!(states.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(!states[0].len().is_multiple_of(512), "the tail ends within a sector");
        assert!(states[0][2 * CHUNK..3 * CHUNK].iter().all(|byte| *byte == 0), "a chunk of zeros");
    }
}
