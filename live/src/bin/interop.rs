//! `cargo run -p clinker-live --bin interop`: what Clinker writes, real Cinder restores byte for byte, and the reverse.
//!
//! Exit codes: 0 every cell is byte-exact · 1 one is not · 2 the set-up failed (or wrong usage).

use std::process::ExitCode;

use clap::Parser;
use clinker_live::interop::{self, Args};

#[tokio::main]
async fn main() -> ExitCode {
    match interop::run(&Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("interop: failed to {error:#}");
            ExitCode::from(2)
        }
    }
}
