//! One connection: handshake, heartbeats, the way to its channels, and its end.

use std::sync::Arc;
use std::time::Duration;

use amq_protocol::frame::{AMQPFrame, ProtocolVersion};
use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use clinker_env::BoxStream;
use connection::AMQPMethod as M;
use tokio::io::WriteHalf;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};

use super::BrokerFake;
use super::channel::Channels;
use super::frames::{Broken, FRAME_MAX, FrameReader, method, write};
use super::refusal::Refusal;

/// RabbitMQ's `handshake_timeout`.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take to say that it knows of the end.
const CLOSING: Duration = Duration::from_secs(10);
const CHANNEL_MAX: u16 = 2047;
/// Seconds; what the server proposes, the client decides.
const HEARTBEAT: u16 = 60;
const FRAME_MIN: u32 = 8192;

struct Link {
    fake: Arc<BrokerFake>,
    reader: FrameReader,
    writer: WriteHalf<BoxStream>,
}

/// Why a conversation ends: nothing more to say, or a refusal of the method with these ids.
enum End {
    Gone,
    Refused(Refusal, u16, u16),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> End {
        match broken {
            Broken::Stream => End::Gone,
            Broken::Syntax => End::Refused(Refusal::frame(), 0, 0),
        }
    }
}

/// Serves a client until one of the two ends it.
pub(crate) async fn converse(fake: Arc<BrokerFake>, stream: BoxStream) {
    let (reader, writer) = tokio::io::split(stream);
    let mut link = Link { fake, reader: FrameReader::new(reader), writer };
    let end = match timeout(HANDSHAKE, link.handshake()).await {
        Ok(Ok(heartbeat)) => link.serve(heartbeat).await,
        Ok(Err(end)) => end,
        Err(_) => return,
    };
    if let End::Refused(refusal, class, method_id) = end {
        let close = method(0, refusal.close(class, method_id));
        // The client says that it knows, or does not.
        let _ = timeout(CLOSING, async {
            link.send(&[close]).await?;
            while !matches!(link.reader.next().await?, AMQPFrame::Method(0, AMQPClass::Connection(M::CloseOk(_)))) {}
            Ok::<_, End>(())
        })
        .await;
    }
}

impl Link {
    async fn send(&mut self, frames: &[AMQPFrame]) -> Result<(), End> {
        write(&mut self.writer, frames).await.map_err(|_| End::Gone)
    }

    async fn say(&mut self, said: M) -> Result<(), End> {
        self.send(&[method(0, AMQPClass::Connection(said))]).await
    }

    /// The next frame, late or never answered as faults say.
    async fn hear(&mut self) -> Result<AMQPFrame, End> {
        let frame = self.reader.next().await?;
        if !self.fake.meets_fault(&frame).await {
            // A server that hangs answers nothing on this connection any more, whatever else heals.
            self.reader.drain().await;
            return Err(End::Gone);
        }
        Ok(frame)
    }

    async fn handshake(&mut self) -> Result<Duration, End> {
        match self.hear().await? {
            AMQPFrame::ProtocolHeader(version) if version == ProtocolVersion::amqp_0_9_1() => {}
            _ => {
                self.send(&[AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1())]).await?;
                return Err(End::Gone);
            }
        }
        self.say(M::Start(start())).await?;
        let AMQPFrame::Method(0, AMQPClass::Connection(M::StartOk(start_ok))) = self.hear().await? else {
            return Err(unexpected());
        };
        self.login(&start_ok)?;
        let tune = connection::Tune { channel_max: CHANNEL_MAX, frame_max: FRAME_MAX, heartbeat: HEARTBEAT };
        self.say(M::Tune(tune)).await?;
        let AMQPFrame::Method(0, AMQPClass::Connection(M::TuneOk(tuned))) = self.hear().await? else {
            return Err(unexpected());
        };
        for (what, value, least, most) in [
            ("frame_max", tuned.frame_max, FRAME_MIN, FRAME_MAX),
            ("channel_max", tuned.channel_max.into(), 1, CHANNEL_MAX.into()),
        ] {
            if !(least..=most).contains(&value) {
                let text = format!("negotiated {what} = {value} is not from {least} to {most}");
                return Err(End::Refused(Refusal::not_allowed(text), 10, 31));
            }
        }
        let AMQPFrame::Method(0, AMQPClass::Connection(M::Open(open))) = self.hear().await? else {
            return Err(unexpected());
        };
        if open.virtual_host.as_str() != self.fake.vhost() {
            let text = format!("vhost {} not found", open.virtual_host);
            return Err(End::Refused(Refusal::not_allowed(text), 10, 40));
        }
        self.say(M::OpenOk(connection::OpenOk {})).await?;
        Ok(Duration::from_secs(tuned.heartbeat.into()))
    }

    fn login(&self, start_ok: &connection::StartOk) -> Result<(), End> {
        let mut words = start_ok.response.as_bytes().split(|byte| *byte == 0);
        let credentials = (words.next(), words.next(), words.next(), words.next());
        let right = match credentials {
            (Some(b""), Some(user), Some(password), None) => self.fake.accepts(user, password),
            _ => false,
        };
        match start_ok.mechanism.as_str() {
            "PLAIN" if right => Ok(()),
            "PLAIN" if understands_refusal(&start_ok.client_properties) => Err(End::Refused(Refusal::login(), 10, 11)),
            "PLAIN" => Err(End::Gone),
            other => Err(End::Refused(Refusal::command(format!("unknown authentication mechanism '{other}'")), 10, 11)),
        }
    }

    async fn serve(&mut self, heartbeat: Duration) -> End {
        let conn = self.fake.next_connection();
        let (out, mut outgoing) = unbounded_channel();
        let mut channels = Channels::new(Arc::clone(&self.fake), conn, out);
        let end = self.turns(heartbeat, &mut channels, &mut outgoing).await;
        self.fake.state().close_connection(conn);
        end
    }

    async fn turns(
        &mut self,
        heartbeat: Duration,
        channels: &mut Channels,
        outgoing: &mut UnboundedReceiver<Vec<AMQPFrame>>,
    ) -> End {
        let beats = !heartbeat.is_zero();
        // A beat is due after half the time; who is silent for twice the time is gone.
        let (mut beat, mut gone) = (Instant::now() + heartbeat / 2, Instant::now() + heartbeat * 2);
        loop {
            let turn = tokio::select! {
                biased;
                Some(frames) = outgoing.recv() => {
                    beat = Instant::now() + heartbeat / 2;
                    self.deliver(&frames).await
                }
                frame = self.reader.next() => {
                    gone = Instant::now() + heartbeat * 2;
                    match frame {
                        Ok(frame) => self.take(frame, channels).await,
                        Err(broken) => Err(broken.into()),
                    }
                }
                () = sleep_until(beat), if beats => {
                    beat = Instant::now() + heartbeat / 2;
                    if self.fake.is_silent() { Ok(()) } else { self.send(&[AMQPFrame::Heartbeat]).await }
                }
                () = sleep_until(gone), if beats => Err(End::Gone),
            };
            if let Err(end) = turn {
                return end;
            }
        }
    }

    async fn deliver(&mut self, frames: &[AMQPFrame]) -> Result<(), End> {
        let Some(first) = frames.first() else { return Ok(()) };
        if self.fake.is_silent() && !self.fake.meets_fault(first).await {
            self.reader.drain().await;
            return Err(End::Gone);
        }
        self.send(frames).await
    }

    async fn take(&mut self, frame: AMQPFrame, channels: &mut Channels) -> Result<(), End> {
        if frame != AMQPFrame::Heartbeat && !self.fake.meets_fault(&frame).await {
            self.reader.drain().await;
            return Err(End::Gone);
        }
        match frame {
            AMQPFrame::Heartbeat => Ok(()),
            AMQPFrame::Method(0, AMQPClass::Connection(M::Close(_))) => {
                self.say(M::CloseOk(connection::CloseOk {})).await?;
                Err(End::Gone)
            }
            frame if frame.channel_id() == 0 => {
                Err(End::Refused(Refusal::command("not a method for an open connection"), 0, 0))
            }
            frame => channels.take(frame).map_err(|(refusal, class, method)| End::Refused(refusal, class, method)),
        }
    }
}

fn unexpected() -> End {
    End::Refused(Refusal::command("not the method that the handshake needs now"), 0, 0)
}

fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn start() -> connection::Start {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let able = ["authentication_failure_close", "basic.nack", "consumer_cancel_notify", "publisher_confirms"];
    let able = able.map(|name| (name, AMQPValue::Boolean(true)));
    let server_properties = table(&[
        ("capabilities", AMQPValue::FieldTable(table(&able))),
        ("product", text("RabbitMQ")),
        ("version", text("3.10.8")),
        ("platform", text("clinker fake")),
    ]);
    connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties,
        mechanisms: "PLAIN".into(),
        locales: "en_US".into(),
    }
}

/// Whether the client wants to be told that its login failed; others only lose the connection.
fn understands_refusal(properties: &FieldTable) -> bool {
    let capabilities = properties.inner().get("capabilities");
    let Some(AMQPValue::FieldTable(capabilities)) = capabilities else { return false };
    capabilities.inner().get("authentication_failure_close") == Some(&AMQPValue::Boolean(true))
}
