//! One play of a body: the world, its end, and what is said of it.

use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker_model::history::Header;
use clinker_model::plan::{Engine, Plan};
use clinker_model::scenario::Expect;
use clinker_model::verdict::{FaultResult, Finding, Outcome as Found, RunResult, Verdict, Violation};
use clinker_model::{ByteSize, History, Span};
use clinker_world::{
    BoxError, RealWorld, SimnetWorld, World, WorldConfig, WorldError, require_tokio_unstable, run_isolated,
};

use super::backend::Backend;
use super::faults::{Commands, Fault};
use super::fs::Failing;
use super::relays::Relays;
use super::wire::Corrupting;
use super::{Bench, HOST, Shared};
use crate::adapter::AdapterFailure;
use crate::conformance::adapters::Seat;
use crate::conformance::candidate::Candidate;
use crate::conformance::outcome::{Outcome, Stop};
use crate::loader::presets::{BLOCK, CHUNK};
use crate::run::scene::add;
use crate::run::{Parts, RunError, logs, servers};

/// What a body is: it gets a bench and says how it went.
pub type Body = fn(Bench) -> Pin<Box<dyn Future<Output = Outcome>>>;

/// How long a body may take before it counts as hung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// In virtual time, where waiting costs nothing.
    Virtual,
    /// In real time, for what is not our code.
    Real(Duration),
}

/// The fingerprint of what does not end.
const HUNG: &str = "hung";

const VIRTUAL_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// What is to be played.
#[derive(Clone)]
pub struct Setting {
    pub candidate: Candidate,
    pub parts: Parts,
    /// `B-CRT-001`.
    pub case: String,
    pub variant: String,
    pub seed: u64,
    pub pace: Pace,
    /// Names that a listing gives at most.
    pub page: Option<usize>,
}

/// What came of it.
pub struct Played {
    pub result: RunResult,
    /// How it failed, if it did.
    pub fingerprint: Option<String>,
    /// Absent when the world itself broke.
    pub history: Option<History>,
}

impl Played {
    /// An outcome without a world of its own.
    pub fn of(setting: &Setting, rule: &str, outcome: Outcome) -> Played {
        Played::ended(setting, rule, outcome, 0)
    }

    /// What is said of an outcome that came at this moment.
    fn ended(setting: &Setting, rule: &str, outcome: Outcome, t_ns: u64) -> Played {
        let finding = |outcome, violations| vec![Finding { checker: setting.case.clone(), outcome, violations }];
        let mut result = empty(setting);
        let mut fingerprint = None;
        match outcome {
            Ok(()) => {
                result.verdict = Verdict::Pass;
                result.findings = finding(Found::Pass, vec![]);
            }
            Err(Stop::Skipped(why)) => result.reason = Some(why),
            Err(Stop::Broken(why)) => {
                result.verdict = Verdict::Error;
                result.reason = Some(why);
            }
            Err(Stop::Failed { what, expected, observed }) => {
                let violation = Violation { rule: rule.to_owned(), expected, observed, t_ns };
                result.verdict = Verdict::Fail;
                result.reason = Some(what.clone());
                result.findings = finding(Found::Fail, vec![violation]);
                fingerprint = Some(what);
            }
        }
        Played { result, fingerprint, history: None }
    }
}

/// Plays a body on a thread of its own.
pub fn play(setting: &Setting, rule: &str, body: Body) -> Played {
    let Some(pool) = &setting.candidate.adapter else { return play_with(setting, rule, body, None) };
    let seat = match Seat::take(pool) {
        Ok(seat) => Arc::new(seat),
        Err(failure) => return unfit(setting, rule, &failure),
    };
    let mut played = play_with(setting, rule, body, Some(Arc::clone(&seat)));
    match seat.failure() {
        // Whatever the body made of it: an adapter that is of no use has not kept the rule.
        Some(failure) => {
            let broken = unfit(setting, rule, &failure);
            played.fingerprint = broken.fingerprint;
            let RunResult { verdict, reason, findings, .. } = broken.result;
            played.result = RunResult { verdict, reason, findings, ..played.result };
        }
        None => pool.give(seat.process()),
    }
    played
}

/// A play in which the adapter did not take part to the end.
fn unfit(setting: &Setting, rule: &str, failure: &AdapterFailure) -> Played {
    Played::of(setting, rule, Err(Stop::failed(failure.how.as_str(), "an answer", failure.to_string())))
}

fn play_with(setting: &Setting, rule: &str, body: Body, seat: Option<Arc<Seat>>) -> Played {
    let played = require_tokio_unstable().map_err(RunError::from).and_then(|()| {
        run_isolated(&setting.case, || match setting.pace {
            Pace::Virtual => play_in(SimnetWorld::new(WorldConfig::new(setting.seed))?, setting, rule, body, seat),
            Pace::Real(_) => {
                // Signatures carry the time, and an adapter's clock is this machine's.
                let epoch = clinker_env::real::env().clock.now();
                let config = WorldConfig { epoch, ..WorldConfig::new(setting.seed) };
                play_in(RealWorld::new(config)?, setting, rule, body, seat)
            }
        })?
    });
    played.unwrap_or_else(|error| Played::of(setting, rule, Err(Stop::Broken(error.to_string()))))
}

fn play_in(
    mut world: impl World,
    setting: &Setting,
    rule: &str,
    body: Body,
    seat: Option<Arc<Seat>>,
) -> Result<Played, RunError> {
    let journal = world.journal();
    let _logs = logs::record_into(Arc::clone(&journal));
    let backend = Backend::add(&mut world, &setting.candidate, setting.page)?;
    let commands = Commands::new(world.signals());
    let (gate, signals) = (world.gate(HOST), world.signals());
    let ended: Arc<Mutex<Option<Outcome>>> = Arc::default();
    let begun: Arc<Mutex<Vec<(Fault, Duration)>>> = Arc::default();
    let held = Mutex::new(Some(backend));
    let (setting_, ended_, commands_, begun_, journal_) =
        (setting.clone(), Arc::clone(&ended), commands.clone(), Arc::clone(&begun), Arc::clone(&journal));
    add(&mut world, HOST, move |mut env| {
        let backend = held.lock().expect("no panic while the lock is held").take();
        let failing = Failing::new(Arc::clone(&journal_));
        if let Some(fs) = backend.as_ref().and_then(Backend::fs) {
            env.fs = failing.over(fs);
        }
        let corrupting = Corrupting::new(Arc::clone(&journal_));
        env.net = corrupting.over(env.net);
        let shared = backend.map(|backend| Shared {
            corrupting,
            adapter: seat.clone(),
            relays: Relays::default(),
            pace: setting_.pace,
            candidate: setting_.candidate.clone(),
            parts: setting_.parts.clone(),
            env: (setting_.parts.env)(env),
            journal: Arc::clone(&journal_),
            backend,
            failing,
            commands: commands_.clone(),
            gate: gate.clone(),
            calls: Arc::new(AtomicU64::new(0)),
            variant: setting_.variant.clone(),
            seed: setting_.seed,
            made: AtomicU64::new(0),
            known: Mutex::default(),
            faults: AtomicU64::new(0),
            begun: Arc::clone(&begun_),
        });
        let (ended, signals) = (Arc::clone(&ended_), signals.clone());
        async move {
            let Some(mut shared) = shared else { return Err(BoxError::from("the bench was started twice")) };
            if shared.adapter.is_some() {
                shared.relays = Relays::open(&shared.env, shared.candidate.preset).await?;
            }
            let outcome = body(Bench { shared: Arc::new(shared) }).await;
            *ended.lock().expect("no panic while the lock is held") = Some(outcome);
            signals.done();
            pending().await
        }
    })?;
    let limit = match setting.pace {
        Pace::Virtual => VIRTUAL_LIMIT,
        Pace::Real(limit) => limit,
    };
    let outcome = drive(&mut world, &commands, &ended, limit)?;
    let faults = faults(&begun.lock().expect("no panic while the lock is held"), &world);
    Ok(judged(&mut world, setting, rule, outcome, faults))
}

/// Runs the world until the body has ended or its time is up.
fn drive(
    world: &mut dyn World,
    commands: &Commands,
    ended: &Mutex<Option<Outcome>>,
    limit: Duration,
) -> Result<Outcome, WorldError> {
    loop {
        world.advance(limit)?;
        world.take_signals();
        commands.carry_out(world)?;
        if let Some(outcome) = ended.lock().expect("no panic while the lock is held").take() {
            return Ok(outcome);
        }
        if world.now() >= limit {
            let expected = format!("an end within {} s", limit.as_secs());
            return Ok(Err(Stop::failed(HUNG, expected, "it was still under way")));
        }
    }
}

fn faults(begun: &[(Fault, Duration)], world: &dyn World) -> Vec<FaultResult> {
    let journal = world.journal();
    let of = |(fault, at): &(Fault, Duration)| FaultResult {
        name: fault.name.clone(),
        at_ns: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
        until_ns: None,
        bites: journal.bites(fault.id),
    };
    begun.iter().map(of).collect()
}

fn judged(world: &mut dyn World, setting: &Setting, rule: &str, outcome: Outcome, faults: Vec<FaultResult>) -> Played {
    let journal = world.journal();
    let now_ns = u64::try_from(world.now().as_nanos()).unwrap_or(u64::MAX);
    // What did not hit anything shows nothing, however green it looks.
    let idle = faults.iter().find(|fault| fault.bites == 0).map(|fault| fault.name.clone());
    let outcome = match (outcome, idle) {
        (Ok(()), Some(name)) => {
            let what = format!("the fault {name} hit nothing");
            Err(Stop::failed(what, format!("the driver meets the fault {name}"), "it never did: nothing was shown"))
        }
        (outcome, _) => outcome,
    };
    let mut played = Played::ended(setting, rule, outcome, now_ns);
    played.result.faults = faults;
    played.result.hash = format!("{:016x}", journal.hash());
    played.result.events = journal.events();
    played.result.virtual_seconds = world.now().as_secs_f64();
    let engine = if setting.pace == Pace::Virtual { Engine::Simnet } else { Engine::Real };
    let header = Header {
        format: 1,
        scenario: setting.case.clone(),
        driver: setting.candidate.name.clone(),
        seed: setting.seed,
        engine: engine.name().to_owned(),
        plan: plan(setting, engine),
        secrets: servers::secrets(),
    };
    played.history = Some(History { header, records: journal.take_records() });
    played
}

fn name(setting: &Setting) -> String {
    let Setting { case, variant, .. } = setting;
    if variant.is_empty() { case.clone() } else { format!("{case}/{variant}") }
}

fn empty(setting: &Setting) -> RunResult {
    let name = name(setting);
    let driver = setting.candidate.name.clone();
    let seed = setting.seed;
    let replay = setting.candidate.repeat(&name, seed, setting.pace);
    RunResult::unplayed(name, driver, setting.seed, replay)
}

/// The plan of a history that no scenario stands behind.
fn plan(setting: &Setting, engine: Engine) -> Plan {
    Plan {
        scenario: name(setting),
        about: String::new(),
        driver: setting.candidate.preset.name.to_owned(),
        seed: setting.seed,
        engine,
        tick: Span::default(),
        schedule: None,
        heal: Span::default(),
        end: Span::default(),
        fixed_end: false,
        backup_hosts: 1,
        zones: Default::default(),
        own_disks: false,
        cores: Default::default(),
        gib: ByteSize(1 << 20),
        chunk: ByteSize(CHUNK),
        block: ByteSize(BLOCK),
        options: Default::default(),
        volumes: vec![],
        faults: vec![],
        steps: vec![],
        expect: Expect::default(),
    }
}
