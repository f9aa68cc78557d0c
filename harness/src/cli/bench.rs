//! `clinker bench latency`: how long chunked backups take on chosen links, exactly, and whether that has moved. What they
//! take on this machine is in `bench/engine.rs`.

mod engine;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use clinker_model::latency::{Cell, FORMAT, FREE, Operation, Problem, Sweep};
use clinker_model::{ByteSize, Span};
use clinker_reports::latency;

use super::report::put;
use super::{Exit, say, tell};

#[derive(Args)]
pub(super) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Backups and restores over modelled links, in virtual time: every combination of the values, but increments only at the
    /// smallest and the largest chunk size, since their objects are the changed extents.
    Latency(Latency),
    /// A backup of a volume of yours and a restore of it, in real time on this machine: speed, CPU time, memory.
    Engine(engine::Engine),
}

#[derive(Args)]
struct Latency {
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Kind::value_variants().to_vec())]
    operation: Vec<Kind>,
    /// Round trips: 1ms, 20ms …
    #[arg(long, value_delimiter = ',', default_value = "1ms,20ms,100ms,200ms")]
    rtt: Vec<Time>,
    /// Rates of the link: 100Mbit, 1Gbit …
    #[arg(long, value_delimiter = ',', default_value = "100Mbit,1Gbit,10Gbit")]
    bandwidth: Vec<Rate>,
    /// Bytes of the volume per object.
    #[arg(long, value_delimiter = ',', default_value = "1MiB,4MiB,16MiB,50MiB")]
    chunk: Vec<Bytes>,
    /// Values of backup_max_inflight_chunks; free = as many as the engine wants.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16,free")]
    at_once: Vec<AtOnce>,
    /// Bytes of the volume.
    #[arg(long, default_value = "10GiB")]
    volume: Bytes,
    /// Bytes per sha256.
    #[arg(long, default_value = "32KiB")]
    block: Bytes,
    /// What the store takes for each answer.
    #[arg(long, default_value = "10ms")]
    service: Time,
    /// Lost packets, percent.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Bytes of a connection that may be unacknowledged.
    #[arg(long, default_value = "4MiB")]
    window: Bytes,
    /// Bytes that one core hashes per second; 0 = without end.
    #[arg(long, default_value = "0")]
    hash_rate: Bytes,
    /// Bytes of the volume that are read per second; 0 = without end.
    #[arg(long, default_value = "0")]
    read_rate: Bytes,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1024))]
    cores: u64,
    /// Print the results as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Write the results as JSON into this file as well; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write a self-contained HTML page with pictures; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write tables of the durations as Markdown; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Compare with the results in this file: any difference is exit code 5.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Full,
    Incremental,
    Restore,
}

/// Microseconds.
#[derive(Clone, Copy, Debug)]
struct Time(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bytes(u64);

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate(u64);

#[derive(Clone, Copy, Debug)]
struct AtOnce(u64);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Time, String> {
        let span: Span = text.parse()?;
        // The grain of virtual time.
        if text.ends_with("ms") && text.contains('.') {
            return Err(format!("found \"{text}\", expected whole milliseconds"));
        }
        Ok(Time(span.ns() / 1000))
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let size: ByteSize = text.parse()?;
        Ok(Bytes(size.0))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let wrong = || format!("found \"{text}\", expected a rate such as 100Mbit or 10Gbit");
        let (number, unit) = text.split_at(text.find(|ch: char| !ch.is_ascii_digit()).ok_or_else(wrong)?);
        let bits: u64 = match unit {
            "kbit" => 1_000,
            "Mbit" => 1_000_000,
            "Gbit" => 1_000_000_000,
            _ => return Err(wrong()),
        };
        let rate = number.parse::<u64>().ok().and_then(|number| number.checked_mul(bits)).map(|bits| bits / 8);
        rate.filter(|rate| *rate > 0).map(Rate).ok_or_else(wrong)
    }
}

impl FromStr for AtOnce {
    type Err = String;

    fn from_str(text: &str) -> Result<AtOnce, String> {
        let number = if text == "free" { Some(FREE) } else { text.parse().ok().filter(|number| *number > 0) };
        number.map(AtOnce).ok_or_else(|| format!("found \"{text}\", expected a number from 1 on, or free"))
    }
}

impl Bench {
    pub fn execute(self) -> Result<Exit> {
        match self.what {
            What::Latency(latency) => latency.execute(),
            What::Engine(engine) => engine.execute(),
        }
    }
}

impl Latency {
    fn execute(self) -> Result<Exit> {
        if self.of_stdout().count() + usize::from(self.json) > 1 {
            bail!("--json, --save -, --markdown - and --html -: only one of them can have standard output");
        }
        let baseline = self.baseline.as_ref().map(read).transpose()?;
        let cells = self.cells()?;
        let mut ended = 0;
        let cells = clinker_latency::sweep(&cells, |_| {
            ended += 1;
            if ended % 50 == 0 {
                tell(&format!("{ended}/{} cells", cells.len()));
            }
        })?;
        let sweep = Sweep { format: FORMAT, cells };
        let text = json(&sweep)?;
        if let Some(file) = &self.save {
            put(file, &format!("{text}\n"), false).context("--save")?;
        }
        if let Some(file) = &self.markdown {
            put(file, &latency::markdown(&sweep.cells), false).context("--markdown")?;
        }
        if let Some(file) = &self.html {
            let traces = clinker_latency::traces(&latency::shown(&sweep.cells))?;
            put(file, &latency::page(&sweep.cells, &traces), false).context("--html")?;
        }
        let to_stdout = self.of_stdout().next().is_some();
        match self.json {
            _ if to_stdout => {}
            true => say(&text)?,
            false => say(&format!("{}\n\n{}", latency::table(&sweep.cells), latency::summary(&sweep.cells)))?,
        }
        let Some(baseline) = baseline else { return Ok(Exit::AllAsExpected) };
        let moved = latency::moved(&baseline, &sweep);
        moved.iter().for_each(|line| tell(line));
        Ok(if moved.is_empty() { Exit::AllAsExpected } else { Exit::BaselineMoved })
    }

    /// Files that are standard output.
    fn of_stdout(&self) -> impl Iterator<Item = &PathBuf> {
        let files = [&self.save, &self.markdown, &self.html].into_iter().flatten();
        files.filter(|file| file.as_path() == Path::new("-"))
    }

    fn cells(&self) -> Result<Vec<Cell>> {
        if !(0.0..100.0).contains(&self.loss) {
            bail!("--loss: found {}, expected a percentage from 0 to below 100", self.loss);
        }
        let ends = [self.chunk.iter().min(), self.chunk.iter().max()];
        let mut cells = Vec::new();
        for kind in &self.operation {
            let chunks = self.chunk.iter().filter(|chunk| *kind != Kind::Incremental || ends.contains(&Some(chunk)));
            for (rtt, bandwidth) in self.rtt.iter().flat_map(|rtt| self.bandwidth.iter().map(move |rate| (rtt, rate))) {
                for (chunk, at_once) in chunks.clone().flat_map(|chunk| self.at_once.iter().map(move |n| (chunk, n))) {
                    cells.push(Cell {
                        operation: kind.operation(),
                        volume: self.volume.0,
                        chunk: chunk.0,
                        block: self.block.0,
                        rtt_us: rtt.0,
                        bandwidth: bandwidth.0,
                        loss_ppm: (self.loss * 10_000.0) as u64,
                        window: self.window.0,
                        service_us: self.service.0,
                        at_once: at_once.0,
                        hash_rate: self.hash_rate.0,
                        cores: self.cores,
                        read_rate: self.read_rate.0,
                    });
                }
            }
        }
        match cells.iter().find_map(|cell| Some((latency::name(cell), cell.problem()?))) {
            Some((name, Problem { field, what })) => bail!("--{}: {what} ({name})", field.replace('_', "-")),
            None => Ok(cells),
        }
    }
}

impl Kind {
    fn operation(self) -> Operation {
        match self {
            Kind::Full => Operation::Full,
            Kind::Incremental => Operation::Incremental,
            Kind::Restore => Operation::Restore,
        }
    }
}

/// One line for each cell, so that two files are compared line by line.
fn json(sweep: &Sweep) -> Result<String> {
    let lines = sweep.cells.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let lines = lines.context("write the results as JSON")?;
    Ok(format!("{{\"format\":{},\"cells\":[\n{}\n]}}", sweep.format, lines.join(",\n")))
}

fn read(file: &PathBuf) -> Result<Sweep> {
    let what = || format!("--baseline: read {}", file.display());
    let text = std::fs::read_to_string(file).with_context(what)?;
    let sweep: Sweep = serde_json::from_str(&text).with_context(what)?;
    if sweep.format != FORMAT {
        bail!("--baseline: {}: format is {}, expected {FORMAT}", file.display(), sweep.format);
    }
    Ok(sweep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bits_and_names_what_is_wrong() {
        assert_eq!("100Mbit".parse(), Ok(Rate(12_500_000)));
        assert_eq!("10Gbit".parse(), Ok(Rate(1_250_000_000)));
        for wrong in ["", "100", "Mbit", "1Tbit", "0Mbit", "99999999999999Gbit", "1.5Gbit"] {
            assert!(Rate::from_str(wrong).is_err_and(|error| error.contains("expected a rate")), "{wrong}");
        }
    }
}
