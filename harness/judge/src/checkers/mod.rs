//! Every checker, one per file. A rule that a history says nothing about makes it not applicable, never passed.

pub mod attempts;
pub mod calls;
pub mod collected;
pub mod delivery;
pub mod events;
pub mod expectations;
pub mod faults;
pub mod keys;
pub mod leftovers;
pub mod messages;
pub mod once;
pub mod operations;
pub mod payload;
pub mod placement;
pub mod progress;
pub mod quotas;
pub mod records;
pub mod restored_bytes;
pub mod restored_metadata;
pub mod rows;
pub mod secrets;
pub mod service_state;
pub mod sources;
pub mod timing;
pub mod volumes;
pub mod write_order;

use crate::Checker;

/// In the order in which reports show them.
pub const CHECKERS: &[Checker] = &[
    service_state::CHECKER,
    attempts::CHECKER,
    events::CHECKER,
    payload::CHECKER,
    progress::CHECKER,
    delivery::CHECKER,
    collected::CHECKER,
    restored_bytes::CHECKER,
    restored_metadata::CHECKER,
    keys::CHECKER,
    records::CHECKER,
    calls::CHECKER,
    leftovers::CHECKER,
    sources::CHECKER,
    volumes::CHECKER,
    write_order::CHECKER,
    secrets::CHECKER,
    operations::CHECKER,
    rows::CHECKER,
    once::CHECKER,
    placement::CHECKER,
    quotas::CHECKER,
    messages::CHECKER,
    expectations::CHECKER,
    faults::CHECKER,
    timing::CHECKERS[0],
    timing::CHECKERS[1],
    timing::CHECKERS[2],
    timing::CHECKERS[3],
    timing::CHECKERS[4],
    timing::CHECKERS[5],
    timing::CHECKERS[6],
    timing::CHECKERS[7],
    timing::CHECKERS[8],
    timing::CHECKERS[9],
    timing::CHECKERS[10],
    timing::CHECKERS[11],
    timing::CHECKERS[12],
    timing::CHECKERS[13],
    timing::CHECKERS[14],
    timing::CHECKERS[15],
    timing::CHECKERS[16],
];
