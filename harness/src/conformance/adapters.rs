//! Adapters as candidates: processes that are started when they are needed and used by one play after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker_drivers::BackupDriver;
use clinker_drivers::chunked::store::ChunkStore;

use super::candidate::{CLAIMS, Candidate, Kind, OF_THE_ENGINE, unknown_claim};
use crate::adapter::{AdapterCommand, AdapterDriver, AdapterFailure, AdapterProcess, AdapterStore, How, Role};
use crate::run::{Made, Parts};

/// Until a process has answered `hello`: some install themselves first.
const START_LIMIT: Duration = Duration::from_secs(600);

/// The running processes of one command.
pub struct Pool {
    command: String,
    role: Role,
    folder: PathBuf,
    start_limit: Duration,
    /// For each request of a play.
    request_limit: Duration,
    /// Why no process is of use: then none is started any more.
    unfit: Mutex<Option<AdapterFailure>>,
    idle: Mutex<Vec<AdapterProcess>>,
    started: AtomicU64,
}

impl Pool {
    /// Processes of `sh -c command`, each with a folder of its own below `folder`.
    pub fn new(command: &str, role: Role, folder: PathBuf, request_limit: Duration) -> Pool {
        let (idle, started) = (Mutex::default(), AtomicU64::new(0));
        let (command, start_limit, unfit) = (command.to_owned(), START_LIMIT, Mutex::default());
        Pool { command, role, folder, start_limit, request_limit, unfit, idle, started }
    }

    /// Gives each process so long to answer `hello`, in place of ten minutes.
    pub fn starting_within(self, start_limit: Duration) -> Pool {
        Pool { start_limit, ..self }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn command(&self) -> &str {
        &self.command
    }

    /// A process that nobody uses; started if there is none.
    ///
    /// # Errors
    /// It cannot be started, or does not greet, or claims what nobody knows.
    pub fn take(&self) -> Result<AdapterProcess, AdapterFailure> {
        match self.idle_one() {
            Some(process) => Ok(process),
            None => {
                self.fit()?;
                self.greeted(AdapterProcess::start_blocking(self.one_more()))
            }
        }
    }

    /// As [`Pool::take`], within a runtime.
    async fn take_async(&self) -> Result<AdapterProcess, AdapterFailure> {
        match self.idle_one() {
            Some(process) => Ok(process),
            None => {
                self.fit()?;
                self.greeted(AdapterProcess::start(self.one_more()).await)
            }
        }
    }

    fn fit(&self) -> Result<(), AdapterFailure> {
        self.unfit.lock().expect("no panic while the lock is held").clone().map_or(Ok(()), Err)
    }

    fn set_unfit(&self, failure: &AdapterFailure) {
        self.unfit.lock().expect("no panic while the lock is held").get_or_insert_with(|| failure.clone());
    }

    fn greeted(&self, started: Result<AdapterProcess, AdapterFailure>) -> Result<AdapterProcess, AdapterFailure> {
        let checked = started.and_then(|process| {
            match process.hello().capabilities.iter().find_map(|claim| unknown_claim(claim)) {
                Some(why) => Err(process.fail(How::Protocol, why)),
                None => Ok(process),
            }
        });
        // Whoever is silent once is waited for once, not by every play.
        if let Err(failure) = &checked
            && failure.how == How::Hung
        {
            self.set_unfit(failure);
        }
        checked
    }

    fn idle_one(&self) -> Option<AdapterProcess> {
        self.idle.lock().expect("no panic while the lock is held").pop()
    }

    fn one_more(&self) -> AdapterCommand {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        AdapterCommand {
            command: self.command.clone(),
            role: self.role,
            folder: self.folder.join(format!("adapter-{number}")),
            start_limit: self.start_limit,
            request_limit: self.request_limit,
        }
    }

    /// Gives back a process that is still of use; one that still works on what nobody waits for ends here.
    pub fn give(&self, process: AdapterProcess) {
        if process.failure().is_none() && !process.is_busy() {
            process.forget_notifications();
            self.idle.lock().expect("no panic while the lock is held").push(process);
        }
    }
}

/// The process behind the drivers of one play.
pub struct Seat {
    pool: Arc<Pool>,
    process: Mutex<AdapterProcess>,
    /// Why there was no other process after a crash.
    lost: Mutex<Option<AdapterFailure>>,
}

impl Seat {
    /// # Errors
    /// A process cannot be started, or does not greet.
    pub fn take(pool: &Arc<Pool>) -> Result<Seat, AdapterFailure> {
        Ok(Seat { pool: Arc::clone(pool), process: Mutex::new(pool.take()?), lost: Mutex::default() })
    }

    pub fn role(&self) -> Role {
        self.pool.role
    }

    pub fn process(&self) -> AdapterProcess {
        self.process.lock().expect("no panic while the lock is held").clone()
    }

    /// Why its process is of no use any more, if so.
    pub fn failure(&self) -> Option<AdapterFailure> {
        let lost = self.lost.lock().expect("no panic while the lock is held").clone();
        lost.or_else(|| self.process().failure())
    }

    /// Kills the process in the middle of whatever it does; drivers made from now on have another one.
    ///
    /// # Errors
    /// The other one cannot be started, or does not greet.
    pub async fn crash(&self) -> Result<(), AdapterFailure> {
        self.process().kill();
        let next = self.pool.take_async().await.inspect_err(|failure| {
            *self.lost.lock().expect("no panic while the lock is held") = Some(failure.clone());
        })?;
        *self.process.lock().expect("no panic while the lock is held") = next;
        Ok(())
    }
}

impl Candidate {
    /// What a command serves, in the world of the preset `like`. Starts it, to hear its name and its claims. One that does
    /// not start or greet is called by its command and is asked for everything, so that each case tells how it fails.
    ///
    /// # Errors
    /// No preset is called `like`.
    pub fn adapter(pool: Pool, like: &str) -> Result<Candidate, String> {
        let built_in = Candidate::built_in(like).ok_or_else(|| format!("no preset is called {like}"))?;
        let (name, mut claims) = match pool.take() {
            Ok(process) => {
                let hello = process.hello().clone();
                pool.give(process);
                (format!("{} {}", hello.name, hello.version), hello.capabilities.into_iter().collect())
            }
            Err(failure) => {
                pool.set_unfit(&failure);
                (pool.command.clone(), CLAIMS.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>())
            }
        };
        let roles = match pool.role() {
            Role::Driver => "driver",
            Role::Store => {
                claims.extend(OF_THE_ENGINE.iter().map(|name| (*name).to_owned()));
                "store"
            }
        };
        Ok(Candidate {
            name: name.trim().to_owned(),
            kind: Kind::Adapter,
            roles: [roles.to_owned()].into(),
            claims,
            made: Made::Registry,
            adapter: Some(Arc::new(pool)),
            ..built_in
        })
    }
}

/// The service's parts with a driver behind a process, configured with these options.
pub(super) fn parts(parts: &Parts, seat: &Seat, options: &BTreeMap<String, String>) -> Parts {
    let (process, options) = (seat.process(), options.clone());
    let made = match seat.role() {
        Role::Driver => Made::Driver(Arc::new(move |_, _| {
            Ok(Arc::new(AdapterDriver::new(&process, options.clone())) as Arc<dyn BackupDriver>)
        })),
        Role::Store => Made::Store(Arc::new(move |_, _| {
            Ok(Arc::new(AdapterStore::new(&process, options.clone())) as Arc<dyn ChunkStore>)
        })),
    };
    Parts { made, ..parts.clone() }
}

/// Options that make a driver fail soon: no back-off, time-outs of a second, one retry.
pub(super) fn hasten(preset: &str, options: &mut BTreeMap<String, String>) {
    options.retain(|name, _| name != "transport_url" && name != "periodic_fuzzy_delay");
    let own: &[(&str, &str)] = match preset {
        "s3" => {
            &[("backup_s3_timeout", "1"), ("backup_s3_retry_max_attempts", "1"), ("backup_s3_retry_mode", "standard")]
        }
        "posix" => &[],
        _ => {
            &[("backup_swift_retry_attempts", "1"), ("backup_swift_retry_backoff", "0"), ("backup_swift_timeout", "1")]
        }
    };
    options.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
}
