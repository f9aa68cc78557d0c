//! Calls over the message bus: each ends once and in time, with the answer that a manager gave to it and to no other.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, Failure, History, Phase};
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::{SEC, disturbed};

pub const CHECKER: Checker = Checker {
    name: "calls",
    about: "a call has at most one answer: its own, within rpc_response_timeout, or a time-out that names host and option",
    source: "07 section 7.1; row 97 of the original's tests",
    check,
};

/// From the time-out until the caller has been told, in nanoseconds.
const SLACK: u64 = SEC;

/// A call as it was made.
struct Made<'h> {
    t_ns: u64,
    to: &'h str,
    ends: u64,
}

#[derive(Default)]
struct Seen<'h> {
    calls: BTreeMap<&'h str, Made<'h>>,
    /// What managers answered, by call.
    answers: BTreeMap<&'h str, Vec<(&'h Value, Option<&'h str>)>>,
}

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let mut seen = Seen::default();
    for record in &history.records {
        match &record.entry {
            Entry::Call { phase: Phase::Invoke, call, to, .. } => {
                seen.calls.insert(call, Made { t_ns: record.t_ns, to, ends: 0 });
            }
            Entry::Answer { call, value, failure } => {
                seen.answers.entry(call).or_default().push((value, failure.as_ref().map(|f| f.kind.as_str())));
            }
            Entry::Call { phase, call, value, failure, .. } => {
                let end = End { t_ns: record.t_ns, call, phase: *phase, value, failure: failure.as_ref() };
                ended(history, &mut tally, &mut seen, &end, &record.host);
            }
            _ => {}
        }
    }
    tally.finish()
}

struct End<'h> {
    t_ns: u64,
    call: &'h str,
    phase: Phase,
    value: &'h Value,
    failure: Option<&'h Failure>,
}

fn ended<'h>(history: &History, tally: &mut Tally, seen: &mut Seen<'h>, end: &End<'h>, caller: &str) {
    let Some(made) = seen.calls.get_mut(end.call) else { return };
    made.ends += 1;
    let (count, began, to) = (made.ends, made.t_ns, made.to);
    tally.require(
        count == 1,
        end.t_ns,
        "a call has at most one answer",
        || format!("one end of call {}", end.call),
        || format!("end {count} at {}", at(end.t_ns)),
    );
    // A caller that stands still or is gone is told when it is back, or never.
    if end.phase != Phase::Info && !disturbed(history, &[caller], began, end.t_ns) {
        let limit = limit_of(history);
        tally.require(
            end.t_ns <= began + limit * SEC + SLACK,
            end.t_ns,
            "a call ends within rpc_response_timeout",
            || format!("the end of call {} of {} by {}", end.call, at(began), at(began + limit * SEC)),
            || at(end.t_ns),
        );
    }
    match (end.phase, end.failure) {
        (Phase::Fail, Some(failure)) if failure.kind == "timeout" && !answered(seen, end) => tally.require(
            failure.reason.contains(to) && failure.reason.contains("rpc_response_timeout"),
            end.t_ns,
            "a call without an answer names the host and rpc_response_timeout",
            || format!("{to} and rpc_response_timeout in the reason"),
            || failure.reason.clone(),
        ),
        (Phase::Ok | Phase::Fail, _) => tally.require(
            answered(seen, end),
            end.t_ns,
            "an answer is that of the call's own manager to this call",
            || format!("what a manager answered to call {}", end.call),
            || format!("{} {}", end.value, end.failure.map_or("", |failure| failure.reason.as_str())),
        ),
        (Phase::Info | Phase::Invoke, _) => {}
    }
}

/// Whether a manager has answered the call so.
fn answered(seen: &Seen<'_>, end: &End<'_>) -> bool {
    let kind = end.failure.map(|failure| failure.kind.as_str());
    seen.answers.get(end.call).is_some_and(|answers| answers.contains(&(end.value, kind)))
}

/// Seconds.
fn limit_of(history: &History) -> u64 {
    let given = history.header.plan.options.get("rpc_response_timeout");
    given.and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, HOST, Script, script};

    const SILENCE: &str =
        "timeout: export_record: backup-host-1 did not answer within 60s (option rpc_response_timeout)";

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn failure(reason: &str) -> Option<Failure> {
        let kind = reason.split(':').next().unwrap_or_default().to_owned();
        (!reason.is_empty()).then(|| Failure { kind, reason: reason.to_owned() })
    }

    fn called(script: Script, call: &str) -> Script {
        let (phase, call, to) = (Phase::Invoke, call.to_owned(), HOST.to_owned());
        script.record("api", Entry::Call { phase, call, to, value: Value::Null, failure: None })
    }

    fn answer(script: Script, call: &str, value: Value, reason: &str) -> Script {
        script.record(HOST, Entry::Answer { call: call.to_owned(), value, failure: failure(reason) })
    }

    fn told(script: Script, call: &str, value: Value, reason: &str) -> Script {
        let phase = if reason.is_empty() { Phase::Ok } else { Phase::Fail };
        let (call, to, failure) = (call.to_owned(), HOST.to_owned(), failure(reason));
        script.record("api", Entry::Call { phase, call, to, value, failure })
    }

    #[test]
    fn a_call_is_told_what_a_manager_answered_to_it() {
        let asked = || called(script(), "1");
        judge("nothing is called", script(), "none");
        judge("answered", told(answer(asked(), "1", json!(7), ""), "1", json!(7), ""), "ok");
        let sent_again = answer(answer(asked(), "1", json!(7), ""), "1", json!(7), "");
        judge("sent again", told(sent_again, "1", json!(7), ""), "ok");
        let refused = "invalid_backup: export_record: x";
        judge("refused", told(answer(asked(), "1", Value::Null, refused), "1", Value::Null, refused), "ok");
        judge("nobody answered", told(asked(), "1", json!(7), ""), "what a manager answered to call 1");
        judge("refused by nobody", told(asked(), "1", Value::Null, refused), "what a manager answered to call 1");
        let other = answer(answer(asked(), "0", json!(8), ""), "1", json!(7), "");
        judge("another's", told(other, "1", json!(8), ""), "what a manager answered to call 1");
    }

    #[test]
    fn a_call_has_one_end_and_in_time() {
        let asked = || answer(called(script().at(1000), "1"), "1", json!(7), "");
        let once = |ms| told(asked().at(ms), "1", json!(7), "");
        judge("just in time", once(61_000), "ok");
        judge("too late", once(63_000), "the end of call 1 of");
        judge("its own time", once(8_000).option("rpc_response_timeout", "5"), "the end of call 1 of");
        judge("twice", told(once(2000), "1", json!(7), ""), "one end of call 1");
        let paused = clinker_model::Fault::Pause(clinker_model::fault::HostTarget { host: "api".to_owned() });
        judge("a caller that stands still", once(90_000).fault(10, Some(90), paused), "ok");
    }

    #[test]
    fn a_time_out_names_the_host_and_the_option() {
        let silent = |reason| told(called(script(), "1").at(60_000), "1", Value::Null, reason);
        judge("named", silent(SILENCE), "ok");
        judge("no option", silent("timeout: backup-host-1 did not answer"), "rpc_response_timeout in the reason");
        judge("no host", silent("timeout: no answer (rpc_response_timeout)"), "backup-host-1 and rpc_response_timeout");
        let late = answer(silent(SILENCE).at(70_000), "1", json!(7), "");
        judge("answered later", late, "ok");
    }
}
