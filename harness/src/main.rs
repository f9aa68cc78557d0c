//! The program `clinker`; everything is in [`clinker::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    clinker::cli::main()
}
