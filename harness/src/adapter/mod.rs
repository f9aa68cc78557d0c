//! Drivers in any language: a child process that speaks `docs/adapter-protocol.md` over its standard input and output.
//!
//! Start with [`message`] (the lines), then [`AdapterProcess`] (the child: one request at a time, each with a wall limit,
//! and an end to it whatever it does). [`AdapterDriver`] and [`AdapterStore`] make it a driver or a store like any other;
//! [`serve`] is the other side, for our own drivers. [`relay`] is the network of a child that knows real ports only. What
//! is tested, and what a failure means, is not here.

mod device;
mod driver;
mod failure;
mod memory;
pub mod message;
mod process;
pub mod relay;
pub mod running;
pub mod serve;
mod state;
mod store;

pub use driver::AdapterDriver;
pub use failure::{AdapterFailure, How};
pub use message::{PROTOCOL, Role};
pub use process::{AdapterCommand, AdapterProcess};
pub use state::Noted;
pub use store::AdapterStore;
