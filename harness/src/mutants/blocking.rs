//! The mutant that computes on the service's event loop: while a job runs, nothing of the process goes on.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use clinker_env::{BoxStream, Cpu, Env, Listener, Net, Work};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::run::{Parts, wrap_env};

/// Jobs run where the tasks do, one after the other; whatever else wants to go on waits for those before it.
pub(super) fn computing_on_the_loop(parts: &mut Parts) {
    parts.env = wrap_env(|env| {
        let busy = Arc::new(Busy::default());
        Env { net: Arc::new(BusyNet(Arc::clone(&env.net), Arc::clone(&busy))), cpu: Arc::new(BusyCpu(busy)), ..env }
    });
}

/// Until when the loop computes.
#[derive(Default)]
struct Busy(Mutex<Option<Instant>>);

impl Busy {
    fn until(&self) -> Instant {
        let now = Instant::now();
        self.0.lock().expect("no panic while the lock is held").map_or(now, |until| until.max(now))
    }

    /// Queues a job; returns when it has run.
    fn job(&self, takes: Duration) -> Instant {
        let mut busy = self.0.lock().expect("no panic while the lock is held");
        let now = Instant::now();
        let until = busy.map_or(now, |until| until.max(now)) + takes;
        *busy = Some(until);
        until
    }
}

struct BusyCpu(Arc<Busy>);

/// Bytes per second of one core, as the modelled cores have them.
fn rate(work: Work) -> u64 {
    match work {
        Work::Hash => 400 << 20,
        Work::Zlib => 40 << 20,
        Work::Other => 150 << 20,
    }
}

#[async_trait]
impl Cpu for BusyCpu {
    async fn run(&self, work: Work, bytes: u64, job: Box<dyn FnOnce() + Send>) {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate(work));
        let until = self.0.job(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        sleep_until(until).await;
        job();
    }
}

struct BusyNet(Arc<dyn Net>, Arc<Busy>);

impl BusyNet {
    fn stream(&self, inner: BoxStream) -> BoxStream {
        Box::new(BusyStream { inner, busy: Arc::clone(&self.1), reads: None, writes: None })
    }
}

#[async_trait]
impl Net for BusyNet {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        sleep_until(self.1.until()).await;
        let stream = self.0.connect(host, port).await?;
        sleep_until(self.1.until()).await;
        Ok(self.stream(stream))
    }

    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        self.0.listen(port).await
    }
}

/// A side's wait for what the loop computes before it.
type Turn = Option<Pin<Box<Sleep>>>;

struct BusyStream {
    inner: BoxStream,
    busy: Arc<Busy>,
    reads: Turn,
    writes: Turn,
}

/// Ready when the jobs have run that were queued when it was first asked.
fn turn(turn: &mut Turn, busy: &Busy, cx: &mut Context<'_>) -> Poll<()> {
    let waits = turn.get_or_insert_with(|| Box::pin(sleep_until(busy.until())));
    waits.as_mut().poll(cx)
}

impl AsyncRead for BusyStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &mut *self;
        if turn(&mut stream.reads, &stream.busy, cx).is_pending() {
            return Poll::Pending;
        }
        // What arrives later takes a turn of its own.
        stream.reads = None;
        Pin::new(&mut stream.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for BusyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let stream = &mut *self;
        if turn(&mut stream.writes, &stream.busy, cx).is_pending() {
            return Poll::Pending;
        }
        stream.writes = None;
        Pin::new(&mut stream.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
