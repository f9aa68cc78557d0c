//! The bytes that kernels and the chunk engine are measured on.

/// A name and its bytes.
pub type Sample = (String, Vec<u8>);

/// Bytes of the unit that `half` alternates by.
const HALF: usize = 64 << 10;
/// Bytes of the unit that `pages` alternates by.
const PAGE: usize = 4 << 10;

/// One of each kind, of so many bytes.
pub fn samples(length: usize) -> Vec<Sample> {
    ["random", "text", "half", "pages", "zeros"].map(|name| (name.to_owned(), sample(name, length))).into()
}

/// So many bytes of a kind: `random`; `text`, words of a vocabulary; `half`, 64 KiB of the one and 64 KiB of the other;
/// `pages`, 4 KiB random and 4 KiB of one repeated line; `zeros`.
///
/// # Panics
/// When there is no such kind.
pub fn sample(name: &str, length: usize) -> Vec<u8> {
    match name {
        "random" => random(11, length),
        "text" => text(length),
        "half" => alternating(&random(11, length), &text(length), HALF),
        "pages" => {
            let lines = (0..length.div_ceil(PAGE)).flat_map(|n| format!("blk{n:012}\n").into_bytes().repeat(PAGE / 16));
            alternating(&random(11, length), &lines.take(length).collect::<Vec<u8>>(), PAGE)
        }
        "zeros" => vec![0; length],
        _ => panic!("no kind of data is called {name}"),
    }
}

fn alternating(even: &[u8], odd: &[u8], unit: usize) -> Vec<u8> {
    let units = even.chunks(unit).zip(odd.chunks(unit)).enumerate();
    units.flat_map(|(n, (even, odd))| if n.is_multiple_of(2) { even } else { odd }).copied().collect()
}

/// Random bytes of a seed: xorshift with a multiplier, whose low bits are random as well.
pub fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    });
    words.flatten().take(length).collect()
}

/// Words of two to nine letters out of 3,000, the n-th about 1/n as frequent as the first, as in a language.
fn text(length: usize) -> Vec<u8> {
    let letters = random(3, 3000 * 10);
    let word =
        |n: usize| letters[n * 10..][..2 + usize::from(letters[n * 10 + 9] % 8)].iter().map(|byte| b'a' + byte % 26);
    let draws = random(5, length);
    let drawn = draws.as_chunks::<4>().0.iter().map(|draw| f64::from(u32::from_le_bytes(*draw)) / f64::from(u32::MAX));
    // An exponential of an even draw: each doubling of the rank is as likely as any other.
    let text = drawn.flat_map(|even| word((3000_f64.powf(even) as usize).min(3000) - 1).chain([b' ']));
    text.take(length).collect()
}
