//! A store behind a link: it keeps what it is given, answers after its service time, and notes when.
//!
//! Its requests are those of an object store over HTTP/1.1 with a token: an authentication before the first, one request
//! at a time on a connection, a round trip for each new connection.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::{Backup, Error, Kind, RequestContext, Result};
use jiff::Timestamp;

use crate::content::Objects;
use crate::link::{Direction, Link};
use clinker_model::latency::Cell;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Auth,
    Head,
    List,
    Get,
    Put,
    Delete,
}

/// One request, in nanoseconds since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub verb: Verb,
    /// The end of the object's name; empty for what is no object.
    pub name: String,
    pub bytes: u64,
    pub begun_ns: u64,
    /// When its last byte had arrived, at the store or (of a get) at the host.
    pub arrived_ns: u64,
    pub answered_ns: u64,
}

impl Request {
    /// Whether it is of a data object.
    pub fn is_data(&self) -> bool {
        self.index().is_some()
    }

    /// The number of its data object.
    pub fn index(&self) -> Option<u64> {
        self.name.rsplit_once('-')?.1.parse().ok()
    }

    /// From its beginning to its answer.
    pub fn takes_ns(&self) -> u64 {
        self.answered_ns - self.begun_ns
    }
}

pub struct ModelStore {
    geometry: Geometry,
    service_ns: u64,
    objects: Mutex<Objects>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None: every request takes no time, and is not noted.
    link: Option<Link>,
    authenticated: bool,
    idle_connections: u64,
    under_way: u64,
    most_under_way: u64,
    /// Requests that have begun.
    begun: u64,
    requests: Vec<Request>,
}

impl ModelStore {
    pub fn new(cell: &Cell) -> Arc<ModelStore> {
        let geometry = Geometry { chunk: cell.chunk, block: cell.block, progress_timer: false };
        let (objects, state) = (Mutex::default(), Mutex::default());
        Arc::new(ModelStore { geometry, service_ns: cell.service_us * 1000, objects, state })
    }

    /// From now on requests cross a link, and are noted.
    pub fn go_behind(&self, link: Link) {
        *self.state() = State { link: Some(link), ..State::default() };
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    pub fn most_under_way(&self) -> u64 {
        self.state().most_under_way
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }

    pub(crate) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().expect("no panic while the lock is held")
    }

    /// Sends a request that carries `up` bytes and whose answer carries `down`.
    async fn ask(&self, verb: Verb, name: &str, up: u64, down: u64) {
        let Some(link) = self.state().link.clone() else { return };
        if !std::mem::replace(&mut self.state().authenticated, true) {
            self.exchange(&link, Verb::Auth, "", 0, 0).await;
        }
        self.exchange(&link, verb, name, up, down).await;
    }

    async fn exchange(&self, link: &Link, verb: Verb, name: &str, up: u64, down: u64) {
        let begun_ns = link.now_ns();
        let (opens, turn) = {
            let mut state = self.state();
            state.begun += 1;
            state.under_way += 1;
            state.most_under_way = state.most_under_way.max(state.under_way);
            let opens = state.idle_connections == 0;
            state.idle_connections -= u64::from(!opens);
            (opens, state.begun)
        };
        let mut ready_ns = begun_ns;
        if opens {
            let there_ns = link.carry(Direction::Up, 0, ready_ns, turn).await;
            ready_ns = link.carry(Direction::Down, 0, there_ns, turn).await;
        }
        let received_ns = link.carry(Direction::Up, up, ready_ns, turn).await;
        let answered_ns = link.carry(Direction::Down, down, received_ns + self.service_ns, turn).await;
        let arrived_ns = if verb == Verb::Get { answered_ns } else { received_ns };
        let name = name.rsplit_once("backup_").map_or(name, |(_, end)| end).to_owned();
        let mut state = self.state();
        state.under_way -= 1;
        state.idle_connections += 1;
        state.requests.push(Request { verb, name, bytes: up + down, begun_ns, arrived_ns, answered_ns });
    }
}

#[async_trait]
impl ChunkStore for ModelStore {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn host_bound(&self) -> bool {
        false
    }

    fn check_options(&self) -> Result<()> {
        Ok(())
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        Ok(())
    }

    fn container_for(&self, _backup: &Backup) -> Result<String> {
        Ok("volumebackups".to_owned())
    }

    fn object_prefix(&self, backup: &Backup, _now: Timestamp) -> String {
        format!("volume_{}_backup_{}", backup.volume_id, backup.id)
    }

    async fn put_container(&self, _: &RequestContext, _: &str) -> Result<()> {
        self.ask(Verb::Head, "", 0, 0).await;
        Ok(())
    }

    async fn list(&self, _: &RequestContext, _: &str, prefix: &str) -> Result<Vec<String>> {
        self.ask(Verb::List, "", 0, 0).await;
        Ok(self.objects().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn put(&self, _: &RequestContext, _: &str, name: &str, body: Bytes, _: [u8; 16]) -> Result<()> {
        self.ask(Verb::Put, name, body.len() as u64, 0).await;
        self.objects().insert(name.to_owned(), body);
        Ok(())
    }

    async fn get(&self, _: &RequestContext, _: &str, name: &str) -> Result<Bytes> {
        let found = self.objects().get(name).cloned();
        let body = found.ok_or_else(|| Error::new(Kind::NotFound, format!("object {name}")))?;
        self.ask(Verb::Get, name, 0, body.len() as u64).await;
        Ok(body)
    }

    async fn delete(&self, _: &RequestContext, _: &str, name: &str) -> Result<()> {
        self.ask(Verb::Delete, name, 0, 0).await;
        self.objects().remove(name);
        Ok(())
    }
}
