//! The drivers against a real Swift with its S3 interface.
//!
//! Starts Swift on loopback, plays the cases of [`clinker_live::servers::cases`] against it and against the fakes, through the
//! Swift and the S3 driver, and shows both outcomes of each. Exit code 0: they agree, 1: they do not, 2: the servers
//! could not be set up, or wrong usage.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser;
use clinker_env::Env;
use clinker_live::servers::fake::FakeServer;
use clinker_live::servers::real::{RealServer, install};
use clinker_live::servers::table::{Outcome, Row, Same, render};
use clinker_live::servers::{Server, cases};
use tokio::time::Instant;

/// Runs the Swift and S3 drivers against a real Swift on loopback, and the same cases against the fakes.
#[derive(Parser)]
struct Arguments {
    /// Python environment with Swift in it; made and filled when it is not there.
    #[arg(long, value_name = "DIR", env = "CLINKER_SWIFT_VENV")]
    venv: Option<PathBuf>,
    /// Writes the table to this file as well.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

const DRIVERS: [&str; 2] = ["swift", "s3"];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let env = clinker_env::real::env();
    let begun = Instant::now();
    let real = match set_up(&env, arguments.venv).await {
        Ok(real) => Arc::new(real),
        Err(error) => {
            eprintln!("error: failed to set up the servers: {error:#}");
            return ExitCode::from(2);
        }
    };
    eprintln!("# Swift is up after {:.0?}", begun.elapsed());
    let outcome = compare(&env, &real).await;
    let ended = real.end().await;
    match outcome.and_then(|outcome| ended.map(|()| outcome)).and_then(|outcome| show(outcome, arguments.write)) {
        Ok(code) => {
            eprintln!("# {:.0?} in all", begun.elapsed());
            code
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn set_up(env: &Env, venv: Option<PathBuf>) -> Result<RealServer> {
    let venv = venv.or_else(default_venv).context("neither --venv nor HOME is set")?;
    install(&venv).await?;
    RealServer::start(env, &venv).await
}

/// `~/.cache/clinker/swift`.
fn default_venv() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("clinker/swift"))
}

/// The version of the real server, and the rows.
async fn compare(env: &Env, real: &Arc<RealServer>) -> Result<(String, Vec<Row>)> {
    let version = real.version().await?;
    let mut rows = Vec::new();
    for driver in DRIVERS {
        let fake = match driver {
            "swift" => FakeServer::swift(env).await?,
            _ => FakeServer::s3(env).await?,
        };
        let server: Arc<dyn Server> = Arc::clone(real) as _;
        let report = |side: &'static str| {
            let mut last = Instant::now();
            move |case: &str, outcome: &Outcome| {
                eprintln!("# {driver} {side} {:5.1} s {case}: {outcome:?}", last.elapsed().as_secs_f64());
                last = Instant::now();
            }
        };
        let (by_real, by_fake) = tokio::join!(
            cases::play(driver, env, server, report("real")),
            cases::play(driver, env, Arc::new(fake), report("fake")),
        );
        let outcomes = by_real.into_iter().zip(by_fake);
        rows.extend(cases::names().zip(outcomes).map(|(case, (real, fake))| Row { driver, case, real, fake }));
    }
    Ok((version, rows))
}

fn show((version, rows): (String, Vec<Row>), write: Option<PathBuf>) -> Result<ExitCode> {
    let table = render(&rows);
    let count = |same| rows.iter().filter(|row| row.same() == same).count();
    let (words, no) = (count(Same::Kind), count(Same::No));
    let sum = format!(
        "{} cases against Swift {version}: {} agree, {words} in the kind of error only, {no} do not.",
        rows.len(),
        count(Same::Yes) + words
    );
    println!("{table}\n{sum}");
    if let Some(file) = write {
        let about = "What the Swift driver (v1 auth) and the S3 driver get from a real Swift with its S3 interface \
                     (s3api), and what\nthey get from the fakes of the simulation. Written by \
                     `cargo run -p clinker-live --bin servers -- --write docs/real-servers.md`.";
        let text = format!("# Real servers and fakes\n\n{about}\n\n{sum}\n\n{table}");
        std::fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(if no == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
