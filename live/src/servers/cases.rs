//! The cases: one list, played against any server through a driver as the service builds it.

use std::sync::Arc;

use clinker_env::Env;
use tokio::time::{Duration, timeout};

use super::bench::{Bench, Trouble};
use super::table::Outcome;
use super::volume::Blow;
use super::{Action, Quota, Server};

/// After so long a case counts as hung.
const LIMIT: Duration = Duration::from_secs(60);
#[derive(Clone, Copy, Debug)]
pub(super) enum Case {
    SetUp(Setting),
    Backup(Setting),
    /// The n-th of the chain, the first one full.
    Link(usize),
    RestoreLink(usize),
    DeleteChain,
    DeleteMissing,
    RestoreMissing,
    /// The quota is used up.
    Quota(Quota),
    /// The backup is struck before its third chunk.
    Struck(Blow, Effort),
    RestoreStruck(Blow, Effort),
    /// Something else is asked of a server in this state.
    While(Action, Ask),
    /// After the action all is well: what was left is removed, a backup and a restore succeed.
    Well(Action),
}

/// What differs from the configuration that works.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setting {
    Right,
    WrongKey,
    UnknownUser,
    /// `backup_create_containers` off.
    NoContainer,
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effort {
    Patient,
    /// Two seconds.
    Hasty,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    SetUp,
    Restore,
    Delete,
}

const STOP: Blow = Blow::Now(Action::Stop);
const KILL: Blow = Blow::Now(Action::Kill);

const CASES: &[(&str, Case)] = &[
    ("set-up check", Case::SetUp(Setting::Right)),
    ("full backup", Case::Link(0)),
    ("incremental backup", Case::Link(1)),
    ("second incremental backup", Case::Link(2)),
    ("restore of the full backup", Case::RestoreLink(0)),
    ("restore of the first increment", Case::RestoreLink(1)),
    ("restore of the second increment", Case::RestoreLink(2)),
    ("wrong password: set-up check", Case::SetUp(Setting::WrongKey)),
    ("wrong password: backup", Case::Backup(Setting::WrongKey)),
    ("unknown user: set-up check", Case::SetUp(Setting::UnknownUser)),
    ("missing container: set-up check", Case::SetUp(Setting::NoContainer)),
    ("missing container: backup", Case::Backup(Setting::NoContainer)),
    ("missing container: restore", Case::RestoreMissing),
    ("missing container: delete", Case::DeleteMissing),
    ("container quota: backup", Case::Quota(Quota::Container)),
    ("account quota: backup", Case::Quota(Quota::Account)),
    ("tokens forgotten in mid-backup", Case::Struck(Blow::Now(Action::ForgetTokens), Effort::Patient)),
    ("object server stopped in mid-backup", Case::Struck(Blow::Now(Action::StopObjects), Effort::Patient)),
    ("and continued: delete, backup, restore", Case::Well(Action::ContinueObjects)),
    ("stopped in mid-backup", Case::Struck(STOP, Effort::Hasty)),
    ("while stopped: set-up check", Case::While(Action::Stop, Ask::SetUp)),
    ("while stopped: restore", Case::While(Action::Stop, Ask::Restore)),
    ("while stopped: delete", Case::While(Action::Stop, Ask::Delete)),
    ("and continued: delete, backup, restore", Case::Well(Action::Continue)),
    ("stopped in mid-restore", Case::RestoreStruck(STOP, Effort::Hasty)),
    ("and continued: delete, backup, restore", Case::Well(Action::Continue)),
    ("killed in mid-backup", Case::Struck(KILL, Effort::Patient)),
    ("while dead: set-up check", Case::While(Action::Kill, Ask::SetUp)),
    ("while dead: restore", Case::While(Action::Kill, Ask::Restore)),
    ("while dead: delete", Case::While(Action::Kill, Ask::Delete)),
    ("and started: delete, backup, restore", Case::Well(Action::Start)),
    ("killed during a put", Case::Struck(Blow::StopThenKill, Effort::Patient)),
    ("and started: delete, backup, restore", Case::Well(Action::Start)),
    ("killed in mid-restore", Case::RestoreStruck(KILL, Effort::Patient)),
    ("and started: delete, backup, restore", Case::Well(Action::Start)),
    ("delete of the chain", Case::DeleteChain),
];

/// The names of the cases, in the order in which they are played.
pub fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|(name, _)| *name)
}

/// Plays every case with the driver against the server; `report` is told each one's outcome.
pub async fn play(
    driver: &'static str,
    env: &Env,
    server: Arc<dyn Server>,
    mut report: impl FnMut(&str, &Outcome),
) -> Vec<Outcome> {
    let mut bench = Bench::new(driver, env, server);
    let mut outcomes = Vec::new();
    for (name, case) in CASES {
        let outcome = match timeout(LIMIT, bench.run(*case)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(Trouble::Driver(error))) => Outcome::failed(&error),
            Ok(Err(Trouble::Server(error))) => Outcome::Wrong(format!("{error:#}")),
            Err(_) => Outcome::Hung(LIMIT.as_secs()),
        };
        report(name, &outcome);
        outcomes.push(outcome);
    }
    outcomes
}
