//! The chunk engine in real time: full, incremental and restore × compression × chunk size × kind of data.
//!
//! `cargo bench -p clinker-benches --bench engine [-- full/zlib/50MiB/text]`. The POSIX driver, two threads, the volume in
//! memory and the repository in `/dev/shm`, so that no disk is measured. Besides the throughput by the clock each cell
//! prints the throughput by CPU time and how much memory the process has held at most beside the volumes; what the allocator
//! still keeps from the cells before is in that, so that a cell by itself tells it best.

#[path = "common/memory.rs"]
mod memory;
#[path = "engine/peak.rs"]
mod peak;
#[path = "engine/subject.rs"]
mod subject;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use clinker_benches::{data, is_measured};
use clinker_drivers::Backup;
use clinker_env::{Env, real};
use criterion::{Criterion, SamplingMode, Throughput};
use memory::Memory;
use subject::{Subject, Taken};
use tokio::runtime::Runtime;

const MIB: usize = 1 << 20;
/// Bytes per sha256.
const BLOCK: usize = 32 << 10;
/// Of every so many blocks one differs from the parent's.
const CHANGED: usize = 100;
/// No multiple of a chunk or block, so that the last ones are short.
const REST: usize = 12_345;

fn main() {
    // What only shows that it runs (cargo test) has less to do.
    let length = REST + if is_measured() { 104 * MIB } else { MIB / 4 };
    let criterion = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(200));
    let mut criterion = criterion.measurement_time(Duration::from_secs(3)).configure_from_args();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(2).build().expect("start the runtime");
    let volumes = Volumes { env: real::env(), length, made: RefCell::default(), target: OnceCell::new() };
    for operation in [Operation::Full, Operation::Incremental, Operation::Restore] {
        let mut group = criterion.benchmark_group(operation.name());
        group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(length as u64));
        for compression in ["none", "zlib", "zstd"] {
            for chunk in [1, 8, 50] {
                for kind in ["random", "text", "half", "zeros"] {
                    let cell = Cell { runtime: &runtime, volumes: &volumes, operation, compression, chunk, kind };
                    let (ready, tally) = (OnceCell::new(), RefCell::new(Tally::default()));
                    group.bench_function(format!("{compression}/{chunk}MiB/{kind}"), |bencher| {
                        // Only here it is clear that the cell was asked for.
                        let ready = ready.get_or_init(|| cell.prepare());
                        bencher.iter_custom(|times| (0..times).map(|_| tally.borrow_mut().add(cell.run(ready))).sum());
                    });
                    tally.borrow().tell(length);
                }
            }
        }
    }
    criterion.final_summary();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Full,
    Incremental,
    Restore,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Full => "full",
            Operation::Incremental => "incremental",
            Operation::Restore => "restore",
        }
    }
}

struct Cell<'a> {
    runtime: &'a Runtime,
    volumes: &'a Volumes,
    operation: Operation,
    compression: &'a str,
    /// MiB.
    chunk: u64,
    kind: &'static str,
}

/// What a cell needs before it can be measured.
struct Ready {
    subject: Subject,
    /// What the increment builds on, or what is restored.
    stored: Option<Backup>,
    volume: Rc<Memory>,
}

impl Cell<'_> {
    fn prepare(&self) -> Ready {
        let subject = Subject::new(&self.volumes.env, self.compression, self.chunk * MIB as u64);
        let before = self.volumes.get(self.kind, false);
        let store = || self.runtime.block_on(subject.backup(None, &before)).0;
        let (stored, volume) = match self.operation {
            Operation::Full => (None, Rc::clone(&before)),
            Operation::Incremental => (Some(store()), self.volumes.get(self.kind, true)),
            Operation::Restore => (Some(store()), self.volumes.target()),
        };
        if let (Operation::Restore, Some(stored)) = (self.operation, &stored) {
            self.runtime.block_on(subject.restore(stored, &volume));
            assert!(volume.bytes() == before.bytes(), "what was restored is what was backed up");
        }
        peak::forget();
        Ready { subject, stored, volume }
    }

    fn run(&self, ready: &Ready) -> Taken {
        let Ready { subject, stored, volume } = ready;
        self.runtime.block_on(async {
            match (self.operation, stored) {
                // The volume holds the data already; writing them once more is no less work.
                (Operation::Restore, Some(stored)) => subject.restore(stored, volume).await,
                (_, parent) => {
                    let (backup, taken) = subject.backup(parent.as_ref(), volume).await;
                    subject.delete(&backup).await;
                    taken
                }
            }
        })
    }
}

/// The volumes so far, each made when it is first needed, and the one that is restored to.
struct Volumes {
    env: Env,
    length: usize,
    made: RefCell<BTreeMap<(&'static str, bool), Rc<Memory>>>,
    target: OnceCell<Rc<Memory>>,
}

impl Volumes {
    fn get(&self, kind: &'static str, changed: bool) -> Rc<Memory> {
        let make = || {
            let mut data = data::sample(kind, self.length);
            for block in data.chunks_mut(BLOCK).skip(3).step_by(CHANGED).filter(|_| changed) {
                block.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
            }
            Rc::new(Memory::of(&self.env, &data))
        };
        Rc::clone(self.made.borrow_mut().entry((kind, changed)).or_insert_with(make))
    }

    /// All zeros, like a new volume.
    fn target(&self) -> Rc<Memory> {
        let target = self.target.get_or_init(|| Rc::new(Memory::of(&self.env, &vec![0; self.length])));
        target.clear();
        Rc::clone(target)
    }
}

/// What the runs of a cell took together.
#[derive(Default)]
struct Tally {
    runs: u32,
    cpu: Duration,
}

impl Tally {
    fn add(&mut self, (wall, cpu): Taken) -> Duration {
        self.runs += 1;
        self.cpu += cpu;
        wall
    }

    fn tell(&self, length: usize) {
        if self.runs == 0 || !is_measured() {
            return;
        }
        let speed = length as f64 / MIB as f64 * f64::from(self.runs) / self.cpu.as_secs_f64();
        print!("{:24}per CPU second: {speed:.0} MiB", "");
        match peak::mib() {
            Some(peak) => println!("; memory beside the volumes: {:.0} MiB", peak - memory::held() as f64 / MIB as f64),
            None => println!(),
        }
    }
}
