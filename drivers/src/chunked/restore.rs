//! Writing a chain of backups to a volume: of every byte the newest, once, and verified before it is written.

use std::ops::Range;

use bytes::Bytes;
use clinker_kernels::zero::is_zero;

use super::ChunkedDriver;
use super::ahead::{Ahead, Source};
use super::plan;
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
    let on_device = |range: &Range<u64>| range.start < device.len();
    let is_wanted = |index: &usize| verifier.visible(*index).iter().any(on_device);
    let wanted = (0..plan.objects.len()).filter(is_wanted).collect();
    let mut ahead = Ahead::new(Source { driver, context, control, plan: &plan, verifier: &verifier }, wanted);
    while let Some((index, data)) = ahead.next().await? {
        let offset = plan.objects[index].object.offset;
        let write = async {
            // A parent may be of a time when the volume was larger.
            for Range { start, end } in verifier.visible(index).into_iter().filter(on_device) {
                let within = |byte: u64| (byte.min(device.len()) - offset) as usize;
                writer.write(start, data.slice(within(start)..within(end))).await?;
            }
            device.flush().await
        };
        ahead.meanwhile(write).await?;
    }
    verifier.read_back(device).await?;
    device.flush().await
}

struct Writer<'a> {
    device: &'a dyn Device,
    /// It is all zeros.
    volume_is_new: bool,
}

impl Writer<'_> {
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
