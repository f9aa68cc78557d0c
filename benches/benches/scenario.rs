//! From a plan to a judged history: one run of a short scenario per driver preset, the whole service included.

use clinker::catalog;
use clinker::examine::examine;
use clinker::run::Parts;
use criterion::{Criterion, criterion_group, criterion_main};

/// Four minutes of virtual time: three failed attempts, a success, one backup.
const SCENARIO: &str = "init/refused-at-start";

fn whole_run(criterion: &mut Criterion) {
    let entries = catalog::embedded().expect("the built-in scenarios load");
    let entry = entries.iter().find(|entry| entry.name == SCENARIO).expect("it is built in");
    let mut group = criterion.benchmark_group(SCENARIO);
    group.sample_size(10);
    for driver in &entry.scenario.drivers {
        let plan = entry.plan(driver, entry.seed()).expect("it is for this driver");
        group.bench_function(driver, |bencher| bencher.iter(|| examine(&plan, &Parts::default()).result.verdict));
    }
    group.finish();
}

criterion_group!(benches, whole_run);
criterion_main!(benches);
