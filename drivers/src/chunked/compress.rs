//! Compression of data objects: Cinder's algorithm names, its streams, and bounded decompression.

mod pieces;

use std::io::{BufRead, Read};

use bytes::Bytes;
use clinker_env::Work;
pub(super) use pieces::{Packer, Unpacker};

/// How an object's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    None,
    Zlib,
    Bzip2,
    Zstd,
}

/// Packed data being read.
enum Decoder<R> {
    Zlib(flate2::bufread::ZlibDecoder<R>),
    Bzip2(bzip2::bufread::BzDecoder<R>),
    Zstd(zstd::stream::read::Decoder<'static, R>),
}

/// What is wrong with packed data. Reads as the end of a sentence about the object.
pub type Wrong = String;

/// Memory reserved at once while unpacking; longer data grow the buffer as they prove to exist.
const RESERVE_MAX: u64 = 64 << 20;
/// What is reserved at most for a byte of packed data: zlib never unpacks one to more.
const RESERVE_RATIO: u64 = 1032;
/// The default of the original and of zstd.
const ZSTD_LEVEL: i32 = 3;
/// The windows of zstd that every decoder ought to know, 8 MiB, and the largest it takes unasked, as powers of two.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 23..=27;

impl Algorithm {
    /// The algorithm behind an option's value or an object's tag, in any letter case.
    pub fn named(name: &str) -> Option<Algorithm> {
        match name.to_ascii_lowercase().as_str() {
            "none" | "off" | "no" => Some(Algorithm::None),
            "zlib" | "gzip" => Some(Algorithm::Zlib),
            "bz2" | "bzip2" => Some(Algorithm::Bzip2),
            "zstd" => Some(Algorithm::Zstd),
            _ => None,
        }
    }

    /// The kind of computing that packing is.
    pub fn work(self) -> Work {
        if self == Algorithm::Zlib { Work::Zlib } else { Work::Other }
    }

    /// The packed data, or none if packing would not make them smaller.
    pub fn pack(self, data: &[u8]) -> Option<Bytes> {
        const IN_MEMORY: &str = "compressing from memory to memory cannot fail";
        let mut packed = Vec::new();
        match self {
            Algorithm::None => return None,
            Algorithm::Zlib => packed = clinker_kernels::zlib::compress(data),
            Algorithm::Bzip2 => {
                let mut encoder = bzip2::bufread::BzEncoder::new(data, bzip2::Compression::best());
                encoder.read_to_end(&mut packed).expect(IN_MEMORY);
            }
            Algorithm::Zstd => packed = zstd::bulk::compress(data, ZSTD_LEVEL).expect(IN_MEMORY),
        }
        (packed.len() < data.len()).then(|| packed.into())
    }

    /// The data of a packed object that claims to hold `length` bytes. Never unpacks more than one byte beyond that.
    pub fn unpack(self, stored: Bytes, length: u64) -> Result<Bytes, Wrong> {
        if self == Algorithm::None {
            return self.check_length(stored.len() as u64, length).map(|()| stored);
        }
        let limit = length.saturating_add(1);
        let likely = (stored.len() as u64).saturating_mul(RESERVE_RATIO).min(RESERVE_MAX);
        let mut data = Vec::with_capacity(limit.min(likely) as usize);
        let mut decoder = Decoder::new(self, &stored[..], length)?;
        decoder.by_ref().take(limit).read_to_end(&mut data).map_err(|_| self.invalid())?;
        self.check_length(data.len() as u64, length)?;
        self.check_rest(decoder.rest().len() as u64)?;
        Ok(data.into())
    }

    /// Whether an object holds what it claims to.
    fn check_length(self, held: u64, length: u64) -> Result<(), Wrong> {
        if held > length && self != Algorithm::None {
            return Err(format!("unpacks to more than the {length} bytes its metadata name"));
        }
        if held != length {
            return Err(format!("holds {held} bytes, its metadata name {length}"));
        }
        Ok(())
    }

    fn check_rest(self, rest: u64) -> Result<(), Wrong> {
        match rest {
            0 => Ok(()),
            rest => Err(format!("has {rest} bytes after the end of its {self} stream")),
        }
    }

    fn invalid(self) -> Wrong {
        format!("is not a whole {self} stream")
    }
}

impl<R: BufRead> Decoder<R> {
    /// # Panics
    /// For raw data, which have no stream.
    fn new(algorithm: Algorithm, stored: R, length: u64) -> Result<Decoder<R>, Wrong> {
        match algorithm {
            Algorithm::None => unreachable!("raw data have no stream"),
            Algorithm::Zlib => Ok(Decoder::Zlib(flate2::bufread::ZlibDecoder::new(stored))),
            Algorithm::Bzip2 => Ok(Decoder::Bzip2(bzip2::bufread::BzDecoder::new(stored))),
            Algorithm::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(stored).map_err(|_| algorithm.invalid())?;
                let mut decoder = decoder.single_frame();
                // The window is reserved whole; one that is larger than the data is none of a compressor's making.
                let window = u64::BITS - length.saturating_sub(1).leading_zeros();
                let window = window.clamp(*WINDOW_LOG.start(), *WINDOW_LOG.end());
                decoder.window_log_max(window).map_err(|_| algorithm.invalid())?;
                Ok(Decoder::Zstd(decoder))
            }
        }
    }

    fn source(&mut self) -> &mut R {
        match self {
            Decoder::Zlib(decoder) => decoder.get_mut(),
            Decoder::Bzip2(decoder) => decoder.get_mut(),
            Decoder::Zstd(decoder) => decoder.get_mut(),
        }
    }

    /// What follows the end of the stream, which must have been reached.
    fn rest(self) -> R {
        match self {
            Decoder::Zlib(decoder) => decoder.into_inner(),
            Decoder::Bzip2(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish(),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, data: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Decoder::Zlib(decoder) => decoder.read(data),
            Decoder::Bzip2(decoder) => decoder.read(data),
            Decoder::Zstd(decoder) => decoder.read(data),
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Algorithm::None => "raw",
            Algorithm::Zlib => "zlib",
            Algorithm::Bzip2 => "bzip2",
            Algorithm::Zstd => "zstd",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKING: [Algorithm; 3] = [Algorithm::Zlib, Algorithm::Bzip2, Algorithm::Zstd];

    fn text() -> Vec<u8> {
        b"some words, again and again; ".repeat(400)
    }

    #[test]
    fn names_are_cinders_in_any_case() {
        let check = |names: &[&str], expected| {
            for name in names {
                assert_eq!(Algorithm::named(name), expected, "{name}");
            }
        };
        check(&["none", "off", "no", "None", "OFF"], Some(Algorithm::None));
        check(&["zlib", "gzip", "ZLIB"], Some(Algorithm::Zlib));
        check(&["bz2", "bzip2"], Some(Algorithm::Bzip2));
        check(&["zstd"], Some(Algorithm::Zstd));
        check(&["", "lz4", "zlib "], None);
    }

    #[test]
    fn streams_begin_as_pythons_do() {
        let head = |algorithm: Algorithm| algorithm.pack(&text()).expect("text shrinks")[..2].to_vec();
        assert_eq!(head(Algorithm::Zlib), [0x78, 0x9c]);
        assert_eq!(head(Algorithm::Bzip2), *b"BZ");
        assert_eq!(head(Algorithm::Zstd), [0x28, 0xb5]);
    }

    #[test]
    fn what_was_packed_unpacks() {
        for algorithm in PACKING {
            let packed = algorithm.pack(&text()).expect("text shrinks");
            assert_eq!(algorithm.unpack(packed, text().len() as u64).as_deref(), Ok(&text()[..]), "{algorithm}");
        }
    }

    #[test]
    fn data_that_do_not_shrink_stay_raw() {
        for algorithm in PACKING {
            assert_eq!(algorithm.pack(b"short"), None, "{algorithm}");
            assert_eq!(algorithm.pack(b""), None, "{algorithm}");
        }
        assert_eq!(Algorithm::None.pack(&text()), None);
    }

    #[test]
    fn a_wrong_length_is_found() {
        let len = text().len() as u64;
        for algorithm in PACKING {
            let packed = algorithm.pack(&text()).expect("text shrinks");
            assert!(algorithm.unpack(packed.clone(), len - 1).unwrap_err().contains("more than"), "{algorithm}");
            assert!(algorithm.unpack(packed.clone(), len + 1).unwrap_err().contains("holds"), "{algorithm}");
            // The claim alone must not reserve memory: this one is beyond any machine's.
            assert!(algorithm.unpack(packed, u64::MAX).unwrap_err().contains("holds"), "{algorithm}");
        }
        assert_eq!(
            Algorithm::None.unpack(text().into(), 3).unwrap_err(),
            format!("holds {len} bytes, its metadata name 3")
        );
    }

    #[test]
    fn a_cut_or_lengthened_stream_is_found() {
        let len = text().len() as u64;
        for algorithm in PACKING {
            let packed = algorithm.pack(&text()).expect("text shrinks");
            for cut in [0, 1, packed.len() / 2, packed.len() - 1] {
                assert!(algorithm.unpack(packed.slice(..cut), len).is_err(), "{algorithm} cut to {cut}");
            }
            let longer = [&packed[..], b"x"].concat();
            assert!(algorithm.unpack(longer.into(), len).unwrap_err().contains("1 bytes after"), "{algorithm}");
        }
    }
}
