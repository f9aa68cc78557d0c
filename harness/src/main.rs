//! The program `clinker`; everything is in [`clinker::cli`].

use std::process::ExitCode;

/// Runs allocate a great deal and in small pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    clinker::cli::main()
}
