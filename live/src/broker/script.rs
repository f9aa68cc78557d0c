//! A program of oslo.messaging in a process of its own, `scripts/broker/*.py`: it says `ready`, then prints lines of JSON.

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
/// For all lines, from when they are due.
const ALL: Duration = Duration::from_secs(30);
/// For lines too many.
const MORE: Duration = Duration::from_secs(1);
const DOWN: Duration = Duration::from_secs(20);

pub struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub version: String,
}

impl Script {
    pub async fn start(venv: &Path, name: &str, args: &[&str]) -> Result<Script> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/broker").join(name);
        let mut command = Command::new(venv.join("bin/python"));
        command.arg(script).args(args).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("run {name}"))?;
        let lines = BufReader::new(child.stdout.take().context("read from a script")?).lines();
        let mut notes = BufReader::new(child.stderr.take().context("read from a script")?).lines();
        let version = loop {
            let line = timeout(UP, notes.next_line()).await.with_context(|| format!("start {name} in time"))??;
            match &line {
                Some(text) if !text.starts_with("ready") => eprintln!("{text}"),
                _ => break ready(line, name)?,
            }
        };
        // Read on, so that a warning never fills the pipe.
        clinker_env::Tasks::Runtime.spawn(async move {
            while let Ok(Some(line)) = notes.next_line().await {
                eprintln!("{line}");
            }
        });
        Ok(Script { child, lines, version })
    }

    /// What is printed: `count` lines, and whatever comes within a second after those.
    pub async fn take(&mut self, count: usize) -> Result<Vec<Value>> {
        let mut said = Vec::new();
        let all = async {
            while said.len() < count {
                let Some(line) = self.lines.next_line().await? else { bail!("read from a script: it has ended") };
                said.push(serde_json::from_str(&line).context("read a line of a script")?);
            }
            Ok(())
        };
        // What is missing shows in the comparison.
        if let Ok(ended) = timeout(ALL, all).await {
            ended?;
        }
        while let Ok(Ok(Some(line))) = timeout(MORE, self.lines.next_line()).await {
            said.push(serde_json::from_str(&line).context("read a line of a script")?);
        }
        Ok(said)
    }

    pub async fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        timeout(DOWN, self.child.wait()).await.context("end a script in time")??;
        Ok(())
    }
}
