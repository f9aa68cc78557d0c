//! What Clinker writes, real Cinder restores, and the reverse.

fn main() {}
