//! The harness of Clinker: scenarios in, verdicts out.
//!
//! Start with [`loader`] (a scenario file becomes a plan), then [`run`] (a plan becomes a history), then [`examine`] (a
//! history gets its verdict). [`cli`] is the program; [`determinism`] plays a plan twice; [`mutants`] are planted bugs;
//! [`matrix`] ends every host at every step; [`conformance`] puts a driver to the test, [`adapter`] one of another
//! language.

pub mod adapter;
pub mod artifacts;
pub mod catalog;
pub mod cli;
pub mod conformance;
pub mod determinism;
pub mod examine;
pub mod fixtures;
pub mod loader;
pub mod matrix;
pub mod mutants;
pub mod parallel;
pub mod run;
pub mod token;
