//! The chunk engine.
pub mod store;
