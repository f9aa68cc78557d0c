//! A listener of oslo.messaging in a process of its own, `scripts/broker/listen.py`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::ready;

const UP: Duration = Duration::from_secs(60);
/// For all events, after the last of them was confirmed.
const ALL: Duration = Duration::from_secs(30);
/// For events too many.
const MORE: Duration = Duration::from_secs(1);
const DOWN: Duration = Duration::from_secs(20);

pub struct Listener {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub version: String,
}

impl Listener {
    pub async fn start(venv: &Path, url: &str, exchange: &str, topic: &str) -> Result<Listener> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/broker/listen.py");
        let mut command = Command::new(venv.join("bin/python"));
        command.arg(script).args([url, exchange, topic, "300"]).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("run the listener")?;
        let lines = BufReader::new(child.stdout.take().context("read from the listener")?).lines();
        let mut said = BufReader::new(child.stderr.take().context("read from the listener")?).lines();
        let version = loop {
            let line = timeout(UP, said.next_line()).await.context("start the listener in time")??;
            match &line {
                Some(text) if !text.starts_with("ready") => eprintln!("{text}"),
                _ => break ready(line, "the listener")?,
            }
        };
        // Read on, so that a warning never fills the pipe.
        clinker_env::Tasks::Runtime.spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                eprintln!("{line}");
            }
        });
        Ok(Listener { child, lines, version })
    }

    /// The events printed: `count` of them, and whatever comes within a second after those.
    pub async fn take(&mut self, count: usize) -> Result<Vec<Value>> {
        let mut events = Vec::new();
        let all = async {
            while events.len() < count {
                let Some(line) = self.lines.next_line().await? else { bail!("read from the listener: it has ended") };
                events.push(serde_json::from_str(&line).context("read an event of the listener")?);
            }
            Ok(())
        };
        // What is missing shows in the comparison.
        if let Ok(ended) = timeout(ALL, all).await {
            ended?;
        }
        while let Ok(Ok(Some(line))) = timeout(MORE, self.lines.next_line()).await {
            events.push(serde_json::from_str(&line).context("read an event of the listener")?);
        }
        Ok(events)
    }

    pub async fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        timeout(DOWN, self.child.wait()).await.context("end the listener in time")??;
        Ok(())
    }
}
