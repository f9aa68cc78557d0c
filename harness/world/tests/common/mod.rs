//! Helpers of the world's tests: a stage of few hosts on any engine, software from closures, a place for results.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker_env::{BoxStream, Env, Tasks};
use clinker_model::Fault;
use clinker_model::fault::{Crash, HostTarget, When};
pub use clinker_model::plan::Engine;
use clinker_world::{BoxError, RealWorld, SimnetWorld, Software, TurmoilWorld, World, WorldConfig, run_isolated};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Engines with a virtual clock.
pub const SIMULATED: &[Engine] = &[Engine::Turmoil, Engine::Simnet];
/// With real time, too: for tests that last no more than a second or two.
pub const ALL: &[Engine] = &[Engine::Turmoil, Engine::Simnet, Engine::Real];

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs a test on a thread of its own, as every run must.
pub fn isolated<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    run_isolated("test", test).unwrap()
}

/// Runs a test on each of the engines, with a fresh stage each.
pub fn on(engines: &[Engine], test: impl Fn(&mut Stage) + Sync) {
    for engine in engines {
        on_one(*engine, WorldConfig::new(1), &test);
    }
}

/// Runs a test on one engine; what fails says on which.
pub fn on_one<T: Send>(engine: Engine, config: WorldConfig, test: impl FnOnce(&mut Stage) -> T + Send) -> T {
    let run = || test(&mut Stage::new(engine, config));
    run_isolated(engine.name(), run).unwrap_or_else(|failed| panic!("{failed}"))
}

/// A world with what its hosts have noted.
pub struct Stage {
    pub world: Box<dyn World>,
    pub notes: Notes,
}

impl Stage {
    pub fn new(engine: Engine, config: WorldConfig) -> Stage {
        let world: Box<dyn World> = match engine {
            Engine::Simnet => Box::new(SimnetWorld::new(config).unwrap()),
            Engine::Turmoil => Box::new(TurmoilWorld::new(config).unwrap()),
            Engine::Real => Box::new(RealWorld::new(config).unwrap()),
        };
        Stage { world, notes: Notes::default() }
    }

    pub fn engine(&self) -> Engine {
        self.world.engine()
    }

    /// Adds a host; its software gets the notes, too.
    pub fn host<F>(&mut self, name: &str, run: impl Fn(Env, Notes) -> F + 'static)
    where
        F: Future<Output = Result<(), BoxError>> + 'static,
    {
        let notes = self.notes.clone();
        self.world.add_host(name, software(move |env| run(env, notes.clone()))).unwrap();
    }

    /// Adds host `server`, which echoes on port 7, and host `client`.
    pub fn echoed<F>(&mut self, client: impl Fn(Env, Notes) -> F + 'static)
    where
        F: Future<Output = Result<(), BoxError>> + 'static,
    {
        self.world.add_host("server", echo_server()).unwrap();
        self.host("client", client);
    }

    /// Advances to `until` and checks that no signal came before.
    pub fn run_to(&mut self, until: Duration) {
        let reached = self.world.advance(until).unwrap();
        assert_eq!(self.world.take_signals(), []);
        if self.engine() == Engine::Real {
            assert!(reached >= until, "{reached:?}");
        } else {
            assert_eq!(reached, until);
        }
    }

    /// Lets the hosts run for so long.
    pub fn run_for(&mut self, span: Duration) {
        self.run_to(self.world.now() + span);
    }

    pub fn begin(&mut self, id: usize, fault: Fault) {
        self.world.begin(id, &fault).unwrap();
    }

    pub fn bites(&self, id: usize) -> u64 {
        self.world.journal().bites(id)
    }

    pub fn all(&self) -> Vec<(u128, String)> {
        self.notes.all()
    }

    /// Checks what was noted, without the times.
    pub fn noted<const N: usize>(&self, expected: [&str; N]) {
        let all = self.all();
        let texts: Vec<&str> = all.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, expected, "{all:?}");
    }

    /// Checks what was noted, with the virtual time of each in ms.
    pub fn noted_at<const N: usize>(&self, expected: [(u128, &str); N]) {
        assert_eq!(self.all(), expected.map(|(at, text)| (at, text.to_owned())));
    }
}

pub fn software<F>(run: impl Fn(Env) -> F + 'static) -> Software
where
    F: Future<Output = Result<(), BoxError>> + 'static,
{
    Box::new(move |env| Box::pin(run(env)))
}

/// What hosts note, with the virtual time in ms.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<(u128, String)>>>);

impl Notes {
    pub fn add(&self, env: &Env, what: impl Into<String>) {
        let epoch = WorldConfig::new(0).epoch;
        let elapsed = env.clock.now().duration_since(epoch).as_millis();
        self.0.lock().unwrap().push((elapsed as u128, what.into()));
    }

    pub fn all(&self) -> Vec<(u128, String)> {
        self.0.lock().unwrap().clone()
    }
}

/// How a call ended, in a word.
pub fn kind<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

pub fn target(host: &str) -> HostTarget {
    HostTarget { host: host.to_owned() }
}

pub fn crash_at(host: &str, point: &str, when: When, nth: u64) -> Fault {
    Fault::Crash(Crash {
        host: host.to_owned(),
        point: Some(point.to_owned()),
        when,
        nth,
        restart_after: Default::default(),
        power: false,
    })
}

/// Echoes every line of every connection on port 7, for ever.
pub fn echo_server() -> Software {
    software(|env| async move {
        let mut listener = env.net.listen(7).await?;
        loop {
            let mut stream = listener.accept().await?;
            Tasks::LocalSet.spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(n) = stream.read(&mut buffer).await {
                    if n == 0 || stream.write_all(&buffer[..n]).await.is_err() {
                        break;
                    }
                }
            });
        }
    })
}

/// Sends `text` and waits for as many bytes back.
pub async fn echo(stream: &mut BoxStream, text: &str) -> io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    Ok(String::from_utf8(back).unwrap())
}
