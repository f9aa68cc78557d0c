//! Work whose instructions are counted, by `.ci/instructions` under valgrind: what no processor does in a way of its own,
//! so that the counts are the same on each. No hashes and no compression: those choose their code at run time.
//!
//! `cargo bench -p clinker-benches --bench instructions [-- NAME…]` only shows that it runs; `--list` prints the names.

#[path = "instructions/answers.rs"]
mod answers;
#[path = "instructions/database.rs"]
mod database;
#[path = "instructions/engine.rs"]
mod engine;
#[path = "common/large.rs"]
mod large;
#[path = "engines/requests.rs"]
mod requests;
#[path = "instructions/scenarios.rs"]
mod scenarios;

use std::hint::black_box;

/// A name, and what prepares the work and has it [`measured`] once.
type Bench = (&'static str, fn());

const BENCHES: &[Bench] = &[
    ("metadata-write", engine::metadata_write),
    ("metadata-read", engine::metadata_read),
    ("sha256file-write", engine::sha256file_write),
    ("sha256file-read", engine::sha256file_read),
    ("changed-runs", engine::changed_runs),
    ("coverage", engine::coverage),
    ("swift-listing", answers::swift_listing),
    ("s3-listing", answers::s3_listing),
    ("keystone-catalog", answers::keystone_catalog),
    ("database-backup", database::backup),
    ("database-outbox", database::outbox),
    ("scenario-parse", scenarios::parse),
    ("scenario-plan", scenarios::plan),
    ("simnet-timers", scenarios::timers),
    ("simnet-requests", scenarios::requests),
    ("judge", scenarios::judge),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        BENCHES.iter().for_each(|(name, _)| println!("{name}"));
        return;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let is_known = |wanted: &str| BENCHES.iter().any(|(name, _)| *name == wanted);
    if let Some(unknown) = wanted.iter().find(|wanted| !is_known(wanted)) {
        eprintln!("no bench is called {unknown}; --list prints their names");
        std::process::exit(2);
    }
    for (name, bench) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            bench();
        }
    }
}

/// Only what happens in here is counted: callgrind is told this function's name.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(black_box(work)())
}
