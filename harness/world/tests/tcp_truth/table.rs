//! The record of what Linux did (`linux.toml`), and the table of `docs/tcp.md`, made of it and of what simnet does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cases::Case;
use crate::formula::{DEFAULT, Kernel, Range, Time, with_late_timers};
use crate::lab::Seen;

/// Writes what a check finds outdated.
pub const COMMAND: &str = "CLINKER_WRITE_DOCS=1 cargo test -p clinker-world --test tcp_truth";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The kernel's version.
    pub kernel: String,
    pub case: BTreeMap<String, Recorded>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    pub sees: String,
    /// With the case's settings.
    pub seconds: f64,
}

fn record_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tcp_truth/linux.toml")
}

pub fn docs_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tcp.md")
}

impl Record {
    pub fn read() -> Result<Record, String> {
        let path = record_path();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub fn write(&self) -> Result<(), String> {
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        let text = format!("# What Linux did in each case, and after how long; written by\n# {COMMAND}\n{text}");
        std::fs::write(record_path(), text).map_err(|error| error.to_string())
    }

    pub fn of(&self, case: &Case) -> Result<&Recorded, String> {
        self.case.get(case.name).ok_or_else(|| format!("linux.toml has no case {}: run {COMMAND}", case.name))
    }
}

/// Whether Linux took the time that the formula gives for the case's settings.
pub fn check_linux(case: &Case, after: Duration) -> Result<(), String> {
    let range = case.time.range(Kernel::with(case.settings)).map(with_late_timers);
    check(case, after, range, "Linux")
}

/// Whether simnet took the time that the formula gives for Linux' defaults.
pub fn check_simnet(case: &Case, after: Duration) -> Result<(), String> {
    check(case, after, case.time.range(DEFAULT), "simnet")
}

fn check(case: &Case, after: Duration, range: Option<Range>, world: &str) -> Result<(), String> {
    match range {
        Some((least, most)) if after < least || after > most => {
            Err(format!("{}: {world} took {after:?}, and not {least:?} to {most:?}", case.name))
        }
        _ => Ok(()),
    }
}

const HEAD: &str = "\
# TCP: Linux and simnet

What a client sees of each fault on real Linux, and the same on `simnet`, which models it. Each case is one piece of code
(`harness/world/tests/tcp_truth/cases`) that is played in both worlds: on Linux between network namespaces joined by a router
that swallows packets, with time-outs shortened by sysctls, and on simnet with those that Linux has as it is installed. The
times of both must be those of one formula, which takes the settings. \"Sees\" is what calls of the client returned, as kinds
of `std::io::Error`; `peer:` is what calls at the other end returned. Where it says \"same\", simnet's are these very ones.

This file is written by `";

const NOTES: &str = "
Timers. One that waits for an answer to data fires after 0.2 s plus a round trip, and each wait is twice the one before, at
most 120 s: at 0.2, 0.6, 1.4, 3.0, 6.2 … s. While one packet only is on its way, Linux sends a probe first (`tcp_early_retrans`),
and the others are 0.2 s later: at 0.2, 0.4, 0.8, 1.6, 3.2, 6.4 … s; simnet has no such probes, and the bounds hold both. For
SYNs the waits are 1, 2, 4 … s, after as many further ones of 1 s as `tcp_syn_linear_timeouts` says. Timers of a real kernel
are late by up to an eighth of their wait, which the bounds for Linux allow for, and those for simnet do not.

S(n), when a connect gives up: the first timer from 2^(n+1) − 1 s on; with 6, 127 s. R(n), when a sender gives up: a hypothetical
time-out of n + 1 waits, 924.6 s with 15, is a lower bound; Linux gives up at the first timer that exceeds it counted from the
first retransmission, which may be one timer later, and simnet at the timer after the last retry.

Not in the table. Linux from 6.5 on has `tcp_syn_linear_timeouts` = 4: it repeats a SYN after 1, 2, 3, 4, 5, 7, 11 … s, and gives
up after 131 s; simnet is as Linux was before. A machine of one's own network segment that has no power is not resolved to a
hardware address, so that a connect fails with `HostUnreachable` after about 3 s; the hosts of a simulation are behind a router.
";

/// The whole file.
pub fn page(cases: &[Case], record: &Record, simnet: &BTreeMap<&str, Seen>) -> Result<String, String> {
    let mut page = format!("{HEAD}{COMMAND}`; Linux here is {}.\n\n", record.kernel);
    page += "| case | what happens | the client sees on Linux | on simnet | after | Linux' settings | on Linux (bounds) | on simnet (bounds) |\n";
    page += "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for case in cases {
        let linux = record.of(case)?;
        let simnet = &simnet[case.name];
        let same = if simnet.what == linux.sees { "same" } else { &simnet.what };
        let apart = case.apart.map(|why| format!(": {why}")).unwrap_or_default();
        writeln!(
            page,
            "| `{}` | {} | {} | {same} | {} | {} | {} | {}{apart} |",
            case.name,
            case.about,
            linux.sees,
            case.time.formula(),
            settings(case),
            took(
                case,
                Duration::from_secs_f64(linux.seconds),
                case.time.range(Kernel::with(case.settings)).map(with_late_timers)
            ),
            took(case, simnet.after, if case.apart.is_some() { None } else { case.time.range(DEFAULT) }),
        )
        .map_err(|error| error.to_string())?;
    }
    Ok(page + NOTES)
}

fn settings(case: &Case) -> String {
    let one = |(name, value): &(&str, u32)| format!("`{}` {value}", name.rsplit('/').next().unwrap_or(name));
    let all: Vec<String> = case.settings.iter().map(one).collect();
    if all.is_empty() { "—".to_owned() } else { all.join(", ") }
}

fn took(case: &Case, after: Duration, bounds: Option<Range>) -> String {
    match (case.time, bounds) {
        (Time::Never, _) => format!("watched for {}", short(after)),
        (Time::Trip, _) if after < Duration::from_millis(100) => "< 0.1 s".to_owned(),
        (_, None) => format!("{:.2} s", after.as_secs_f64()),
        (_, Some((least, most))) => format!("{:.2} s ({} to {})", after.as_secs_f64(), short(least), short(most)),
    }
}

fn short(time: Duration) -> String {
    let text = format!("{:.1}", time.as_secs_f64());
    format!("{} s", text.trim_end_matches(".0"))
}
