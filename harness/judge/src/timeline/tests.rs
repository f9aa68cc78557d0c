//! Scripted histories and their pictures, a line per span (`from..until`) and per mark (`@t`), times in seconds.

use clinker_model::fault::{Fault, HostTarget, Stored};
use clinker_model::history::Phase::{Fail, Info, Invoke, Ok};
use clinker_model::history::{Entry, FaultPhase};
use clinker_model::plan::Step;
use clinker_model::scenario::OfBackup;
use clinker_model::verdict::{Outcome, Violation};
use serde_json::json;

use super::*;
use crate::testing::{BACKUP, HOST, Script, script};

fn line(label: &str, when: String, kind: String, tone: Tone) -> String {
    let sign = match tone {
        Tone::Good => "+",
        Tone::Bad => "-",
        Tone::Neutral => "=",
    };
    format!("{sign} {} {when} {label}", kind.to_lowercase())
}

fn lane(timeline: &Timeline, host: &str) -> Vec<String> {
    let secs = |ns: u64| ns as f64 / 1e9;
    let lane = timeline.lanes.iter().find(|lane| lane.host == host);
    let lane = lane.unwrap_or_else(|| panic!("no lane of {host} in {timeline:#?}"));
    let until = |until: Option<u64>| until.map_or(String::new(), |until| secs(until).to_string());
    let spans = lane.spans.iter().map(|span| {
        line(
            &span.label,
            format!("{}..{}", secs(span.from_ns), until(span.until_ns)),
            format!("{:?}", span.kind),
            span.tone,
        )
    });
    let marks = lane
        .marks
        .iter()
        .map(|mark| line(&mark.label, format!("@{}", secs(mark.t_ns)), format!("{:?}", mark.kind), mark.tone));
    spans.chain(marks).collect()
}

fn check(script: &Script, host: &str, expected: &[&str]) {
    assert_eq!(lane(&of(&script.history, &[]), host), expected);
}

/// A service that fails, comes up, misses heartbeats and does its work.
fn service() -> Script {
    let reason = "unreachable: check_for_setup_error: x";
    let script = script().periodic().registered().attempt(1_000, Fail).outcome(1, Some(reason));
    script.at(60_000).attempt(1_000, Ok).outcome(2, None).beat().at(71_000).beat().at(111_000).beat()
}

#[test]
fn a_service_has_states_attempts_heartbeats_and_gaps() {
    check(
        &service(),
        HOST,
        &[
            "= state 0..1 initializing",
            "- attempt 0..1 attempt 1: unreachable: check_for_setup_error: x",
            "- state 1..61 down",
            "+ attempt 60..61 attempt 2",
            "+ state 61.. up",
            "- gap 71..111 no heartbeat for 40.000 s",
            "- notification @1 init.error attempt 1 “unreachable: check_for_setup_error: x”",
            "= heartbeat @61 heartbeat",
            "+ notification @61 init.end attempt 2",
            "= heartbeat @71 heartbeat",
            "= heartbeat @111 heartbeat",
        ],
    );
}

#[test]
fn attempts_are_counted_anew_after_a_success_and_in_a_new_life() {
    let script =
        script().attempt(1_000, Fail).at(60_000).attempt(1_000, Ok).at(120_000).call("check_for_setup_error", 10, Info);
    let script = script.at(130_000).attempt(1_000, Fail).at(140_000).driver(Invoke, 90, "do_setup").at(141_000);
    let script = script.host_event("crashed").host_event("restarted").at(150_000).driver(Invoke, 99, "do_setup");
    check(
        &script,
        HOST,
        &[
            "- attempt 0..1 attempt 1: unreachable: check_for_setup_error: x",
            "+ attempt 60..61 attempt 2",
            "- attempt 120..120.01 health check, cut off",
            "- attempt 130..131 attempt 1: unreachable: check_for_setup_error: x",
            "- attempt 140..141 attempt 2, cut off",
            "= attempt 150.. attempt 1",
            "- process @141 crashed",
            "+ process @141 restarted",
        ],
    );
}

#[test]
fn a_set_up_without_a_check_ends_where_it_ended() {
    let script = script().call("do_setup", 5, Ok).record(HOST, call(Invoke, 7, "backup"));
    let script = script.at(9_000).record(HOST, call(Ok, 7, "backup"));
    check(&script, HOST, &["+ attempt 0..0.005 attempt 1", "+ operation 0.005..9 backup backup#1"]);
}

fn step(phase: clinker_model::history::Phase, step: usize, op: &str) -> Entry {
    let value = json!({ op: { "volume": "vol-1", "as": "first" } });
    let failure = (phase == Fail).then(|| clinker_model::history::Failure {
        kind: "service_down".to_owned(),
        reason: "service_down: create: nobody is up".to_owned(),
    });
    Entry::Op { phase, step, op: op.to_owned(), value, failure }
}

#[test]
fn steps_of_the_workload_are_operations_of_the_api() {
    let refused = Step::Delete(OfBackup { backup: "first".to_owned() });
    let script = script().step(None, refused.clone()).step(Some("service_down"), refused);
    let script = script.record("api", step(Invoke, 0, "create")).at(1_000).record("api", step(Fail, 0, "create"));
    let script = script.record("api", step(Invoke, 1, "create")).at(2_000).record("api", step(Fail, 1, "create"));
    let script = script.record("api", step(Invoke, 2, "write")).at(3_000).record("api", step(Ok, 2, "write"));
    check(
        &script.record("api", step(Invoke, 3, "restore")),
        "api",
        &[
            "- operation 0..1 create first: service_down: create: nobody is up",
            "= operation 1..2 create first: service_down: create: nobody is up",
            "+ operation 2..3 write first",
            "= operation 3.. restore first",
        ],
    );
}

fn call(phase: clinker_model::history::Phase, call: u64, method: &str) -> Entry {
    Entry::Driver { phase, call, method: method.to_owned(), backup_id: Some(BACKUP.to_owned()), failure: None }
}

#[test]
fn a_bench_without_services_is_drawn_as_well() {
    let put = |status| Entry::Request {
        method: "PUT".to_owned(),
        path: format!("/v1/AUTH_test/volumebackups/volume_1/20261121183000/az_nova_backup_{BACKUP}-00001"),
        status,
        request_bytes: 1,
        response_bytes: 0,
    };
    let fault = |phase, what: &str| Entry::Fault { fault: 0, name: "status".to_owned(), phase, what: what.to_owned() };
    let message = json!({ "publisher_id": "backup.bench", "event_type": "backup.createprogress",
        "payload": { "backup_id": BACKUP, "backup_percent": 12.5, "status": "creating" } });
    let script = script().record("nemesis", fault(FaultPhase::Begin, "")).record("bench", call(Invoke, 1, "backup"));
    let script = script.at(1_000).record("s3", put(200)).record("bench", Entry::Event { message });
    let script = script.at(2_000).record("s3", fault(FaultPhase::Bite, "PUT x answered 503")).record("s3", put(503));
    let script = script.at(3_000).record("bench", call(Ok, 1, "backup")).record("nemesis", fault(FaultPhase::End, ""));
    let script = script.record("bench", call(Invoke, 2, "restore")).record("s3", put(0));
    let timeline = of(&script.history, &[]);
    let path = "…volumebackups/volume_1/<stamp>/az_nova_backup_backup#1-00001";
    assert_eq!(
        lane(&timeline, "s3"),
        [
            "- fault 0..3 status".to_owned(),
            format!("= request @1 PUT {path} 200"),
            format!("- request @2 PUT {path} 503"),
            "- bite @2 status: PUT x answered 503".to_owned(),
            format!("- request @3 PUT {path} no answer"),
        ]
    );
    let expected = [
        "+ operation 0..3 backup backup#1",
        "= operation 3.. restore backup#1",
        "= notification @1 createprogress backup#1 12.5 %",
    ];
    assert_eq!(lane(&timeline, "bench"), expected);
    assert_eq!((timeline.end_ns, timeline.lanes.len()), (3_000_000_000, 2));
}

#[test]
fn faults_stand_on_the_lanes_they_are_aimed_at() {
    let begin = |fault, name: &str| Entry::Fault {
        fault,
        name: name.to_owned(),
        phase: FaultPhase::Begin,
        what: String::new(),
    };
    let at = |host: &str| HostTarget { host: host.to_owned() };
    let corrupt = Fault::Corrupt(Stored { backup: "first".to_owned(), object: "1".to_owned() });
    let script = script()
        .fault(0, None, Fault::Hold(at("db")))
        .fault(1, None, Fault::Refuse(at("store")))
        .fault(2, None, corrupt);
    let script = script.record("nemesis", begin(0, "hold")).at(1_000).record("nemesis", begin(1, "refuse"));
    let script = script.at(2_000).record("nemesis", begin(2, "corrupt")).at(9_000).stored("x");
    check(&script, "db", &["- fault 0.. hold"]);
    let crash = serde_json::from_value(json!({ "crash": { "host": "api", "point": "db.x", "restart_after": "1s" } }));
    let script = script.fault(0, None, crash.expect("a crash")).record("nemesis", begin(3, "crash")).at(10_000);
    let script = script.record("api", Entry::Host { what: "restarted".to_owned() });
    check(&script, "api", &["- fault 9..10 crash", "+ process @10 restarted"]);
    check(&script, "swift", &["- fault 1.. refuse", "- fault 2..2 corrupt"]);
}

#[test]
fn breaches_stand_on_the_lane_of_the_host_they_name() {
    let breach = |expected: &str, t_ns| Violation {
        rule: "r".to_owned(),
        expected: expected.to_owned(),
        observed: "none".to_owned(),
        t_ns,
    };
    let violations =
        vec![breach("an answer of swift", 1), breach("a note of backup-host-10", 2), breach("x", 400_000_000_000)];
    let finding = Finding { checker: "c".to_owned(), outcome: Outcome::Fail, violations };
    let script = service().stored("x");
    let script = script.record("swift", Entry::Host { what: "crashed".to_owned() });
    let timeline = of(&script.history, &[finding]);
    assert!(
        lane(&timeline, "swift").contains(&"- violation @0.000000001 c: none (expected an answer of swift)".to_owned())
    );
    let of_host: Vec<String> = lane(&timeline, HOST).into_iter().filter(|line| line.contains("violation")).collect();
    assert_eq!(of_host.len(), 2, "{of_host:?}");
    assert_eq!(timeline.end_ns, 400_000_000_000);
}

#[test]
fn lanes_are_sorted_and_empty_histories_have_none() {
    let note = |host: &str, script: Script| script.record(host, Entry::Host { what: "restarted".to_owned() });
    let hosts = ["db", "swift", "api", "backup-host-2", HOST];
    let script = hosts.iter().fold(script(), |script, host| note(host, script)).stored("x");
    let timeline = of(&script.history, &[]);
    let sorted: Vec<&str> = timeline.lanes.iter().map(|lane| &*lane.host).collect();
    assert_eq!(sorted, [HOST, "backup-host-2", "api", "swift", "db"]);
    assert_eq!(of(&crate::testing::script().history, &[]), Timeline::default());
}

#[test]
fn too_many_marks_are_thinned_evenly_and_bad_ones_stay() {
    let mark = |t_ns: u64| Mark {
        kind: MarkKind::Request,
        t_ns,
        label: String::new(),
        tone: if t_ns % 100 == 50 { Tone::Bad } else { Tone::Neutral },
    };
    let lane = thinned(Lane { marks: (0..3_000).rev().map(mark).collect(), ..Lane::default() });
    assert_eq!((lane.marks.len(), lane.omitted), (300, 2_700));
    assert_eq!(lane.marks.iter().filter(|mark| mark.tone == Tone::Bad).count(), 30);
    // 270 of the 2,970 others: one in eleven.
    assert_eq!(lane.marks[..5].iter().map(|mark| mark.t_ns).collect::<Vec<_>>(), [0, 11, 22, 33, 44]);
    let few = thinned(Lane { marks: (0..300).map(mark).collect(), ..Lane::default() });
    assert_eq!((few.marks.len(), few.omitted), (300, 0));
}

#[test]
fn labels_are_one_line_and_not_too_long() {
    assert_eq!(short("a\n  b"), "a b");
    assert_eq!(short(&"ä".repeat(201)).chars().count(), 201);
    assert_eq!(short(&"ä".repeat(200)), "ä".repeat(200));
}
