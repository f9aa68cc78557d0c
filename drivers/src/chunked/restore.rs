//! Writing a chain of backups to a volume, oldest first, every byte verified before it is written.

use std::ops::Range;

use bytes::Bytes;
use clinker_kernels::zero::is_zero;

use super::ChunkedDriver;
use super::ahead::{Ahead, Source};
use super::coverage::Coverage;
use super::plan;
use super::verify::Verifier;
use crate::{Backup, Device, RequestContext, RestoreControl, Result};

/// The unit in which zeros are left out on a new volume, counted from an object's start.
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
    let mut writer = Writer { device, volume_is_new, written: Coverage::default() };
    let mut ahead = Ahead::new(Source { driver, context, control, plan: &plan, verifier: &verifier });
    while let Some((planned, data)) = ahead.next().await? {
        let offset = planned.object.offset;
        let write = async {
            writer.write(offset, within(device.len(), offset, data)).await?;
            device.flush().await
        };
        ahead.meanwhile(write).await?;
    }
    verifier.read_back(device).await?;
    device.flush().await
}

/// What of an object lies on the device: a parent may be of a time when the volume was larger.
fn within(device_len: u64, offset: u64, data: Bytes) -> Bytes {
    let room = usize::try_from(device_len.saturating_sub(offset)).unwrap_or(usize::MAX);
    data.slice(..data.len().min(room))
}

struct Writer<'a> {
    device: &'a dyn Device,
    volume_is_new: bool,
    /// Where a new volume no longer is all zeros.
    written: Coverage,
}

impl Writer<'_> {
    async fn write(&mut self, offset: u64, data: Bytes) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        if !self.volume_is_new {
            return self.device.write_at(offset, data).await;
        }
        for run in self.needed_runs(offset, &data) {
            let (start, end) = (offset + run.start as u64, offset + run.end as u64);
            self.device.write_at(start, data.slice(run)).await?;
            self.written.overwrite(start..end, 0);
        }
        Ok(())
    }

    /// All but the pieces that are zero and go where the new volume still is.
    fn needed_runs(&self, offset: u64, data: &[u8]) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        for piece in data.chunks(SPARSE_PIECE) {
            let range = start..start + piece.len();
            start = range.end;
            let target = offset + range.start as u64..offset + range.end as u64;
            if is_zero(piece) && !self.written.touches(target) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == range.start => run.end = range.end,
                _ => runs.push(range),
            }
        }
        runs
    }
}
