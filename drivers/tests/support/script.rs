//! A server that follows a script, on a network of in-memory streams; answers and recorded exchanges for it.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use clinker_env::{BoxStream, Cpu, Env, Listener, Net, Tasks, Work};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

/// What the server does with the next connection or request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Refuses a connection.
    Refuse,
    /// Lets a connect wait for ever.
    HangConnect,
    /// Accepts a connection and reads nothing.
    Deaf,
    /// Reads a request, answers these bytes, keeps the connection.
    Reply(Vec<u8>),
    /// As `Reply`, then closes.
    Last(Vec<u8>),
    /// As `Reply`, in pieces of so many bytes with so many seconds before each.
    Drip(Vec<u8>, usize, u64),
    /// Reads a request, answers these bytes, and says nothing more.
    Mute(Vec<u8>),
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Virtual seconds since the script began.
    pub at: u64,
    pub connection: usize,
    /// `host:port METHOD path`.
    pub line: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

pub struct Script {
    steps: Mutex<VecDeque<Step>>,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<usize>,
    start: Instant,
}

impl Script {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Arc<Script> {
        Arc::new(Script {
            steps: Mutex::new(steps.into_iter().collect()),
            seen: Mutex::default(),
            connections: Mutex::default(),
            start: Instant::now(),
        })
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD path` of every request.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    /// When each request came in.
    pub fn times(&self) -> Vec<u64> {
        self.seen().iter().map(|seen| seen.at).collect()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    pub fn steps_left(&self) -> usize {
        self.steps().len()
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<Step>> {
        self.steps.lock().unwrap()
    }

    fn opened(&self) -> usize {
        let mut connections = self.connections.lock().unwrap();
        *connections += 1;
        *connections
    }

    async fn serve(self: Arc<Script>, server: String, connection: usize, mut stream: DuplexStream) {
        while let Some(mut seen) = read_request(&mut stream).await {
            seen.connection = connection;
            seen.at = self.start.elapsed().as_secs();
            seen.line = format!("{server} {}", seen.line);
            self.seen.lock().unwrap().push(seen);
            let step = self.steps().pop_front();
            match step.unwrap_or_else(|| Step::Last(status(418))) {
                Step::Reply(bytes) => stream.write_all(&bytes).await.unwrap(),
                Step::Last(bytes) => return stream.write_all(&bytes).await.unwrap(),
                Step::Drip(bytes, size, seconds) => {
                    for piece in bytes.chunks(size) {
                        sleep(Duration::from_secs(seconds)).await;
                        stream.write_all(piece).await.unwrap();
                    }
                }
                Step::Mute(bytes) => {
                    stream.write_all(&bytes).await.unwrap();
                    pending::<()>().await;
                }
                step => panic!("{step:?} is for a connection, not for a request"),
            }
        }
    }
}

async fn read_request(stream: &mut DuplexStream) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { at: 0, connection: 0, line, headers, body })
}

struct ScriptNet(Arc<Script>);

#[async_trait]
impl Net for ScriptNet {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        let next = self.0.steps().front().cloned();
        if matches!(next, Some(Step::Refuse | Step::HangConnect | Step::Deaf)) {
            self.0.steps().pop_front();
        }
        match next {
            Some(Step::Refuse) => return Err(io::ErrorKind::ConnectionRefused.into()),
            Some(Step::HangConnect) => return pending().await,
            _ => {}
        }
        let (near, far) = duplex(4096);
        let (script, connection) = (self.0.clone(), self.0.opened());
        let server = format!("{host}:{port}");
        Tasks::Runtime.spawn(async move {
            if matches!(next, Some(Step::Deaf)) {
                let _open = far;
                return pending().await;
            }
            script.serve(server, connection, far).await;
        });
        Ok(Box::new(near))
    }

    async fn listen(&self, _: u16) -> io::Result<Box<dyn Listener>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

struct Inline;

#[async_trait]
impl Cpu for Inline {
    async fn run(&self, _: Work, _: u64, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

pub fn env(script: &Arc<Script>) -> Env {
    Env { net: Arc::new(ScriptNet(script.clone())), cpu: Arc::new(Inline), ..clinker_env::real::env() }
}

pub fn md5(body: &[u8]) -> [u8; 16] {
    use md5::{Digest, Md5};
    Md5::digest(body).into()
}

/// An answer without a body.
pub fn status(status: u16) -> Vec<u8> {
    answer(status, &[], b"")
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    [out.as_bytes(), body].concat()
}

pub fn reply(code: u16) -> Step {
    Step::Reply(status(code))
}

/// A recorded exchange: the request's line, headers and body, and the answer's bytes.
pub struct Capture {
    pub request_line: String,
    pub request_headers: Vec<String>,
    pub request_body: String,
    pub answer: Vec<u8>,
}

pub fn capture(text: &str) -> Capture {
    let (request, answer) = text.split_once("--- response\n").unwrap();
    let (_, request) = request.split_once("--- request\n").unwrap();
    let (head, body) = answer.split_once("\n\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    let is_head = request.starts_with("HEAD ");
    let body = if is_head { b"" } else { &body.as_bytes()[..length] };
    let (request_head, request_body) = request.split_once("\n\n").unwrap_or((request.trim_end(), ""));
    let mut lines = request_head.lines();
    Capture {
        request_line: lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned(),
        request_headers: lines.map(str::to_owned).collect(),
        request_body: request_body.trim_end().to_owned(),
        answer: [head.replace('\n', "\r\n").as_bytes(), b"\r\n\r\n", body].concat(),
    }
}
