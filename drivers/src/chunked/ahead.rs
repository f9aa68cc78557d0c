//! The objects of a plan of which something is still to be seen, in its order: fetched, unpacked and verified ahead of
//! the one that is being written.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;

use bytes::Bytes;
use clinker_env::Work;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use super::ChunkedDriver;
use super::compress::Algorithm;
use super::flight::BUDGET;
use super::limits;
use super::plan::{Plan, Planned};
use super::verify::Verifier;
use super::window::{Begun, Window};
use crate::{Error, Kind, RequestContext, RestoreControl, Result};

/// What a fetch needs.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub driver: &'a ChunkedDriver,
    pub context: &'a RequestContext,
    pub control: &'a dyn RestoreControl,
    pub plan: &'a Plan,
    pub verifier: &'a Verifier<'a>,
}

pub(super) struct Ahead<'a> {
    source: Source<'a>,
    /// Which objects of the plan.
    wanted: Vec<usize>,
    window: Window,
    fetching: FuturesUnordered<BoxFuture<'a, Fetched>>,
    /// Those that came, by their place in `wanted`.
    fetched: BTreeMap<usize, Result<Bytes>>,
    /// Objects whose fetch has begun, and those that were taken.
    begun: usize,
    taken: usize,
    /// Memory of those between, and of the last that was taken, which is being written.
    held: u64,
    writing: u64,
}

struct Fetched {
    /// In `wanted`.
    at: usize,
    begun: Begun,
    result: Result<Bytes>,
}

impl<'a> Ahead<'a> {
    pub fn new(source: Source<'a>, wanted: Vec<usize>) -> Ahead<'a> {
        let window = Window::new(source.driver.settings.inflight_max, Instant::now());
        let (fetching, fetched) = (FuturesUnordered::new(), BTreeMap::new());
        Ahead { source, wanted, window, fetching, fetched, begun: 0, taken: 0, held: 0, writing: 0 }
    }

    /// The next object, as its place in the plan, and its data; none after the last. To be written before the next is asked
    /// for.
    pub async fn next(&mut self) -> Result<Option<(usize, Bytes)>> {
        self.held = self.held.saturating_sub(std::mem::take(&mut self.writing));
        self.begin();
        while !self.fetched.contains_key(&self.taken)
            && let Some(fetched) = self.fetching.next().await
        {
            self.take_in(fetched);
            if !self.window.is_one() {
                self.begin();
            }
        }
        let Some(fetched) = self.fetched.remove(&self.taken) else { return Ok(None) };
        let index = self.wanted[self.taken];
        self.taken += 1;
        self.writing = self.source.plan.objects[index].memory();
        fetched.map(|data| Some((index, data)))
    }

    /// Goes on fetching until `work` is done.
    pub async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            if !self.window.is_one() {
                self.begin();
            }
            tokio::select! {
                biased;
                done = work.as_mut() => return done,
                Some(fetched) = self.fetching.next() => self.take_in(fetched),
            }
        }
    }

    fn begin(&mut self) {
        while let Some(&index) = self.wanted.get(self.begun)
            && self.window.admits()
        {
            let (source, planned) = (self.source, &self.source.plan.objects[index]);
            if self.held > 0 && self.held.saturating_add(planned.memory()) > BUDGET {
                return;
            }
            let (at, begun) = (self.begun, self.window.begin(planned.object.length, Instant::now()));
            self.begun += 1;
            self.held = self.held.saturating_add(planned.memory());
            self.fetching.push(Box::pin(async move { Fetched { at, begun, result: source.fetch(index).await } }));
        }
    }

    fn take_in(&mut self, fetched: Fetched) {
        self.window.answered(fetched.begun, Instant::now());
        self.fetched.insert(fetched.at, fetched.result);
    }
}

impl Source<'_> {
    async fn fetch(&self, index: usize) -> Result<Bytes> {
        self.control.check_cancelled().await?;
        let Planned { container, object, algorithm } = &self.plan.objects[index];
        let (algorithm, length) = (*algorithm, object.length);
        let stored =
            self.driver.store.get_at_most(self.context, container, &object.name, limits::stored(length)).await?;
        let data = if algorithm == Algorithm::None {
            algorithm.unpack(stored, length)
        } else {
            self.driver.env.compute(Work::Other, length, move || algorithm.unpack(stored, length)).await
        };
        let data = data.map_err(|wrong| Error::new(Kind::Integrity, format!("object {} {wrong}", object.name)))?;
        self.verifier.check_object(index, &data).await?;
        Ok(data)
    }
}
