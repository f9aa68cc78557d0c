//! Every checker, one per file. A rule that a history says nothing about makes it not applicable, never passed.

pub mod attempts;
pub mod delivery;
pub mod events;
pub mod expectations;
pub mod faults;
pub mod health;
pub mod leftovers;
pub mod operations;
pub mod payload;
pub mod placement;
pub mod progress;
pub mod records;
pub mod restored_bytes;
pub mod rows;
pub mod secrets;
pub mod service_state;
pub mod sources;
pub mod write_order;

use crate::Checker;

/// In the order in which reports show them.
pub const CHECKERS: &[Checker] = &[
    service_state::CHECKER,
    attempts::CHECKER,
    health::CHECKER,
    events::CHECKER,
    payload::CHECKER,
    progress::CHECKER,
    delivery::CHECKER,
    restored_bytes::CHECKER,
    records::CHECKER,
    leftovers::CHECKER,
    sources::CHECKER,
    write_order::CHECKER,
    secrets::CHECKER,
    operations::CHECKER,
    rows::CHECKER,
    placement::CHECKER,
    expectations::CHECKER,
    faults::CHECKER,
];
