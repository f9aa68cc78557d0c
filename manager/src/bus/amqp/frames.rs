//! AMQP frames over the environment's streams.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame, parse_frame};
use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::ShortString;
use clinker_env::BoxStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::{Error, Kind, Result};

/// The largest frame we take, and propose.
pub(super) const FRAME_MAX: u32 = 131_072;
/// Bytes around a frame's payload.
const AROUND: usize = 8;

pub(super) struct FrameReader {
    stream: ReadHalf<BoxStream>,
    buffer: Vec<u8>,
}

impl FrameReader {
    pub fn new(stream: ReadHalf<BoxStream>) -> FrameReader {
        FrameReader { stream, buffer: Vec::new() }
    }

    /// The next frame. Giving it up half-way loses nothing.
    pub async fn next(&mut self) -> Result<AMQPFrame> {
        loop {
            match parse_frame(self.buffer.as_slice()) {
                Ok((rest, frame)) => {
                    let read = self.buffer.len() - rest.len();
                    self.buffer.drain(..read);
                    return Ok(frame);
                }
                Err(error) if error.is_incomplete() && self.buffer.len() < FRAME_MAX as usize + AROUND => {}
                Err(_) => return Err(Error::transient(Kind::Internal, "broker sent what is no AMQP frame")),
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(Error::transient(Kind::Unreachable, "broker closed the connection")),
                Ok(_) => {}
                Err(error) => return Err(broken(error)),
            }
        }
    }
}

/// Sends frames in one write.
pub(super) async fn write(stream: &mut WriteHalf<BoxStream>, frames: &[AMQPFrame]) -> Result<()> {
    let mut bytes = Vec::new();
    for frame in frames {
        let (written, _) = gen_frame(frame)(Vec::new().into())
            .map_err(|error| Error::new(Kind::Internal, "a frame that cannot be written").with_source(error))?
            .into_inner();
        bytes.extend(written);
    }
    stream.write_all(&bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

/// A method with content, as frames no longer than `frame_max`.
pub(super) fn content(
    channel: u16,
    method: AMQPClass,
    properties: AMQPProperties,
    body: &[u8],
    frame_max: u32,
) -> Vec<AMQPFrame> {
    let class_id = method.get_amqp_class_id();
    let header = AMQPContentHeader { class_id, body_size: body.len() as u64, properties };
    let mut frames = vec![AMQPFrame::Method(channel, method), AMQPFrame::Header(channel, header)];
    let pieces = body.chunks(frame_max as usize - AROUND);
    frames.extend(pieces.map(|piece| AMQPFrame::Body(channel, piece.to_vec())));
    frames
}

/// A name as the protocol carries it.
pub(super) fn short(what: &str, name: impl Into<String>) -> Result<ShortString> {
    ShortString::try_new(name.into())
        .map_err(|_| Error::new(Kind::InvalidConfig, format!("{what} is longer than AMQP's 255 bytes")))
}

pub(super) fn broken(error: std::io::Error) -> Error {
    let what = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "broker refused the connection",
        _ => "the connection to broker broke",
    };
    Error::transient(Kind::Unreachable, what).with_source(error)
}
