//! One cell, played: the chunk engine moves a described volume over a modelled link.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clinker_drivers::chunked::decisions::Production;
use clinker_drivers::chunked::digests::{Computed, Digests};
use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::chunked::{BUDGET, ChunkedDriver};
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, Device, Error, Kind, Options, RequestContext, RestoreControl, Result,
};
use clinker_env::{Clock, Env};
use clinker_model::latency::{Cell, Measured, Operation, Percentiles, Problem, Stalls, Trace};
use hdrhistogram::Histogram;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::bound::bound;
use crate::content::{Content, Described, Volume};
use crate::link::{Direction, Link};
use crate::stalls::Activity;
use crate::stations::{Read, Stations};
use crate::store::{ModelStore, Request};

/// Chunks per progress note: Cinder's default.
const CHUNKS_PER_NOTE: u64 = 10;

/// A cell with everything that was seen of it.
pub struct Seen {
    pub measured: Measured,
    pub requests: Vec<Request>,
    /// Progress notes: nanoseconds since the start, and percent.
    pub notes: Vec<(u64, f64)>,
    /// Bytes on the way, whenever that changed.
    pub timeline: Vec<(u64, u64)>,
}

impl Seen {
    /// What of it a picture shows.
    pub fn trace(self) -> Trace {
        let milli = |percent: f64| (percent * 1000.0).round() as u64;
        Trace {
            measured: self.measured,
            points: self.timeline.into_iter().map(|(at_ns, bytes)| (at_ns / 1000, bytes)).collect(),
            notes: self.notes.into_iter().map(|(at_ns, percent)| (at_ns / 1000, milli(percent))).collect(),
        }
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// Notes, with their times.
struct Notes {
    start: Instant,
    notes: Mutex<Vec<(u64, f64)>>,
}

#[async_trait]
impl BackupControl for Notes {
    async fn save_location(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    async fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }

    async fn progress(&self, percent: f64) -> Result<()> {
        let at_ns = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.notes.lock().expect("no panic while the lock is held").push((at_ns, percent));
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Notes {
    async fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }

    fn warn(&self, _finding: &str) {}
}

/// What a cell moves.
struct Subject<'a> {
    before: &'a dyn Device,
    after: &'a dyn Device,
    digests: Arc<dyn Digests>,
    /// Where the parents of described volumes are kept.
    content: Option<&'a Content>,
}

/// Plays a cell. `content` is made for its chunk size, and may serve many cells.
///
/// # Errors
/// The cell makes no sense (`invalid_config`, naming the field), or the engine fails.
pub fn measure(cell: &Cell, content: &Arc<Content>) -> Result<Seen> {
    let (before, after) = (Volume::of(cell, content, false), Volume::of(cell, content, true));
    let digests = Arc::new(Described(Arc::clone(content)));
    run(cell, &Subject { before: &before, after: &after, digests, content: Some(content) })
}

/// As [`measure`], of volumes whose bytes are there; what a restore writes goes to `before`.
///
/// # Errors
/// As [`measure`].
pub fn measure_bytes(cell: &Cell, before: &dyn Device, after: &dyn Device) -> Result<Seen> {
    run(cell, &Subject { before, after, digests: Arc::new(Computed), content: None })
}

fn run(cell: &Cell, subject: &Subject<'_>) -> Result<Seen> {
    if let Some(Problem { field, what }) = cell.problem() {
        return Err(Error::new(Kind::InvalidConfig, format!("{field}: {what}")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| Error::new(Kind::Internal, "no runtime").with_source(error))?;
    runtime.block_on(play(cell, subject))
}

async fn play(cell: &Cell, subject: &Subject<'_>) -> Result<Seen> {
    let start = Instant::now();
    let store = ModelStore::new(cell);
    let Subject { before, after, .. } = *subject;
    // What there is already: nothing of it is measured.
    let parent = match cell.operation {
        Operation::Full => None,
        Operation::Incremental | Operation::Restore => Some(parent(cell, subject, &store).await?),
    };
    let link = Link::new(cell, start);
    store.go_behind(link.clone());
    let cores = Arc::new(Stations::new(cell.cores, cell.hash_rate, start));
    let disk = Stations::new(1, cell.read_rate, start);
    let (read_before, read_after) = (Read { volume: before, disk: &disk }, Read { volume: after, disk: &disk });
    let driver = driver(cell, subject, &store, &cores);
    let control = Arc::new(Notes { start, notes: Mutex::default() });
    let context = RequestContext::admin();
    let operation = async {
        match (cell.operation, &parent) {
            (Operation::Restore, Some(parent)) => {
                let chain = [parent.clone()];
                driver.restore(&context, &chain, before, true, control.clone()).await
            }
            (Operation::Incremental, Some(parent)) => {
                let row = Backup { parent_id: Some(parent.id.clone()), ..row("increment") };
                driver.backup(&context, &row, Some(parent), &read_after, control.clone()).await.map(drop)
            }
            _ => driver.backup(&context, &row("full"), None, &read_before, control.clone()).await.map(drop),
        }
    };
    tokio::select! {
        biased;
        done = operation => done?,
        () = link.drive() => {}
    }
    let duration_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let notes = control.notes.lock().expect("no panic while the lock is held").clone();
    let requests = store.requests();
    let way = if cell.operation == Operation::Restore { Direction::Down } else { Direction::Up };
    let stalls = Activity {
        link: &link.busy(way),
        requests: &requests.iter().map(|request| (request.begun_ns, request.answered_ns)).collect::<Vec<_>>(),
        cores: &cores.busy(),
        disk: &disk.busy(),
        slots: cell.at_once.min(BUDGET / cell.chunk).max(1),
        duration_ns,
    }
    .stalls();
    let measured = summed(cell, duration_ns, &requests, &notes, stalls, store.most_under_way());
    Ok(Seen { measured, requests, notes, timeline: link.timeline() })
}

/// Puts a full backup of the volume into the store: the one that was made for an earlier cell if there is one.
async fn parent(cell: &Cell, subject: &Subject<'_>, store: &Arc<ModelStore>) -> Result<Backup> {
    let (row, key) = (row("parent"), (cell.volume, cell.block));
    let parents = || subject.content.map(|content| content.parents.lock().expect("no panic while the lock is held"));
    let known = parents().and_then(|parents| parents.get(&key).cloned());
    if let Some(objects) = known {
        *store.objects() = objects;
    } else {
        let start = Instant::now();
        let driver = driver(cell, subject, store, &Arc::new(Stations::new(cell.cores, 0, start)));
        let control = Arc::new(Notes { start, notes: Mutex::default() });
        driver.backup(&RequestContext::admin(), &row, None, subject.before, control).await?;
        if let Some(mut parents) = parents() {
            parents.insert(key, store.objects().clone());
        }
    }
    let service_metadata = Some(store.object_prefix(&row, Timestamp::UNIX_EPOCH));
    Ok(Backup { container: Some("volumebackups".to_owned()), service_metadata, ..row })
}

fn summed(
    cell: &Cell,
    duration_ns: u64,
    requests: &[Request],
    notes: &[(u64, f64)],
    stalls: Stalls,
    at_once: u64,
) -> Measured {
    let bound = bound(cell, requests, CHUNKS_PER_NOTE);
    let first_note = notes.iter().find(|(_, percent)| *percent > 0.0 && *percent < 100.0);
    let milli = |part: u64, whole: u64| (u128::from(part) * 1000).checked_div(u128::from(whole)).unwrap_or(0) as u64;
    Measured {
        cell: *cell,
        duration_us: duration_ns / 1000,
        bound_us: bound.least_ns / 1000,
        in_turn_us: bound.in_turn_ns / 1000,
        ratio_milli: milli(duration_ns, bound.least_ns),
        first_note_us: first_note.map(|(at_ns, _)| at_ns / 1000),
        first_note_bound_us: first_note.and(bound.first_note_ns).map(|ns| ns / 1000),
        requests: requests.len() as u64,
        bytes: requests.iter().map(|request| request.bytes).sum(),
        at_once,
        request_us: percentiles(requests.iter().filter(|request| request.is_data()).map(Request::takes_ns)),
        commit_us: percentiles(commit_delays_ns(requests)),
        stalls,
    }
}

fn percentiles(times_ns: impl IntoIterator<Item = u64>) -> Percentiles {
    // Three digits, from a microsecond to three hours; beyond, the largest that it holds.
    let mut times = Histogram::<u64>::new_with_bounds(1, 10_800_000_000, 3).expect("the bounds are in order");
    for time_ns in times_ns {
        times.saturating_record(time_ns / 1000);
    }
    let at = |quantile| times.value_at_quantile(quantile);
    Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: times.max() }
}

/// How long each data object, answered, waited for an answer to one before it.
fn commit_delays_ns(requests: &[Request]) -> Vec<u64> {
    let mut data: Vec<(u64, u64)> =
        requests.iter().filter_map(|request| Some((request.index()?, request.answered_ns))).collect();
    data.sort_unstable();
    let mut all_ns = 0;
    let delay = |(_, answered_ns): (u64, u64)| {
        all_ns = answered_ns.max(all_ns);
        all_ns - answered_ns
    };
    data.into_iter().map(delay).collect()
}

fn driver(cell: &Cell, subject: &Subject<'_>, store: &Arc<ModelStore>, cores: &Arc<Stations>) -> ChunkedDriver {
    let env = Env { clock: Arc::new(Fixed), cpu: Arc::clone(cores) as _, ..clinker_env::real::env() };
    let options = Options {
        backup_compression_algorithm: "none".to_owned(),
        backup_object_number_per_notification: CHUNKS_PER_NOTE,
        backup_max_inflight_chunks: cell.at_once,
        ..Options::default()
    };
    ChunkedDriver::new(Arc::clone(store) as _, env, &options, Arc::new(Production))
        .with_digests(Arc::clone(&subject.digests))
}

fn row(id: &str) -> Backup {
    Backup { id: id.to_owned(), volume_id: "volume".to_owned(), size: 1, ..Backup::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Verb;

    fn put(name: &str, answered_ns: u64) -> Request {
        Request { verb: Verb::Put, name: name.to_owned(), bytes: 1, begun_ns: 0, arrived_ns: 0, answered_ns }
    }

    #[test]
    fn an_object_waits_for_those_before_it_by_number_and_for_no_document() {
        let requests =
            [put("id-100000", 7_000), put("id-99999", 9_000), put("id-00001", 4_000), put("id_metadata", 20_000)];
        assert_eq!(commit_delays_ns(&requests), [0, 0, 2_000]);
        assert_eq!(percentiles(commit_delays_ns(&requests)).max, 2);
        assert_eq!(percentiles([]), Percentiles::default());
    }

    #[test]
    fn a_trace_goes_forward_and_leaves_nothing_on_the_way() {
        let cell = Cell { volume: 64 << 20, chunk: 1 << 20, rtt_us: 5_000, ..Cell::default() };
        let trace = measure(&cell, &Content::new(cell.chunk)).unwrap().trace();
        assert!(trace.points.is_sorted_by_key(|(at_us, _)| *at_us) && trace.points.len() > 128);
        assert_eq!(trace.points.last().map(|(_, bytes)| *bytes), Some(0));
        // Ten chunks of 64, and so on, and the end.
        let percents: Vec<u64> = trace.notes.iter().map(|(_, milli)| milli / 1000).collect();
        assert_eq!(percents, [15, 31, 46, 62, 78, 93, 100]);
    }
}
