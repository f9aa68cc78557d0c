//! Helpers of the world's tests: worlds with few hosts, software from closures, a place for results.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker_env::{Env, Tasks};
use clinker_model::Fault;
use clinker_model::fault::{Crash, HostTarget, When};
use clinker_world::{BoxError, Software, TurmoilWorld, World, WorldConfig, run_isolated};

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs a test on a thread of its own, as every run must.
pub fn isolated(test: impl FnOnce() + Send) {
    run_isolated("test", test).unwrap();
}

pub fn world(seed: u64) -> TurmoilWorld {
    TurmoilWorld::new(WorldConfig::new(seed)).unwrap()
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

    pub fn texts(&self) -> Vec<String> {
        self.all().into_iter().map(|(_, text)| text).collect()
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
pub async fn echo(stream: &mut clinker_env::BoxStream, text: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(text.as_bytes()).await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    Ok(String::from_utf8(back).unwrap())
}

/// Advances to `until` and checks that no signal came before.
pub fn run_to(world: &mut impl World, until: Duration) {
    assert_eq!(world.advance(until).unwrap(), until);
}
