//! A volume's chunks under way: cut ahead, put side by side, and counted in order.
//!
//! Objects get their names when they are cut, so that names do not depend on answers. A chunk counts as done when it and
//! all before it are stored: the progress notes are the same however many puts are on their way. The first failure ends
//! it; what is on its way then is waited for by [`Puts::settle`], since a put that is let go of may still be stored.

use std::collections::VecDeque;

use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use super::backup::{Job, Stored};
use super::cut::{Chunk, Cut, Uncut};
use super::format;
use super::progress::Progress;
use super::window::{Begun, Window};
use crate::{BackupControl, Device, Result};

/// Bytes of the volume in memory at most, but for one object, which may always be.
pub const BUDGET: u64 = 256 << 20;
/// Chunks that are cut before they can be put: so many, or so many bytes of them.
const AHEAD_CHUNKS: usize = 4;
const AHEAD: u64 = 128 << 20;
/// Chunks that are cut together, and bytes of them: as many as the widest processors hash side by side, and half of what
/// there is memory for, so that others can be put meanwhile.
const TOGETHER_CHUNKS: u64 = 16;
const TOGETHER: u64 = BUDGET / 2;

/// The puts on their way.
#[derive(Default)]
pub(super) struct Puts<'a>(FuturesUnordered<BoxFuture<'a, Answered>>);

impl Puts<'_> {
    /// Waits until nothing is on its way any more, whatever becomes of it.
    pub async fn settle(mut self) {
        while self.0.next().await.is_some() {}
    }
}

struct Answered {
    begun: Begun,
    /// Counted from the first chunk of the volume.
    chunk: usize,
    /// Memory that is free again.
    held: u64,
    result: Result<()>,
}

/// An object that waits for its turn.
struct Ready {
    chunk: usize,
    name: String,
    cut: Cut,
}

/// A chunk that is not counted yet.
struct Uncounted {
    /// Where it ends in the volume.
    end: u64,
    /// Objects of it that are not stored.
    left: usize,
}

pub(super) struct Flight<'a, 's> {
    job: &'a Job<'a>,
    device: &'a dyn Device,
    control: &'a dyn BackupControl,
    progress: &'s mut Progress,
    stored: &'s mut Stored,
    window: Window,
    /// Chunks that are to be cut together, being read.
    reading: FuturesOrdered<BoxFuture<'a, Result<Vec<Uncut>>>>,
    cutting: FuturesOrdered<BoxFuture<'a, (u64, Chunk)>>,
    /// Chunks in both.
    uncut_chunks: usize,
    /// Chunks that were cut together, at most.
    together: u64,
    ready: VecDeque<Ready>,
    uncounted: VecDeque<Uncounted>,
    /// Chunks that are counted, and where the last of them ends.
    counted: usize,
    counted_to: u64,
    /// Up to where the volume is cut or being cut.
    offset: u64,
    /// Bytes in memory.
    held: u64,
    /// Those of them whose put has not begun.
    ahead: u64,
}

impl<'a, 's> Flight<'a, 's> {
    pub fn new(
        job: &'a Job<'a>,
        device: &'a dyn Device,
        control: &'a dyn BackupControl,
        progress: &'s mut Progress,
        stored: &'s mut Stored,
    ) -> Flight<'a, 's> {
        Flight {
            job,
            device,
            control,
            progress,
            stored,
            window: Window::new(job.driver.settings.inflight_max, Instant::now()),
            reading: FuturesOrdered::new(),
            cutting: FuturesOrdered::new(),
            uncut_chunks: 0,
            together: 0,
            ready: VecDeque::new(),
            uncounted: VecDeque::new(),
            counted: 0,
            counted_to: 0,
            offset: 0,
            held: 0,
            ahead: 0,
        }
    }

    /// Stores the whole volume. After an error, `puts` has what is still on its way.
    pub async fn run(&mut self, puts: &mut Puts<'a>) -> Result<()> {
        loop {
            self.put_ready(puts);
            self.count().await?;
            self.stored.hashes.write_out().await?;
            while let Some(chunks) = self.may_cut(puts) {
                self.cut_next(chunks).await?;
            }
            tokio::select! {
                biased;
                Some(answered) = puts.0.next() => self.answered(answered)?,
                Some((len, chunk)) = self.cutting.next() => self.take_in(len, chunk),
                Some(uncut) = self.reading.next() => self.cut(uncut?),
                else => return Ok(()),
            }
        }
    }

    /// How many chunks are to be cut together now, if any.
    fn may_cut(&self, puts: &Puts<'_>) -> Option<u64> {
        let chunk = self.job.cutter.chunk;
        let left = (self.device.len() - self.offset).div_ceil(chunk);
        if self.window.is_one() {
            let idle = puts.0.is_empty() && self.uncounted.is_empty() && self.uncut_chunks == 0;
            return (idle && left > 0).then_some(1);
        }
        let waiting = self.uncut_chunks + self.ready.len();
        if left == 0 || (waiting >= AHEAD_CHUNKS && self.ahead + chunk > AHEAD) {
            return None;
        }
        // The first chunks are not to wait for others.
        let together = if self.job.cutter.hashes_side_by_side() { TOGETHER / chunk } else { 1 };
        let together = together.clamp(1, TOGETHER_CHUNKS).min(self.together * 2).max(1).min(left);
        if self.held == 0 {
            return Some(together);
        }
        let fit = BUDGET.saturating_sub(self.held) / self.job.cutter.memory(chunk);
        // It pays to wait until there is memory for all, unless the store waits for the next.
        let is_awaited = waiting == 0 && self.window.admits();
        Some(together.min(fit)).filter(|chunks| *chunks == together || (*chunks > 0 && is_awaited))
    }

    async fn cut_next(&mut self, chunks: u64) -> Result<()> {
        self.progress.check().await?;
        let mut ranges = Vec::new();
        for _ in 0..chunks {
            let len = self.job.cutter.chunk.min(self.device.len() - self.offset);
            ranges.push((self.offset, len));
            self.offset += len;
            self.held += self.job.cutter.memory(len);
            self.ahead += len;
        }
        self.together = self.together.max(chunks);
        self.uncut_chunks += ranges.len();
        let (job, control, device) = (self.job, self.control, self.device);
        self.reading.push_back(Box::pin(async move {
            let read = async |(offset, len): &(u64, u64)| {
                control.check_cancelled().await?;
                job.read(device, *offset, *len).await
            };
            try_join_all(ranges.iter().map(read)).await
        }));
        Ok(())
    }

    fn cut(&mut self, uncut: Vec<Uncut>) {
        let lengths: Vec<u64> = uncut.iter().map(|uncut| uncut.data.len() as u64).collect();
        for (len, cut) in lengths.into_iter().zip(self.job.cutter.cut(uncut)) {
            self.cutting.push_back(Box::pin(async move { (len, cut.await) }));
        }
    }

    fn take_in(&mut self, len: u64, chunk: Chunk) {
        let number = self.counted + self.uncounted.len();
        let before = self.uncounted.back().map_or(self.counted_to, |chunk| chunk.end);
        self.uncounted.push_back(Uncounted { end: before + len, left: chunk.objects.len() });
        self.stored.hashes.push(&chunk.sha256s);
        self.uncut_chunks -= 1;
        self.held -= self.job.cutter.memory(len);
        self.ahead -= len;
        for cut in chunk.objects {
            self.held += cut.held;
            self.ahead += cut.held;
            let name = format::object_name(&self.job.prefix, self.stored.objects.len() as u64 + 1);
            self.stored.objects.push(cut.described(name.clone()));
            self.ready.push_back(Ready { chunk: number, name, cut });
        }
    }

    fn put_ready(&mut self, puts: &mut Puts<'a>) {
        while self.window.admits()
            && let Some(Ready { chunk, name, cut }) = self.ready.pop_front()
        {
            self.ahead -= cut.held;
            let (job, begun) = (self.job, self.window.begin(cut.body.len() as u64, Instant::now()));
            // Its name first: a put that fails may have stored the object all the same.
            self.stored.names.push(name.clone());
            puts.0.push(Box::pin(async move {
                let result = job.put(&name, cut.body, cut.body_md5).await;
                Answered { begun, chunk, held: cut.held, result }
            }));
        }
    }

    fn answered(&mut self, answered: Answered) -> Result<()> {
        answered.result?;
        self.window.answered(answered.begun, Instant::now());
        self.held -= answered.held;
        let uncounted = answered.chunk.checked_sub(self.counted).and_then(|at| self.uncounted.get_mut(at));
        if let Some(chunk) = uncounted {
            chunk.left -= 1;
        }
        Ok(())
    }

    async fn count(&mut self) -> Result<()> {
        let decisions = &self.job.driver.decisions;
        while let Some(chunk) = self.uncounted.pop_front_if(|chunk| decisions.chunk_is_done(chunk.left)) {
            self.counted += 1;
            self.counted_to = chunk.end;
            self.progress.chunk_done(chunk.end).await?;
        }
        Ok(())
    }
}
