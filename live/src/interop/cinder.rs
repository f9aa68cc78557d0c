//! Cinder's side: its real backup manager in a child process (`scripts/cinder/serve.py`), a JSON line each way.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clinker_drivers::Backup;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::chain::Link;
use super::stores::OptionMap;
use super::venv::Venv;
use super::volume::{LEN, State};

/// Loading Cinder and making its database takes about six seconds.
const START: Duration = Duration::from_secs(180);

/// Real Cinder. A child that does not answer in time is ended, and another one started for the next request.
pub struct Cinder {
    python: PathBuf,
    folder: PathBuf,
    limit: Duration,
    running: Option<Running>,
}

struct Running {
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Ends when dropped.
    _child: Child,
}

impl Cinder {
    /// `limit` is the time of one operation.
    pub fn new(venv: &Venv, work: &Path, limit: Duration) -> Cinder {
        Cinder { python: venv.python(), folder: work.join("cinder"), limit, running: None }
    }

    pub async fn start(&mut self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.folder).context("create Cinder's folder")?;
        let log = OpenOptions::new().create(true).append(true).open(self.log()).context("open Cinder's log")?;
        let mut child = self.command(log).spawn().with_context(|| format!("start {}", self.python.display()))?;
        let requests = child.stdin.take().context("reach Cinder's standard input")?;
        let answers = child.stdout.take().context("reach Cinder's standard output")?;
        let mut running = Running { requests, answers: BufReader::new(answers).lines(), _child: child };
        match timeout(START, running.answers.next_line()).await {
            Ok(Ok(Some(_))) => {
                self.running = Some(running);
                Ok(())
            }
            Ok(_) => Err(anyhow!("start Cinder: it ended; the end of its log:\n{}", self.last_lines())),
            Err(_) => Err(anyhow!("start Cinder: not ready after {} s", START.as_secs())),
        }
    }

    fn command(&self, log: File) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/cinder/serve.py");
        let mut command = Command::new(&self.python);
        command.arg(script).arg(&self.folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        // Proxies and the user's own AWS settings would change where requests go and how they are signed.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_foreign(name)) {
            command.env_remove(name);
        }
        let nothing = [("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")];
        let quiet = [("EVENTLET_NO_GREENDNS", "yes"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONWARNINGS", "ignore")];
        command.envs(nothing).envs(quiet).kill_on_drop(true);
        command
    }

    /// Backs the state up, as an increment of the last link if there is one.
    pub async fn backup(
        &mut self,
        options: &OptionMap,
        links: &[Link],
        volume_id: &str,
        state: &State,
    ) -> Result<Link, String> {
        let chain: Vec<Value> = links.iter().map(record).collect();
        let request = json!({
            "do": "backup", "options": options, "chain": chain, "device": state.file, "volume_id": volume_id,
        });
        let answer = self.ask(&request).await?;
        let text = |key: &str| answer["record"][key].as_str().map(str::to_owned);
        let id = text("id").ok_or("Cinder gave no id")?;
        Ok(Backup {
            id,
            volume_id: volume_id.to_owned(),
            size: answer["record"]["size"].as_u64().unwrap_or_default(),
            display_name: text("display_name"),
            availability_zone: text("availability_zone").unwrap_or_default(),
            container: text("container"),
            service_metadata: text("service_metadata"),
            parent_id: text("parent_id"),
            ..Backup::default()
        })
    }

    /// The bytes of the last link, restored.
    pub async fn restore(
        &mut self,
        options: &OptionMap,
        links: &[Link],
        volume_is_new: bool,
    ) -> Result<Vec<u8>, String> {
        let output = self.folder.join("restored.img");
        let file = File::create(&output).map_err(|error| format!("create {}: {error}", output.display()))?;
        let chain: Vec<Value> = links.iter().map(record).collect();
        let request = json!({
            "do": "restore", "options": options, "chain": chain, "output": output, "volume_is_new": volume_is_new,
        });
        self.ask(&request).await?;
        // A file, unlike a device, ends at the last byte written: what Cinder skipped at the end is zeros.
        let padded = file.metadata().and_then(|found| file.set_len(found.len().max(LEN as u64)));
        padded.and_then(|()| std::fs::read(&output)).map_err(|error| format!("read {}: {error}", output.display()))
    }

    async fn ask(&mut self, request: &Value) -> Result<Value, String> {
        if self.running.is_none() {
            self.start().await.map_err(|error| format!("{error:#}"))?;
        }
        let mut running = self.running.take().ok_or("Cinder does not run")?;
        let talk = async {
            running.requests.write_all(format!("{request}\n").as_bytes()).await?;
            running.requests.flush().await?;
            running.answers.next_line().await
        };
        // Where this returns early, the child is dropped and thereby ended.
        let line = match timeout(self.limit, talk).await {
            Ok(Ok(Some(line))) => line,
            Ok(_) => return Err("Cinder ended".into()),
            Err(_) => return Err(format!("no answer from Cinder within {} s", self.limit.as_secs())),
        };
        self.running = Some(running);
        let answer: Value = serde_json::from_str(&line).map_err(|error| format!("read Cinder's answer: {error}"))?;
        match answer["error"].as_str() {
            Some(why) => Err(why.to_owned()),
            None => Ok(answer),
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("cinder.log")
    }

    fn last_lines(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Copies the log to where it outlives the run.
    pub fn keep_log(&self) -> Option<PathBuf> {
        let kept = super::venv::target().join("interop-cinder.log");
        std::fs::create_dir_all(kept.parent()?).ok()?;
        std::fs::copy(self.log(), &kept).ok().map(|_| kept)
    }
}

fn is_foreign(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    name.ends_with("_PROXY") || (name.starts_with("AWS_") && name != "AWS_CA_BUNDLE") || name.starts_with("PYTHON")
}

/// A link as Cinder imports it.
fn record(link: &Link) -> Value {
    json!({
        "id": link.id,
        "volume_id": link.volume_id,
        "size": link.size,
        "display_name": link.display_name,
        "availability_zone": link.availability_zone,
        "container": link.container,
        "service_metadata": link.service_metadata,
        "parent_id": link.parent_id,
    })
}
