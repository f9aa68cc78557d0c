//! Compression of objects that are never whole in memory: pieces in, pieces out.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read, Write as _};

use bytes::{Buf as _, Bytes};
use clinker_kernels::zlib;

use super::{Algorithm, Decoder, Wrong};

/// Packs an object.
pub struct Packer(Encoder);

enum Encoder {
    Zlib { encoder: Box<zlib::Encoder>, packed: Vec<u8> },
    Bzip2(bzip2::write::BzEncoder<Vec<u8>>),
    Zstd { encoder: zstd::stream::write::Encoder<'static, Vec<u8>>, header: Header },
}

const IN_MEMORY: &str = "compressing from memory to memory cannot fail";

impl Packer {
    /// None for an algorithm that does not pack.
    pub fn new(algorithm: Algorithm) -> Option<Packer> {
        match algorithm {
            Algorithm::None => None,
            Algorithm::Zlib => {
                let mut packed = Vec::new();
                let encoder = Box::new(zlib::Encoder::new(&mut packed));
                Some(Packer(Encoder::Zlib { encoder, packed }))
            }
            Algorithm::Bzip2 => {
                let encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
                Some(Packer(Encoder::Bzip2(encoder)))
            }
            Algorithm::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(Vec::new(), super::ZSTD_LEVEL).expect(IN_MEMORY);
                Some(Packer(Encoder::Zstd { encoder, header: Header::default() }))
            }
        }
    }

    /// Takes the next bytes of the data, and gives what is packed by now.
    pub fn write(&mut self, data: &[u8]) -> Bytes {
        let packed = match &mut self.0 {
            Encoder::Zlib { encoder, packed } => {
                encoder.write(data, packed);
                packed
            }
            Encoder::Bzip2(encoder) => {
                encoder.write_all(data).expect(IN_MEMORY);
                encoder.get_mut()
            }
            Encoder::Zstd { encoder, header } => {
                encoder.write_all(data).expect(IN_MEMORY);
                header.length += data.len() as u64;
                let packed = std::mem::take(encoder.get_mut());
                return header.lengthen(packed).into();
            }
        };
        std::mem::take(packed).into()
    }

    /// What ends the packed object, and what its first bytes must be then, if they must be others.
    pub fn finish(self) -> (Bytes, Option<Bytes>) {
        let packed = match self.0 {
            Encoder::Zlib { encoder, mut packed } => {
                encoder.finish(&mut packed);
                packed
            }
            Encoder::Bzip2(encoder) => encoder.finish().expect(IN_MEMORY),
            Encoder::Zstd { encoder, mut header } => {
                let packed = encoder.finish().expect(IN_MEMORY);
                let rest = header.lengthen(packed);
                return (rest.into(), header.finished());
            }
        };
        (packed.into(), None)
    }
}

/// The header of a zstd frame (RFC 8878, 3.1.1.1) that names the length of its data, which is known only at the end. Readers
/// like python-zstd, the original's, take no other.
#[derive(Default)]
struct Header {
    /// Output of the encoder that is not yet a whole header.
    begun: Vec<u8>,
    /// Its window descriptor, once the header is out.
    window: Option<u8>,
    length: u64,
}

impl Header {
    /// Magic number, descriptor, window: what the encoder writes when it does not know the length.
    const SHORT: usize = 6;
    /// No checksum, no dictionary, a window, eight bytes of length.
    const DESCRIPTOR: u8 = 0xc0;

    /// The encoder's output, with a header that has room for the length.
    fn lengthen(&mut self, packed: Vec<u8>) -> Vec<u8> {
        if self.window.is_some() {
            return packed;
        }
        self.begun.extend(packed);
        if self.begun.len() < Header::SHORT {
            return Vec::new();
        }
        if self.length == 0 {
            // Nothing is what the encoder knows the length of.
            return std::mem::take(&mut self.begun);
        }
        self.window = Some(self.begun[5]);
        let mut header = self.bytes(self.begun[5]);
        header.extend_from_slice(&self.begun[Header::SHORT..]);
        self.begun = Vec::new();
        header
    }

    fn finished(&self) -> Option<Bytes> {
        self.window.map(|window| self.bytes(window).into())
    }

    fn bytes(&self, window: u8) -> Vec<u8> {
        let magic = zstd::zstd_safe::MAGICNUMBER.to_le_bytes();
        [&magic[..], &[Header::DESCRIPTOR, window], &self.length.to_le_bytes()].concat()
    }
}

/// Unpacks an object.
pub struct Unpacker {
    algorithm: Algorithm,
    /// What it claims to hold, and what was unpacked so far.
    length: u64,
    held: u64,
    decoder: Decoder<Queue>,
}

impl Unpacker {
    /// None for an algorithm that does not pack.
    pub fn new(algorithm: Algorithm, length: u64) -> Result<Option<Unpacker>, Wrong> {
        if algorithm == Algorithm::None {
            return Ok(None);
        }
        let decoder = Decoder::new(algorithm, Queue::default(), length)?;
        Ok(Some(Unpacker { algorithm, length, held: 0, decoder }))
    }

    /// The next bytes of the object; none if there are no more.
    pub fn push(&mut self, stored: Bytes) {
        let queue = self.decoder.source();
        if stored.is_empty() { queue.ended = true } else { queue.pieces.push_back(stored) }
    }

    /// Unpacks into `data` until it has `len` bytes, or more of the object is needed, or there is no more. Never more than
    /// one byte beyond what the object claims to hold. Returns whether more is needed.
    pub fn unpack(&mut self, data: &mut Vec<u8>, len: usize) -> Result<bool, Wrong> {
        let space = (len - data.len()) as u64;
        let before = data.len();
        let limit = space.min(self.length.saturating_add(1) - self.held);
        let outcome = self.decoder.by_ref().take(limit).read_to_end(data);
        self.held += (data.len() - before) as u64;
        match outcome {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(_) => Err(self.algorithm.invalid()),
        }
    }

    /// Checks the end, after `unpack` gave less than it was asked for and needed no more. So many bytes were not pushed.
    pub fn finish(self, unpushed: u64) -> Result<(), Wrong> {
        self.algorithm.check_length(self.held, self.length)?;
        let rest: u64 = self.decoder.rest().pieces.iter().map(|piece| piece.len() as u64).sum();
        self.algorithm.check_rest(rest + unpushed)
    }
}

/// Bytes that are there already; a reader that needs more is told to come again.
#[derive(Default)]
struct Queue {
    /// None of them empty.
    pieces: VecDeque<Bytes>,
    ended: bool,
}

impl BufRead for Queue {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.pieces.front() {
            Some(piece) => Ok(piece),
            None if self.ended => Ok(&[]),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn consume(&mut self, bytes: usize) {
        if let Some(piece) = self.pieces.front_mut() {
            piece.advance(bytes);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }
}

impl Read for Queue {
    fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let taken = there.len().min(data.len());
        data[..taken].copy_from_slice(&there[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACKING: [Algorithm; 3] = [Algorithm::Zlib, Algorithm::Bzip2, Algorithm::Zstd];

    fn packed_in_pieces(algorithm: Algorithm, data: &[u8], piece: usize) -> Bytes {
        let mut packer = Packer::new(algorithm).expect("it packs");
        let mut packed: Vec<u8> = data.chunks(piece).flat_map(|piece| packer.write(piece)).collect();
        let (rest, head) = packer.finish();
        packed.extend(rest);
        if let Some(head) = head {
            packed[..head.len()].copy_from_slice(&head);
        }
        packed.into()
    }

    /// In steps of `step` bytes, as `stored` comes in pieces; the last step is the empty one.
    fn unpacked_in_pieces(
        algorithm: Algorithm,
        stored: &Bytes,
        length: u64,
        [piece, step]: [usize; 2],
    ) -> Result<Vec<u8>, Wrong> {
        let mut unpacker = Unpacker::new(algorithm, length)?.expect("it packs");
        let mut coming = stored.chunks(piece).map(Bytes::copy_from_slice).chain([Bytes::new()]);
        let mut data = Vec::new();
        loop {
            let mut part = Vec::new();
            while unpacker.unpack(&mut part, step)? {
                unpacker.push(coming.next().expect("nothing is asked for after the end"));
            }
            data.extend_from_slice(&part);
            if part.len() < step {
                let rest = coming.map(|piece| piece.len() as u64).sum();
                return unpacker.finish(rest).map(|()| data);
            }
        }
    }

    fn text() -> Vec<u8> {
        (0..3000u32).flat_map(|n| format!("line {n} of some; ").into_bytes()).collect()
    }

    #[test]
    fn what_was_packed_in_pieces_is_one_stream() {
        for algorithm in PACKING {
            let packed = packed_in_pieces(algorithm, &text(), 1000);
            let data = algorithm.unpack(packed, text().len() as u64);
            assert_eq!(data.as_deref(), Ok(&text()[..]), "{algorithm}");
        }
        assert!(Packer::new(Algorithm::None).is_none());
    }

    #[test]
    fn a_zstd_frame_names_its_length() {
        for data in [&text()[..], b"x", &vec![0; 1 << 20]] {
            let packed = packed_in_pieces(Algorithm::Zstd, data, 1000);
            let length = zstd::zstd_safe::get_frame_content_size(&packed).expect("it is a frame");
            assert_eq!(length, Some(data.len() as u64));
        }
    }

    #[test]
    fn damage_is_told_in_the_words_of_the_whole_object() {
        let len = text().len() as u64;
        for algorithm in PACKING {
            let packed = algorithm.pack(&text()).expect("text shrinks");
            let longer = Bytes::from([&packed[..], b"xy"].concat());
            for (stored, claimed) in [
                (packed.clone(), len - 1),
                (packed.clone(), len + 1),
                (packed.slice(..packed.len() / 2), len),
                (packed.slice(..packed.len() - 1), len),
                (Bytes::new(), len),
                (longer, len),
            ] {
                let whole = algorithm.unpack(stored.clone(), claimed).expect_err("it is damaged");
                for pieces in [[7, 1000], [100, 1 << 20]] {
                    let found = unpacked_in_pieces(algorithm, &stored, claimed, pieces);
                    assert_eq!(found, Err(whole.clone()), "{algorithm} in {pieces:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_come_out_as_they_went_in(
            lengths in proptest::collection::vec((0u8..3, 0usize..5000), 0..8),
            piece in 1usize..3000,
            step in 1usize..3000,
        ) {
            let part = |(kind, length): (u8, usize)| match kind {
                0 => vec![0; length],
                1 => text()[..length].to_vec(),
                _ => (0..length).map(|n| (n * n % 251) as u8).collect(),
            };
            let data: Vec<u8> = lengths.into_iter().flat_map(part).collect();
            for algorithm in PACKING {
                let packed = packed_in_pieces(algorithm, &data, piece);
                let back = unpacked_in_pieces(algorithm, &packed, data.len() as u64, [piece, step]);
                prop_assert_eq!(back.as_deref(), Ok(&data[..]));
            }
        }
    }
}
