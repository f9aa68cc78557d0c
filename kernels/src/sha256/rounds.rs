//! The rounds of SHA-256 (FIPS 180-4) on sixteen lanes of plain arrays, which the compiler turns into vectors.

use multiversion::multiversion;

use crate::lanes::{Words, as_blocks, lane, side_by_side};

pub const LANES: usize = 16;

type Lanes = [u32; LANES];

/// Words of the square roots of the first eight primes: the state before the first block.
pub const START: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// Words of the cube roots of the first 64 primes.
const ROOTS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
    0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
    0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
    0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
];

/// Whole blocks of every lane, all as many as the first has.
#[multiversion(targets("x86_64+avx512f+avx512vl"))]
pub fn sixteen(states: &mut [Lanes; 8], data: &[&[u8]; LANES]) {
    let messages = as_blocks(data);
    for at in 0..messages[0].len() {
        one_block(states, &side_by_side(&messages, at));
    }
}

/// One block of every lane, lanes outermost as in MD5.
#[inline(always)]
fn one_block(states: &mut [Lanes; 8], words: &Words<LANES>) {
    let [sa, sb, sc, sd, se, sf, sg, sh] = states;
    for n in 0..LANES {
        let mut w = lane!(words, n).map(u32::swap_bytes);
        let (mut a, mut b, mut c, mut d) = (sa[n], sb[n], sc[n], sd[n]);
        let (mut e, mut f, mut g, mut h) = (se[n], sf[n], sg[n], sh[n]);
        macro_rules! round {
            ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $i:expr) => {
                if $i >= 16 {
                    let (x, y) = (w[($i + 1) % 16], w[($i + 14) % 16]);
                    let small0 = x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3);
                    let small1 = y.rotate_right(17) ^ y.rotate_right(19) ^ (y >> 10);
                    w[$i % 16] = w[$i % 16].wrapping_add(small0).wrapping_add(w[($i + 9) % 16]).wrapping_add(small1);
                }
                let big1 = $e.rotate_right(6) ^ $e.rotate_right(11) ^ $e.rotate_right(25);
                let choice = ($e & $f) ^ (!$e & $g);
                let t = $h.wrapping_add(ROOTS[$i]).wrapping_add(w[$i % 16]).wrapping_add(choice).wrapping_add(big1);
                let big0 = $a.rotate_right(2) ^ $a.rotate_right(13) ^ $a.rotate_right(22);
                let majority = ($a & $b) ^ ($a & $c) ^ ($b & $c);
                $d = $d.wrapping_add(t);
                $h = t.wrapping_add(big0).wrapping_add(majority);
            };
        }
        macro_rules! rounds {
            ($($i:literal)*) => {$(
                round!(a b c d e f g h, $i);
                round!(h a b c d e f g, $i + 1);
                round!(g h a b c d e f, $i + 2);
                round!(f g h a b c d e, $i + 3);
                round!(e f g h a b c d, $i + 4);
                round!(d e f g h a b c, $i + 5);
                round!(c d e f g h a b, $i + 6);
                round!(b c d e f g h a, $i + 7);
            )*};
        }
        rounds!(0 8 16 24 32 40 48 56);
        sa[n] = sa[n].wrapping_add(a);
        sb[n] = sb[n].wrapping_add(b);
        sc[n] = sc[n].wrapping_add(c);
        sd[n] = sd[n].wrapping_add(d);
        se[n] = se[n].wrapping_add(e);
        sf[n] = sf[n].wrapping_add(f);
        sg[n] = sg[n].wrapping_add(g);
        sh[n] = sh[n].wrapping_add(h);
    }
}
