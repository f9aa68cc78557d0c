//! MD5 of several messages at once. One MD5 is a chain of dependent steps that leaves most of a core idle; messages
//! that do not depend on one another share its vectors, a lane each. Which width and instruction set serve how many
//! messages is said here; the rounds are in `md5/rounds.rs`.

mod rounds;

use ::md5::Digest as _;

use crate::lanes::{self, BLOCK};
use crate::zero::{self, PerLength, is_zero};

/// Zeros shorter than this are hashed like all other bytes: their lengths are too many to be remembered.
const ZEROS_MIN: usize = 64 << 10;

/// The digest of each buffer, in their order. Fastest with `width()` buffers of about one length; zeros are looked up.
pub fn many(buffers: &[&[u8]]) -> Vec<[u8; 16]> {
    let known: Vec<Option<[u8; 16]>> = buffers.iter().map(|buffer| of_zeros(buffer)).collect();
    let unknown = || buffers.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(buffer, _)| *buffer);
    let unknown: Vec<&[u8]> = unknown().collect();
    let mut messages = vec![Md5::default(); unknown.len()];
    feed(&mut messages, &unknown);
    let mut computed = finish(messages).into_iter();
    known.into_iter().filter_map(|known| known.or_else(|| computed.next())).collect()
}

/// The digest of one buffer.
pub fn one(data: &[u8]) -> [u8; 16] {
    of_zeros(data).unwrap_or_else(|| ::md5::Md5::digest(data).into())
}

fn of_zeros(data: &[u8]) -> Option<[u8; 16]> {
    (data.len() >= ZEROS_MIN && is_zero(data)).then(|| zeros(data.len()))
}

/// The digest of so many zeros; remembered for the last few lengths.
pub fn zeros(length: usize) -> [u8; 16] {
    static KNOWN: PerLength<[u8; 16]> = PerLength::new();
    KNOWN.get(length, || {
        let mut hasher = ::md5::Md5::new();
        zero::pieces(length).for_each(|zeros| hasher.update(zeros));
        hasher.finalize().into()
    })
}

/// How many messages at once make the best use of this machine.
pub fn width() -> usize {
    match (lanes::wide(), lanes::middling()) {
        (true, _) => 16,
        (_, true) => 8,
        _ => 4,
    }
}

/// The MD5 of a message that has been seen in part.
#[derive(Clone, Debug)]
pub struct Md5 {
    state: [u32; 4],
    /// Bytes seen.
    length: u64,
    /// The last `length % 64` of them, which make no whole block yet.
    pending: [u8; BLOCK],
}

impl Default for Md5 {
    fn default() -> Md5 {
        Md5 { state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476], length: 0, pending: [0; BLOCK] }
    }
}

impl Md5 {
    /// Takes what completes the pending block and gives back the rest.
    fn complete<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let held = (self.length % BLOCK as u64) as usize;
        if held == 0 {
            return data;
        }
        let (head, rest) = data.split_at(data.len().min(BLOCK - held));
        self.pending[held..held + head.len()].copy_from_slice(head);
        self.length += head.len() as u64;
        if self.length.is_multiple_of(BLOCK as u64) {
            let block = self.pending;
            rounds::alone(&mut self.state, &block);
        }
        rest
    }

    /// What follows the last byte: the mark, zeros up to a block's end, and the length in bits.
    fn padding(&self) -> ([u8; 2 * BLOCK], usize) {
        let held = (self.length % BLOCK as u64) as usize;
        let end = if held < BLOCK - 8 { BLOCK } else { 2 * BLOCK } - held;
        let mut padding = [0; 2 * BLOCK];
        padding[0] = 0x80;
        padding[end - 8..end].copy_from_slice(&self.length.wrapping_mul(8).to_le_bytes());
        (padding, end)
    }

    fn digest(&self) -> [u8; 16] {
        let mut digest = [0; 16];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }
}

/// Gives each message its next stride. Strides may differ in length; those of about one length make the best use of the
/// lanes.
///
/// # Panics
/// When there are not as many strides as messages.
pub fn feed(messages: &mut [Md5], strides: &[&[u8]]) {
    assert_eq!(messages.len(), strides.len(), "a stride for each message");
    let mut jobs = Vec::with_capacity(messages.len());
    for (message, stride) in messages.iter_mut().zip(strides) {
        let rest = message.complete(stride);
        let (blocks, tail) = rest.split_at(rest.len() / BLOCK * BLOCK);
        message.length += rest.len() as u64;
        message.pending[..tail.len()].copy_from_slice(tail);
        if !blocks.is_empty() {
            jobs.push((&mut message.state, blocks));
        }
    }
    // The longest first: then those that end together are neighbours, and the lanes are full for longest.
    jobs.sort_by_key(|(_, blocks)| std::cmp::Reverse(blocks.len()));
    let width = width();
    while !jobs.is_empty() {
        let taken = jobs.len().min(width);
        let (group, _) = jobs.split_at_mut(taken);
        let bytes = group.iter().map(|(_, blocks)| blocks.len()).min().unwrap_or(0);
        match taken {
            1 => rounds::alone(group[0].0, &group[0].1[..bytes]),
            2..=4 => together::<4>(group, bytes, rounds::four),
            5..=8 => together::<8>(group, bytes, rounds::eight),
            _ => together::<16>(group, bytes, rounds::sixteen),
        }
        for (_, blocks) in group {
            *blocks = &blocks[bytes..];
        }
        jobs.retain(|(_, blocks)| !blocks.is_empty());
    }
}

/// The digests of messages that have been seen whole.
pub fn finish(mut messages: Vec<Md5>) -> Vec<[u8; 16]> {
    let paddings: Vec<_> = messages.iter().map(Md5::padding).collect();
    let strides: Vec<&[u8]> = paddings.iter().map(|(padding, length)| &padding[..*length]).collect();
    feed(&mut messages, &strides);
    messages.iter().map(Md5::digest).collect()
}

type Job<'a, 'b> = (&'a mut [u32; 4], &'b [u8]);

/// Advances a group of at most `N` by so many bytes. Lanes without a message repeat the first one's.
fn together<const N: usize>(group: &mut [Job<'_, '_>], bytes: usize, kernel: fn(&mut [[u32; N]; 4], &[&[u8]; N])) {
    let lane = |n: usize| if n < group.len() { n } else { 0 };
    let data = std::array::from_fn(|n| &group[lane(n)].1[..bytes]);
    let mut states = std::array::from_fn(|word| std::array::from_fn(|n| group[lane(n)].0[word]));
    kernel(&mut states, &data);
    for (n, (state, _)) in group.iter_mut().enumerate() {
        **state = states.map(|lanes| lanes[n]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(digest: [u8; 16]) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn by_crate(data: &[u8]) -> [u8; 16] {
        ::md5::Md5::digest(data).into()
    }

    #[test]
    fn the_rfcs_own_examples_hold_in_every_lane() {
        // RFC 1321, A.5.
        let check = |text: &str, digest: &str| {
            for lanes in 1..=17 {
                let digests = many(&vec![text.as_bytes(); lanes]);
                assert!(digests.iter().all(|found| hex(*found) == digest), "{text:?} in {lanes} lanes");
            }
        };
        check("", "d41d8cd98f00b204e9800998ecf8427e");
        check("message digest", "f96b697d7cb7938d525a2f31aaf161d0");
        let digits = "12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        check(digits, "57edf4a22be3c955ac49da2e2107b67a");
    }

    #[test]
    fn zeros_have_their_digest_however_it_is_asked_for() {
        for length in [0, 1, ZEROS_MIN - 1, ZEROS_MIN, 200_001] {
            let data = vec![0; length];
            let expected = by_crate(&data);
            assert_eq!((one(&data), zeros(length)), (expected, expected), "{length}");
            assert_eq!(many(&[&data, b"x", &data]), [expected, by_crate(b"x"), expected], "{length}");
        }
    }

    type Kernel<const N: usize> = fn(&mut [[u32; N]; 4], &[&[u8]; N]);

    /// `N` messages of whole blocks by one kernel, against each message alone.
    fn agrees<const N: usize>(kernel: Kernel<N>, data: &[Vec<u8>; N]) {
        let start = Md5::default().state;
        let mut states = start.map(|word| [word; N]);
        kernel(&mut states, &std::array::from_fn(|n| &data[n][..]));
        for (n, data) in data.iter().enumerate() {
            let mut alone = start;
            rounds::alone(&mut alone, data);
            assert_eq!(states.map(|lanes| lanes[n]), alone, "lane {n} of {N}");
        }
    }

    fn lanes<const N: usize>() -> impl Strategy<Value = [Vec<u8>; N]> {
        let one = |blocks: usize| prop::collection::vec(any::<u8>(), blocks * BLOCK);
        (0..5_usize).prop_flat_map(move |blocks| std::array::from_fn(|_| one(blocks)))
    }

    proptest! {
        #[test]
        fn every_kernel_agrees_with_one_message_alone(four in lanes::<4>(), eight in lanes::<8>(), wide in lanes::<16>()) {
            agrees(rounds::four, &four);
            agrees(rounds::portable, &four);
            agrees(rounds::eight, &eight);
            agrees(rounds::sixteen, &wide);
        }

        #[test]
        fn many_agree_with_the_crate(data in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..35)) {
            let buffers: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
            let expected: Vec<[u8; 16]> = buffers.iter().map(|data| by_crate(data)).collect();
            prop_assert_eq!(many(&buffers), expected);
        }

        /// Messages cut into strides anywhere, each somewhere else.
        #[test]
        fn strides_agree_with_the_crate(
            data in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..900), 1..300_usize), 0..20),
        ) {
            let mut messages = vec![Md5::default(); data.len()];
            for round in 0..900 {
                let stride = |(data, stride): &'_ (Vec<u8>, usize)| {
                    let at = |n: usize| (n * stride).min(data.len());
                    at(round)..at(round + 1)
                };
                let strides: Vec<&[u8]> = data.iter().map(|one| &one.0[stride(one)]).collect();
                feed(&mut messages, &strides);
            }
            let expected: Vec<[u8; 16]> = data.iter().map(|(data, _)| by_crate(data)).collect();
            prop_assert_eq!(finish(messages), expected);
        }
    }
}
