//! zlib streams (RFC 1950) that any zlib reads. Data that are mostly packable go whole through libdeflate. All others are
//! glued from parts: long zeros from a template, what looks random stored, the rest through the encoder of zlib-rs, whose
//! window is kept in step with the parts it did not see, so that nothing it could have found is lost.

mod kind;

use std::sync::OnceLock;

use flate2::{Compress, Compression, FlushCompress};
use kind::{GRANULE, Judge, Kind, WINDOW};
use libdeflater::{CompressionLvl, Compressor};

use crate::zero::{self, PerLength, is_zero};

/// Of zlib-rs. Between speed and size; what the levels cost is in `docs/performance.md`.
const LEVEL: u32 = 5;

/// Of libdeflate. The fastest that is never more than a hundredth larger than stock zlib at its default level.
const WHOLE_LEVEL: i32 = 5;

/// So many tenths of the data must be packable for libdeflate: what gluing leaves out is then less than what it loses.
const WHOLE_FROM_TENTHS: usize = 7;

/// Method deflate with a window of 32 KiB, default level: the header of stock zlib at its default level.
const HEADER: [u8; 2] = [0x78, 0x9c];

/// Longest content of a stored block.
const STORED_MAX: usize = 0xffff;

/// Zeros in one template.
const TEMPLATE: usize = 256 << 10;

/// Space that is there for the encoder at least, each time it is called.
const SPACE: usize = 64 << 10;

/// Zeros in whole buffers are looked up from here on.
const ZEROS_MIN: usize = 64 << 10;

/// One whole stream.
pub fn compress(data: &[u8]) -> Vec<u8> {
    static KNOWN: PerLength<Vec<u8>> = PerLength::new();
    if data.len() >= ZEROS_MIN && is_zero(data) {
        return KNOWN.get(data.len(), || of_zeros(data.len()));
    }
    let kinds = Judge::default().kinds(data);
    let packable = kinds.iter().filter(|kind| **kind == Kind::Packable).count();
    if packable * 10 >= kinds.len() * WHOLE_FROM_TENTHS {
        return whole(data);
    }
    // Memory that is not written to costs nothing, a buffer that grows is there twice.
    let mut packed = Vec::with_capacity(data.len() + data.len() / 64 + SPACE);
    let mut encoder = Encoder::new(&mut packed);
    encoder.write_judged(data, &kinds, &mut packed);
    encoder.finish(&mut packed);
    packed
}

/// Through libdeflate, which packs faster and closer than zlib-rs but neither streams nor leaves a stream open.
fn whole(data: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::new(WHOLE_LEVEL).expect("libdeflate has levels 1 to 12"));
    let bound = compressor.deflate_compress_bound(data.len());
    let mut packed = vec![0; HEADER.len() + bound];
    packed[..HEADER.len()].copy_from_slice(&HEADER);
    let length = compressor.deflate_compress(data, &mut packed[HEADER.len()..]).expect("the bound is libdeflate's own");
    packed.truncate(HEADER.len() + length);
    packed.shrink_to_fit();
    packed.extend(zlib_rs::adler32::adler32(1, data).to_be_bytes());
    packed
}

/// A stream in the making. Beside the output it holds the encoder's state, about 300 KiB, however long the data are.
pub struct Encoder {
    deflate: Compress,
    judge: Judge,
    adler: u32,
    /// What the encoder has taken since its last flush, if anything: its output may end within a byte.
    open: bool,
    /// The window holds nothing of what is left to come.
    stale: bool,
}

impl Encoder {
    /// Begins a stream.
    pub fn new(packed: &mut Vec<u8>) -> Encoder {
        packed.extend(HEADER);
        let deflate = Compress::new(Compression::new(LEVEL), false);
        Encoder { deflate, judge: Judge::default(), adler: 1, open: false, stale: false }
    }

    /// The next bytes of the data. Data in several pieces pack best if all but the last are multiples of 256 KiB.
    pub fn write(&mut self, data: &[u8], packed: &mut Vec<u8>) {
        let kinds = self.judge.kinds(data);
        self.write_judged(data, &kinds, packed);
    }

    fn write_judged(&mut self, data: &[u8], kinds: &[Kind], packed: &mut Vec<u8>) {
        self.adler = zlib_rs::adler32::adler32(self.adler, data);
        let mut rest = data;
        for run in kinds.chunk_by(|kind, next| kind == next) {
            let (part, after) = rest.split_at(rest.len().min(run.len() * GRANULE));
            rest = after;
            match run[0] {
                Kind::Zero if part.len() >= TEMPLATE => self.zeros(part, packed),
                Kind::Random => self.store(part, packed),
                _ => self.encode(part, FlushCompress::None, packed),
            }
        }
    }

    /// Ends the stream.
    pub fn finish(mut self, packed: &mut Vec<u8>) {
        self.encode(&[], FlushCompress::Finish, packed);
        packed.extend(self.adler.to_be_bytes());
    }

    fn zeros(&mut self, part: &[u8], packed: &mut Vec<u8>) {
        self.flush(packed);
        self.stale = true;
        let templates = part.chunks_exact(TEMPLATE);
        let rest = templates.remainder();
        templates.for_each(|_| packed.extend(template()));
        self.encode(rest, FlushCompress::None, packed);
    }

    fn store(&mut self, part: &[u8], packed: &mut Vec<u8>) {
        self.flush(packed);
        for block in part.chunks(STORED_MAX) {
            let length = block.len() as u16;
            packed.push(0);
            packed.extend(length.to_le_bytes());
            packed.extend((!length).to_le_bytes());
            packed.extend(block);
        }
        if part.len() >= WINDOW {
            self.stale = true;
        } else if !self.stale {
            self.deflate.set_dictionary(part).expect("a flushed raw stream takes what it did not see into its window");
        }
    }

    /// Brings the output to the end of a byte, all that was taken in it.
    fn flush(&mut self, packed: &mut Vec<u8>) {
        if self.open {
            self.encode(&[], FlushCompress::Sync, packed);
            self.open = false;
        }
    }

    fn encode(&mut self, mut data: &[u8], flush: FlushCompress, packed: &mut Vec<u8>) {
        if std::mem::take(&mut self.stale) {
            self.deflate.reset();
        }
        self.open |= !data.is_empty();
        loop {
            packed.reserve(SPACE);
            let before = self.deflate.total_in();
            self.deflate.compress_vec(data, packed, flush).expect("deflating from memory to memory cannot fail");
            data = &data[(self.deflate.total_in() - before) as usize..];
            // A call that leaves space has nothing left to write.
            if data.is_empty() && packed.len() < packed.capacity() {
                return;
            }
        }
    }
}

/// So many zeros as one stream.
fn of_zeros(length: usize) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = Encoder::new(&mut packed);
    for zeros in zero::pieces(length) {
        encoder.adler = zlib_rs::adler32::adler32(encoder.adler, zeros);
        encoder.encode(zeros, FlushCompress::None, &mut packed);
    }
    encoder.finish(&mut packed);
    packed.shrink_to_fit();
    packed
}

/// Zeros that need nothing before them and end with a byte.
fn template() -> &'static [u8] {
    static TEMPLATE_OF_ZEROS: OnceLock<Vec<u8>> = OnceLock::new();
    TEMPLATE_OF_ZEROS.get_or_init(|| {
        let mut packed = Vec::new();
        let mut encoder = Encoder::new(&mut packed);
        encoder.encode(&[0; TEMPLATE], FlushCompress::Sync, &mut packed);
        packed.split_off(HEADER.len())
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        let mut decoder = flate2::bufread::ZlibDecoder::new(packed);
        decoder.read_to_end(&mut data).expect("it is a zlib stream");
        assert_eq!(decoder.total_in(), packed.len() as u64, "nothing follows the stream");
        data
    }

    /// Random bytes of a seed: xorshift.
    fn random(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed | 1 << 40;
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
        });
        words.flatten().take(length).collect()
    }

    /// Words of a small vocabulary.
    fn text(seed: u64, length: usize) -> Vec<u8> {
        let vocabulary = random(7, 4096);
        let word = |n: &u8| {
            let at = usize::from(*n) * 12;
            let letters = vocabulary[at..at + 3 + usize::from(n % 7)].iter().map(|byte| b'a' + byte % 26);
            letters.chain([b' ']).collect::<Vec<u8>>()
        };
        random(seed, length).iter().flat_map(word).take(length).collect()
    }

    fn stock(data: &[u8]) -> usize {
        let mut packed = Vec::new();
        flate2::bufread::ZlibEncoder::new(data, Compression::new(6)).read_to_end(&mut packed).expect("in memory");
        packed.len()
    }

    #[test]
    fn streams_begin_as_stock_zlibs_do() {
        for data in [&b""[..], b"text", &[0; 100_000], &random(1, 100_000)] {
            assert_eq!(compress(data)[..2], HEADER);
            assert_eq!(unpacked(&compress(data)), data);
        }
    }

    #[test]
    fn every_kind_of_part_and_every_change_between_them_unpacks() {
        let kinds =
            [|seed, length| random(seed, length), |seed, length| text(seed, length), |_, length| vec![0; length]];
        // Lengths around the granule, the window, the stored block and the template; the last is not whole granules.
        let lengths = [GRANULE, WINDOW - GRANULE, WINDOW, 16 * GRANULE, TEMPLATE, TEMPLATE + GRANULE, 3 * GRANULE + 77];
        let mut all = Vec::new();
        for (n, length) in lengths.into_iter().cycle().take(42).enumerate() {
            let part = kinds[n % 3](n as u64, length);
            let next = kinds[(n * n + 1) % 3](n as u64 + 100, GRANULE);
            let data = [&part[..], &next, &part].concat();
            assert_eq!(unpacked(&compress(&data)), data, "{length} bytes of kind {}", n % 3);
            all.extend(data);
        }
        assert_eq!(unpacked(&compress(&all)), all);
    }

    #[test]
    fn no_kind_of_data_grows_or_packs_worse_than_zlib_by_more_than_a_hundredth() {
        let check = |what: &str, data: &[u8]| {
            let (ours, theirs) = (compress(data).len(), stock(data));
            // A repeat is noticed when it is seen: what came before it within the window is lost.
            let lost = if what.contains("period") { WINDOW } else { 0 };
            assert!(ours * 100 <= (theirs + lost) * 101, "{what}: {ours} bytes, the crate at level 6 {theirs}");
        };
        let alternating = |length: usize| {
            let part = |n: u64| if n.is_multiple_of(2) { random(n, length) } else { text(n, length) };
            (0..(1 << 20) / length as u64).flat_map(part).collect::<Vec<u8>>()
        };
        check("random", &random(1, 1 << 20));
        check("random, a page and a half", &random(1, 6000));
        check("text and random by 64 KiB", &alternating(64 << 10));
        check("text and random by 4 KiB", &alternating(GRANULE));
        check("one random page again and again", &random(3, GRANULE).repeat(100));
        check("random bytes with a period that is no page", &random(3, 5000).repeat(100));
        check("random bytes with a long period", &random(3, 20_000).repeat(30));
        check("zeros", &vec![0; 10 << 20]);
    }

    #[test]
    fn zeros_are_the_same_in_a_stream_and_alone() {
        for length in [ZEROS_MIN, TEMPLATE, 3 * TEMPLATE + 1000] {
            let data = vec![0; length];
            assert_eq!(unpacked(&compress(&data)), data);
            let mut packed = Vec::new();
            let mut encoder = Encoder::new(&mut packed);
            encoder.write(&data, &mut packed);
            encoder.finish(&mut packed);
            assert_eq!(unpacked(&packed), data);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Any sequence of parts, written in strides of any length.
        #[test]
        fn whatever_is_written_unpacks(
            parts in prop::collection::vec((0..3_u8, 1..80_000_usize, any::<u64>()), 0..10),
            stride in 1..200_000_usize,
            aligned in any::<bool>(),
        ) {
            let part = |(kind, length, seed): &(u8, usize, u64)| {
                let length = if aligned { length.next_multiple_of(GRANULE) } else { *length };
                match kind {
                    0 => random(*seed, length),
                    1 => text(*seed, length),
                    _ => vec![0; length * 5],
                }
            };
            let data: Vec<u8> = parts.iter().flat_map(part).collect();
            let stride = if aligned { stride.next_multiple_of(GRANULE) } else { stride };
            let mut packed = Vec::new();
            let mut encoder = Encoder::new(&mut packed);
            data.chunks(stride).for_each(|stride| encoder.write(stride, &mut packed));
            encoder.finish(&mut packed);
            prop_assert!(unpacked(&packed) == data);
            prop_assert!(unpacked(&compress(&data)) == data);
            prop_assert!(unpacked(&whole(&data)) == data);
        }
    }
}
