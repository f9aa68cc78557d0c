//! A real RabbitMQ, by the script in `scripts/broker/`, which ends it when its stdin ends: thus also when this process is
//! gone, for whatever reason.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clinker_env::Env;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{free_ports, ready};

const UP: Duration = Duration::from_secs(150);
const DOWN: Duration = Duration::from_secs(20);
const USER: &str = "clinker";
const PASSWORD: &str = "on-loopback-only";

/// The broker, which ends with it.
pub struct Rabbit {
    child: Child,
    port: u16,
    pub version: String,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/broker/rabbit.sh")
}

/// Installs RabbitMQ, and oslo.messaging into the Python environment, unless they are there.
pub async fn install(venv: &Path) -> Result<()> {
    let mut command = Command::new("bash");
    command.arg(script()).arg("install").arg(venv).stdin(Stdio::null());
    let status = command.status().await.context("run bash")?;
    ensure!(status.success(), "install RabbitMQ and oslo.messaging (the reason is above)");
    Ok(())
}

impl Rabbit {
    /// Starts the broker on free ports of 127.0.0.1 and waits until it can be logged in to.
    pub async fn start(env: &Env) -> Result<Rabbit> {
        let ports = free_ports::<3>(env).await?;
        let mut command = Command::new("bash");
        command.arg(script()).arg("serve").args(ports.iter().map(u16::to_string)).args([USER, PASSWORD]);
        // In a group of its own: a Ctrl-C here must not end the script before it has ended the broker.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context("run bash")?;
        let mut lines = BufReader::new(child.stdout.take().context("read from the script")?).lines();
        let line = timeout(UP, lines.next_line()).await.context("start RabbitMQ in time")??;
        Ok(Rabbit { version: ready(line, "RabbitMQ")?, child, port: ports[0] })
    }

    pub fn url(&self) -> String {
        format!("rabbit://{USER}:{PASSWORD}@127.0.0.1:{}//", self.port)
    }

    /// Ends the broker, and returns when it has ended.
    pub async fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        timeout(DOWN, self.child.wait()).await.context("end RabbitMQ in time")??;
        Ok(())
    }
}
