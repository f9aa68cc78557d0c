//! Mutants that substitute a decision.
