//! The rounds of MD5 (RFC 1321) on `N` lanes of plain arrays, which the compiler turns into vectors; compiled once per
//! instruction set, chosen at run time.

use multiversion::multiversion;

use crate::lanes::{Words, as_blocks, lane, side_by_side};

type Lanes<const N: usize> = [u32; N];

/// One message, of whole blocks.
pub fn alone(state: &mut [u32; 4], data: &[u8]) {
    let mut states = state.map(|word| [word]);
    blocks(&mut states, &[data]);
    *state = states.map(|[word]| word);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub fn four(states: &mut [Lanes<4>; 4], data: &[&[u8]; 4]) {
    blocks(states, data);
}

/// What `four` is where none of its instruction sets is.
#[cfg(test)]
pub fn portable(states: &mut [Lanes<4>; 4], data: &[&[u8]; 4]) {
    blocks(states, data);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub fn eight(states: &mut [Lanes<8>; 4], data: &[&[u8]; 8]) {
    blocks(states, data);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub fn sixteen(states: &mut [Lanes<16>; 4], data: &[&[u8]; 16]) {
    blocks(states, data);
}

/// The whole blocks of every lane, all as many as the first has.
#[inline(always)]
fn blocks<const N: usize>(states: &mut [Lanes<N>; 4], data: &[&[u8]; N]) {
    let messages = as_blocks(data);
    for at in 0..messages[0].len() {
        one_block(states, &side_by_side(&messages, at));
    }
}

/// Sines as the RFC has them: `floor(2^32 * abs(sin(i + 1)))`.
const SINES: [u32; 64] = [
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8,
    0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
    0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87,
    0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039,
    0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
    0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb,
    0xeb86d391,
];

/// One block of every lane. The lanes are the outer loop, so that its body is plain scalar MD5: too long to be unrolled,
/// simple enough to be turned into vectors as wide as the machine has.
#[inline(always)]
fn one_block<const N: usize>(states: &mut [Lanes<N>; 4], words: &Words<N>) {
    let [sa, sb, sc, sd] = states;
    for n in 0..N {
        let (mut a, mut b, mut c, mut d) = (sa[n], sb[n], sc[n], sd[n]);
        let w = lane!(words, n);
        macro_rules! round {
            ($mix:expr, $first:expr, $stride:expr, $offset:expr, [$r0:expr, $r1:expr, $r2:expr, $r3:expr], $($quarter:expr)*) => {
                $(
                    let word = |step: usize| w[($offset + $stride * ($quarter * 4 + step)) % 16];
                    a = step($mix(b, c, d), a, b, word(0), SINES[$first + $quarter * 4], $r0);
                    d = step($mix(a, b, c), d, a, word(1), SINES[$first + $quarter * 4 + 1], $r1);
                    c = step($mix(d, a, b), c, d, word(2), SINES[$first + $quarter * 4 + 2], $r2);
                    b = step($mix(c, d, a), b, c, word(3), SINES[$first + $quarter * 4 + 3], $r3);
                )*
            };
        }
        round!(|b: u32, c: u32, d: u32| (b & c) | (!b & d), 0, 1, 0, [7, 12, 17, 22], 0 1 2 3);
        round!(|b: u32, c: u32, d: u32| (d & b) | (!d & c), 16, 5, 1, [5, 9, 14, 20], 0 1 2 3);
        round!(|b: u32, c: u32, d: u32| b ^ c ^ d, 32, 3, 5, [4, 11, 16, 23], 0 1 2 3);
        round!(|b: u32, c: u32, d: u32| c ^ (b | !d), 48, 7, 0, [6, 10, 15, 21], 0 1 2 3);
        sa[n] = sa[n].wrapping_add(a);
        sb[n] = sb[n].wrapping_add(b);
        sc[n] = sc[n].wrapping_add(c);
        sd[n] = sd[n].wrapping_add(d);
    }
}

#[inline(always)]
fn step(mixed: u32, a: u32, b: u32, word: u32, sine: u32, rotate: u32) -> u32 {
    // `a + word + sine` does not wait for the step before.
    a.wrapping_add(word).wrapping_add(sine).wrapping_add(mixed).rotate_left(rotate).wrapping_add(b)
}
