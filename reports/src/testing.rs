//! Results for the renderers' tests: a run that passed and one that failed, and the cases of a small profile.

use std::collections::BTreeMap;

use clinker_model::conformance::{CaseResult, Level, Subject};
use clinker_model::fault::{Fault, HostTarget};
use clinker_model::history::{Entry, Header, History};
use clinker_model::plan::{Engine, Plan, PlannedFault};
use clinker_model::scenario::Expect;
use clinker_model::timeline::{Lane, LaneSpan, Mark, MarkKind, SpanKind, Timeline, Tone};
use clinker_model::verdict::{FaultResult, Finding, Outcome, RunResult, Verdict, Violation};
use clinker_model::{ByteSize, Record, Span};

pub fn passed() -> RunResult {
    let refuse = FaultResult { name: "refuse".to_owned(), at_ns: 0, until_ns: Some(130_000_000_000), bites: 3 };
    RunResult {
        scenario: "init/heals".to_owned(),
        driver: "swift".to_owned(),
        seed: 17,
        verdict: Verdict::Pass,
        reason: None,
        findings: vec![Finding { checker: "attempts".to_owned(), outcome: Outcome::Pass, violations: vec![] }],
        faults: vec![refuse],
        hash: "00ff00ff00ff00ff".to_owned(),
        events: 42,
        virtual_seconds: 260.25,
        wall_ms: 900,
        replay: "clinker replay clk1:init/heals:swift:17".to_owned(),
        timeline: None,
    }
}

pub fn failed() -> RunResult {
    let violation = Violation {
        rule: "the next attempt is one interval after the start of the failed one [D2]".to_owned(),
        expected: "an attempt of backup-host-1 at 60.000 s".to_owned(),
        observed: "none until 600.000 s".to_owned(),
        t_ns: 60_000_000_000,
    };
    let finding = Finding { checker: "attempts".to_owned(), outcome: Outcome::Fail, violations: vec![violation] };
    let reason = Some("attempts".to_owned());
    RunResult { verdict: Verdict::Fail, reason, findings: vec![finding], ..passed() }
}

pub fn history() -> History {
    let host = "swift".to_owned();
    let fault = Fault::Refuse(HostTarget { host: "store".to_owned() });
    let plan = Plan {
        scenario: "init/heals".to_owned(),
        about: String::new(),
        driver: host.clone(),
        seed: 17,
        engine: Engine::Turmoil,
        tick: Span::default(),
        schedule: None,
        heal: Span::secs(130),
        end: Span::secs(600),
        fixed_end: false,
        backup_hosts: 1,
        zones: BTreeMap::new(),
        own_disks: false,
        cores: BTreeMap::new(),
        gib: ByteSize(1),
        chunk: ByteSize(1),
        block: ByteSize(1),
        options: BTreeMap::new(),
        volumes: vec![],
        faults: vec![PlannedFault { at: Span::default(), until: Some(Span::secs(130)), fault }],
        steps: vec![],
        expect: Expect::default(),
    };
    let header = Header {
        format: 1,
        scenario: plan.scenario.clone(),
        driver: plan.driver.clone(),
        seed: 17,
        engine: "turmoil".to_owned(),
        plan,
        secrets: vec![],
    };
    let request = |n: u64, status: u16| {
        let (method, path) = ("GET".to_owned(), "/auth/v1.0".to_owned());
        let entry = Entry::Request { method, path, status, request_bytes: 0, response_bytes: 12 };
        Record { n, t_ns: n * 1_000_000_000, host: host.clone(), entry }
    };
    History { header, records: (0..12).map(|n| request(n, if n == 11 { 0 } else { 200 })).collect() }
}

pub fn subject() -> Subject {
    Subject {
        name: "swift".to_owned(),
        kind: "built-in".to_owned(),
        roles: vec!["store".to_owned(), "manager".to_owned()],
        capabilities: vec!["incremental".to_owned(), "progress".to_owned()],
        profile: "2026.1".to_owned(),
    }
}

pub fn case(id: &str, slug: &str, verdict: Verdict) -> CaseResult {
    CaseResult {
        id: id.to_owned(),
        slug: slug.to_owned(),
        level: Level::Must,
        core: true,
        needs: vec!["store".to_owned()],
        rule: "while the driver cannot initialise, try again every interval until it succeeds".to_owned(),
        spec: "backup-init: \"Proposed change\"".to_owned(),
        upstream: vec!["test_backup.py:BackupTestCase.test_init_host".to_owned()],
        verdict,
        reason: None,
        fingerprint: None,
        hint: None,
        plays: Vec::new(),
        wall_ms: 1_250,
        replay: format!("clinker conform --driver swift --case {id} --seed 17"),
    }
}

/// One case of each verdict but `golden`, and a second failed one.
pub fn cases() -> Vec<CaseResult> {
    let manager = || vec!["manager".to_owned()];
    let with = |reason: &str| Some(reason.to_owned());
    vec![
        CaseResult { needs: manager(), plays: vec![passed()], ..case("B-INIT-001", "healthy_start", Verdict::Pass) },
        CaseResult {
            needs: manager(),
            reason: with("attempts"),
            fingerprint: with("attempts: none until"),
            hint: with("the loop may end with the first exception"),
            plays: vec![passed(), failed()],
            ..case("B-INIT-004", "reinit_after_failures", Verdict::Fail)
        },
        CaseResult {
            reason: with("restored 1 byte that was never written"),
            ..case("B-INT-001", "bit_flip", Verdict::Fail)
        },
        CaseResult {
            reason: with("an empty listing is taken for success"),
            fingerprint: with("list error swallowed"),
            plays: vec![failed()],
            ..case("B-DEL-006", "list_fails", Verdict::Xfail)
        },
        CaseResult {
            needs: manager(),
            core: false,
            level: Level::Should,
            reason: with("the run broke: a panic"),
            plays: vec![RunResult { verdict: Verdict::Error, ..failed() }],
            ..case("B-NOTE-008", "notifier_down", Verdict::Error)
        },
        CaseResult { reason: with("no driver"), ..case("B-CEPH-001", "diff_restore_table", Verdict::Skip) },
    ]
}

/// A picture of [`failed`]: a request that a fault bit, and one that was answered.
pub fn timeline() -> Timeline {
    let mark = |kind, t_ns, label: &str, tone| Mark { kind, t_ns, label: label.to_owned(), tone };
    let span = |kind, label: &str, from_ns, until_ns, tone| LaneSpan {
        kind,
        label: label.to_owned(),
        from_ns,
        until_ns,
        tone,
    };
    const S: u64 = 1_000_000_000;
    let backup = Lane {
        host: "backup-host-1".to_owned(),
        spans: vec![
            span(SpanKind::State, "down", S, Some(200 * S), Tone::Bad),
            span(SpanKind::State, "up", 200 * S, None, Tone::Good),
            span(SpanKind::Attempt, "attempt 1: unreachable: x", 0, Some(S), Tone::Bad),
            span(SpanKind::Operation, "backup backup#1", 210 * S, Some(230 * S), Tone::Good),
            span(SpanKind::Gap, "no heartbeat for 40.000 s", 210 * S, Some(250 * S), Tone::Bad),
        ],
        marks: vec![
            mark(MarkKind::Violation, 60 * S, "attempts: none until 600.000 s", Tone::Bad),
            mark(MarkKind::Heartbeat, 200 * S, "heartbeat", Tone::Neutral),
            mark(MarkKind::Notification, 215 * S, "createprogress backup#1 12.5 %", Tone::Neutral),
        ],
        omitted: 7,
    };
    let swift = Lane {
        host: "swift".to_owned(),
        spans: vec![span(SpanKind::Fault, "refuse", 0, Some(130 * S), Tone::Bad)],
        marks: vec![
            mark(MarkKind::Bite, S, "refuse: connect", Tone::Bad),
            mark(MarkKind::Request, S, "GET /auth/v1.0 no answer", Tone::Bad),
            mark(MarkKind::Request, 200 * S, "GET /auth/v1.0 200", Tone::Neutral),
        ],
        omitted: 0,
    };
    Timeline { end_ns: 260 * S, lanes: vec![backup, swift] }
}
