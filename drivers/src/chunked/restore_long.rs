//! Restoring an object that is too long for the memory: its pieces are read, unpacked and verified ahead, and written.
//!
//! What no block of the sha256file verifies needs the md5 of the whole object. Such an object is read twice: nothing is
//! written before it is known to be sound.

use std::ops::Range;

use bytes::Bytes;
use clinker_env::Work;
use futures_util::future::join;
use md5::{Digest as _, Md5};

use super::ahead::Source;
use super::compress::{Unpacker, Wrong};
use super::limits;
use super::pieces::{Download, Pieces};
use super::plan::Planned;
use super::restore::Writer;
use crate::{Error, Kind, Result};

pub(super) async fn restore(source: Source<'_>, pieces: &dyn Pieces, index: usize, writer: &Writer<'_>) -> Result<()> {
    let Source { verifier, .. } = source;
    let sizes = source.driver.settings.sizes;
    let has_long_blocks = source.plan.hashes.as_ref().is_some_and(|hashes| !sizes.verify(hashes.block));
    let needs_md5 = verifier.needs_md5(index) || has_long_blocks;
    if needs_md5 && !is_sound(source, pieces, index).await? {
        return Err(verifier.bad_object(index));
    }
    let visible = verifier.visible(index);
    let mut data = Unpacked::open(source, pieces, index).await?;
    let mut piece = data.next().await?;
    while let Some((offset, bytes)) = piece {
        let write = async {
            match verifier.first_bad(index, offset, &bytes).await {
                None => writer.write_visible(&visible, offset, bytes).await,
                Some(_) if !needs_md5 && !is_sound(source, pieces, index).await? => Err(verifier.bad_object(index)),
                Some(block) => Err(verifier.bad_list(block)),
            }
        };
        let (written, next) = join(write, data.next()).await;
        written?;
        piece = next?;
    }
    writer.flush().await
}

/// Whether the object has its md5.
async fn is_sound(source: Source<'_>, pieces: &dyn Pieces, index: usize) -> Result<bool> {
    let mut data = Unpacked::open(source, pieces, index).await?;
    let mut hasher = Md5::new();
    while let Some((_, bytes)) = data.next().await? {
        let len = bytes.len() as u64;
        hasher = source.driver.env.compute(Work::Hash, len, move || hasher.chain_update(&bytes)).await;
    }
    let found = <[u8; 16]>::from(hasher.finalize());
    Ok(source.driver.decisions.digest_accepted(&source.plan.objects[index].object.md5, &found))
}

/// The data of an object, in pieces that end where blocks of the sha256file do.
struct Unpacked<'a> {
    source: Source<'a>,
    planned: &'a Planned,
    download: Box<dyn Download>,
    /// None of what is stored raw, and after the end.
    unpacker: Option<Unpacker>,
    step: u64,
    /// Of the next piece in the volume.
    offset: u64,
}

impl<'a> Unpacked<'a> {
    async fn open(source: Source<'a>, pieces: &dyn Pieces, index: usize) -> Result<Unpacked<'a>> {
        let planned = &source.plan.objects[index];
        let Planned { container, object, algorithm } = planned;
        let download = pieces.open(container, &object.name, limits::stored(object.length)).await?;
        let unpacker = Unpacker::new(*algorithm, object.length).map_err(|wrong| damaged(planned, wrong))?;
        let sizes = source.driver.settings.sizes;
        let block = source.plan.hashes.as_ref().map_or(1, |hashes| hashes.block);
        let step = sizes.of_blocks(if sizes.verify(block) { block } else { 1 });
        Ok(Unpacked { source, planned, download, unpacker, step, offset: object.offset })
    }

    /// The next piece and where it is in the volume.
    async fn next(&mut self) -> Result<Option<(u64, Bytes)>> {
        let (offset, end) = (self.offset, self.planned.object.end());
        let wanted = (self.step - offset % self.step).min(end - offset);
        if wanted == 0 {
            return Ok(None);
        }
        self.source.control.check_cancelled().await?;
        let data = match self.unpacker.take() {
            None => self.download.read(wanted).await?,
            Some(unpacker) => self.unpack(unpacker, wanted).await?,
        };
        self.offset += data.len() as u64;
        if (data.len() as u64) < wanted {
            let held = self.offset - self.planned.object.offset;
            return Err(damaged(
                self.planned,
                format!("holds {held} bytes, its metadata name {}", self.planned.object.length),
            ));
        }
        if self.offset == end {
            self.check_end().await?;
        }
        Ok(Some((offset, data)))
    }

    /// Bytes of a packed object that are read at a time: they may become many more.
    fn stored_piece(&self) -> u64 {
        (self.source.driver.settings.sizes.piece / 4).max(1)
    }

    /// The next `wanted` bytes, fewer at the end only.
    async fn unpack(&mut self, mut unpacker: Unpacker, wanted: u64) -> Result<Bytes> {
        // What the object claims is not to reserve more memory than what it proves to hold.
        let mut data = Vec::with_capacity(wanted.min(self.source.driver.settings.sizes.piece) as usize);
        loop {
            let before = data.len() as u64;
            let job = move || {
                let needs_more = unpacker.unpack(&mut data, wanted as usize);
                (unpacker, data, needs_more)
            };
            let needs_more: std::result::Result<bool, Wrong>;
            (unpacker, data, needs_more) = self.source.driver.env.compute(Work::Other, wanted - before, job).await;
            if !needs_more.map_err(|wrong| damaged(self.planned, wrong))? {
                break;
            }
            unpacker.push(self.download.read(self.stored_piece()).await?);
        }
        self.unpacker = Some(unpacker);
        Ok(data.into())
    }

    /// Nothing may follow what the object claims to hold.
    async fn check_end(&mut self) -> Result<()> {
        let Some(mut unpacker) = self.unpacker.take() else {
            let more = !self.download.read(1).await?.is_empty();
            let what = || format!("holds more than the {} bytes its metadata name", self.planned.object.length);
            return if more { Err(damaged(self.planned, what())) } else { Ok(()) };
        };
        let mut more = Vec::new();
        while unpacker.unpack(&mut more, 1).map_err(|wrong| damaged(self.planned, wrong))? {
            unpacker.push(self.download.read(self.stored_piece()).await?);
        }
        let mut unpushed = 0;
        loop {
            let rest = self.download.read(self.stored_piece()).await?.len() as u64;
            unpushed += rest;
            if rest == 0 {
                return unpacker.finish(unpushed).map_err(|wrong| damaged(self.planned, wrong));
            }
        }
    }
}

fn damaged(planned: &Planned, wrong: Wrong) -> Error {
    Error::new(Kind::Integrity, format!("object {} {wrong}", planned.object.name))
}

/// What of a piece at `offset` is in `ranges` of the volume.
pub(super) fn parts(ranges: &[Range<u64>], offset: u64, data: &Bytes) -> Vec<(u64, Bytes)> {
    let end = offset + data.len() as u64;
    let within = |range: &Range<u64>| range.start.max(offset)..range.end.min(end);
    let parts = ranges.iter().map(within).filter(|part| part.start < part.end);
    parts.map(|part| (part.start, data.slice((part.start - offset) as usize..(part.end - offset) as usize))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_piece_the_parts_within_the_ranges_are_written() {
        let data = Bytes::from_static(b"0123456789");
        let check = |ranges: &[Range<u64>], expected: &[(u64, &'static [u8])]| {
            let expected: Vec<(u64, Bytes)> =
                expected.iter().map(|(at, part)| (*at, Bytes::from_static(part))).collect();
            assert_eq!(parts(ranges, 100, &data), expected, "{ranges:?}");
        };
        check(std::slice::from_ref(&(0..200)), &[(100, b"0123456789")]);
        check(&[0..103, 105..107, 109..300], &[(100, b"012"), (105, b"56"), (109, b"9")]);
        check(&[0..100, 110..120], &[]);
    }
}
