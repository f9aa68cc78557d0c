//! The same test body in the simulated world and over loopback sockets and real files: if both arms see the same, the
//! simulator predicts reality. Outcomes, error kinds, reason texts and the requests that the servers saw are compared;
//! times are not.

mod support;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::{Backup, Options, registry};
use clinker_env::{Env, Fs};
use clinker_model::fault::Stored;
use clinker_model::{Fault, FaultTarget};
use clinker_world::{BoxError, Signal, Software, TurmoilWorld, World, WorldConfig, run_isolated};
use support::body::{Arm, Ledger, body};
use support::s3;
use support::swift::{Addresses, Fakes, drivers};

/// Longer than any arm takes, in virtual time.
const END: Duration = Duration::from_secs(3600);

/// What an arm saw.
#[derive(Debug, PartialEq)]
struct Seen {
    outcomes: Vec<String>,
    requests: Vec<String>,
}

#[test]
fn swift_with_v1_auth_is_the_same_in_both_worlds() {
    check_swift("swift", "wrong key: auth: ");
}

#[test]
fn swift_with_keystone_is_the_same_in_both_worlds() {
    check_swift("swift-v3", "wrong key: auth: ");
}

#[test]
fn s3_is_the_same_in_both_worlds() {
    let simulated = s3_in_world();
    let real = on_this_machine(s3_on_loopback());
    let expected = ["wrong key: auth: ", "nobody listens: unreachable: ", "silence: timeout: ", "507: quota: "];
    compare(&simulated, &real, &expected);
    assert!(!simulated.requests.is_empty());
}

#[test]
fn a_posix_repository_is_the_same_in_both_worlds() {
    let simulated = in_world(|_| {}, |env| async move { posix("/repository", env).await });
    let folder = tempfile::tempdir().unwrap();
    let real = on_this_machine(async { posix(folder.path().to_str().unwrap(), clinker_env::real::env()).await });
    compare(&simulated, &real, &["no repository: not_found: "]);
}

fn check_swift(preset: &'static str, expected: &str) {
    let simulated = swift_in_world(preset);
    let real = on_this_machine(swift_on_loopback(preset));
    compare(&simulated, &real, &[expected, "nobody listens: unreachable: ", "silence: timeout: ", "507: quota: "]);
    assert!(!simulated.requests.is_empty());
}

/// Both arms are the same, and they are not the same in having seen nothing.
fn compare(simulated: &Seen, real: &Seen, expected: &[&str]) {
    let lines = simulated.outcomes.len().max(real.outcomes.len());
    for number in 0..lines {
        assert_eq!(simulated.outcomes.get(number), real.outcomes.get(number), "outcome {number}: simulated, real");
    }
    for number in 0..simulated.requests.len().max(real.requests.len()) {
        assert_eq!(simulated.requests.get(number), real.requests.get(number), "request {number}: simulated, real");
    }
    let expected = expected.iter().chain(&["check_for_setup_error: ok", "backup: ok", "restore: ok", "left: []"]);
    for beginning in expected {
        let found = simulated.outcomes.iter().any(|line| line.starts_with(beginning));
        assert!(found, "no outcome begins with \"{beginning}\": {:#?}", simulated.outcomes);
    }
    assert_eq!(simulated.outcomes.last().map(String::as_str), Some("left: []"));
}

fn swift_in_world(preset: &'static str) -> Seen {
    let at = Addresses::named();
    let fakes = Fakes::new(preset, &at);
    let servers = fakes.clone();
    let hosts = move |world: &mut TurmoilWorld| {
        let (swift, keystone) = (servers.swift, servers.keystone);
        add(world, "swift", move |env| {
            let swift = Arc::clone(&swift);
            async move { Ok(swift.serve(env, 8080).await?) }
        });
        add(world, "keystone", move |env| {
            let keystone = Arc::clone(&keystone);
            async move { Ok(keystone.serve(env, 5000).await?) }
        });
    };
    in_world(hosts, move |env| swift_body(preset, at.clone(), fakes.clone(), env))
}

async fn swift_on_loopback(preset: &'static str) -> Seen {
    let env = clinker_env::real::env();
    let swift = env.net.listen(0).await.unwrap();
    let keystone = env.net.listen(0).await.unwrap();
    let unused = env.net.listen(0).await.unwrap();
    let at = |port: u16| format!("127.0.0.1:{port}");
    let addresses = Addresses { swift: at(swift.port()), keystone: at(keystone.port()), nobody: at(unused.port()) };
    drop(unused);
    let fakes = Fakes::new(preset, &addresses);
    env.tasks.spawn(Arc::clone(&fakes.swift).serve_on(env.clone(), swift));
    env.tasks.spawn(Arc::clone(&fakes.keystone).serve_on(env.clone(), keystone));
    swift_body(preset, addresses, fakes, env).await
}

async fn swift_body(preset: &str, at: Addresses, fakes: Fakes, env: Env) -> Seen {
    let [driver, wrong_key, nobody] = drivers(preset, &at, &env);
    let arm = Arm {
        driver,
        misconfigured: vec![("wrong key", wrong_key), ("nobody listens", nobody)],
        ledger: Arc::new(FakeLedger(Arc::clone(&fakes.swift) as Arc<dyn FaultTarget>)),
        server: Some(Arc::clone(&fakes.swift) as Arc<dyn FaultTarget>),
    };
    let outcomes = body(&arm).await;
    // Six disturbances, each of which hit something.
    assert!(fakes.requests.bites() >= 6, "{} bites", fakes.requests.bites());
    let masked = |lines: Vec<String>| lines.iter().map(|line| without_stamps(&at.named_in(line))).collect();
    Seen { outcomes: masked(outcomes), requests: masked(fakes.requests.lines()) }
}

fn s3_in_world() -> Seen {
    let server = s3::Server::new();
    let host = server.clone();
    let hosts = move |world: &mut TurmoilWorld| {
        add(world, "s3", move |env| {
            let s3 = Arc::clone(&host.s3);
            async move { Ok(s3.serve(env, 8080).await?) }
        });
    };
    in_world(hosts, move |env| s3_body(s3::NAMED.map(str::to_owned), server.clone(), env))
}

async fn s3_on_loopback() -> Seen {
    let env = clinker_env::real::env();
    let listener = env.net.listen(0).await.unwrap();
    let unused = env.net.listen(0).await.unwrap();
    let at = [listener.port(), unused.port()].map(|port| format!("127.0.0.1:{port}"));
    drop(unused);
    let server = s3::Server::new();
    env.tasks.spawn(Arc::clone(&server.s3).serve_on(env.clone(), listener));
    s3_body(at, server, env).await
}

async fn s3_body([at, nobody]: [String; 2], server: s3::Server, env: Env) -> Seen {
    let [driver, wrong_key, nobody] = s3::drivers(&at, &nobody, &env);
    let target = || Arc::clone(&server.s3) as Arc<dyn FaultTarget>;
    let arm = Arm {
        driver,
        misconfigured: vec![("wrong key", wrong_key), ("nobody listens", nobody)],
        ledger: Arc::new(FakeLedger(target())),
        server: Some(target()),
    };
    let outcomes = body(&arm).await;
    // Six disturbances, each of which hit something.
    assert!(server.requests.bites() >= 6, "{} bites", server.requests.bites());
    let masked =
        |lines: Vec<String>| lines.iter().map(|line| without_stamps(&line.replace(&at, s3::NAMED[0]))).collect();
    Seen { outcomes: masked(outcomes), requests: masked(server.requests.lines()) }
}

async fn posix(repository: &str, env: Env) -> Seen {
    env.fs.create_dir_all(repository, 0o770).await.unwrap();
    let mut options = Options { host: "backup-host-1".into(), ..Options::default() };
    let settings = [
        ("backup_driver", "posix"),
        ("backup_posix_path", repository),
        ("backup_file_size", "65536"),
        ("backup_sha_block_size_bytes", "4096"),
    ];
    for (name, value) in settings {
        options.set(name, value).unwrap();
    }
    let elsewhere = Options { backup_posix_path: format!("{repository}/missing"), ..options.clone() };
    let arm = Arm {
        driver: registry::build(&options, &env).unwrap(),
        misconfigured: vec![("no repository", registry::build(&elsewhere, &env).unwrap())],
        ledger: Arc::new(PosixLedger { fs: Arc::clone(&env.fs), repository: repository.to_owned() }),
        server: None,
    };
    let masked = |line: String| without_stamps(&line.replace(repository, "<repository>"));
    Seen { outcomes: body(&arm).await.into_iter().map(masked).collect(), requests: Vec::new() }
}

/// The fake's own ledger.
struct FakeLedger(Arc<dyn FaultTarget>);

#[async_trait]
impl Ledger for FakeLedger {
    async fn lose(&self, backup: &Backup, end: &str) {
        self.0.begin(99, &Fault::Lose(Stored { backup: backup.id.clone(), object: end.to_owned() })).unwrap();
    }

    async fn names(&self, _: &[&Backup]) -> Vec<String> {
        self.0.stored().into_iter().map(|object| format!("{}/{}", object.container, object.name)).collect()
    }
}

/// The repository's directories.
struct PosixLedger {
    fs: Arc<dyn Fs>,
    repository: String,
}

impl PosixLedger {
    fn directory(&self, backup: &Backup) -> String {
        format!("{}/{}", self.repository, backup.container.as_deref().expect("a stored backup has a directory"))
    }
}

#[async_trait]
impl Ledger for PosixLedger {
    async fn lose(&self, backup: &Backup, end: &str) {
        let directory = self.directory(backup);
        let names = self.fs.list(&directory).await.unwrap();
        let name = names.iter().find(|name| name.ends_with(end)).expect("the object is there");
        self.fs.remove_file(&format!("{directory}/{name}")).await.unwrap();
    }

    async fn names(&self, backups: &[&Backup]) -> Vec<String> {
        let mut names = Vec::new();
        for backup in backups {
            names.extend(self.fs.list(&self.directory(backup)).await.unwrap());
        }
        names
    }
}

/// Runs `run` on host `backup-host-1` of a world with the hosts that `hosts` adds.
fn in_world<F>(hosts: impl FnOnce(&mut TurmoilWorld) + Send, run: impl Fn(Env) -> F + Send + 'static) -> Seen
where
    F: Future<Output = Seen> + 'static,
{
    let play = move || {
        let mut world = TurmoilWorld::new(WorldConfig::new(7)).unwrap();
        hosts(&mut world);
        let result = Arc::new(Mutex::new(None));
        let (slot, signals) = (Arc::clone(&result), world.signals());
        add(&mut world, "backup-host-1", move |env| {
            let (seen, slot, signals) = (run(env), Arc::clone(&slot), signals.clone());
            async move {
                *slot.lock().unwrap() = Some(seen.await);
                signals.done();
                Ok(())
            }
        });
        world.advance(END).unwrap();
        assert_eq!(world.take_signals(), [Signal::Done], "the body ends within {END:?}");
        result.lock().unwrap().take().expect("the body has ended")
    };
    run_isolated("both worlds", play).unwrap()
}

fn add<F>(world: &mut TurmoilWorld, name: &str, software: impl Fn(Env) -> F + 'static)
where
    F: Future<Output = Result<(), BoxError>> + 'static,
{
    let software: Software = Box::new(move |env| Box::pin(software(env)));
    world.add_host(name, software).unwrap();
}

fn on_this_machine(run: impl Future<Output = Seen>) -> Seen {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run)
}

/// Stamps are the wall clock's: 14 digits in a row.
fn without_stamps(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        out.push_str(if digits.len() == 14 { "<stamp>" } else { &digits });
        digits.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}
