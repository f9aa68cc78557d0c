//! The broker answers as RabbitMQ does: refusals with their codes and texts, confirms, returns, redelivery, restarts.

mod support;

use std::sync::Arc;
use std::time::Duration;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, ProtocolVersion, gen_frame, parse_frame};
use amq_protocol::protocol::basic::{self, AMQPProperties};
use amq_protocol::protocol::{AMQPClass, channel, confirm, connection, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldTable};
use clinker_env::{BoxStream, Env, Tasks};
use clinker_fakes::{BrokerConfig, BrokerFake};
use clinker_model::fault::{Fault, HostTarget};
use clinker_model::{FaultTarget as _, Journal};
use support::Memory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

const PORT: u16 = 5672;

struct Broker {
    env: Env,
    fake: Arc<BrokerFake>,
    journal: Arc<Memory>,
    process: Option<AbortHandle>,
}

impl Broker {
    async fn start() -> Broker {
        let config = BrokerConfig {
            host: "broker".into(),
            user: "cinder".into(),
            password: "open-sesame".into(),
            vhost: "/".into(),
        };
        let journal = Arc::new(Memory::default());
        let fake = BrokerFake::new(config, journal.clone() as Arc<dyn Journal>);
        let mut broker = Broker { env: support::env().0, fake, journal, process: None };
        broker.restart().await;
        broker
    }

    /// Ends the process, if there is one, and starts another.
    async fn restart(&mut self) {
        if let Some(process) = self.process.take() {
            process.abort();
        }
        let serve = self.fake.clone().serve(self.env.clone(), PORT);
        self.process = Some(Tasks::Runtime.spawn(async move { drop(serve.await) }).abort_handle());
        tokio::task::yield_now().await;
    }

    async fn connect(&self) -> Client {
        Client { stream: self.env.net.connect("broker", PORT).await.unwrap(), buffer: Vec::new() }
    }

    /// An open connection with channel 1.
    async fn client(&self) -> Client {
        let mut client = self.connect().await;
        assert_eq!(client.log_in("open-sesame", "/").await, "10.41");
        client.send(method(AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})))).await;
        assert_eq!(client.said().await, "20.11");
        client
    }
}

struct Client {
    stream: BoxStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn send(&mut self, frame: AMQPFrame) {
        let (bytes, _) = gen_frame(&frame)(Vec::new().into()).unwrap().into_inner();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next frame, none at the end.
    async fn next(&mut self) -> Option<AMQPFrame> {
        loop {
            if let Ok((rest, frame)) = parse_frame(self.buffer.as_slice()) {
                let read = self.buffer.len() - rest.len();
                self.buffer.drain(..read);
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// The next method as `class.method`, refusals with code and text; `end` at the end.
    async fn said(&mut self) -> String {
        loop {
            match self.next().await {
                None => return "end".to_owned(),
                Some(AMQPFrame::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(close)))) => {
                    return format!("channel {} {}", close.reply_code, close.reply_text);
                }
                Some(AMQPFrame::Method(_, AMQPClass::Connection(connection::AMQPMethod::Close(close)))) => {
                    return format!("connection {} {}", close.reply_code, close.reply_text);
                }
                Some(AMQPFrame::Method(_, class)) => {
                    return format!("{}.{}", class.get_amqp_class_id(), class.get_amqp_method_id());
                }
                Some(_) => {}
            }
        }
    }

    async fn ask(&mut self, asked: AMQPClass) -> String {
        self.send(method(asked)).await;
        self.said().await
    }

    /// What is said to the last step of the handshake that is reached.
    async fn log_in(&mut self, password: &str, vhost: &str) -> String {
        self.send(AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1())).await;
        assert_eq!(self.said().await, "10.10");
        let mut able = FieldTable::default();
        able.insert("authentication_failure_close".into(), AMQPValue::Boolean(true));
        let mut client_properties = FieldTable::default();
        client_properties.insert("capabilities".into(), AMQPValue::FieldTable(able));
        let start_ok = connection::StartOk {
            client_properties,
            mechanism: "PLAIN".into(),
            response: format!("\0cinder\0{password}").into(),
            locale: "en_US".into(),
        };
        let of = |method| AMQPFrame::Method(0, AMQPClass::Connection(method));
        self.send(of(connection::AMQPMethod::StartOk(start_ok))).await;
        let said = self.said().await;
        if said != "10.30" {
            return said;
        }
        let tuned = connection::TuneOk { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
        self.send(of(connection::AMQPMethod::TuneOk(tuned))).await;
        self.send(of(connection::AMQPMethod::Open(connection::Open { virtual_host: vhost.into() }))).await;
        self.said().await
    }

    async fn publish(&mut self, exchange: &str, key: &str, mode: u8, body: &str) {
        let publish =
            basic::Publish { exchange: exchange.into(), routing_key: key.into(), mandatory: true, immediate: false };
        self.send(method(AMQPClass::Basic(basic::AMQPMethod::Publish(publish)))).await;
        let properties = AMQPProperties::default().with_delivery_mode(mode);
        self.send(AMQPFrame::Header(1, AMQPContentHeader { class_id: 60, body_size: body.len() as u64, properties }))
            .await;
        self.send(AMQPFrame::Body(1, body.as_bytes().to_vec())).await;
    }

    /// The next delivery: body, tag, whether it was delivered before.
    async fn delivery(&mut self) -> (String, u64, bool) {
        let mut told = (0, false);
        loop {
            match self.next().await.expect("the connection goes on") {
                AMQPFrame::Method(_, AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver))) => {
                    told = (deliver.delivery_tag, deliver.redelivered);
                }
                AMQPFrame::Body(_, body) => return (String::from_utf8(body).unwrap(), told.0, told.1),
                _ => {}
            }
        }
    }
}

fn method(class: AMQPClass) -> AMQPFrame {
    AMQPFrame::Method(1, class)
}

fn declare_exchange(name: &str, kind: &str, durable: bool, passive: bool) -> AMQPClass {
    AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
        exchange: name.into(),
        kind: kind.into(),
        passive,
        durable,
        auto_delete: false,
        internal: false,
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

fn declare_queue(name: &str, durable: bool, passive: bool) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: name.into(),
        passive,
        durable,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

fn bind(queue: &str, exchange: &str, key: &str) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: key.into(),
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

fn consume(queue: &str) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Consume(basic::Consume {
        queue: queue.into(),
        consumer_tag: queue.into(),
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

fn ack(delivery_tag: u64) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple: false }))
}

fn confirms() -> AMQPClass {
    AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait: false }))
}

#[tokio::test(start_paused = true)]
async fn logins_are_checked() {
    let broker = Broker::start().await;
    let refused = "connection 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details \
                   see the broker logfile.";
    for (password, vhost, expected) in [
        ("open-sesame", "/", "10.41"),
        ("wrong", "/", refused),
        ("open-sesame", "other", "connection 530 NOT_ALLOWED - vhost other not found"),
    ] {
        assert_eq!(broker.connect().await.log_in(password, vhost).await, expected);
    }
    broker.fake.begin(1, &Fault::WrongCredentials(HostTarget { host: "broker".into() })).unwrap();
    assert_eq!(broker.connect().await.log_in("open-sesame", "/").await, refused);
    assert_eq!(broker.journal.bites.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_differs_from_what_is_there_is_refused() {
    let broker = Broker::start().await;
    let mut client = broker.client().await;
    assert_eq!(client.ask(declare_exchange("cinder", "topic", false, false)).await, "40.11");
    assert_eq!(client.ask(declare_queue("notifications.info", false, false)).await, "50.11");
    let inequivalent = |what: &str| format!("channel 406 PRECONDITION_FAILED - inequivalent arg {what}");
    for (asked, expected) in [
        (declare_exchange("cinder", "topic", false, false), "40.11".to_owned()),
        (declare_exchange("cinder", "", false, true), "40.11".to_owned()),
        (declare_queue("notifications.info", true, true), "50.11".to_owned()),
        (
            declare_exchange("cinder", "direct", false, false),
            inequivalent("'type' for exchange 'cinder' in vhost '/': received 'direct' but current is 'topic'"),
        ),
        (
            declare_queue("notifications.info", true, false),
            inequivalent(
                "'durable' for queue 'notifications.info' in vhost '/': received 'true' but current is 'false'",
            ),
        ),
        (declare_exchange("none", "", false, true), "channel 404 NOT_FOUND - no exchange 'none' in vhost '/'".into()),
        (declare_queue("none", false, true), "channel 404 NOT_FOUND - no queue 'none' in vhost '/'".into()),
        (consume("none"), "channel 404 NOT_FOUND - no queue 'none' in vhost '/'".into()),
        (bind("notifications.info", "none", "k"), "channel 404 NOT_FOUND - no exchange 'none' in vhost '/'".into()),
        (ack(7), "channel 406 PRECONDITION_FAILED - unknown delivery tag 7".into()),
        (
            declare_exchange("x", "odd", false, false),
            "connection 503 COMMAND_INVALID - unknown exchange type 'odd'".into(),
        ),
    ] {
        let mut client = broker.client().await;
        assert_eq!(client.ask(asked.clone()).await, expected, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_out_of_turn_ends_the_connection() {
    let broker = Broker::start().await;
    let open = || AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}));
    assert_eq!(broker.client().await.ask(open()).await, "connection 504 CHANNEL_ERROR - second 'channel.open' seen");
    let mut client = broker.client().await;
    client.send(AMQPFrame::Method(2, declare_queue("q", false, false))).await;
    assert_eq!(client.said().await, "connection 504 CHANNEL_ERROR - expected 'channel.open'");
    let mut client = broker.client().await;
    client.send(AMQPFrame::Body(1, vec![1])).await;
    assert!(client.said().await.starts_with("connection 505 UNEXPECTED_FRAME"));
    let mut client = broker.client().await;
    client.stream.write_all(b"nonsense, not a frame").await.unwrap();
    assert!(client.said().await.starts_with("connection 501 FRAME_ERROR"));
}

#[tokio::test(start_paused = true)]
async fn a_message_for_nobody_comes_back_before_its_confirm() {
    let broker = Broker::start().await;
    let mut client = broker.client().await;
    client.ask(declare_exchange("cinder", "topic", false, false)).await;
    assert_eq!(client.ask(confirms()).await, "85.11");
    client.publish("cinder", "nobody", 2, "one").await;
    assert_eq!([client.said().await, client.said().await], ["60.50", "60.80"]);
    client.ask(declare_queue("somebody", false, false)).await;
    client.ask(bind("somebody", "cinder", "some.*")).await;
    client.publish("cinder", "some.body", 2, "two").await;
    assert_eq!(client.said().await, "60.80");
    assert_eq!(broker.fake.waiting(), [("somebody".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_consumer_had_is_delivered_again_in_its_place() {
    let broker = Broker::start().await;
    let mut first = broker.client().await;
    first.ask(declare_queue("q", false, false)).await;
    for body in ["one", "two", "three"] {
        first.publish("", "q", 2, body).await;
    }
    assert_eq!(first.ask(consume("q")).await, "60.21");
    assert_eq!(first.delivery().await, ("one".to_owned(), 1, false));
    assert_eq!(first.delivery().await.0, "two");
    first.send(method(ack(1))).await;
    drop(first);
    let mut second = broker.client().await;
    second.ask(consume("q")).await;
    assert_eq!(second.delivery().await, ("two".to_owned(), 1, true));
    assert_eq!(second.delivery().await.0, "three");
}

#[tokio::test(start_paused = true)]
async fn a_restart_leaves_what_is_durable() {
    let mut broker = Broker::start().await;
    let mut client = broker.client().await;
    client.ask(declare_exchange("kept", "topic", true, false)).await;
    for (queue, durable) in [("durable", true), ("transient", false)] {
        client.ask(declare_queue(queue, durable, false)).await;
        client.ask(bind(queue, "kept", "#")).await;
    }
    client.ask(confirms()).await;
    for (mode, body) in [(2, "persistent"), (1, "not")] {
        client.publish("kept", "k", mode, body).await;
        assert_eq!(client.said().await, "60.80");
    }
    client.ask(consume("durable")).await;
    assert_eq!(client.delivery().await.0, "persistent");
    broker.restart().await;
    assert_eq!(broker.fake.waiting(), [("durable".to_owned(), 1)]);
    assert_eq!(client.said().await, "60.60", "what was delivered before the restart is still to be read");
    assert_eq!(client.said().await, "end");
    let mut client = broker.client().await;
    client.ask(consume("durable")).await;
    assert_eq!(client.delivery().await, ("persistent".to_owned(), 1, true));
    client.ask(confirms()).await;
    client.publish("kept", "k", 2, "new").await;
    assert_eq!(client.delivery().await.0, "new");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_given_up_after_two_heartbeats() {
    let broker = Broker::start().await;
    let mut client = broker.client().await;
    let begun = Instant::now();
    while client.next().await.is_some_and(|frame| frame == AMQPFrame::Heartbeat) {}
    assert_eq!(begun.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_answers_nothing_on_that_connection_any_more() {
    let broker = Broker::start().await;
    let mut client = broker.client().await;
    broker.fake.begin(3, &Fault::Silent(HostTarget { host: "broker".into() })).unwrap();
    client.send(method(confirms())).await;
    assert!(timeout(Duration::from_secs(300), client.next()).await.is_err());
    broker.fake.end(3);
    assert!(timeout(Duration::from_secs(300), client.next()).await.is_err());
    assert_eq!(broker.client().await.ask(confirms()).await, "85.11");
    assert!(broker.fake.begin(4, &Fault::ReadOnly(HostTarget { host: "broker".into() })).is_err());
}
