//! Plain values shared by the whole harness: scenario, fault, plan, history record, verdict.
//!
//! Start with [`scenario::Scenario`] (the file a user writes), then [`plan::Plan`] (with every choice made) and
//! [`history::Record`] (what a run leaves behind). No I/O, no clock, no engine lives here.

pub mod account;
pub mod conformance;
pub mod fault;
pub mod history;
pub mod journal;
pub mod latency;
pub mod plan;
pub mod record;
pub mod scenario;
pub mod timeline;
pub mod traits;
pub mod units;
pub mod verdict;

pub use fault::{Fault, FaultId};
pub use history::{Entry, History, Phase, Record};
pub use journal::{FaultTarget, Journal, Points, StoredObject};
pub use units::{ByteSize, Span};
