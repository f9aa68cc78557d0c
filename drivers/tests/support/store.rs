//! A store in memory whose requests can be made to fail or to take time, and whose objects can be damaged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::{Backup, Error, Kind, RequestContext, Result};
use jiff::Timestamp;
use md5::{Digest, Md5};
use tokio::time::Duration;

pub const CONTAINER: &str = "backups";

/// Which requests of one verb fail, and how.
#[derive(Clone, Copy)]
pub struct Failing {
    pub verb: &'static str,
    /// Counted from 0 within the verb.
    pub from: usize,
    /// How many in a row.
    pub count: usize,
    pub kind: Kind,
    /// Whether the request takes effect although it fails.
    pub takes_effect: bool,
}

impl Failing {
    pub fn nth(verb: &'static str, from: usize, kind: Kind) -> Failing {
        Failing { verb, from, count: 1, kind, takes_effect: false }
    }
}

pub struct MemoryStore {
    pub geometry: Geometry,
    pub put_takes: Duration,
    /// Puts and gets take up to 50 ms more, by this seed and the object's name: answers come out of order.
    pub scatter: Option<u64>,
    /// An object whose put takes 10 s.
    pub slow: Option<&'static str>,
    /// Puts and gets under way, and the most there were.
    pub under_way: Mutex<(usize, usize)>,
    pub failing: Vec<Failing>,
    /// Objects whose removal is confirmed but does not happen.
    pub keep_deleted: Mutex<Vec<String>>,
    /// Objects that no listing shows.
    pub unlisted: Mutex<Vec<String>>,
    pub objects: Mutex<BTreeMap<String, Bytes>>,
    pub log: Mutex<Vec<(&'static str, String)>>,
    /// Requests so far by verb.
    pub counts: Mutex<BTreeMap<&'static str, usize>>,
}

impl MemoryStore {
    pub fn new(chunk: u64, block: u64) -> MemoryStore {
        MemoryStore {
            geometry: Geometry { chunk, block, progress_timer: false },
            put_takes: Duration::ZERO,
            scatter: None,
            slow: None,
            under_way: Mutex::default(),
            failing: Vec::new(),
            keep_deleted: Mutex::default(),
            unlisted: Mutex::default(),
            objects: Mutex::default(),
            log: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    pub fn shared(chunk: u64, block: u64) -> Arc<MemoryStore> {
        Arc::new(MemoryStore::new(chunk, block))
    }

    pub fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    pub fn object(&self, name: &str) -> Bytes {
        self.objects.lock().unwrap()[name].clone()
    }

    pub fn set(&self, name: &str, body: impl Into<Bytes>) {
        self.objects.lock().unwrap().insert(name.to_owned(), body.into());
    }

    pub fn remove(&self, name: &str) {
        self.objects.lock().unwrap().remove(name).expect("the object is there");
    }

    /// Every request so far: verb and object.
    pub fn log(&self) -> Vec<(&'static str, String)> {
        self.log.lock().unwrap().clone()
    }

    /// Names of the objects of one verb's requests, in order.
    pub fn asked(&self, verb: &str) -> Vec<String> {
        self.log().into_iter().filter(|(asked, _)| *asked == verb).map(|(_, name)| name).collect()
    }

    /// Takes the time of a put or get.
    async fn take_time(&self, name: &str, takes: Duration) {
        let scattered = self.scatter.map_or(0, |seed| {
            let hash = Md5::digest(format!("{seed} {name}"));
            u64::from(hash[0]) * 50 / 256
        });
        let slow = if self.slow.is_some_and(|end| name.ends_with(end)) { 10 } else { 0 };
        let takes = takes + Duration::from_millis(scattered) + Duration::from_secs(slow);
        {
            let mut under_way = self.under_way.lock().unwrap();
            under_way.0 += 1;
            under_way.1 = under_way.1.max(under_way.0);
        }
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        self.under_way.lock().unwrap().0 -= 1;
    }

    /// Logs the request; whether it takes effect, and what it answers.
    fn request(&self, verb: &'static str, target: &str) -> (bool, Result<()>) {
        self.log.lock().unwrap().push((verb, target.to_owned()));
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(verb).or_default();
        let index = *count;
        *count += 1;
        let hit =
            |failing: &&Failing| failing.verb == verb && (failing.from..failing.from + failing.count).contains(&index);
        match self.failing.iter().find(hit) {
            None => (true, Ok(())),
            Some(failing) => {
                (failing.takes_effect, Err(Error::new(failing.kind, format!("store failed {verb} {target}"))))
            }
        }
    }
}

#[async_trait]
impl ChunkStore for MemoryStore {
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

    fn container_for(&self, backup: &Backup) -> Result<String> {
        Ok(backup.container.clone().unwrap_or_else(|| CONTAINER.to_owned()))
    }

    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        format!("volume_{}_{}_{}", backup.volume_id, now.strftime("%Y%m%d%H%M%S"), backup.id)
    }

    async fn put_container(&self, _: &RequestContext, container: &str) -> Result<()> {
        self.request("put_container", container).1
    }

    async fn list(&self, _: &RequestContext, _: &str, prefix: &str) -> Result<Vec<String>> {
        self.request("list", prefix).1?;
        let unlisted = self.unlisted.lock().unwrap();
        Ok(self.names().into_iter().filter(|name| name.starts_with(prefix) && !unlisted.contains(name)).collect())
    }

    async fn put(&self, _: &RequestContext, _: &str, name: &str, body: Bytes, md5: [u8; 16]) -> Result<()> {
        assert_eq!(md5, <[u8; 16]>::from(Md5::digest(&body)), "the md5 of {name} is that of the body");
        self.take_time(name, self.put_takes).await;
        let (takes_effect, answer) = self.request("put", name);
        if takes_effect {
            self.set(name, body);
        }
        answer
    }

    async fn get(&self, _: &RequestContext, _: &str, name: &str) -> Result<Bytes> {
        self.take_time(name, Duration::ZERO).await;
        self.request("get", name).1?;
        let found = self.objects.lock().unwrap().get(name).cloned();
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("object {name}")))
    }

    async fn delete(&self, _: &RequestContext, _: &str, name: &str) -> Result<()> {
        let (takes_effect, answer) = self.request("delete", name);
        if takes_effect && !self.keep_deleted.lock().unwrap().iter().any(|kept| kept == name) {
            self.objects.lock().unwrap().remove(name);
        }
        answer
    }
}
