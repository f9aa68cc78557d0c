//! The drivers against real servers and real Cinder, on loopback. Run by hand: nothing here is part of the default tests.
//!
//! `src/bin/` holds the commands, `scripts/` what starts servers and installs Cinder.

pub mod interop;
pub mod servers;
