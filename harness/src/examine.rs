//! From a run to its result: the checkers' findings, the golden, one verdict.

use clinker_judge::{golden, judge};
use clinker_model::plan::Plan;
use clinker_model::verdict::{Finding, Outcome, RunResult, Verdict};

use crate::catalog;
use crate::run::{self, Parts, Run, RunError};

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
    let own = plan.seed == catalog::own_seed(&plan.scenario) && plan.schedule.is_none();
    examined(plan, parts, own)
}

/// As [`examine`], of a plan that no golden can be of.
pub fn examine_unaccepted(plan: &Plan, parts: &Parts) -> Examined {
    examined(plan, parts, false)
}

fn examined(plan: &Plan, parts: &Parts, own: bool) -> Examined {
    if !plan.is_playable() {
        let reason = format!("{} cannot play all of its faults and its schedule: simnet can", plan.engine.name());
        return skipped(plan, reason);
    }
    match run::play(plan, parts) {
        Ok(run) => judged(plan, run, own),
        Err(error) => broken(plan, &error),
    }
}

fn judged(plan: &Plan, run: Run, own: bool) -> Examined {
    let findings = judge(&run.history);
    let sequence = golden::render(&run.history);
    let golden = own.then(|| catalog::golden(&plan.scenario, &plan.driver)).flatten().map(str::to_owned);
    let (verdict, reason) = verdict(&findings, own, golden.as_deref(), &sequence);
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

fn verdict(findings: &[Finding], own: bool, golden: Option<&str>, sequence: &str) -> (Verdict, Option<String>) {
    let failed: Vec<&str> =
        findings.iter().filter(|finding| finding.outcome == Outcome::Fail).map(|finding| &*finding.checker).collect();
    if !failed.is_empty() {
        return (Verdict::Fail, Some(failed.join(", ")));
    }
    if findings.iter().all(|finding| finding.outcome == Outcome::NotApplicable) {
        return (Verdict::Error, Some("no checker applied".to_owned()));
    }
    match golden {
        _ if !own => (Verdict::Pass, None),
        None => (Verdict::Golden, Some("no golden accepted yet".to_owned())),
        Some(golden) if golden.trim_end() == sequence.trim_end() => (Verdict::Pass, None),
        Some(_) => (Verdict::Golden, Some("the notifications differ from the golden".to_owned())),
    }
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
    RunResult {
        scenario: plan.scenario.clone(),
        driver: plan.driver.clone(),
        seed: plan.seed,
        verdict: Verdict::Skip,
        reason: None,
        findings: Vec::new(),
        faults: Vec::new(),
        hash: String::new(),
        events: 0,
        virtual_seconds: 0.0,
        wall_ms: 0,
        replay: format!("clinker replay {}", crate::token::Token::of(plan)),
        timeline: None,
    }
}
