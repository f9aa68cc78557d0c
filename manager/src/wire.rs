//! JSON lines over the seam's streams: one value per line, in both directions.

use clinker_env::{BoxStream, Env};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};

use crate::{Error, Kind, Result};

/// A line longer than this is refused: no message of ours comes near it.
const LINE_MAX: u64 = 16 << 20;

/// Both ends of a connection that carries lines. Errors name the peer.
pub struct Lines {
    peer: &'static str,
    reader: BufReader<ReadHalf<BoxStream>>,
    /// What has come of a line that is not complete yet: a receive that is given up loses nothing.
    partial: Vec<u8>,
    writer: WriteHalf<BoxStream>,
}

impl Lines {
    pub async fn connect(env: &Env, host: &str, port: u16, peer: &'static str) -> Result<Lines> {
        let stream = env.net.connect(host, port).await.map_err(|error| broken(peer, error))?;
        Ok(Lines::over(stream, peer))
    }

    pub fn over(stream: BoxStream, peer: &'static str) -> Lines {
        let (reader, writer) = tokio::io::split(stream);
        Lines { peer, reader: BufReader::new(reader), partial: Vec::new(), writer }
    }

    pub async fn send(&mut self, message: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(message)
            .map_err(|error| Error::new(Kind::Internal, "a message that is not JSON").with_source(error))?;
        line.push(b'\n');
        self.writer.write_all(&line).await.map_err(|error| broken(self.peer, error))?;
        self.writer.flush().await.map_err(|error| broken(self.peer, error))
    }

    /// The next line; `None` when the peer has closed between two lines.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let room = LINE_MAX.saturating_sub(self.partial.len() as u64);
        let mut limited = tokio::io::AsyncReadExt::take(&mut self.reader, room);
        limited.read_until(b'\n', &mut self.partial).await.map_err(|error| broken(self.peer, error))?;
        let line = std::mem::take(&mut self.partial);
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            return Err(Error::transient(Kind::Unreachable, format!("{} closed the connection", self.peer)));
        }
        serde_json::from_slice(&line).map(Some).map_err(|error| {
            Error::new(Kind::Internal, format!("{} sent a line that is no message", self.peer)).with_source(error)
        })
    }

    /// Sends a request and takes its answer.
    pub async fn ask<T: DeserializeOwned>(&mut self, message: &impl Serialize) -> Result<T> {
        self.send(message).await?;
        self.receive()
            .await?
            .ok_or_else(|| Error::transient(Kind::Unreachable, format!("{} closed the connection", self.peer)))
    }
}

fn broken(peer: &str, error: std::io::Error) -> Error {
    let what = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("{peer} refused the connection"),
        _ => format!("the connection to {peer} broke"),
    };
    Error::transient(Kind::Unreachable, what).with_source(error)
}
