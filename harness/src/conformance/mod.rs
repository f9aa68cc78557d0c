//! The conformance suite: the profile's cases.

pub mod profile;
