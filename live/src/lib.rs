//! The drivers against real servers and real Cinder, on loopback. Run by hand: nothing here is part of the default tests.
//!
//! `src/bin/` holds the commands, `scripts/` what starts servers and installs Cinder and the listener.

pub mod broker;
pub mod interop;
pub mod servers;
