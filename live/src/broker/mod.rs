//! The notifications of a scenario, published by the manager's own client to a real RabbitMQ, and what a real listener of
//! oslo.messaging is given of them; and calls both ways between a manager and oslo.messaging.
//!
//! [`rabbit`] is the broker, [`script`] runs what is oslo.messaging's, [`calls`] and [`manager`] are the calls,
//! [`samples`] what Ceilometer would make of the events, [`report`] the text of it all.

mod calls;
mod manager;
mod rabbit;
mod report;
mod samples;
mod script;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use clinker::catalog;
use clinker::examine::{Examined, examine};
use clinker::run::Parts;
use clinker_drivers::Options;
use clinker_judge::golden;
use clinker_manager::bus::Bus as _;
use clinker_manager::bus::amqp::AmqpBus;
use clinker_model::history::{Entry, History, OutboxRow, Record};
use serde_json::{Value, json};

use calls::Row;
use rabbit::Rabbit;
use script::Script;

/// Sends a scenario's notifications through a real RabbitMQ, and compares what a real listener prints with the golden.
#[derive(Parser)]
pub struct Args {
    /// The scenario, `<area>/<name>`.
    #[arg(long, default_value = "delete/listing-refused")]
    scenario: String,
    #[arg(long, default_value = "swift")]
    driver: String,
    /// Python environment with oslo.messaging in it; made and filled when it is not there.
    #[arg(long, value_name = "DIR", env = "CLINKER_OSLO_VENV")]
    venv: Option<PathBuf>,
    /// Writes the result to this file as well.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// The exchange that Ceilometer listens on by default.
const EXCHANGE: &str = "cinder";
const TOPIC: &str = "notifications";

/// What there is to tell.
struct Outcome {
    rabbit: String,
    oslo: String,
    /// Notifications published and confirmed.
    published: Vec<Value>,
    /// Events the listener printed.
    heard: Vec<Value>,
    golden: String,
    sequence: String,
    calls: Vec<Row>,
}

/// Whether the listener was given the accepted sequence, and every call ended as it should.
pub async fn run(args: &Args) -> Result<bool> {
    let (history, golden) = play(args)?;
    let messages = outbox(&history);
    let env = clinker_env::real::env();
    let venv =
        args.venv.clone().or_else(default_venv).context("find a place for Python: neither --venv nor HOME is set")?;
    rabbit::install(&venv).await?;
    let rabbit = Rabbit::start(&env).await?;
    eprintln!("# RabbitMQ {} is up", rabbit.version);
    let url = rabbit.url();
    let mut listener = Script::start(&venv, "listen.py", &[&url, EXCHANGE, TOPIC, "300"]).await?;
    eprintln!("# the listener of oslo.messaging {} is up", listener.version);
    let mut options = Options::default();
    for (name, value) in [("transport_url", url.as_str()), ("control_exchange", EXCHANGE), ("topics", TOPIC)] {
        options.set(name, value).context("set the options")?;
    }
    let bus = AmqpBus::new(env.clone(), &options).context("make the publisher")?;
    for message in &messages {
        let mut message = message.clone();
        message["_unique_id"] = json!(env.rng.uuid().replace('-', ""));
        bus.notify(&message).await.context("publish a notification")?;
    }
    let heard = listener.take(messages.len()).await?;
    let (rabbit_version, oslo) = (rabbit.version.clone(), listener.version.clone());
    listener.end().await?;
    let calls = calls::run(&env, &venv, &url).await?;
    rabbit.end().await?;
    let sequence = golden::render(&as_heard(&history, &heard));
    let outcome = Outcome { rabbit: rabbit_version, oslo, published: messages, heard, golden, sequence, calls };
    let text = report::text(args, &outcome);
    println!("{text}");
    if let Some(file) = &args.write {
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(outcome.is_right())
}

impl Outcome {
    fn is_right(&self) -> bool {
        self.sequence.trim_end() == self.golden.trim_end()
            && self.changed() == 0
            && self.calls.iter().all(Row::is_right)
    }

    /// Messages that did not reach the listener as they were sent.
    fn changed(&self) -> usize {
        let fields = ["publisher_id", "event_type", "priority", "payload", "timestamp", "message_id"];
        let same = |message: &&Value| {
            let heard = self.heard.iter().find(|event| event["message_id"] == message["message_id"]);
            heard.is_some_and(|event| fields.iter().all(|field| event[field] == message[field]))
        };
        self.published.len() - self.published.iter().filter(same).count()
    }
}

/// `~/.cache/clinker/oslo`.
fn default_venv() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("clinker/oslo"))
}

/// Plays the scenario in the simulation: its history, and the sequence accepted for it.
fn play(args: &Args) -> Result<(History, String)> {
    let Args { scenario, driver, .. } = args;
    let entry = catalog::embedded()?.into_iter().find(|entry| entry.name == *scenario);
    let entry = entry.with_context(|| format!("find scenario {scenario}: `clinker list` shows all"))?;
    let Examined { result, run, golden, .. } = examine(&entry.plan(driver, entry.seed())?, &Parts::default());
    let run = run.with_context(|| format!("play {scenario}: {}", result.reason.unwrap_or_default()))?;
    let golden = golden.with_context(|| format!("compare {scenario}@{driver}: it has no accepted golden"))?;
    Ok((run.history, golden))
}

/// The notifications of a history, in the order in which they were emitted.
fn outbox(history: &History) -> Vec<Value> {
    let commits = history.records.iter().filter_map(|record| match &record.entry {
        Entry::Commit { outbox, .. } => Some(outbox),
        _ => None,
    });
    commits.flatten().map(|row| row.message.clone()).collect()
}

/// The history as it would be if exactly what the listener was given had been emitted.
fn as_heard(history: &History, heard: &[Value]) -> History {
    let mut history = history.clone();
    for record in &mut history.records {
        if let Entry::Commit { outbox, .. } = &mut record.entry {
            outbox.clear();
        }
    }
    let last = history.records.last().map_or((0, 0), |record| (record.n, record.t_ns));
    for (seq, event) in (1..).zip(heard) {
        let publisher_id = event["publisher_id"].as_str().unwrap_or_default().to_owned();
        let row = OutboxRow { seq, publisher_id, message: event.clone() };
        let entry = Entry::Commit { call: "heard".to_owned(), changes: Vec::new(), outbox: vec![row] };
        history.records.push(Record { n: last.0 + seq, t_ns: last.1, host: "collector".to_owned(), entry });
    }
    history
}

/// Ports that nobody listened on a moment ago, all different.
async fn free_ports<const N: usize>(env: &clinker_env::Env) -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    for _ in 0..N {
        listeners.push(env.net.listen(0).await.context("find free ports")?);
    }
    let ports: Vec<u16> = listeners.iter().map(|listener| listener.port()).collect();
    match ports.try_into() {
        Ok(ports) => Ok(ports),
        Err(_) => bail!("find {N} free ports"),
    }
}

/// Splits the line with which a child says that it is ready: the version it adds.
fn ready(line: Option<String>, who: &str) -> Result<String> {
    let line = line.unwrap_or_default();
    let version = line.strip_prefix("ready").map(str::trim);
    ensure!(version.is_some(), "start {who} (the reason is above)");
    Ok(version.unwrap_or_default().to_owned())
}
