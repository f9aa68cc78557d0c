//! The harness of Clinker: scenarios in, verdicts out.
//!
//! Start with [`loader`], which turns a scenario file into a plan.

pub mod loader;
