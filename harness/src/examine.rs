//! From a run to its result: the checkers' findings, the golden, one verdict.

use clinker_judge::{golden, judge};
use clinker_model::plan::Plan;
use clinker_model::verdict::{Finding, Outcome, RunResult, Verdict};

use crate::catalog;
use crate::run::{self, Parts, Run, RunError};

/// How closely a run's notifications are held against the accepted ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    Exact,
    /// Reasons by their kind alone: the texts are the driver's own.
    Kinds,
    /// Not at all: no golden can be of this plan.
    Any,
}

/// A run that was judged.
pub struct Examined {
    pub result: RunResult,
    /// Absent when the run itself broke.
    pub run: Option<Run>,
    /// The notification sequence as goldens hold it.
    pub sequence: String,
    /// The accepted sequence, when it was compared.
    pub golden: Option<String>,
}

/// Plays a plan and judges it. The golden is compared when the plan has the scenario's own seed.
pub fn examine(plan: &Plan, parts: &Parts) -> Examined {
    examine_as(plan, parts, Likeness::Exact)
}

/// As [`examine`], with a golden that need only be like this.
pub fn examine_as(plan: &Plan, parts: &Parts, likeness: Likeness) -> Examined {
    let own = plan.seed == catalog::own_seed(&plan.scenario) && plan.schedule.is_none();
    examined(plan, parts, if own { likeness } else { Likeness::Any })
}

/// As [`examine`], of a plan that no golden can be of.
pub fn examine_unaccepted(plan: &Plan, parts: &Parts) -> Examined {
    examined(plan, parts, Likeness::Any)
}

fn examined(plan: &Plan, parts: &Parts, likeness: Likeness) -> Examined {
    if !plan.is_playable() {
        let reason = format!("{} cannot play all of its faults and its schedule: simnet can", plan.engine.name());
        return skipped(plan, reason);
    }
    match run::play(plan, parts) {
        Ok(run) => judged(plan, run, likeness),
        Err(error) => broken(plan, &error),
    }
}

fn judged(plan: &Plan, run: Run, likeness: Likeness) -> Examined {
    let findings = judge(&run.history);
    let sequence = golden::render(&run.history);
    let accepted = || catalog::golden(&plan.scenario, &plan.driver);
    let golden = (likeness != Likeness::Any).then(accepted).flatten().map(str::to_owned);
    let (verdict, reason) = verdict(&findings, likeness, golden.as_deref(), &sequence);
    let result = RunResult {
        verdict,
        reason,
        findings,
        faults: run.faults.clone(),
        hash: format!("{:016x}", run.hash),
        events: run.events,
        virtual_seconds: run.virtual_time.as_secs_f64(),
        ..empty(plan)
    };
    Examined { result, run: Some(run), sequence, golden }
}

fn verdict(
    findings: &[Finding],
    likeness: Likeness,
    golden: Option<&str>,
    sequence: &str,
) -> (Verdict, Option<String>) {
    let failed: Vec<&str> =
        findings.iter().filter(|finding| finding.outcome == Outcome::Fail).map(|finding| &*finding.checker).collect();
    if !failed.is_empty() {
        return (Verdict::Fail, Some(failed.join(", ")));
    }
    if findings.iter().all(|finding| finding.outcome == Outcome::NotApplicable) {
        return (Verdict::Error, Some("no checker applied".to_owned()));
    }
    match golden {
        _ if likeness == Likeness::Any => (Verdict::Pass, None),
        None => (Verdict::Golden, Some("no golden accepted yet".to_owned())),
        Some(golden) if alike(golden, sequence, likeness) => (Verdict::Pass, None),
        Some(_) => (Verdict::Golden, Some("the notifications differ from the golden".to_owned())),
    }
}

fn alike(golden: &str, sequence: &str, likeness: Likeness) -> bool {
    match likeness {
        Likeness::Kinds => by_kinds(golden.trim_end()) == by_kinds(sequence.trim_end()),
        Likeness::Exact | Likeness::Any => golden.trim_end() == sequence.trim_end(),
    }
}

/// A sequence whose quoted reasons `kind: operation: what` are their kind alone; other quoted texts stay.
fn by_kinds(sequence: &str) -> String {
    sequence.lines().map(|line| by_kind(line) + "\n").collect()
}

fn by_kind(line: &str) -> String {
    let reduced = || {
        // A reason is the last field; quotes within it are escaped.
        let (head, reason) = line.strip_suffix('"')?.split_once('"')?;
        let (kind, _) = reason.split_once(": ")?;
        is_kind(kind).then(|| format!("{head}\"{kind}\""))
    };
    reduced().unwrap_or_else(|| line.to_owned())
}

/// Whether a reason that begins with this word says its kind.
pub(crate) fn is_kind(word: &str) -> bool {
    serde_json::from_value::<clinker_drivers::Kind>(word.into()).is_ok()
}

fn broken(plan: &Plan, error: &RunError) -> Examined {
    let result = RunResult { verdict: Verdict::Error, reason: Some(error.to_string()), ..empty(plan) };
    Examined { result, run: None, sequence: String::new(), golden: None }
}

fn skipped(plan: &Plan, reason: String) -> Examined {
    let result = RunResult { reason: Some(reason), ..empty(plan) };
    Examined { result, run: None, sequence: String::new(), golden: None }
}

fn empty(plan: &Plan) -> RunResult {
    let replay = format!("clinker replay {}", crate::token::Token::of(plan));
    RunResult::unplayed(&plan.scenario, &plan.driver, plan.seed, replay)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = "\
backup.backup-host-1
ERROR  backup.init.error      attempt 1  \"unreachable: check_for_setup_error: posix could not write \\\"x\\\"\"
INFO   backup.create.start    backup#1  creating
ERROR  backup.create.error    backup#1  error  \"cancelled\"
";

    fn check(sequence: &str, exact: bool, kinds: bool) {
        assert_eq!(alike(GOLDEN, sequence, Likeness::Exact), exact, "{sequence}");
        assert_eq!(alike(GOLDEN, sequence, Likeness::Kinds), kinds, "{sequence}");
    }

    #[test]
    fn the_reasons_of_a_plug_in_are_compared_by_kind_and_all_else_exactly() {
        check(GOLDEN, true, true);
        let own_words = GOLDEN.replace("posix could not write \\\"x\\\"", "the tape robot is on fire");
        check(&own_words, false, true);
        check(&own_words.replace("unreachable:", "timeout:"), false, false);
        check(&GOLDEN.replace("attempt 1", "attempt 2"), false, false);
        check(&GOLDEN.replace("error  \"cancelled\"", "error  \"cancelled by hand\""), false, false);
        check(&GOLDEN.replace("INFO   backup.create.start    backup#1  creating\n", ""), false, false);
    }

    #[test]
    fn a_text_that_begins_with_no_kind_stays_whole() {
        let line = "  backup#1  VOLUME_000001  \"create backup: the backup service is down\"";
        assert_eq!(by_kind(line), line);
        assert_eq!(by_kind("ERROR  x  \"quota: backup: no space: left\""), "ERROR  x  \"quota\"");
    }
}
