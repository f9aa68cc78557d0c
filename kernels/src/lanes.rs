//! What the digests' lanes share: which instruction sets serve them, and how the blocks of `N` messages come to lie side
//! by side.

/// Bytes per block, of MD5 as of SHA-256.
pub const BLOCK: usize = 64;

/// One block of `N` messages as little-endian words: word `i` of message `n` is `words[i / 4][n][i % 4]`. Four words at
/// a time are one move when they are laid down and one shuffle when they are taken up.
pub type Words<const N: usize> = [[[u32; 4]; N]; 4];

/// Block `at` of every message.
#[inline(always)]
pub fn side_by_side<const N: usize>(messages: &[&[[u8; BLOCK]]; N], at: usize) -> Words<N> {
    let mut words = [[[0; 4]; N]; 4];
    for n in 0..N {
        for (quarter, bytes) in messages[n][at].as_chunks::<16>().0.iter().enumerate() {
            for (word, bytes) in words[quarter][n].iter_mut().zip(bytes.as_chunks::<4>().0) {
                *word = u32::from_le_bytes(*bytes);
            }
        }
    }
    words
}

/// The messages as blocks, all as many as the first has.
#[inline(always)]
pub fn as_blocks<'a, const N: usize>(data: &[&'a [u8]; N]) -> [&'a [[u8; BLOCK]]; N] {
    let blocks: [&[[u8; BLOCK]]; N] = data.map(|message| message.as_chunks().0);
    let count = blocks[0].len();
    blocks.map(|message| &message[..count])
}

/// Takes the sixteen words of lane `n` up into `w`.
macro_rules! lane {
    ($words:ident, $n:ident) => {{
        macro_rules! word {
            ($i:literal) => {
                $words[$i / 4][$n][$i % 4]
            };
        }
        [
            word!(0),
            word!(1),
            word!(2),
            word!(3),
            word!(4),
            word!(5),
            word!(6),
            word!(7),
            word!(8),
            word!(9),
            word!(10),
            word!(11),
            word!(12),
            word!(13),
            word!(14),
            word!(15),
        ]
    }};
}
pub(crate) use lane;

/// Whether vectors of 512 bits are worth using: on the processors for which `multiversion` chooses them, which leaves out
/// the first ones that slow down under them.
pub fn wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        has!("avx512vl")
            && has!("avx512vbmi2")
            && has!("avx512bitalg")
            && has!("avx512vpopcntdq")
            && has!("gfni")
            && has!("vaes")
            && has!("vpclmulqdq")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Whether vectors of 256 bits can be used.
pub fn middling() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}
