//! Simulated worlds: hosts, a network, disks, clocks and cores in virtual time, with faults on purpose.
//!
//! Start with [`World`], the trait in front of every engine; [`SimnetWorld`] is the engine to use, [`TurmoilWorld`] the
//! reference, [`RealWorld`] plays over loopback TCP in real time. What all engines share (the journal, crash points, held and refused links, random streams) is in [`Fabric`]; an engine only moves bytes
//! and time. Software runs on a host with an [`Env`](clinker_env::Env) whose ports are the ones of this crate.
//!
//! One run belongs to one fresh thread ([`run_isolated`]): thread-local state of libraries would otherwise differ
//! between the first and the second run of a seed.

mod clock;
mod cpu;
pub mod disk;
mod fabric;
mod gate;
mod host;
mod hosts;
mod isolate;
mod journal;
mod links;
mod net;
mod panics;
mod process;
mod real;
mod rng;
mod simnet;
mod stream;
pub mod trace;
mod turmoil;
mod wire;
mod world;

pub use disk::SimDisk;
pub use fabric::Fabric;
pub use gate::{Gate, Gates, Passed};
pub use host::current_host;
pub use isolate::{require_tokio_unstable, run_isolated};
pub use journal::SimJournal;
pub use real::RealWorld;
pub use simnet::SimnetWorld;
pub use turmoil::TurmoilWorld;
pub use world::{
    BoxError, Death, Schedule, Signal, Signals, Software, SoftwareFuture, Tracing, World, WorldConfig, WorldError,
};
