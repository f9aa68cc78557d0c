//! Fakes: strict in-process servers that speak the real protocols and fail on purpose.
//!
//! Start with [`SwiftFake`], [`KeystoneFake`] and [`S3Fake`]: each is an [`Arc`](std::sync::Arc) whose state lives outside its host
//! (the state is the server's disk, it survives a crash of the process) and whose `serve` is the process. They answer
//! with the statuses, headers and bodies that real servers gave (`tests/captures`), are faulty only as told through
//! [`clinker_model::FaultTarget`], and report every request, every bite and every issued token to the journal.
//! Tokens are shared between Swift and Keystone through [`TokenRegistry`].
//!
//! Absent on purpose: any code of the drivers that are judged here, sockets, wall clocks, threads. The fakes reach the
//! world through `Env` alone, so the same fake serves a simulated host or a real TCP port.

pub mod amqp;
mod answer;
mod damage;
mod disk;
mod faults;
pub mod keystone;
mod range;
pub mod s3;
mod server;
mod stamp;
pub mod swift;
mod tokens;
mod wire;

pub use amqp::{BrokerConfig, BrokerFake};
pub use keystone::{KeystoneConfig, KeystoneFake};
pub use s3::{S3Config, S3Fake};
pub use swift::{SwiftConfig, SwiftFake};
pub use tokens::{Grant, Identity, TokenForm, TokenRegistry};
