//! Calls through the real broker: oslo.messaging's client asks our manager, our client asks oslo.messaging's server.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clinker::fixtures::{Link, links};
use clinker_drivers::{Options, RequestContext};
use clinker_env::Env;
use clinker_manager::bus::amqp::AmqpBus;
use clinker_manager::bus::{Bus as _, Cast, Method};
use clinker_manager::record::{Record, decode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::manager::{HOST, Running};
use super::script::Script;

/// The exchange of requests, by default.
const EXCHANGE: &str = "openstack";
/// The host of oslo.messaging's server.
const FOREIGN: &str = "oslo-host";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
const LIMIT: Duration = Duration::from_secs(20);
/// Less than the server takes for `slow`.
const SHORT: Duration = Duration::from_secs(2);
/// Until the answer that is too late has come.
const LATE: Duration = Duration::from_secs(5);

/// What came of a call.
pub(super) struct Row {
    pub what: String,
    pub got: String,
    expected: String,
}

impl Row {
    fn of(what: &str, expected: impl Into<String>, got: impl Into<String>) -> Row {
        Row { what: what.to_owned(), got: got.into(), expected: expected.into() }
    }

    pub fn is_right(&self) -> bool {
        self.got == self.expected
    }
}

pub(super) async fn run(env: &Env, venv: &Path, url: &str) -> Result<Vec<Row>> {
    let mut rows = asked_by_oslo(env, venv, url).await?;
    rows.extend(asked_of_oslo(env, venv, url).await?);
    Ok(rows)
}

async fn asked_by_oslo(env: &Env, venv: &Path, url: &str) -> Result<Vec<Row>> {
    let name = links().into_iter().next().context("find a fixture")?;
    let fixture = Link::named(&name).with_context(|| format!("find fixture {name}"))?;
    let running = Running::start(env, url, &fixture).await?;
    let own = running.api.export_record(&RequestContext::admin(), fixture.backup_id()).await;
    let own = own.context("export the record ourselves")?;
    let args = [url, EXCHANGE, HOST, "20", fixture.backup_id(), UNKNOWN];
    let mut client = Script::start(venv, "call.py", &args).await?;
    let said = client.take(4).await?;
    client.end().await?;
    let none = Value::Null;
    let of = |number: usize| said.get(number).unwrap_or(&none);
    let answer = of(0);
    let raised = |number| {
        let text = |name: &str| of(number)[name].as_str().unwrap_or("?").to_owned();
        format!("{}: {}", text("raised"), text("text"))
    };
    let record: Option<Record> = serde_json::from_value(answer["answer"].clone()).ok();
    let id = |record: &Record| {
        let id = decode(&record.backup_url).ok().and_then(|fields| fields["id"].as_str().map(str::to_owned));
        format!("a record of backup {}", id.unwrap_or_default())
    };
    let unknown = running.api.export_record(&RequestContext::admin(), UNKNOWN).await;
    Ok(vec![
        Row::of(
            "our API asks our manager for the record of a backup",
            format!("a record of backup {}", fixture.backup_id()),
            id(&own),
        ),
        Row::of(
            "oslo's client asks our manager for the same",
            id(&own),
            record.as_ref().filter(|record| **record == own).map_or_else(|| answer.to_string(), id),
        ),
        Row::of(
            "oslo's client asks our manager for the record of a backup that is not there",
            unknown_to(&unknown),
            raised(1),
        ),
        Row::of("… whether it can force delete", "true", of(2)["answer"].to_string()),
        Row::of(
            "… for a method that it does not have",
            "BackupOperationError: unsupported: call: no such method with these arguments",
            raised(3),
        ),
    ])
}

/// How an exception tells what our API is told; the manager's name of the step is the only difference.
fn unknown_to(own: &clinker_drivers::Result<Record>) -> String {
    let text = own.as_ref().err().map(ToString::to_string).unwrap_or_default();
    format!("NotFound: {}", text.replace("api_export", "export_begin"))
}

async fn asked_of_oslo(env: &Env, venv: &Path, url: &str) -> Result<Vec<Row>> {
    let server = Script::start(venv, "serve.py", &[url, EXCHANGE, FOREIGN, "300"]).await?;
    let mut options = Options::default();
    options.set("transport_url", url).context("set the options")?;
    let bus = AmqpBus::new(env.clone(), &options).context("make the client")?;
    let ask = async |host: &str, backup_id: &str, limit| {
        let context = RequestContext { user_id: "us".to_owned(), ..RequestContext::admin() };
        let (id, backup_id) = (env.rng.uuid(), backup_id.to_owned());
        let call = Cast { id, backup_id, context: (&context).into(), method: Method::ExportRecord, reply_to: None };
        bus.call(host, &call, limit).await.map_or_else(|error| error.to_string(), |answer| answer.to_string())
    };
    let answer = |backup_id: &str| json!({ "backup_service": "us", "backup_url": backup_id }).to_string();
    let silent = |host: &str| format!("timeout: {host} did not answer within 2s (option rpc_response_timeout)");
    let mut rows = vec![
        Row::of("our client asks oslo's server", answer("b-1"), ask(FOREIGN, "b-1", LIMIT).await),
        Row::of("… which raises", "internal: ValueError: no such luck", ask(FOREIGN, "broken", LIMIT).await),
        Row::of("… which takes longer than rpc_response_timeout", silent(FOREIGN), ask(FOREIGN, "slow", SHORT).await),
    ];
    // Its answer comes while nobody waits for it.
    sleep(LATE).await;
    rows.push(Row::of("… again, after its late answer", answer("b-2"), ask(FOREIGN, "b-2", LIMIT).await));
    let nobody = format!("{}; it was not asked: broker has no queue for the message", silent("no-host"));
    rows.push(Row::of("our client asks a host that never was", nobody, ask("no-host", "b-1", SHORT).await));
    server.end().await?;
    Ok(rows)
}
