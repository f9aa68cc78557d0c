//! Scenarios and the simulator: reading a text, planning, the event queue, the wire, the checkers.

use std::time::Duration;

use clinker::catalog;
use clinker::run::{Parts, play};
use clinker_benches::TEN_MINUTES;
use clinker_model::plan::Engine;
use clinker_world::{SimnetWorld, Software, World, WorldConfig};

use super::measured;
use super::requests::keep_alive;

const NAME: &str = "bench/ten-minutes";

pub fn parse() {
    // The tables of the loader are made on first use.
    read();
    measured(read);
}

fn read() -> catalog::Entry {
    catalog::entry(NAME, NAME, TEN_MINUTES).expect("it loads")
}

pub fn plan() {
    let entry = read();
    let plan = || entry.plan("swift", 1).expect("it is for this driver");
    plan();
    measured(plan);
}

/// Twenty hosts that do nothing but wake, each a thousand times.
pub fn timers() {
    let mut world = world();
    for n in 0..20 {
        let software: Software = Box::new(move |_| {
            Box::pin(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(1000 + n)).await;
                }
            })
        });
        world.add_host(&format!("idle-{n}"), software).expect("names differ");
    }
    measured(|| world.advance(Duration::from_secs(1000)).expect("sleeping does not fail"));
}

/// Two hundred requests on one connection, hyper at both ends.
pub fn requests() {
    let mut world = world();
    measured(|| keep_alive(&mut world, 200));
}

fn world() -> SimnetWorld {
    SimnetWorld::new(WorldConfig::new(1)).expect("tokio_unstable is set")
}

/// All checkers on the history of one run.
pub fn judge() {
    let plan = clinker_benches::plan(NAME, TEN_MINUTES, "swift", Engine::Simnet, 0);
    let run = play(&plan, &Parts::default()).expect("it can be played");
    measured(|| clinker_judge::judge(&run.history));
}
