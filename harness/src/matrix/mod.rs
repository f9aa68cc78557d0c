//! The crash matrix: each base scenario again and again, with a host that ends at each point that the base passes.
//!
//! Generated, not written: a base is played once while the points that its hosts pass are recorded; then there is one
//! plan per point, side of it, and way to end. [`mod@table`] sums up what became of them.

mod table;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clinker_model::fault::{Crash, When};
use clinker_model::history::FaultPhase;
use clinker_model::plan::{Plan, PlannedFault};
use clinker_model::{Entry as Happened, Fault, Span};
use clinker_world::Passed;

use crate::catalog::Entry;
use crate::loader::presets;
use crate::run::{self, Parts, Run, Watch};

pub use table::{Row, table};

/// A base scenario, `matrix/<name>`, with the stretch of it in which hosts are made to end.
pub struct Base {
    pub name: &'static str,
    from: Duration,
    until: Duration,
}

const fn base(name: &'static str, from: u64, until: u64) -> Base {
    Base { name, from: Duration::from_secs(from), until: Duration::from_secs(until) }
}

/// Every base: what is under test begins at 60 s, initialisation at once, a force delete clear of health checks.
pub const BASES: [Base; 15] = [
    base("init", 0, 10),
    base("create", 60, 170),
    base("incremental", 60, 170),
    base("restore", 60, 170),
    base("restore-new", 60, 170),
    base("delete", 60, 170),
    base("force-delete", 65, 170),
    base("reset-status", 60, 170),
    base("export", 60, 170),
    base("clean-up-create", 60, 170),
    base("clean-up-restore", 60, 170),
    base("clean-up-delete", 60, 170),
    base("create-encrypted", 60, 170),
    base("restore-encrypted", 60, 170),
    base("delete-encrypted", 60, 170),
];

/// Who is made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Manager,
    Api,
    Database,
    Store,
    KeyManager,
}

impl Victim {
    pub const ALL: [Victim; 5] = [Victim::Manager, Victim::Api, Victim::Database, Victim::Store, Victim::KeyManager];
    pub const NAMES: [&'static str; 5] = ["manager", "api", "database", "store", "keymanager"];

    pub fn name(self) -> &'static str {
        Victim::NAMES[self as usize]
    }

    pub fn parse(name: &str) -> Option<Victim> {
        Victim::ALL.into_iter().find(|victim| victim.name() == name)
    }

    /// Its host; a repository disk is none, and a key manager is there for what is encrypted.
    fn host(self, driver: &str) -> Option<&'static str> {
        match self {
            Victim::Manager => Some("backup-host-1"),
            Victim::Api => Some("api"),
            Victim::Database => Some("db"),
            Victim::KeyManager => Some("keymanager"),
            Victim::Store => presets::preset(driver).map(|preset| preset.store).filter(|store| *store != "store"),
        }
    }

    /// How long it is away: less than its clients try for, except where they are to see it end.
    fn away(self) -> Span {
        Span::secs(if self == Victim::Database { 3 } else { 5 })
    }
}

/// One play: a base with one end of one host.
pub struct Play {
    pub base: &'static str,
    pub victim: Victim,
    pub power: bool,
    pub plan: Plan,
}

/// Every play of a base with a driver.
///
/// # Errors
/// The base is not there, cannot be planned for this driver, breaks, or ends before its stretch.
pub fn plays(base: &'static Base, entries: &[Entry], driver: &str, parts: &Parts) -> Result<Vec<Play>> {
    let name = format!("matrix/{}", base.name);
    let entry = entries.iter().find(|entry| entry.name == name);
    let entry = entry.with_context(|| format!("the matrix needs scenario {name}"))?;
    let plan = entry.plan(driver, entry.seed())?;
    let watch = Watch { points: true, ..Watch::default() };
    let run = run::play_watched(&plan, parts, watch).with_context(|| format!("play {name} with {driver}"))?;
    let from = start(base, &plan, &run);
    let within = |passed: &&Passed| passed.at >= from && passed.at < base.until;
    let mut plays = Vec::new();
    for victim in Victim::ALL {
        let Some(host) = victim.host(driver) else { continue };
        let counts = |passed: &&Passed| passed.host == host && is_persistent(&passed.point, driver);
        for passed in run.points.iter().filter(within).filter(counts) {
            for power in [false, true] {
                let plan = with_crash(&plan, &run.points, passed, victim, power);
                plays.push(Play { base: base.name, victim, power, plan });
            }
        }
    }
    if plays.is_empty() {
        bail!("{name} with {driver}: nothing is passed from {:?} to {:?}", base.from, base.until);
    }
    Ok(plays)
}

/// Where the stretch begins: at the base's own crash, if it has one.
fn start(base: &Base, plan: &Plan, run: &Run) -> Duration {
    let crash = plan.faults.iter().position(|planned| matches!(planned.fault, Fault::Crash(_)));
    let bite = crash.and_then(|id| {
        run.history.records.iter().find(
            |record| matches!(&record.entry, Happened::Fault { fault, phase: FaultPhase::Bite, .. } if *fault == id),
        )
    });
    bite.map_or(base.from, |record| Duration::from_nanos(record.t_ns + 1))
}

/// Whether a process leaves something behind at the point, or takes something away from it that a crash would undo:
/// what only reads the database, or says again that somebody is alive, is left out, and of a repository's files what only
/// looks; there `fs` is finer than the store's port.
fn is_persistent(point: &str, driver: &str) -> bool {
    const READS: [&str; 16] = [
        "bus.consume",
        "db.backup_get",
        "db.casts_unsent",
        "db.cleanup_list",
        "db.dump",
        "db.op_status",
        "db.outbox_fetch",
        "db.service_heartbeat",
        "db.service_list",
        "db.volume_get",
        "fs.list",
        "fs.metadata",
        "fs.open",
        "fs.read",
        "net.connect",
        "store.check",
    ];
    let coarse = driver == "posix" && matches!(point, "store.put" | "store.put_container" | "store.delete");
    !READS.contains(&point) && !coarse
}

/// The base's plan with one more fault: `victim` ends where it has passed `passed`.
fn with_crash(base: &Plan, points: &[Passed], passed: &Passed, victim: Victim, power: bool) -> Plan {
    let mut plan = base.clone();
    // A millisecond before, so that few passes come between.
    let whole_ms = u64::try_from(passed.at.as_millis()).unwrap_or(u64::MAX);
    let at = Duration::from_millis(whole_ms.saturating_sub(1));
    let same = |other: &&Passed| other.host == passed.host && other.point == passed.point && other.when == passed.when;
    let earlier = points.iter().take_while(|other| !std::ptr::eq(*other, passed));
    let nth = 1 + earlier.filter(same).filter(|other| other.at >= at).count() as u64;
    let crash = Crash {
        host: passed.host.clone(),
        point: Some(passed.point.clone()),
        when: passed.when,
        nth,
        restart_after: victim.away(),
        power,
    };
    let until = Span(at + Duration::from_secs(1));
    plan.heal = plan.heal.max(Span(until.0 + victim.away().0));
    plan.faults.push(PlannedFault { at: Span(at), until: Some(until), fault: Fault::Crash(crash) });
    let (when, way) =
        (if passed.when == When::Before { "before" } else { "after" }, if power { "power" } else { "process" });
    let nth_at = points.iter().take_while(|other| !std::ptr::eq(*other, passed)).filter(same).count() + 1;
    plan.scenario = format!("{}/{}-{way}-{when}-{}-{nth_at}", base.scenario, victim.name(), passed.point);
    if victim == Victim::Api {
        // It may end before the backup has come to be.
        plan.expect.backup.remove("tested");
        plan.expect.objects.remove("tested");
    }
    plan
}
