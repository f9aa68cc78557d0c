//! Benches of Clinker; they may import any crate. Timings live here, never in tests.
