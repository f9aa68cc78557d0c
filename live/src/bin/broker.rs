//! `cargo run -p clinker-live --bin broker`: a scenario's notifications through a real RabbitMQ to a real listener.
//!
//! Exit codes: 0 the listener was given the accepted sequence · 1 it was not · 2 the set-up failed (or wrong usage).

use std::process::ExitCode;

use clap::Parser;
use clinker_live::broker::{self, Args};

#[tokio::main]
async fn main() -> ExitCode {
    match broker::run(&Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("broker: failed to {error:#}");
            ExitCode::from(2)
        }
    }
}
