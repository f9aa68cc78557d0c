//! A volume's chunks under way: cut ahead, put side by side, and counted in order.
//!
//! Objects get their names when they are cut, so that names do not depend on answers. A chunk counts as done when it and
//! all before it are stored: the progress notes are the same however many puts are on their way. The first failure ends
//! it; what is on its way then is waited for by [`Puts::settle`], since a put that is let go of may still be stored.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::BoxFuture;
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
/// Chunks that are cut together, and bytes of them: more are hashed hardly faster, and there must be memory for others that
/// are read and put meanwhile.
const TOGETHER_CHUNKS: u64 = 8;
const TOGETHER: u64 = BUDGET / 8 * 5;
/// The store is the slow part if a put takes so many times what cutting takes: then chunks need not be cut cheaply.
const SLOW_STORE: u32 = 4;

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
    reading: FuturesOrdered<BoxFuture<'a, Result<Uncut>>>,
    /// Chunks that wait for others, to be cut together.
    read: Vec<Uncut>,
    /// Bytes, what became of them, and how long that took.
    cutting: FuturesOrdered<BoxFuture<'a, (u64, Chunk, Duration)>>,
    /// Chunks that were cut together, at most.
    together: usize,
    /// How long the last chunk and the last object took.
    cut_took: Duration,
    put_took: Duration,
    ready: VecDeque<Ready>,
    uncounted: VecDeque<Uncounted>,
    /// Chunks that are counted, and where the last of them ends.
    counted: usize,
    counted_to: u64,
    /// Up to where the volume is cut or being cut.
    offset: u64,
    /// Bytes in memory.
    held: u64,
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
            read: Vec::new(),
            together: 0,
            cut_took: Duration::ZERO,
            put_took: Duration::MAX,
            ready: VecDeque::new(),
            uncounted: VecDeque::new(),
            counted: 0,
            counted_to: 0,
            offset: 0,
            held: 0,
        }
    }

    /// Stores the whole volume. After an error, `puts` has what is still on its way.
    pub async fn run(&mut self, puts: &mut Puts<'a>) -> Result<()> {
        loop {
            self.put_ready(puts);
            self.count().await?;
            self.stored.hashes.write_out().await?;
            while self.may_read(puts) {
                self.read_next().await?;
            }
            while self.may_cut(puts) {
                self.cut();
            }
            tokio::select! {
                biased;
                Some(answered) = puts.0.next() => self.answered(answered)?,
                Some((len, chunk, took)) = self.cutting.next() => {
                    self.cut_took = took;
                    self.take_in(len, chunk);
                }
                Some(uncut) = self.reading.next() => self.read.push(uncut?),
                else => return Ok(()),
            }
        }
    }

    fn may_read(&self, puts: &Puts<'_>) -> bool {
        let chunk = self.job.cutter.chunk;
        let uncut = self.reading.len() + self.read.len() + self.cutting.len();
        if self.offset == self.device.len() {
            false
        } else if self.window.is_one() {
            puts.0.is_empty() && self.uncounted.is_empty() && uncut == 0
        } else {
            self.held == 0 || self.held + self.job.cutter.memory(chunk) <= BUDGET
        }
    }

    async fn read_next(&mut self) -> Result<()> {
        self.progress.check().await?;
        let (job, control, device, offset) = (self.job, self.control, self.device, self.offset);
        let len = job.cutter.chunk.min(device.len() - offset);
        self.offset += len;
        self.held += job.cutter.memory(len);
        self.reading.push_back(Box::pin(async move {
            control.check_cancelled().await?;
            job.read(device, offset, len).await
        }));
        Ok(())
    }

    /// It pays to wait until there are several, unless there will be no others or the store waits for the next.
    fn may_cut(&self, puts: &Puts<'_>) -> bool {
        let is_last = self.offset == self.device.len() && self.reading.is_empty();
        let is_all = self.reading.is_empty() && self.cutting.is_empty() && puts.0.is_empty();
        let is_awaited = self.cutting.is_empty()
            && self.ready.is_empty()
            && self.window.admits()
            && self.put_took > self.cut_took * SLOW_STORE;
        !self.read.is_empty() && (self.read.len() >= self.may_cut_together() || is_last || is_all || is_awaited)
    }

    /// The first chunks are not to wait for others.
    fn may_cut_together(&self) -> usize {
        if self.window.is_one() || !self.job.cutter.hashes_side_by_side() {
            return 1;
        }
        let most = (TOGETHER / self.job.cutter.chunk).clamp(1, TOGETHER_CHUNKS) as usize;
        most.min(self.together * 2).max(1)
    }

    fn cut(&mut self) {
        let together = self.read.len().min(self.may_cut_together());
        let uncut: Vec<Uncut> = self.read.drain(..together).collect();
        self.together = self.together.max(together);
        let lengths: Vec<u64> = uncut.iter().map(|uncut| uncut.data.len() as u64).collect();
        for (len, cut) in lengths.into_iter().zip(self.job.cutter.cut(uncut)) {
            let begun = Instant::now();
            self.cutting.push_back(Box::pin(async move { (len, cut.await, begun.elapsed()) }));
        }
    }

    fn take_in(&mut self, len: u64, chunk: Chunk) {
        let number = self.counted + self.uncounted.len();
        let before = self.uncounted.back().map_or(self.counted_to, |chunk| chunk.end);
        self.uncounted.push_back(Uncounted { end: before + len, left: chunk.objects.len() });
        self.stored.hashes.push(&chunk.sha256s);
        self.held -= self.job.cutter.memory(len);
        for cut in chunk.objects {
            self.held += cut.held;
            let name = format::object_name(&self.job.prefix, self.stored.objects.len() as u64 + 1);
            self.stored.objects.push(cut.described(name.clone()));
            self.ready.push_back(Ready { chunk: number, name, cut });
        }
    }

    fn put_ready(&mut self, puts: &mut Puts<'a>) {
        while self.window.admits()
            && let Some(Ready { chunk, name, cut }) = self.ready.pop_front()
        {
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
        self.put_took = self.window.answered(answered.begun, Instant::now());
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
