//! TCP truth: whether software sees the same of a fault on simnet as on real Linux, after the time the same formula gives.
//!
//! [`cases`] are written once against [`lab::Lab`]; [`linux`] plays them in network namespaces, [`simulated`] on simnet.
//! What Linux did is recorded in `linux.toml` ([`table`]), and simnet must do that on every machine. Where namespaces are
//! permitted Linux is asked again; its times are compared when they are recorded, and not in an ordinary run.
//! This program is also the hosts of the Linux half: it starts itself.

mod cases;
mod formula;
mod lab;
mod linux;
mod namespaces;
mod simulated;
mod table;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use cases::Case;
use lab::Seen;
use libtest_mimic::{Arguments, Failed, Trial};
use table::{COMMAND, Record, Recorded};

type Answers = BTreeMap<&'static str, Result<Seen, String>>;

fn main() -> ExitCode {
    if let Some(role) = linux::role() {
        return match linux::play(&role) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("failed to play {role}: {error}")),
        };
    }
    if std::env::var_os("CLINKER_WRITE_DOCS").is_some() {
        return match write() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials(arguments.list)).exit_code()
}

fn fail(error: &str) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn trials(only_listed: bool) -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("the recorded times of linux are those of the formulas", || Ok(recorded_times()?)),
        Trial::test("the table of docs/tcp.md is the record and simnet's present answers", || Ok(docs_are_current()?)),
    ];
    for case in cases::all() {
        trials.push(Trial::test(format!("simnet::{}", case.name), move || Ok(simnet(&case)?)));
    }
    if !only_listed && let Some(why) = linux::hindrance() {
        eprintln!("skipped: Linux is not asked: {why}");
        return trials;
    }
    let answers = Arc::new(OnceLock::new());
    for case in cases::all() {
        let answers = Arc::clone(&answers);
        trials.push(Trial::test(format!("linux::{}", case.name), move || {
            same(&case, answers.get_or_init(ask_linux)[case.name].as_ref().map_err(Failed::from)?)?;
            Ok(())
        }));
    }
    trials
}

/// Plays all cases on Linux at the same time: mostly they wait.
fn ask_linux() -> Answers {
    let started: Vec<_> = cases::all().into_iter().map(|case| (case.name, linux::start(&case))).collect();
    let finish = |child: std::io::Result<_>| linux::finish(child.map_err(|error: std::io::Error| error.to_string())?);
    started.into_iter().map(|(name, child)| (name, finish(child))).collect()
}

fn same(case: &Case, seen: &Seen) -> Result<(), String> {
    let recorded = Record::read()?;
    let sees = &recorded.of(case)?.sees;
    if *sees == seen.what {
        return Ok(());
    }
    Err(format!(
        "{}: Linux {} was recorded with\n  {sees}\nand here it is\n  {}",
        case.about, recorded.kernel, seen.what
    ))
}

fn simnet(case: &Case) -> Result<(), String> {
    let seen = simulated::play(case)?;
    same(case, &seen)?;
    table::check_simnet(case, seen.after)
}

fn recorded_times() -> Result<(), String> {
    let record = Record::read()?;
    for case in cases::all() {
        table::check_linux(&case, std::time::Duration::from_secs_f64(record.of(&case)?.seconds))?;
    }
    match record.case.keys().find(|name| cases::all().iter().all(|case| case.name != **name)) {
        Some(name) => Err(format!("linux.toml: {name} is no case: run {COMMAND}")),
        None => Ok(()),
    }
}

fn page() -> Result<String, String> {
    let cases = cases::all();
    let mut simnet = BTreeMap::new();
    for case in &cases {
        simnet.insert(case.name, simulated::play(case)?);
    }
    table::page(&cases, &Record::read()?, &simnet)
}

fn docs_are_current() -> Result<(), String> {
    let path = table::docs_path();
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    if text == page()? { Ok(()) } else { Err(format!("docs/tcp.md is not what simnet does now: run {COMMAND}")) }
}

/// Asks Linux if it can be asked, and writes the record and the table.
fn write() -> Result<(), String> {
    match linux::hindrance() {
        Some(why) => eprintln!("skipped: Linux is not asked, its record stays: {why}"),
        None => record()?,
    }
    std::fs::write(table::docs_path(), page()?).map_err(|error| format!("docs/tcp.md: {error}"))
}

fn record() -> Result<(), String> {
    let mut record = Record { kernel: linux::kernel()?, case: BTreeMap::new() };
    let answers = ask_linux();
    for case in cases::all() {
        let seen = answers[case.name].clone().map_err(|error| format!("{}: {error}", case.name))?;
        table::check_linux(&case, seen.after)?;
        let seconds = (seen.after.as_secs_f64() * 1e3).round() / 1e3;
        record.case.insert(case.name.to_owned(), Recorded { sees: seen.what, seconds });
    }
    record.write()
}
