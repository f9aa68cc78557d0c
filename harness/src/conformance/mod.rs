//! The conformance suite: every row of a profile, played for one driver.
//!
//! Start with [`candidate`] (what is put to the test), then [`suite`] (which cases apply, and what became of each). A case
//! is shown by scenarios with the whole service, by a body in [`cases`] that calls the driver itself on a [`mod@bench`], or by
//! both. The rows are data: [`profile`].

pub mod adapters;
pub mod bench;
pub mod candidate;
pub mod cases;
mod conclude;
mod determinism;
#[cfg(test)]
mod docs;
pub mod expectations;
pub mod outcome;
pub mod plays;
pub mod profile;
pub mod suite;
pub mod trials;
