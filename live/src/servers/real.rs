//! A real Swift, by the script in `scripts/swift/`: it starts the servers, sends them signals, and ends them when its
//! stdin ends, thus also when this process is gone, for whatever reason.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use clinker_env::Env;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::{Duration, timeout};

use super::admin::Admin;
use super::{Action, Quota, Server};

/// How long the servers may take to come up, and to end.
const UP: Duration = Duration::from_secs(150);
const DOWN: Duration = Duration::from_secs(20);

/// The servers, which end with it.
pub struct RealServer {
    env: Env,
    port: u16,
    memcached: u16,
    admin: Admin,
    script: Mutex<Script>,
}

struct Script {
    child: Child,
    /// None once it was told to end.
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/swift/swift.sh")
}

/// Fills the Python environment with Swift unless it is there.
pub async fn install(venv: &Path) -> Result<()> {
    let mut command = Command::new("bash");
    command.arg(script()).arg("install").arg(venv).stdin(Stdio::null());
    let status = command.status().await.context("bash could not be run")?;
    ensure!(status.success(), "Swift could not be installed into {} (the reason is above)", venv.display());
    Ok(())
}

impl RealServer {
    /// Starts the servers on free ports of 127.0.0.1 and waits until they answer.
    pub async fn start(env: &Env, venv: &Path) -> Result<RealServer> {
        let ports = free_ports(env, 5).await?;
        let mut command = Command::new("bash");
        command.arg(script()).arg("serve").arg(venv).args(ports.iter().map(u16::to_string));
        // In a group of its own: a Ctrl-C here must not end the script before it has ended the servers.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context("bash could not be run")?;
        let orders = child.stdin.take();
        let stdout = child.stdout.take().context("the script has no output")?;
        let mut script = Script { child, orders, answers: BufReader::new(stdout).lines() };
        match timeout(UP, script.answers.next_line()).await {
            Ok(Ok(Some(line))) if line == "ready" => {}
            Ok(_) => bail!("Swift did not start (the reason is above)"),
            Err(_) => bail!("Swift was not up after {} s", UP.as_secs()),
        }
        let (port, memcached) = (ports[0], ports[4]);
        Ok(RealServer { env: env.clone(), port, memcached, admin: Admin::new(env, port)?, script: Mutex::new(script) })
    }

    pub async fn version(&self) -> Result<String> {
        self.admin.version().await
    }

    /// Ends the servers, and returns when they have ended.
    pub async fn end(&self) -> Result<()> {
        let mut script = self.script.lock().await;
        script.orders = None;
        timeout(DOWN, script.child.wait()).await.context("the servers have not ended")??;
        Ok(())
    }

    async fn order(&self, order: &str) -> Result<()> {
        let mut script = self.script.lock().await;
        let orders = script.orders.as_mut().context("the servers have been ended")?;
        orders.write_all(format!("{order}\n").as_bytes()).await?;
        loop {
            let line = script.answers.next_line().await?.context("the servers' script has ended")?;
            if line.starts_with("failed") {
                bail!("{line}");
            }
            // The answer to an order that nobody waited for may still be there.
            if line.ends_with(order) {
                return Ok(());
            }
        }
    }

    /// Tokens live in memcached alone.
    async fn forget_tokens(&self) -> Result<()> {
        let mut stream = self.env.net.connect("127.0.0.1", self.memcached).await?;
        stream.write_all(b"flush_all\r\n").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        ensure!(&answer == b"OK\r\n", "memcached did not forget");
        Ok(())
    }
}

/// Ports that nobody listened on a moment ago, all different.
async fn free_ports(env: &Env, count: usize) -> Result<Vec<u16>> {
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(env.net.listen(0).await?);
    }
    Ok(listeners.iter().map(|listener| listener.port()).collect())
}

#[async_trait]
impl Server for RealServer {
    fn port(&self) -> u16 {
        self.port
    }

    async fn apply(&self, action: Action) -> Result<()> {
        match action {
            Action::Stop => self.order("stop proxy").await,
            Action::Continue => self.order("cont proxy").await,
            Action::Kill => self.order("kill proxy").await,
            Action::Start => self.order("start proxy").await,
            Action::StopObjects => self.order("stop object").await,
            Action::ContinueObjects => self.order("cont object").await,
            Action::ForgetTokens => self.forget_tokens().await,
        }
    }

    async fn set_quota(&self, quota: Quota, container: &str, bytes: Option<u64>) -> Result<()> {
        self.admin.set_quota(quota, container, bytes).await
    }

    async fn stored(&self, container: &str) -> Result<Vec<String>> {
        self.admin.stored(container).await
    }
}
