//! Parity: the reference engine passes every scenario that it can play, with the golden that simnet is held to.
//!
//! What only simnet can play is refused by turmoil with a reason. Differences that are a true property of one engine are
//! listed with why; an entry that is no longer needed fails.

use clinker::catalog::{self, Entry};
use clinker::examine::{Examined, examine};
use clinker::run::Parts;
use clinker_model::plan::Engine;
use clinker_model::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};

/// `<area>/<scenario>@<driver>` with the reason why the engines differ; `docs/engines.md` tells the same at length.
const EXPLAINED: &[(&str, &str)] = &[
    ("restart/api-unanswered@swift", DIES_WITH_ITS_CALLER),
    ("restart/api-unanswered@s3", DIES_WITH_ITS_CALLER),
    ("restart/api-unanswered@posix", DIES_WITH_ITS_CALLER),
    ("database/away-for-the-asker@swift", DIES_WITH_ITS_CALLER),
    ("database/away-for-the-asker@s3", DIES_WITH_ITS_CALLER),
    ("database/away-for-the-asker@posix", DIES_WITH_ITS_CALLER),
    ("restart/api-request-outlives-it@swift", DIES_WITH_ITS_CALLER),
    ("restart/api-request-outlives-it@swift-v3", DIES_WITH_ITS_CALLER),
    ("restart/api-request-outlives-it@posix", DIES_WITH_ITS_CALLER),
    ("restart/late-success@swift", DIES_WITH_ITS_CALLER),
    ("restart/late-success@s3", DIES_WITH_ITS_CALLER),
    ("delete/force-before-begin@s3", BOTH_AT_ONCE),
    ("restart/force-delete-unbegun@s3", BOTH_AT_ONCE),
    ("restart/queued-create-force-deleted@s3", BOTH_AT_ONCE),
];

const BOTH_AT_ONCE: &str = "after a restart attempt 1 and a resumed delete run at once (D2), and S3, which does not ask for a \
                            token first, needs as many requests for either: turmoil's ticks let the other one win";

const DIES_WITH_ITS_CALLER: &str = "a request into a hold, given up by its sender, arrives at the hold's end on turmoil; \
                                    in TCP it does not: a SYN ends with its caller, the kernel drops what is orphaned";

/// Milliseconds; goldens hold for this one.
const TICK: u64 = 10;

fn main() {
    let entries = catalog::embedded().unwrap_or_else(|error| panic!("the built-in scenarios load: {error:#}"));
    let names: Vec<String> = entries.iter().flat_map(names).collect();
    let mut trials = vec![Trial::test("every explained difference is of a scenario", move || explained(&names))];
    for entry in entries {
        for driver in entry.scenario.drivers.clone() {
            let entry = entry.clone();
            trials.push(Trial::test(format!("{}@{driver}", entry.name), move || compare(&entry, &driver)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn names(entry: &Entry) -> Vec<String> {
    entry.scenario.drivers.iter().map(|driver| format!("{}@{driver}", entry.name)).collect()
}

fn explained(names: &[String]) -> Result<(), Failed> {
    for (name, reason) in EXPLAINED {
        if !names.iter().any(|known| known == name) || reason.is_empty() {
            return Err(format!("{name} is no scenario and driver, or has no reason").into());
        }
    }
    Ok(())
}

fn compare(entry: &Entry, driver: &str) -> Result<(), Failed> {
    let mut plan = entry.plan(driver, entry.seed()).map_err(|error| format!("{error:#}"))?;
    plan.play_on(Engine::Turmoil, TICK);
    let examined = examine(&plan, &Parts::default());
    let verdict = examined.result.verdict;
    let name = format!("{}@{driver}", entry.name);
    let reason = EXPLAINED.iter().find(|(known, _)| *known == name).map(|(_, reason)| reason);
    match reason {
        _ if !plan.is_playable() && verdict == Verdict::Skip && examined.result.reason.is_some() => Ok(()),
        None if verdict == Verdict::Pass && plan.is_playable() => Ok(()),
        Some(_) if matches!(verdict, Verdict::Golden | Verdict::Fail) => Ok(()),
        Some(reason) => Err(format!("{verdict:?}: no difference any more, take it off the list: {reason}").into()),
        None => Err(explain(&examined).into()),
    }
}

fn explain(examined: &Examined) -> String {
    let (result, golden) = (&examined.result, examined.golden.as_deref().unwrap_or_default());
    match (&examined.run, result.verdict) {
        (Some(_), Verdict::Golden) => {
            format!("accepted:\n{golden}\nturmoil:\n{}\n{}", examined.sequence, result.replay)
        }
        (Some(run), _) => clinker_reports::failure::text(result, &run.history),
        (None, verdict) => format!("{verdict:?}: {}", result.reason.as_deref().unwrap_or_default()),
    }
}
