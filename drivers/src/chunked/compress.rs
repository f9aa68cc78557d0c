//! Compression of data objects: Cinder's algorithm names, its streams, and bounded decompression.

use std::io::Read;

use bytes::Bytes;
use clinker_env::Work;

/// How an object's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    None,
    Zlib,
    Bzip2,
    Zstd,
}

/// What is wrong with packed data. Reads as the end of a sentence about the object.
pub type Wrong = String;

/// Memory reserved at once while unpacking; longer data grow the buffer as they prove to exist.
const RESERVE_MAX: u64 = 64 << 20;
/// What is reserved at most for a byte of packed data: zlib never unpacks one to more.
const RESERVE_RATIO: u64 = 1032;
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
            Algorithm::Zstd => packed = zstd::bulk::compress(data, 3).expect(IN_MEMORY),
        }
        (packed.len() < data.len()).then(|| packed.into())
    }

    /// The data of a packed object that claims to hold `length` bytes. Never unpacks more than one byte beyond that.
    pub fn unpack(self, stored: Bytes, length: u64) -> Result<Bytes, Wrong> {
        let (data, rest) = match self {
            Algorithm::None => (stored, 0),
            Algorithm::Zlib => {
                let mut decoder = flate2::bufread::ZlibDecoder::new(&stored[..]);
                let data = self.bounded(&mut decoder, stored.len(), length)?;
                (data, stored.len() as u64 - decoder.total_in())
            }
            Algorithm::Bzip2 => {
                let mut decoder = bzip2::bufread::BzDecoder::new(&stored[..]);
                let data = self.bounded(&mut decoder, stored.len(), length)?;
                (data, stored.len() as u64 - decoder.total_in())
            }
            Algorithm::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(&stored[..]);
                let mut decoder = decoder.map_err(|_| self.invalid())?.single_frame();
                // The window is reserved whole; one that is larger than the data is none of a compressor's making.
                let window = u64::BITS - length.saturating_sub(1).leading_zeros();
                let window = window.clamp(*WINDOW_LOG.start(), *WINDOW_LOG.end());
                decoder.window_log_max(window).map_err(|_| self.invalid())?;
                let data = self.bounded(&mut decoder, stored.len(), length)?;
                (data, decoder.finish().len() as u64)
            }
        };
        let held = data.len() as u64;
        if held > length && self != Algorithm::None {
            return Err(format!("unpacks to more than the {length} bytes its metadata name"));
        }
        if held != length {
            return Err(format!("holds {held} bytes, its metadata name {length}"));
        }
        if rest > 0 {
            return Err(format!("has {rest} bytes after the end of its {self} stream"));
        }
        Ok(data)
    }

    fn bounded(self, decoder: &mut dyn Read, stored: usize, length: u64) -> Result<Bytes, Wrong> {
        let limit = length.saturating_add(1);
        let likely = (stored as u64).saturating_mul(RESERVE_RATIO).min(RESERVE_MAX);
        let mut data = Vec::with_capacity(limit.min(likely) as usize);
        decoder.take(limit).read_to_end(&mut data).map_err(|_| self.invalid())?;
        Ok(data.into())
    }

    fn invalid(self) -> Wrong {
        format!("is not a whole {self} stream")
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
