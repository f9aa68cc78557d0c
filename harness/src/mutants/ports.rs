//! Mutants that wrap a port.
