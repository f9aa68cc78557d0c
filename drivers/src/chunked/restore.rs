//! Writing a chain of backups to a volume: of every byte the newest, once, and verified before it is written.

use std::ops::Range;

use bytes::Bytes;
use clinker_kernels::zero::is_zero;

use super::ChunkedDriver;
use super::ahead::{Ahead, Source};
use super::plan;
use super::restore_long::{self, parts};
use super::verify::Verifier;
use crate::{Backup, Device, RequestContext, RestoreControl, Result};

/// The unit in which zeros are left out on a new volume, counted from where a write begins.
const SPARSE_PIECE: usize = 1 << 20;

pub(super) async fn restore(
    driver: &ChunkedDriver,
    context: &RequestContext,
    chain: &[Backup],
    device: &dyn Device,
    volume_is_new: bool,
    control: &dyn RestoreControl,
) -> Result<()> {
    let plan = plan::read(driver, context, chain, device.len()).await?;
    if plan.hashes.is_none() {
        control.warn(&format!("object {} is missing: only md5 is checked", plan.hash_list_name));
    }
    control.volume_meta(plan.volume_meta.as_deref()).await?;
    let verifier = Verifier::new(driver, &plan, device.len());
    let writer = Writer { device, volume_is_new };
    let is_wanted = |index: &usize| !writer.on_device(verifier.visible(*index)).is_empty();
    let pieces = driver.store.pieces();
    let is_long =
        |index: &usize| pieces.is_some() && plan.objects[*index].object.length > driver.settings.sizes.whole_max;
    let (long, wanted) = (0..plan.objects.len()).filter(is_wanted).partition::<Vec<usize>, _>(is_long);
    let source = Source { driver, context, control, plan: &plan, verifier: &verifier };
    // Nothing is written twice, so that the order does not matter. An object that claims more than it holds is long.
    if let Some(pieces) = pieces {
        for index in long {
            restore_long::restore(source, pieces, index, &writer).await?;
        }
    }
    let mut ahead = Ahead::new(source, wanted);
    while let Some((index, data)) = ahead.next().await? {
        let offset = plan.objects[index].object.offset;
        let write = async {
            writer.write_visible(&verifier.visible(index), offset, data).await?;
            writer.flush().await
        };
        ahead.meanwhile(write).await?;
    }
    verifier.read_back(device).await?;
    device.flush().await
}

pub(super) struct Writer<'a> {
    device: &'a dyn Device,
    /// It is all zeros.
    volume_is_new: bool,
}

impl Writer<'_> {
    /// What of these ranges of the volume is on the device: a parent may be of a time when the volume was larger.
    fn on_device(&self, ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
        let on_device = |Range { start, end }: Range<u64>| start..end.min(self.device.len());
        ranges.into_iter().map(on_device).filter(|range| range.start < range.end).collect()
    }

    /// What of the data, which begin at `offset` of the volume, is visible.
    pub async fn write_visible(&self, visible: &[Range<u64>], offset: u64, data: Bytes) -> Result<()> {
        for (at, part) in parts(&self.on_device(visible.to_vec()), offset, &data) {
            self.write(at, part).await?;
        }
        Ok(())
    }

    pub async fn flush(&self) -> Result<()> {
        self.device.flush().await
    }

    /// Nothing is written twice, so that zeros on a new volume need not be written at all.
    async fn write(&self, offset: u64, data: Bytes) -> Result<()> {
        if !self.volume_is_new {
            return self.device.write_at(offset, data).await;
        }
        for run in runs_with_data(&data) {
            self.device.write_at(offset + run.start as u64, data.slice(run)).await?;
        }
        Ok(())
    }
}

/// All but the pieces that are zero.
fn runs_with_data(data: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for piece in data.chunks(SPARSE_PIECE) {
        let range = start..start + piece.len();
        start = range.end;
        match runs.last_mut() {
            _ if is_zero(piece) => {}
            Some(run) if run.end == range.start => run.end = range.end,
            _ => runs.push(range),
        }
    }
    runs
}
