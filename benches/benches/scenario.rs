//! Scenarios: what comes before the first operation, and one short scenario from its plan to a judged history.
//!
//! `cargo bench -p clinker-benches --bench scenario [-- start-up | whole-run]`. A start-up is a text read and checked, a
//! plan made of it, a world with all its hosts, and one virtual second of it, in which the service comes up.

use std::time::Duration;

use clinker::catalog::{self, Entry};
use clinker::examine::examine;
use clinker::run::{Parts, Run, play};
use clinker_benches::START;
use clinker_model::plan::Plan;
use criterion::{Criterion, criterion_group, criterion_main};

/// Four minutes of virtual time: three failed attempts, a success, one backup.
const SCENARIO: &str = "init/refused-at-start";

fn start_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("start-up");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.bench_function("every built-in text", |bencher| bencher.iter(catalog::embedded));
    group.bench_function("text", |bencher| bencher.iter(entry));
    let entry = entry();
    for driver in &entry.scenario.drivers {
        let plan = || entry.plan(driver, 1).expect("it is for this driver");
        group.bench_function(format!("plan/{driver}"), |bencher| bencher.iter(plan));
    }
    group.sample_size(20);
    for driver in &entry.scenario.drivers {
        let plan = entry.plan(driver, 1).expect("it is for this driver");
        assert!(is_up(&up(&plan)), "the service comes up in the time of this bench: {driver}");
        group.bench_function(format!("world/{driver}"), |bencher| bencher.iter(|| up(&plan)));
        let all = || up(&self::entry().plan(driver, 1).expect("it is for this driver"));
        group.bench_function(format!("all/{driver}"), |bencher| bencher.iter(all));
    }
    group.finish();
}

fn entry() -> Entry {
    catalog::entry("bench/start", "bench/start", START).expect("it loads")
}

fn up(plan: &Plan) -> Run {
    play(plan, &Parts::default()).expect("it can be played")
}

/// Whether an attempt has succeeded.
fn is_up(run: &Run) -> bool {
    let history = serde_json::to_string(&run.history.records).expect("histories are JSON");
    history.contains("backup.init.end")
}

fn whole_run(criterion: &mut Criterion) {
    let entries = catalog::embedded().expect("the built-in scenarios load");
    let entry = entries.iter().find(|entry| entry.name == SCENARIO).expect("it is built in");
    let mut group = criterion.benchmark_group("whole-run");
    group.sample_size(10);
    for driver in &entry.scenario.drivers {
        let plan = entry.plan(driver, entry.seed()).expect("it is for this driver");
        group.bench_function(driver, |bencher| bencher.iter(|| examine(&plan, &Parts::default()).result.verdict));
    }
    group.finish();
}

criterion_group!(benches, start_up, whole_run);
criterion_main!(benches);
