//! An adapter as a store of objects below the harness's own chunk engine.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::{Backup, RequestContext, Result};
use jiff::Timestamp;
use serde_json::Value;

use super::failure::How;
use super::message::{Failed, Op, StoreFacts};
use super::process::{AdapterProcess, Listener};

/// A store behind an adapter of the role `store`.
pub struct AdapterStore {
    process: AdapterProcess,
    facts: StoreFacts,
    /// Why it does not take its options: what `check_options` answers.
    misconfigured: Option<Failed>,
}

impl AdapterStore {
    /// The store with these options, by Cinder's names. Options that it refuses show when it is set up; its geometry then
    /// is one chunk of one block of 4 KiB. One process serves one store.
    pub fn new(process: &AdapterProcess, options: BTreeMap<String, String>) -> AdapterStore {
        let refused = StoreFacts { chunk: 4096, block: 4096, progress_timer: false, host_bound: false };
        let mut store = AdapterStore { process: process.clone(), facts: refused, misconfigured: None };
        let answer = process.call_blocking(&Op::Configure { options }).map_err(|error| error.during("configure"));
        match answer.and_then(|answer| store.read("configure", answer)) {
            Ok(facts) => store.facts = facts,
            Err(error) => store.misconfigured = Some(Failed::from(&error)),
        }
        store
    }

    pub fn process(&self) -> &AdapterProcess {
        &self.process
    }

    async fn ask(&self, op: Op) -> Result<Value> {
        self.process.call(&op, Listener::Nobody).await.map_err(|error| error.during(op.name()))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, op: &str, answer: Value) -> Result<T> {
        serde_json::from_value(answer).map_err(|error| self.wrong(op, &error.to_string()))
    }

    fn field<T: serde::de::DeserializeOwned>(&self, op: &str, mut answer: Value, name: &str) -> Result<T> {
        self.read(op, answer.get_mut(name).map(Value::take).unwrap_or_default())
    }

    fn wrong(&self, op: &str, why: &str) -> clinker_drivers::Error {
        self.process.fail(How::Protocol, format!("answered {op} wrongly ({why})")).into()
    }
}

#[async_trait]
impl ChunkStore for AdapterStore {
    fn geometry(&self) -> Geometry {
        let StoreFacts { chunk, block, progress_timer, .. } = self.facts;
        Geometry { chunk, block, progress_timer }
    }

    fn host_bound(&self) -> bool {
        self.facts.host_bound
    }

    fn check_options(&self) -> Result<()> {
        match &self.misconfigured {
            Some(failed) => Err(failed.clone().into()),
            None => self.process.call_blocking(&Op::CheckOptions {}).map(drop),
        }
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        self.ask(Op::CheckForSetupError {}).await.map(drop)
    }

    fn container_for(&self, backup: &Backup) -> Result<String> {
        let answer = self.process.call_blocking(&Op::ContainerFor { backup: backup.into() })?;
        self.field("container_for", answer, "container")
    }

    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        let answer = self.process.call_blocking(&Op::ObjectPrefix { backup: backup.into(), now });
        let prefix = answer.and_then(|answer| self.field("object_prefix", answer, "prefix"));
        // The engine has no way to hear of an error here; the next request does, for the adapter has been ended.
        prefix.unwrap_or_else(|error| {
            self.process.fail(How::Protocol, format!("gave no object prefix ({error})"));
            format!("no-prefix-of-{}", backup.id)
        })
    }

    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()> {
        self.ask(Op::PutContainer { context: context.into(), container: container.to_owned() }).await.map(drop)
    }

    async fn list(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        let (container, prefix) = (container.to_owned(), prefix.to_owned());
        let answer = self.ask(Op::List { context: context.into(), container, prefix }).await?;
        self.field("list", answer, "names")
    }

    async fn put(
        &self,
        context: &RequestContext,
        container: &str,
        name: &str,
        body: Bytes,
        md5: [u8; 16],
    ) -> Result<()> {
        let op = Op::Put {
            context: context.into(),
            container: container.to_owned(),
            name: name.to_owned(),
            body: BASE64.encode(&body),
            md5: hex::encode(md5),
        };
        self.ask(op).await.map(drop)
    }

    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        let (container, name) = (container.to_owned(), name.to_owned());
        let answer = self.ask(Op::Get { context: context.into(), container, name }).await?;
        let body: String = self.field("get", answer, "body")?;
        BASE64.decode(body).map(Bytes::from).map_err(|error| self.wrong("get", &error.to_string()))
    }

    async fn delete(&self, context: &RequestContext, container: &str, name: &str) -> Result<()> {
        let (container, name) = (container.to_owned(), name.to_owned());
        self.ask(Op::Delete { context: context.into(), container, name }).await.map(drop)
    }

    async fn discard_partial(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<()> {
        let (container, prefix) = (container.to_owned(), prefix.to_owned());
        self.ask(Op::DiscardPartial { context: context.into(), container, prefix }).await.map(drop)
    }
}
