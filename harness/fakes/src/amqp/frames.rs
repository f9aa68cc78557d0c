//! AMQP frames on a byte stream: read one by one, written whole.

use std::io;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame, parse_frame};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, basic};
use clinker_env::BoxStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

/// The largest frame either side may send, as RabbitMQ proposes it.
pub(crate) const FRAME_MAX: u32 = 131_072;
/// Bytes around a frame's payload.
const AROUND: usize = 8;
/// Class of everything that has content.
const BASIC: u16 = 60;

/// What is wrong with what came.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection ended or failed.
    Stream,
    /// Bytes that are no frame.
    Syntax,
}

pub(crate) struct FrameReader {
    stream: ReadHalf<BoxStream>,
    buffer: Vec<u8>,
}

impl FrameReader {
    pub fn new(stream: ReadHalf<BoxStream>) -> FrameReader {
        FrameReader { stream, buffer: Vec::new() }
    }

    /// The next frame. Giving it up half-way loses nothing.
    pub async fn next(&mut self) -> Result<AMQPFrame, Broken> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(frame);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(Broken::Stream),
                Ok(_) => {}
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<AMQPFrame>, Broken> {
        let (rest, frame) = match parse_frame(self.buffer.as_slice()) {
            Ok((rest, frame)) => (rest.len(), frame),
            Err(error) if error.is_incomplete() && self.buffer.len() < FRAME_MAX as usize + AROUND => return Ok(None),
            Err(_) => return Err(Broken::Syntax),
        };
        self.buffer.drain(..self.buffer.len() - rest);
        Ok(Some(frame))
    }

    /// Reads on without looking, until the other side closes.
    pub async fn drain(&mut self) {
        while matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
            self.buffer.clear();
        }
    }
}

/// Sends frames, all in one write.
pub(crate) async fn write(stream: &mut WriteHalf<BoxStream>, frames: &[AMQPFrame]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for frame in frames {
        let (written, _) = gen_frame(frame)(Vec::new().into())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?
            .into_inner();
        bytes.extend(written);
    }
    stream.write_all(&bytes).await?;
    stream.flush().await
}

pub(crate) fn method(channel: u16, class: impl Into<AMQPClass>) -> AMQPFrame {
    AMQPFrame::Method(channel, class.into())
}

/// A method that carries content, with that content.
pub(crate) fn content(
    channel: u16,
    carrier: basic::AMQPMethod,
    properties: &AMQPProperties,
    body: &[u8],
) -> Vec<AMQPFrame> {
    let header = AMQPContentHeader { class_id: BASIC, body_size: body.len() as u64, properties: properties.clone() };
    let mut frames = vec![AMQPFrame::Method(channel, AMQPClass::Basic(carrier)), AMQPFrame::Header(channel, header)];
    let pieces = body.chunks(FRAME_MAX as usize - AROUND);
    frames.extend(pieces.map(|piece| AMQPFrame::Body(channel, piece.to_vec())));
    frames
}
