//! `cargo run -p clinker-live --bin broker`: a scenario's notifications through a real RabbitMQ to a real listener,
//! and calls between a manager and oslo.messaging.
//!
//! Exit codes: 0 all came as it should · 1 it did not · 2 the set-up failed (or wrong usage).

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
