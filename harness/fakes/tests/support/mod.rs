//! What the tests of the fakes share: an environment in memory, a journal that remembers, a client that speaks bytes.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clinker_env::{BoxStream, Clock, Env, Listener, Net, Rng};
use clinker_model::{Entry, FaultId, Journal};
use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// A network of one host, in memory.
#[derive(Default)]
struct MemoryNet {
    ports: Mutex<BTreeMap<u16, mpsc::UnboundedSender<BoxStream>>>,
}

struct MemoryListener(u16, mpsc::UnboundedReceiver<BoxStream>);

#[async_trait]
impl Net for MemoryNet {
    async fn connect(&self, _host: &str, port: u16) -> io::Result<BoxStream> {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let ports = self.ports.lock().unwrap();
        ports.get(&port).ok_or_else(refused)?.send(Box::new(theirs)).map_err(|_| refused())?;
        Ok(Box::new(ours))
    }

    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        let (send, receive) = mpsc::unbounded_channel();
        self.ports.lock().unwrap().insert(port, send);
        Ok(Box::new(MemoryListener(port, receive)))
    }
}

#[async_trait]
impl Listener for MemoryListener {
    async fn accept(&mut self) -> io::Result<BoxStream> {
        self.1.recv().await.ok_or_else(|| io::Error::other("the network is gone"))
    }

    fn port(&self) -> u16 {
        self.0
    }
}

/// A clock that stands still until it is set.
pub struct SetClock(Mutex<Timestamp>);

impl SetClock {
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap() = now;
    }

    /// Seconds since 1970, with decimals.
    pub fn set_text(&self, seconds: &str) {
        let (whole, part) = seconds.split_once('.').unwrap_or((seconds, "0"));
        let micros: i64 = format!("{part:0<6}").parse().unwrap();
        self.set(Timestamp::from_microsecond(whole.parse::<i64>().unwrap() * 1_000_000 + micros).unwrap());
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct SeededRng(Mutex<ChaCha8Rng>);

impl Rng for SeededRng {
    fn fill(&self, _name: &str, dest: &mut [u8]) {
        self.0.lock().unwrap().fill_bytes(dest);
    }
}

/// An environment in memory. (No fake asks for files or computing time; those are the real ones.)
pub fn env() -> (Env, Arc<SetClock>) {
    let clock = Arc::new(SetClock(Mutex::new("2026-11-21T19:31:20Z".parse().unwrap())));
    let env = Env {
        net: Arc::new(MemoryNet::default()),
        clock: clock.clone(),
        rng: Arc::new(SeededRng(Mutex::new(ChaCha8Rng::seed_from_u64(7)))),
        ..clinker_env::real::env()
    };
    (env, clock)
}

/// A journal that remembers.
#[derive(Default)]
pub struct Memory {
    pub entries: Mutex<Vec<Entry>>,
    pub bites: Mutex<BTreeMap<FaultId, Vec<String>>>,
}

impl Journal for Memory {
    fn record(&self, _host: &str, entry: Entry) {
        self.entries.lock().unwrap().push(entry);
    }

    fn bite(&self, fault: FaultId, _host: &str, what: &str) {
        self.bites.lock().unwrap().entry(fault).or_default().push(what.to_owned());
    }
}

impl Memory {
    pub fn bites_of(&self, fault: FaultId) -> usize {
        self.bites.lock().unwrap().get(&fault).map_or(0, Vec::len)
    }

    /// Method, path and status of each request.
    pub fn requests(&self) -> Vec<(String, String, u16)> {
        let entries = self.entries.lock().unwrap();
        let requests = entries.iter().filter_map(|entry| match entry {
            Entry::Request { method, path, status, .. } => Some((method.clone(), path.clone(), *status)),
            _ => None,
        });
        requests.collect()
    }

    pub fn secrets(&self) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let secrets = entries.iter().filter_map(|entry| match entry {
            Entry::Secret { value } => Some(value.clone()),
            _ => None,
        });
        secrets.collect()
    }
}

/// An answer as it came over the wire.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    /// All after the version.
    pub status_line: String,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Statuses of interim answers.
    pub interim: Vec<u16>,
    /// Whether all bytes came that `Content-Length` promised.
    pub whole: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// Reads the head of an answer; none if the connection ends before.
pub async fn read_head(stream: &mut BoxStream) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status_line = lines.next()?.split_once(' ')?.1.to_owned();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_lowercase(), value.trim().to_owned())
    });
    let status = status_line.get(..3)?.parse().ok()?;
    Some(Reply { status, headers: headers.collect(), status_line, ..Reply::default() })
}

/// Reads an answer to a request with `method`; none if the connection ends before its head is complete.
pub async fn read_reply(stream: &mut BoxStream, method: &str) -> Option<Reply> {
    let mut reply = read_head(stream).await?;
    while reply.status < 200 {
        let interim = reply.status;
        reply = read_head(stream).await?;
        reply.interim.push(interim);
    }
    let bodiless = method == "HEAD" || matches!(reply.status, 204 | 304);
    let len: usize = if bodiless { 0 } else { reply.header("content-length")?.parse().unwrap() };
    while reply.body.len() < len {
        let mut piece = vec![0; len - reply.body.len()];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(n) => reply.body.extend_from_slice(&piece[..n]),
        }
    }
    reply.whole = reply.body.len() == len;
    Some(reply)
}

/// One request on a connection of its own; none if no answer comes back before the connection ends.
pub async fn send(
    env: &Env,
    port: u16,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Reply> {
    let mut stream = env.net.connect("127.0.0.1", port).await.unwrap();
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: here\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if method == "PUT" || method == "POST" {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    // The server may go away while the request is on its way: that shows in the answer.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    read_reply(&mut stream, method).await
}
