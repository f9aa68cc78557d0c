//! Whether restored data are what was backed up (D6).
//!
//! A block of the sha256 list is checked in the object that is the last of the chain to write all of it. A block that
//! several objects make up, or none, is read back from the device at the end. Whatever part of an object no such block
//! covers is checked by the object's md5, which also tells a bad object from a bad list.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use clinker_env::Work;

use super::ChunkedDriver;
use super::coverage::Coverage;
use super::decisions::EngineDecisions;
use super::digests::Digests;
use super::format::HashList;
use super::plan::Plan;
use crate::{Device, Error, Kind, Result};

/// Bytes read back from the device at a time, at least one block.
pub(super) const READ_BACK: u64 = 1 << 20;

pub(super) struct Verifier<'a> {
    driver: &'a ChunkedDriver,
    plan: &'a Plan,
    coverage: Coverage,
    list: Option<Arc<List>>,
}

/// The hashes that the volume must have.
struct List {
    hashes: Arc<HashList>,
    /// The bytes they cover; the last block may be short.
    volume_len: u64,
    decisions: Arc<dyn EngineDecisions>,
    digests: Arc<dyn Digests>,
}

enum Verdict {
    Sound,
    /// The object's md5 differs.
    BadObject,
    /// The object's md5 is right, yet this block's hash differs.
    BadList(u64),
}

impl<'a> Verifier<'a> {
    pub fn new(driver: &'a ChunkedDriver, plan: &'a Plan, device_len: u64) -> Verifier<'a> {
        let mut coverage = Coverage::default();
        for (index, planned) in plan.objects.iter().enumerate() {
            coverage.overwrite(planned.object.offset..planned.object.end(), index);
        }
        let list = plan.hashes.clone().map(|hashes| {
            let volume_len = volume_len(plan, &hashes, device_len);
            let (decisions, digests) = (Arc::clone(&driver.decisions), Arc::clone(&driver.digests));
            Arc::new(List { hashes, volume_len, decisions, digests })
        });
        Verifier { driver, plan, coverage, list }
    }

    /// What of the plan's `index`-th object no later one writes over: byte ranges of the volume, in ascending order.
    pub fn visible(&self, index: usize) -> Vec<Range<u64>> {
        let object = &self.plan.objects[index].object;
        self.coverage.visible(object.offset..object.end(), index)
    }

    /// Checks the unpacked data of the plan's `index`-th object.
    pub async fn check_object(&self, index: usize, data: &Bytes) -> Result<()> {
        let object = &self.plan.objects[index].object;
        let (offset, expected) = (object.offset, object.md5);
        let (blocks, needs_md5) = (self.blocks_of(index), self.needs_md5(index));
        let list = self.list.clone();
        let (decisions, digests) = (Arc::clone(&self.driver.decisions), Arc::clone(&self.driver.digests));
        let bytes = data.clone();
        let job = move || {
            let sound = || decisions.digest_accepted(&expected, &digests.md5(&bytes));
            if needs_md5 && !sound() {
                return Verdict::BadObject;
            }
            let bad = list.and_then(|list| blocks.into_iter().find_map(|run| list.first_bad(&bytes, offset, run)));
            match bad {
                None => Verdict::Sound,
                Some(block) if needs_md5 || sound() => Verdict::BadList(block),
                Some(_) => Verdict::BadObject,
            }
        };
        match self.driver.env.compute(Work::Hash, data.len() as u64, job).await {
            Verdict::Sound => Ok(()),
            Verdict::BadObject => Err(self.bad_object(index)),
            Verdict::BadList(block) => Err(self.bad_list(block)),
        }
    }

    /// Whether no blocks verify all of the object.
    pub fn needs_md5(&self, index: usize) -> bool {
        let object = &self.plan.objects[index].object;
        match (&self.list, &self.blocks_of(index)[..]) {
            (Some(list), [one]) => list.bytes(one) != (object.offset..object.end()),
            _ => true,
        }
    }

    /// The first bad block of those that lie wholly in a piece of the `index`-th object, at `offset` of the volume.
    pub async fn first_bad(&self, index: usize, offset: u64, data: &Bytes) -> Option<u64> {
        let list = Arc::clone(self.list.as_ref()?);
        let in_piece = list.whole_blocks(&(offset..offset + data.len() as u64));
        let blocks: Vec<Range<u64>> = self
            .blocks_of(index)
            .into_iter()
            .map(|run| run.start.max(in_piece.start)..run.end.min(in_piece.end))
            .filter(|run| !run.is_empty())
            .collect();
        let bytes = data.clone();
        let job = move || blocks.into_iter().find_map(|run| list.first_bad(&bytes, offset, run));
        self.driver.env.compute(Work::Hash, data.len() as u64, job).await
    }

    /// The runs of blocks that can be checked in this object alone.
    fn blocks_of(&self, index: usize) -> Vec<Range<u64>> {
        let Some(list) = &self.list else { return Vec::new() };
        self.visible(index).into_iter().map(|part| list.whole_blocks(&part)).filter(|run| !run.is_empty()).collect()
    }

    /// Reads the blocks back that no single object holds, when everything is written.
    pub async fn read_back(&self, device: &dyn Device) -> Result<()> {
        let Some(list) = &self.list else { return Ok(()) };
        let step = (READ_BACK / list.hashes.block).max(1);
        for run in self.unchecked_blocks(list) {
            let mut first = run.start;
            while first < run.end {
                let part = first..run.end.min(first + step);
                first = part.end;
                let Range { start, end } = list.bytes(&part);
                let data = device.read_at(start, (end - start) as usize).await?;
                let list = Arc::clone(list);
                let job = move || list.first_bad(&data, start, part);
                if let Some(block) = self.driver.env.compute(Work::Hash, end - start, job).await {
                    return Err(self.bad_list(block));
                }
            }
        }
        Ok(())
    }

    fn unchecked_blocks(&self, list: &List) -> Vec<Range<u64>> {
        let mut unchecked = Vec::new();
        let mut next = 0;
        for run in self.coverage.iter().map(|part| list.whole_blocks(&part)).filter(|run| !run.is_empty()) {
            unchecked.push(next..run.start);
            next = run.end;
        }
        unchecked.push(next..list.len());
        unchecked.retain(|run| !run.is_empty());
        unchecked
    }

    pub fn bad_object(&self, index: usize) -> Error {
        let name = &self.plan.objects[index].object.name;
        Error::new(Kind::Integrity, format!("object {name} does not hold what was backed up"))
    }

    pub fn bad_list(&self, block: u64) -> Error {
        let name = &self.plan.hash_list_name;
        Error::new(Kind::Integrity, format!("object {name} does not match the restored volume at block {block}"))
    }
}

/// How many bytes the hashes cover: the last block ends where its last writer ends, if within the block.
pub(super) fn volume_len(plan: &Plan, hashes: &HashList, device_len: u64) -> u64 {
    let limit = device_len.min(hashes.block.saturating_mul(hashes.sha256s.len() as u64));
    let Some(last_block) = (hashes.sha256s.len() as u64).checked_sub(1) else { return 0 };
    let last_start = last_block * hashes.block;
    let writers = plan.objects.iter().rev().map(|planned| &planned.object);
    let last = writers.into_iter().find(|object| object.offset < limit && object.end() > last_start);
    last.map_or(limit, |object| object.end().min(limit))
}

impl List {
    fn len(&self) -> u64 {
        self.hashes.sha256s.len() as u64
    }

    /// The bytes that a run of blocks covers.
    fn bytes(&self, blocks: &Range<u64>) -> Range<u64> {
        let at = |block: u64| self.volume_len.min(block * self.hashes.block);
        at(blocks.start)..at(blocks.end)
    }

    /// The blocks that lie wholly in `bytes`.
    fn whole_blocks(&self, bytes: &Range<u64>) -> Range<u64> {
        let first = bytes.start.div_ceil(self.hashes.block).min(self.len());
        let end = if bytes.end >= self.volume_len { self.len() } else { bytes.end / self.hashes.block };
        first..end.max(first)
    }

    /// The first of `blocks` whose hash is not that of `data`, which begin at `offset` of the volume.
    fn first_bad(&self, data: &Bytes, offset: u64, blocks: Range<u64>) -> Option<u64> {
        let Range { start, end } = self.bytes(&blocks);
        let within = |byte: u64| ((byte - offset) as usize).min(data.len());
        let actual = self.digests.sha256s(&data.slice(within(start)..within(end)), self.hashes.block as usize);
        let bad = |block: &u64| {
            let actual = actual.get((block - blocks.start) as usize);
            let expected = &self.hashes.sha256s[*block as usize];
            !actual.is_some_and(|actual| self.decisions.digest_accepted(expected, actual))
        };
        blocks.clone().find(bad)
    }
}
