//! What a case may do to its peer and to the network between, whatever world it is played in; and the peer itself, which
//! does what the case tells it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clinker_env::{BoxStream, Listener, Net};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::formula::Kernel;

/// The peer listens here.
pub const PORT: u16 = 7;
/// Nobody listens here.
pub const CLOSED_PORT: u16 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Packets to the peer vanish.
    BlockTo,
    /// Packets from the peer vanish.
    BlockFrom,
    /// Both of them.
    Block,
    /// Nothing vanishes any more.
    Heal,
    /// The peer's process is killed; its kernel lives.
    Kill,
    /// The peer's machine is gone.
    CutPower,
    /// The machine is back and its process listens again, knowing of nothing.
    PowerOn,
    /// The peer's process stands still.
    Pause,
    Resume,
    /// The peer's end of the connection is aborted.
    Reset,
}

/// A world with two hosts, the client's and the peer's.
#[async_trait]
pub trait Lab: Send + Sync {
    fn net(&self) -> Arc<dyn Net>;
    /// The peer's name or address.
    fn peer(&self) -> &str;
    /// What times hang on here.
    fn kernel(&self) -> Kernel;
    /// How long to watch before one says that nothing happens.
    fn patience(&self) -> Duration;
    async fn perform(&self, deed: Deed);
    /// Gives the peer's process something to do after what it was given before; see [`Peer::obey`].
    async fn tell(&self, order: &str);
    /// The peer's next answer: one for each order, in their order.
    async fn hear(&self) -> String;
}

/// What the client saw, and how long after its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub what: String,
    pub after: Duration,
}

/// A case's view of its lab.
pub struct Site(pub Arc<dyn Lab>);

impl Site {
    pub async fn connect_to(&self, port: u16) -> io::Result<BoxStream> {
        self.0.net().connect(self.0.peer(), port).await
    }

    /// A connection that the peer has accepted.
    pub async fn connection(&self) -> BoxStream {
        let stream = self.connect_to(PORT).await.expect("nothing hinders it yet");
        assert_eq!(self.order("accept").await, "accepted");
        // The last acknowledgement of the handshake is on its way still.
        sleep(Duration::from_millis(50)).await;
        stream
    }

    pub async fn order(&self, order: &str) -> String {
        self.0.tell(order).await;
        self.0.hear().await
    }

    pub async fn perform(&self, deed: Deed) {
        self.0.perform(deed).await;
    }

    /// Long enough for packets to cross, and shorter than any retransmission.
    pub async fn settle(&self) {
        sleep(Duration::from_millis(100)).await;
    }

    /// Waits for `future` as long as the lab has patience.
    pub async fn watch<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.0.patience(), future).await.ok()
    }
}

pub fn seen(what: impl Into<String>, cause: Instant) -> Seen {
    Seen { what: what.into(), after: cause.elapsed() }
}

/// One read, in words.
pub async fn read(stream: &mut BoxStream) -> String {
    let mut buffer = vec![0; 64 << 10];
    match stream.read(&mut buffer).await {
        Ok(0) => "read: end".to_owned(),
        Ok(n) => format!("read: {n} bytes"),
        Err(error) => format!("read: {:?}", error.kind()),
    }
}

/// One write, in words.
pub async fn write(stream: &mut BoxStream, bytes: usize) -> String {
    match stream.write_all(&vec![7; bytes]).await {
        Ok(()) => "write: ok".to_owned(),
        Err(error) => format!("write: {:?}", error.kind()),
    }
}

/// Writes until nothing was taken for half a second; returns the number of bytes taken.
pub async fn fill(stream: &mut BoxStream) -> u64 {
    let piece = vec![7; 64 << 10];
    let mut taken = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_millis(500), stream.write(&piece)).await {
        taken += written.expect("a stalled connection has no error") as u64;
    }
    taken
}

/// The software on the peer's host.
pub struct Peer {
    net: Arc<dyn Net>,
    listener: Option<Box<dyn Listener>>,
    stream: Option<BoxStream>,
}

impl Peer {
    pub async fn start(net: Arc<dyn Net>) -> io::Result<Peer> {
        let listener = Some(net.listen(PORT).await?);
        Ok(Peer { net, listener, stream: None })
    }

    /// Does what it is told and returns the answer: `accept`, `unlisten`, `read N`, `drain` (read to the end), `write N`,
    /// `shutdown`, `close`.
    pub async fn obey(&mut self, order: &str) -> io::Result<String> {
        let (verb, count) = order.split_once(' ').unwrap_or((order, "0"));
        let count: u64 = count.parse().map_err(io::Error::other)?;
        let none = || io::Error::other(format!("`{order}` before `accept`"));
        match verb {
            "accept" => {
                let listener = self.listener.as_mut().ok_or_else(none)?;
                self.stream = Some(listener.accept().await?);
                return Ok("accepted".to_owned());
            }
            "listen" => self.listener = Some(self.net.listen(PORT).await?),
            "unlisten" => self.listener = None,
            "read" => return Ok(drain(self.stream.as_mut().ok_or_else(none)?, count).await),
            "drain" => return Ok(drain(self.stream.as_mut().ok_or_else(none)?, u64::MAX).await),
            "write" => {
                let bytes = usize::try_from(count).map_err(io::Error::other)?;
                return Ok(write(self.stream.as_mut().ok_or_else(none)?, bytes).await);
            }
            "shutdown" => self.stream.as_mut().ok_or_else(none)?.shutdown().await?,
            "close" => self.stream = None,
            _ => return Err(io::Error::other(format!("`{order}` is no order"))),
        }
        Ok("done".to_owned())
    }
}

/// Reads so many bytes, or less up to the end or an error.
pub async fn drain(stream: &mut BoxStream, count: u64) -> String {
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    while total < count {
        let room = buffer.len().min(usize::try_from(count - total).unwrap_or(usize::MAX));
        match stream.read(&mut buffer[..room]).await {
            Ok(0) => return format!("end after {total}"),
            Ok(n) => total += n as u64,
            Err(error) => return format!("{:?} after {total}", error.kind()),
        }
    }
    format!("read {total}")
}
