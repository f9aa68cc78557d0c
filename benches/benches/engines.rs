//! What simulated life costs: CPU time per simulated day, run, request and timer, on simnet and on turmoil in the same run.
//!
//! `cargo bench -p clinker-benches --bench engines [-- day | ten-minutes | requests | idle | trace]`

#[path = "engines/requests.rs"]
mod requests;

use std::time::Duration;

use clinker::examine::examine;
use clinker::run::{Parts, Run, Watch, play, play_watched};
use clinker_benches::{DAY, TEN_MINUTES, plan};
use clinker_model::Span;
use clinker_model::plan::{Engine, Plan};
use clinker_model::verdict::Verdict;
use clinker_world::{SimnetWorld, Software, Tracing, TurmoilWorld, World, WorldConfig, run_isolated};
use cpu_time::ProcessTime;
use requests::keep_alive;

type Section = (&'static str, fn(u32));

const SECTIONS: &[Section] =
    &[("day", day), ("ten-minutes", ten_minutes), ("requests", requests), ("idle", idle), ("trace", trace)];

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    for wanted in &wanted {
        assert!(
            SECTIONS.iter().any(|(name, _)| name == wanted),
            "no section is called {wanted}; there are day, ten-minutes, requests, idle, trace"
        );
    }
    // Without `--bench` (cargo test) each section only shows that it runs.
    let rounds = if measured { 3 } else { 1 };
    for (name, section) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("== {name}");
            section(rounds);
        }
    }
}

/// CPU seconds of the whole process, the least of some rounds: noise only adds.
fn cpu(rounds: u32, mut work: impl FnMut()) -> f64 {
    let one = || {
        let start = ProcessTime::now();
        work();
        start.elapsed().as_secs_f64()
    };
    std::iter::repeat_with(one).take(rounds as usize).fold(f64::INFINITY, f64::min)
}

/// What is measured is a run in which everything went as it should.
fn holds(plan: &Plan) {
    let result = examine(plan, &Parts::default()).result;
    assert_eq!(result.verdict, Verdict::Pass, "{}: {:?}", plan.scenario, result.reason);
}

fn run(plan: &Plan) -> Run {
    play(plan, &Parts::default()).unwrap_or_else(|error| panic!("{}: {error}", plan.scenario))
}

fn lasting(text: &str, engine: Engine, seconds: u64) -> Plan {
    let mut plan = plan("bench/day", text, "swift", engine, 1);
    plan.end = Span::secs(seconds);
    plan
}

/// A day of one service on backup-host-1, with db, collector, volume and swift beside it.
fn day(rounds: u32) {
    let whole = lasting(DAY, Engine::Simnet, 86_400);
    holds(&whole);
    let simnet = cpu(rounds, || drop(run(&whole)));
    println!("simnet   {simnet:.3} CPU s per simulated day: {:.0} simulated hours per CPU second", 24.0 / simnet);
    // Start-up is in both slices, so the difference is time that goes by.
    let slice = |seconds| cpu(1, || drop(run(&lasting(DAY, Engine::Turmoil, seconds))));
    let (short, long) = (slice(30), slice(90));
    let turmoil = (long - short) / 60.0 * 86_400.0;
    println!("turmoil  {turmoil:.0} CPU s per simulated day at a tick of 1 ms, extrapolated from 60 s of it");
    println!("simnet is {:.0} times as fast", turmoil / simnet);
}

/// Down, re-initialised, one backup and restore of 256 KiB, in ten minutes.
fn ten_minutes(rounds: u32) {
    let runs = if rounds > 1 { 200 } else { 1 };
    for (what, algorithm) in [("uncompressed", "none"), ("zlib", "zlib")] {
        let mut plan = plan("bench/ten-minutes", TEN_MINUTES, "swift", Engine::Simnet, 0);
        plan.options.insert("backup_compression_algorithm".to_owned(), algorithm.to_owned());
        holds(&plan);
        let each = cpu(rounds, || (0..runs).for_each(|_| drop(run(&plan)))) / f64::from(runs);
        println!("{what}: {:.2} CPU ms per run: {:.0} runs per CPU second", each * 1e3, 1.0 / each);
        shares(&plan, runs, each);
    }
    let plan = plan("bench/ten-minutes", TEN_MINUTES, "swift", Engine::Turmoil, 10);
    let each = cpu(1, || (0..3).for_each(|_| drop(run(&plan)))) / 3.0;
    println!("turmoil at a tick of 10 ms, uncompressed: {:.0} CPU ms per run", each * 1e3);
}

/// Whose code a run's time goes to. Measuring takes time itself, so the parts are shares of a measured run.
fn shares(plan: &Plan, runs: u32, each: f64) {
    let watch = Watch { accounted: true, ..Watch::default() };
    let (mut service, mut database, mut servers) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let total = cpu(1, || {
        for _ in 0..runs {
            let run = play_watched(plan, &Parts::default(), watch).expect("it ran before");
            for (host, spent) in run.spent {
                match host.as_str() {
                    "db" => database += spent,
                    "backup-host-1" => service += spent,
                    _ => servers += spent,
                }
            }
        }
    });
    let share = |spent: Duration| spent.as_secs_f64() / total * 100.0;
    let rest = 100.0 - share(service) - share(database) - share(servers);
    println!(
        "  manager and driver {:.0} %, database {:.0} %, store, broker, volume and client {:.0} %, engine and set-up {rest:.0} % \
         (measured with {:.2} ms per run)",
        share(service),
        share(database),
        share(servers),
        (total / f64::from(runs)).max(each) * 1e3,
    );
}

fn world(engine: Engine, tracing: Tracing) -> Box<dyn World> {
    let mut config = WorldConfig::new(1);
    config.tick = Duration::from_millis(1);
    config.tracing = tracing;
    match engine {
        Engine::Turmoil => Box::new(TurmoilWorld::new(config).expect("tokio_unstable is set")),
        _ => Box::new(SimnetWorld::new(config).expect("tokio_unstable is set")),
    }
}

/// Requests of 1 KiB one after the other on one connection, hyper at both ends.
fn requests(rounds: u32) {
    let count: u32 = if rounds > 1 { 50_000 } else { 100 };
    for engine in [Engine::Simnet, Engine::Turmoil] {
        let each =
            cpu(rounds, || isolated(|| keep_alive(&mut *world(engine, Tracing::Hashed), count))) / f64::from(count);
        println!("{}: {:.0} requests per CPU second", engine.name(), 1.0 / each);
    }
}

fn isolated(work: impl FnOnce() + Send) {
    run_isolated("bench", work).expect("a bench does not panic");
}

/// Hosts that do nothing but wake at an interval.
fn idle(rounds: u32) {
    let span = Duration::from_secs(if rounds > 1 { 86_400 } else { 60 });
    for (hosts, every) in [(50, 10), (100, 10), (200, 10), (100, 60), (100, 600)] {
        let cpu = cpu(rounds, || isolated(|| sleepers(hosts, Duration::from_secs(every), span)));
        let timers = f64::from(hosts) * span.as_secs_f64() / every as f64;
        println!("{hosts} hosts, a timer each {every} s: {:.3} CPU s, {:.0} ns per timer", cpu, cpu / timers * 1e9);
    }
}

fn sleepers(hosts: u32, every: Duration, span: Duration) {
    let mut world = world(Engine::Simnet, Tracing::Hashed);
    for n in 0..hosts {
        let software: Software = Box::new(move |_| {
            Box::pin(async move {
                loop {
                    tokio::time::sleep(every).await;
                }
            })
        });
        world.add_host(&format!("idle-{n}"), software).expect("names differ");
    }
    world.advance(span).expect("sleeping does not fail");
}

/// What the rolling hash over every event costs, rounds with and without it in turn.
fn trace(rounds: u32) {
    let count: u32 = if rounds > 1 { 30_000 } else { 100 };
    let plan = plan("bench/ten-minutes", TEN_MINUTES, "swift", Engine::Simnet, 0);
    let requests = |tracing| cpu(1, || isolated(|| keep_alive(&mut *world(Engine::Simnet, tracing), count)));
    let runs = |tracing| {
        let watch = Watch { tracing, ..Watch::default() };
        let runs = if rounds > 1 { 50 } else { 1 };
        cpu(1, || (0..runs).for_each(|_| drop(play_watched(&plan, &Parts::default(), watch))))
    };
    compare("requests of 1 KiB", rounds, &requests);
    compare("ten-minute runs", rounds, &runs);
}

fn compare(what: &str, rounds: u32, work: &dyn Fn(Tracing) -> f64) {
    let (mut with, mut without) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..rounds * 2 {
        without = without.min(work(Tracing::Off));
        with = with.min(work(Tracing::Hashed));
    }
    println!("{what}: the trace takes {:.1} % of the time", (with - without) / with * 100.0);
}
