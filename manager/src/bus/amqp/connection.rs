//! One connection with one channel: handshake, heartbeats both ways, questions with their answers.
//!
//! A task of its own reads, so that a broker that is silent or says goodbye is noticed while nobody asks for anything.

use std::sync::Arc;
use std::time::Duration;

use amq_protocol::frame::{AMQPFrame, ProtocolVersion};
use amq_protocol::protocol::{AMQPClass, channel, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use clinker_drivers::tls::Tls;
use clinker_env::{BoxStream, Env};
use tokio::io::WriteHalf;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::frames::{FRAME_MAX, FrameReader, broken, short, write};
use super::url::Transport;
use crate::{Error, Kind, Result};

/// The one channel of each connection.
pub(super) const CHANNEL: u16 = 1;
/// For a beat on its way out.
const WRITE: Duration = Duration::from_secs(10);
const FRAME_MIN: u32 = 8192;

/// An open connection. Dropping it closes the stream.
pub(super) struct Connection {
    writer: Arc<Mutex<Sender>>,
    incoming: mpsc::UnboundedReceiver<Result<AMQPFrame>>,
    task: AbortHandle,
    /// What the broker takes in one frame.
    pub frame_max: u32,
}

struct Sender {
    stream: WriteHalf<BoxStream>,
    last: Instant,
}

impl Sender {
    async fn send(&mut self, frames: &[AMQPFrame]) -> Result<()> {
        self.last = Instant::now();
        write(&mut self.stream, frames).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Connects, logs in and opens the channel. The caller has the time-out. `heartbeat` of zero switches beats off.
    pub async fn open(env: &Env, tls: &Tls, transport: &Transport, heartbeat: Duration) -> Result<Connection> {
        let Transport { host, port, .. } = transport;
        let mut stream = env.net.connect(host, *port).await.map_err(broken)?;
        if transport.tls {
            stream = tls.wrap(env, "broker", host, stream).await?;
        }
        let (reader, writer) = tokio::io::split(stream);
        let (mut reader, mut writer) = (FrameReader::new(reader), Sender { stream: writer, last: Instant::now() });
        let (frame_max, heartbeat) = handshake(&mut reader, &mut writer, transport, heartbeat).await?;
        let writer = Arc::new(Mutex::new(writer));
        let (sender, incoming) = mpsc::unbounded_channel();
        let task = env.tasks.spawn(attend(reader, Arc::clone(&writer), sender, heartbeat)).abort_handle();
        let mut connection = Connection { writer, incoming, task, frame_max };
        connection.ask(vec![AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))]).await?;
        Ok(connection)
    }

    pub async fn send(&self, frames: &[AMQPFrame]) -> Result<()> {
        self.writer.lock().await.send(frames).await
    }

    /// The next frame; an error when the broker has ended the channel or the connection.
    pub async fn next(&mut self) -> Result<AMQPFrame> {
        let gone = || Err(Error::transient(Kind::Unreachable, "broker closed the connection"));
        match self.incoming.recv().await.unwrap_or_else(gone)? {
            AMQPFrame::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(close))) => {
                Err(refused(close.reply_code, close.reply_text.as_str()))
            }
            frame => Ok(frame),
        }
    }

    /// Sends methods, all at once, and takes their answers.
    pub async fn ask(&mut self, methods: Vec<AMQPClass>) -> Result<()> {
        let frames: Vec<AMQPFrame> = methods.iter().map(|method| AMQPFrame::Method(CHANNEL, method.clone())).collect();
        self.send(&frames).await?;
        for asked in methods {
            let AMQPFrame::Method(CHANNEL, answer) = self.next().await? else { return Err(out_of_turn()) };
            let ids = |method: &AMQPClass| (method.get_amqp_class_id(), method.get_amqp_method_id());
            let (class, method) = ids(&asked);
            // The protocol numbers an answer after its question.
            if ids(&answer) != (class, method + 1) {
                return Err(out_of_turn());
            }
        }
        Ok(())
    }
}

/// Reads until the end; beats when nothing else was sent for half of the time, and gives a silent broker up.
async fn attend(
    mut reader: FrameReader,
    writer: Arc<Mutex<Sender>>,
    sender: mpsc::UnboundedSender<Result<AMQPFrame>>,
    heartbeat: Duration,
) {
    let (beats, mut beat, mut heard) = (!heartbeat.is_zero(), Instant::now() + heartbeat / 2, Instant::now());
    loop {
        let frame = tokio::select! {
            biased;
            frame = reader.next() => frame,
            () = sleep_until(heard + heartbeat * 2), if beats => {
                Err(Error::transient(Kind::Timeout, format!("broker said nothing for {:?}", heartbeat * 2)))
            }
            () = sleep_until(beat), if beats => {
                beat = beaten(&writer, heartbeat).await;
                continue;
            }
        };
        heard = Instant::now();
        let frame = match frame {
            Ok(AMQPFrame::Heartbeat) => continue,
            Ok(AMQPFrame::Method(0, AMQPClass::Connection(said))) => match goodbye(said, &writer).await {
                Some(error) => Err(error),
                None => continue,
            },
            frame => frame,
        };
        let ends = frame.is_err();
        // Nobody listens any more: the connection is being dropped.
        if sender.send(frame).is_err() || ends {
            return;
        }
    }
}

/// Sends a beat if nothing else was sent for long enough; returns when the next one is due.
async fn beaten(writer: &Mutex<Sender>, heartbeat: Duration) -> Instant {
    // Whoever is writing shows by it that we live.
    if let Ok(mut writer) = writer.try_lock()
        && writer.last + heartbeat / 2 <= Instant::now()
    {
        // A failure shows in the reading half.
        let _ = timeout_at(Instant::now() + WRITE, writer.send(&[AMQPFrame::Heartbeat])).await;
        return writer.last + heartbeat / 2;
    }
    Instant::now() + heartbeat / 4
}

/// What a method of the connection means to us: its end, or nothing.
async fn goodbye(said: connection::AMQPMethod, writer: &Mutex<Sender>) -> Option<Error> {
    match said {
        connection::AMQPMethod::Close(close) => {
            let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
            let ok = AMQPFrame::Method(0, AMQPClass::Connection(ok));
            // The broker closes whether it hears this or not.
            let _ = timeout(WRITE, async { writer.lock().await.send(&[ok]).await }).await;
            Some(refused(close.reply_code, close.reply_text.as_str()))
        }
        connection::AMQPMethod::Blocked(_) => {
            tracing::warn!("broker takes no messages: it is short of memory or disk");
            None
        }
        _ => None,
    }
}

/// What a reply code means. Another try may help with each of them: an operator mends brokers while services run.
fn refused(code: u16, text: &str) -> Error {
    let (kind, what) = match code {
        403 => (Kind::Auth, "broker refused the credentials"),
        404 => (Kind::NotFound, "broker has no such queue or exchange"),
        405 => (Kind::Conflict, "broker has the queue locked"),
        406 => (Kind::InvalidConfig, "broker has the queue or exchange with other properties (amqp_durable_queues?)"),
        530 => (Kind::InvalidConfig, "broker has no such virtual host"),
        320 => (Kind::Unreachable, "broker is shutting down"),
        _ => (Kind::Internal, "broker refused a method"),
    };
    Error::transient(kind, what).with_source(format!("{code} {text}"))
}

/// Until the connection is open. Returns the frame size and the beat agreed upon.
async fn handshake(
    reader: &mut FrameReader,
    writer: &mut Sender,
    transport: &Transport,
    heartbeat: Duration,
) -> Result<(u32, Duration)> {
    use connection::AMQPMethod as M;
    let frame = |method| [AMQPFrame::Method(0, AMQPClass::Connection(method))];
    writer.send(&[AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1())]).await?;
    let M::Start(start) = answer(reader).await? else { return Err(out_of_turn()) };
    if !start.mechanisms.to_string().split(' ').any(|mechanism| mechanism == "PLAIN") {
        return Err(Error::transient(Kind::Unsupported, "broker does not take PLAIN logins"));
    }
    let (user, password) = (&transport.user, transport.password.expose());
    let start_ok = connection::StartOk {
        client_properties: properties(),
        mechanism: "PLAIN".into(),
        response: format!("\0{user}\0{password}").into(),
        locale: "en_US".into(),
    };
    writer.send(&frame(M::StartOk(start_ok))).await?;
    let M::Tune(tune) = answer(reader).await? else { return Err(out_of_turn()) };
    let frame_max = match tune.frame_max {
        0 => FRAME_MAX,
        most => most.clamp(FRAME_MIN, FRAME_MAX),
    };
    let heartbeat = u16::try_from(heartbeat.as_secs()).unwrap_or(u16::MAX);
    let tune_ok = connection::TuneOk { channel_max: tune.channel_max, frame_max, heartbeat };
    let open = connection::Open { virtual_host: short("the virtual host", &transport.vhost)? };
    writer.send(&frame(M::TuneOk(tune_ok))).await?;
    writer.send(&frame(M::Open(open))).await?;
    let M::OpenOk(_) = answer(reader).await? else { return Err(out_of_turn()) };
    Ok((frame_max, Duration::from_secs(heartbeat.into())))
}

async fn answer(reader: &mut FrameReader) -> Result<connection::AMQPMethod> {
    loop {
        match reader.next().await? {
            AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::Close(close))) => {
                return Err(refused(close.reply_code, close.reply_text.as_str()));
            }
            AMQPFrame::Method(0, AMQPClass::Connection(answer)) => return Ok(answer),
            AMQPFrame::Heartbeat => {}
            _ => return Err(out_of_turn()),
        }
    }
}

fn out_of_turn() -> Error {
    Error::transient(Kind::Internal, "broker answered out of turn")
}

fn properties() -> FieldTable {
    let mut able = FieldTable::default();
    for name in ["authentication_failure_close", "basic.nack", "connection.blocked", "consumer_cancel_notify"] {
        able.insert(name.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(able));
    properties.insert("product".into(), AMQPValue::LongString("clinker".into()));
    properties
}
