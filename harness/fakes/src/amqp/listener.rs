//! A listener for notifications: a client that consumes `<topic>.info` and `<topic>.error` and acknowledges each message.
//!
//! It declares what oslo.messaging's listener declares, and is as strict as that one about what it takes.

use std::io;
use std::time::Duration;

use amq_protocol::frame::{AMQPFrame, ProtocolVersion};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, basic, channel, connection, exchange, queue};
use amq_protocol::types::FieldTable;
use clinker_env::{BoxStream, Env};
use serde_json::Value;
use tokio::io::WriteHalf;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::frames::{Broken, FrameReader, method, write};

/// Pause before another connection is tried.
const PAUSE: Duration = Duration::from_secs(1);
/// For the whole of a set-up.
const SET_UP: Duration = Duration::from_secs(10);

/// Where to listen.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    pub broker: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub vhost: String,
    pub exchange: String,
    pub topics: Vec<String>,
    pub durable: bool,
    pub heartbeat: Duration,
}

const PRIORITIES: [&str; 2] = ["info", "error"];

/// Listens for ever; `heard` gets each message, out of its envelope, in the order of delivery.
pub async fn listen(config: &ListenerConfig, env: &Env, heard: impl Fn(Value)) -> io::Result<()> {
    loop {
        if let Err(why) = session(config, env, &heard).await {
            tracing::debug!("notification listener: {why}");
        }
        sleep(PAUSE).await;
    }
}

struct Session {
    reader: FrameReader,
    writer: WriteHalf<BoxStream>,
    beat: Instant,
}

async fn session(config: &ListenerConfig, env: &Env, heard: &impl Fn(Value)) -> Result<(), &'static str> {
    let mut session = timeout(SET_UP, open(config, env)).await.map_err(|_| "the broker does not answer")??;
    let mut gone = Instant::now() + config.heartbeat * 2;
    let mut incoming: Option<(u64, Option<AMQPProperties>, u64, Vec<u8>)> = None;
    loop {
        let frame = tokio::select! {
            biased;
            frame = timeout_at(gone, session.reader.next()) => match frame {
                Ok(frame) => frame.map_err(|_| "the broker closed the connection")?,
                Err(_) => return Err("the broker is silent"),
            },
            () = sleep_until(session.beat) => {
                session.send(config, AMQPFrame::Heartbeat).await?;
                continue;
            }
        };
        gone = Instant::now() + config.heartbeat * 2;
        match frame {
            AMQPFrame::Heartbeat => {}
            AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver))) => {
                incoming = Some((deliver.delivery_tag, None, 0, Vec::new()));
            }
            AMQPFrame::Header(1, header) => {
                let Some(incoming) = &mut incoming else { return Err("a header without a message") };
                (incoming.1, incoming.2) = (Some(header.properties), header.body_size);
            }
            AMQPFrame::Body(1, piece) => {
                let Some(incoming) = &mut incoming else { return Err("a body without a message") };
                incoming.3.extend(piece);
            }
            _ => return Err("the broker ended the session"),
        }
        if let Some((tag, Some(properties), _, body)) =
            incoming.take_if(|(_, properties, len, body)| properties.is_some() && body.len() as u64 >= *len)
        {
            match understood(&properties, &body) {
                Some(message) => heard(message),
                None => tracing::error!("notification listener: a message that no listener takes"),
            }
            let ack = basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple: false });
            session.send(config, method(1, AMQPClass::Basic(ack))).await?;
        }
    }
}

/// The message out of its envelope, if it is one that oslo.messaging takes: JSON by its content type, with a priority that names a method of the endpoint.
fn understood(properties: &AMQPProperties, body: &[u8]) -> Option<Value> {
    if properties.content_type().as_ref()?.as_str() != "application/json" {
        return None;
    }
    let message: Value = serde_json::from_slice(body).ok()?;
    let inner: Value = match message.get("oslo.message") {
        Some(inner) if message["oslo.version"] == "2.0" => serde_json::from_str(inner.as_str()?).ok()?,
        Some(_) => return None,
        None => message.clone(),
    };
    let priority = inner["priority"].as_str()?.to_lowercase();
    PRIORITIES.contains(&priority.as_str()).then_some(inner)
}

async fn open(config: &ListenerConfig, env: &Env) -> Result<Session, &'static str> {
    let stream = env.net.connect(&config.broker, config.port).await.map_err(|_| "the broker cannot be reached")?;
    let (reader, writer) = tokio::io::split(stream);
    let mut session = Session { reader: FrameReader::new(reader), writer, beat: Instant::now() + config.heartbeat / 2 };
    session.send(config, AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1())).await?;
    session.answer().await?;
    let start_ok = connection::StartOk {
        client_properties: FieldTable::default(),
        mechanism: "PLAIN".into(),
        response: format!("\0{}\0{}", config.user, config.password).into(),
        locale: "en_US".into(),
    };
    let connection = |said| method(0, AMQPClass::Connection(said));
    session.send(config, connection(connection::AMQPMethod::StartOk(start_ok))).await?;
    let AMQPClass::Connection(connection::AMQPMethod::Tune(tune)) = session.answer().await? else {
        return Err("the broker does not let the listener in");
    };
    let tuned = connection::TuneOk {
        channel_max: tune.channel_max,
        frame_max: tune.frame_max,
        heartbeat: config.heartbeat.as_secs() as u16,
    };
    session.send(config, connection(connection::AMQPMethod::TuneOk(tuned))).await?;
    let open = connection::Open { virtual_host: config.vhost.as_str().into() };
    session.ask(config, connection(connection::AMQPMethod::Open(open))).await?;
    session.ask(config, method(1, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})))).await?;
    let queues = config.topics.iter().flat_map(|topic| PRIORITIES.map(|priority| format!("{topic}.{priority}")));
    let queues: Vec<String> = queues.collect();
    for name in &queues {
        session.declare(config, name).await?;
    }
    // Last, and unanswered: from the first of these on messages may come.
    for name in &queues {
        session.consume(config, name).await?;
    }
    Ok(session)
}

impl Session {
    async fn send(&mut self, config: &ListenerConfig, frame: AMQPFrame) -> Result<(), &'static str> {
        self.beat = Instant::now() + config.heartbeat / 2;
        let sent = timeout(SET_UP, write(&mut self.writer, &[frame])).await;
        sent.map_err(|_| "the broker reads nothing")?.map_err(|_| "the connection broke")
    }

    async fn answer(&mut self) -> Result<AMQPClass, &'static str> {
        loop {
            match self.reader.next().await {
                Ok(AMQPFrame::Method(_, AMQPClass::Connection(connection::AMQPMethod::Close(_)))) => {
                    return Err("the broker refused the connection");
                }
                Ok(AMQPFrame::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(_)))) => {
                    return Err("the broker refused a declaration");
                }
                Ok(AMQPFrame::Method(_, answer)) => return Ok(answer),
                Ok(AMQPFrame::Heartbeat) => {}
                Ok(_) => return Err("the broker sent what was not asked for"),
                Err(Broken::Stream) => return Err("the broker closed the connection"),
                Err(Broken::Syntax) => return Err("the broker sent what is no frame"),
            }
        }
    }

    async fn ask(&mut self, config: &ListenerConfig, frame: AMQPFrame) -> Result<(), &'static str> {
        self.send(config, frame).await?;
        self.answer().await.map(drop)
    }

    async fn declare(&mut self, config: &ListenerConfig, name: &str) -> Result<(), &'static str> {
        let declare = exchange::Declare {
            exchange: config.exchange.as_str().into(),
            kind: "topic".into(),
            passive: false,
            durable: config.durable,
            auto_delete: false,
            internal: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        self.ask(config, method(1, AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)))).await?;
        let declare = queue::Declare {
            queue: name.into(),
            passive: false,
            durable: config.durable,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        self.ask(config, method(1, AMQPClass::Queue(queue::AMQPMethod::Declare(declare)))).await?;
        let bind = queue::Bind {
            queue: name.into(),
            exchange: config.exchange.as_str().into(),
            routing_key: name.into(),
            nowait: false,
            arguments: FieldTable::default(),
        };
        self.ask(config, method(1, AMQPClass::Queue(queue::AMQPMethod::Bind(bind)))).await
    }

    async fn consume(&mut self, config: &ListenerConfig, name: &str) -> Result<(), &'static str> {
        let consume = basic::Consume {
            queue: name.into(),
            consumer_tag: name.into(),
            no_local: false,
            no_ack: false,
            exclusive: false,
            nowait: true,
            arguments: FieldTable::default(),
        };
        self.send(config, method(1, AMQPClass::Basic(basic::AMQPMethod::Consume(consume)))).await
    }
}
