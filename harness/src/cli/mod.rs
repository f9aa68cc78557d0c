//! The program: commands, exit codes, and what is printed where.

mod adapter;
mod bench;
mod check;
mod conform;
mod diff;
pub(crate) mod expectations;
mod list;
mod matrix;
mod mutants;
mod replay;
mod report;
mod run;
mod select;
mod stop;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use clinker_model::verdict::{RunResult, Verdict};

/// Why the program ends (design §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    AllAsExpected = 0,
    CheckFailed = 1,
    Usage = 2,
    GoldenDiffers = 3,
    NothingRan = 4,
    BaselineMoved = 5,
    ExpectationsStale = 6,
    Internal = 70,
}

const AFTER_HELP: &str = "\
Start here:
  clinker run                      all scenarios, a table, an exit code
  clinker run init/                those whose name contains `init/`
  clinker run refused --driver swift --seed 7
  clinker replay target/clinker/init/refused-at-start@swift-81013
  clinker list                     what there is

Exit codes:
  0 all as expected    1 a check failed       2 usage or file error    3 golden differs
  4 nothing ran        5 baseline moved        6 expectations stale   70 internal error or nondeterminism

Every run leaves plan.toml, history.jsonl, result.json, junit.xml and index.html in
target/clinker/<scenario>@<driver>-<seed>; a failure prints the command that repeats it as its last line.";

#[derive(Parser)]
#[command(
    name = "clinker",
    version,
    about = "Proves volume-backup services right or wrong, in a simulated network that fails on purpose.",
    after_help = AFTER_HELP
)]
struct Arguments {
    /// A folder of scenarios (AREA/NAME.toml) instead of the built-in ones.
    #[arg(long, global = true, value_name = "DIR")]
    scenarios: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios and judge them.
    Run(run::Run),
    /// Play the conformance suite for a driver.
    Conform(conform::Conform),
    /// Check or rewrite a file of known failures.
    Expectations(expectations::Command),
    /// Measure in virtual time.
    Bench(bench::Bench),
    /// List scenarios, drivers, checks, or the cases of the conformance profile.
    List(list::List),
    /// Judge a recorded history again.
    Check(check::Check),
    /// Repeat a run from its token or its folder, and compare the hashes.
    Replay(replay::Replay),
    /// Plant each known bug and show the scenario that turns red.
    Mutants(mutants::Mutants),
    /// End every host at every step of every operation, and judge what becomes of it.
    Matrix(matrix::Matrix),
    /// Serve a built-in driver over the adapter protocol, on standard input and output.
    Adapter(adapter::Adapter),
    /// Render a result.json again: table, JUnit, HTML, Markdown, annotations, NDJSON.
    Report(report::Report),
    /// Compare two result.json; ends with 1 if anything got worse.
    Diff(diff::Diff),
}

/// Parses the arguments, runs the command, prints errors.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors: clap knows.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::AllAsExpected };
            let _ = error.print();
            return ExitCode::from(exit as u8);
        }
    };
    if let Err(error) = clinker_world::require_tokio_unstable() {
        tell(&format!("clinker: {error}"));
        return ExitCode::from(Exit::Internal as u8);
    }
    let folder = arguments.scenarios.as_deref();
    let done = match arguments.command {
        Command::Run(command) => command.execute(folder),
        Command::Conform(command) => command.execute(folder),
        Command::Expectations(command) => command.execute(),
        Command::Bench(command) => command.execute(),
        Command::List(command) => command.execute(folder),
        Command::Check(command) => command.execute(),
        Command::Replay(command) => command.execute(folder),
        Command::Mutants(command) => command.execute(folder),
        Command::Matrix(command) => command.execute(folder),
        Command::Adapter(command) => command.execute(),
        Command::Report(command) => command.execute(),
        Command::Diff(command) => command.execute(),
    };
    match done {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            tell(&format!("clinker: {error:#}"));
            ExitCode::from(Exit::Usage as u8)
        }
    }
}

/// Prints a line. A reader that has gone away (`| head`) wanted no more: that is no error.
fn say(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("write to standard output"),
        _ => Ok(()),
    }
}

/// Prints a line for whoever watches; if nobody can, the run goes on.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The exit code of a set of runs: the worst verdict counts.
fn exit_of(results: &[RunResult]) -> Exit {
    let any = |verdict: Verdict| results.iter().any(|result| result.verdict == verdict);
    if any(Verdict::Error) {
        Exit::Internal
    } else if any(Verdict::Fail) {
        Exit::CheckFailed
    } else if any(Verdict::Golden) {
        Exit::GoldenDiffers
    } else if any(Verdict::Pass) {
        Exit::AllAsExpected
    } else {
        Exit::NothingRan
    }
}
