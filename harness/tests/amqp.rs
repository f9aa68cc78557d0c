//! The manager's bus against the strict broker: what goes over the wire is what oslo.messaging sends.

#[path = "support/broker.rs"]
mod broker;

use std::time::Duration;

use broker::{cast, world};
use clinker_drivers::Kind;
use clinker_manager::bus::{Bus as _, Method};
use clinker_manager::model::BackupStatus;
use serde_json::{Value, json};
use tokio::time::timeout;

const ENVELOPE: &str = include_str!("envelope-v2.json");

/// The notification in the recorded envelope, without its context; and that envelope's inner text.
fn recorded() -> (Value, String) {
    let envelope: Value = serde_json::from_str(ENVELOPE).unwrap();
    let text = envelope["oslo.message"].as_str().unwrap().to_owned();
    let mut message: Value = serde_json::from_str(&text).unwrap();
    message.as_object_mut().unwrap().retain(|name, _| !name.starts_with("_context_"));
    (message, text)
}

#[tokio::test(start_paused = true)]
async fn a_notification_goes_out_as_oslo_messaging_was_recorded_to_send_it() {
    let world = world().await;
    let (message, text) = recorded();
    world.bus(&[("control_exchange", "cinder")]).notify(&message).await.unwrap();
    let frames = world.frames();
    // exchange.declare, queue.declare, queue.bind, exchange.declare, confirm.select, basic.publish.
    let methods: Vec<[u16; 2]> = frames
        .iter()
        .filter(|(kind, _)| *kind == 1)
        .map(|(_, payload)| [0, 2].map(|at| u16::from_be_bytes([payload[at], payload[at + 1]])))
        .collect();
    let expected = [[10, 11], [10, 31], [10, 40], [20, 10], [40, 10], [50, 10], [50, 20], [40, 10], [85, 10], [60, 40]];
    assert_eq!(methods, expected);
    // Class 60, weight 0, the length; then flags and content_type, content_encoding, headers, delivery_mode, priority.
    let (_, header) = frames.iter().find(|(kind, _)| *kind == 2).unwrap();
    let mut properties = vec![0xf8, 0x00];
    properties.extend(b"\x10application/json\x05utf-8\0\0\0\0\x02\0");
    assert_eq!(&header[12..], properties);
    let (_, body) = frames.iter().find(|(kind, _)| *kind == 3).unwrap();
    let body = String::from_utf8(body.clone()).unwrap();
    assert!(body.starts_with("{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"message_id\\\": "), "{body}");
    let envelope: Value = serde_json::from_str(&body).unwrap();
    let ours = envelope["oslo.message"].as_str().unwrap();
    // Byte for byte up to the request id, which the outbox does not keep.
    let same = text.find("\"_context_request_id\"").unwrap();
    assert_eq!(ours[..same], text[..same]);
    let (ours, theirs): (Value, Value) = (serde_json::from_str(ours).unwrap(), serde_json::from_str(&text).unwrap());
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&ours), keys(&theirs));
    for (name, value) in theirs.as_object().unwrap() {
        let own = ["_context_request_id", "_context_timestamp"].contains(&name.as_str());
        assert!(own || ours[name] == *value, "{name}: {} instead of {value}", ours[name]);
    }
    assert_eq!(world.broker.waiting(), [("notifications.info".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn topics_and_priorities_have_queues_of_their_own() {
    let world = world().await;
    let bus = world.bus(&[("topics", "notifications, audit")]);
    let (mut message, _) = recorded();
    message["payload"]["display_name"] = json!("Größe \u{1f4be}");
    bus.notify(&message).await.unwrap();
    message["priority"] = json!("ERROR");
    bus.notify(&message).await.unwrap();
    bus.notify(&message).await.unwrap();
    let waiting: Vec<(String, usize)> = world.broker.waiting();
    let expected = [("audit.error", 2), ("audit.info", 1), ("notifications.error", 2), ("notifications.info", 1)];
    assert_eq!(waiting, expected.map(|(name, count)| (name.to_owned(), count)));
    let written = String::from_utf8_lossy(&world.written.lock().unwrap()).into_owned();
    assert!(written.contains("Gr\\\\u00f6\\\\u00dfe \\\\ud83d\\\\udcbe"), "as Python writes it");
}

#[tokio::test(start_paused = true)]
async fn a_cast_waits_for_its_manager_and_comes_until_it_is_acknowledged() {
    let world = world().await;
    let bus = world.bus(&[]);
    drop(bus.consume("host-1").await.unwrap());
    for (id, method) in [("1", Method::CreateBackup), ("2", Method::ResetStatus { status: BackupStatus::Error })] {
        bus.cast("host-1", &cast(id, method)).await.unwrap();
    }
    let mut queue = bus.consume("host-1").await.unwrap();
    assert_eq!(queue.next().await.unwrap(), cast("1", Method::CreateBackup));
    drop(queue);
    let mut queue = bus.consume("host-1").await.unwrap();
    assert_eq!(queue.next().await.unwrap().id, "1");
    queue.acknowledge().await.unwrap();
    assert_eq!(queue.next().await.unwrap(), cast("2", Method::ResetStatus { status: BackupStatus::Error }));
    queue.acknowledge().await.unwrap();
    assert!(timeout(Duration::from_secs(600), queue.next()).await.is_err(), "heartbeats keep the connection");
}

#[tokio::test(start_paused = true)]
async fn what_the_broker_refuses_may_be_tried_again_and_shows_no_secret() {
    let world = world().await;
    let host = world.bus(&[]).cast("never-seen", &cast("1", Method::DeleteBackup)).await.unwrap_err();
    assert_eq!((host.kind, host.retry), (Kind::NotFound, true), "{host}");
    let wrong = world.bus(&[("transport_url", "rabbit://cinder:wrong-secret@broker//")]);
    let login = wrong.notify(&recorded().0).await.unwrap_err();
    assert_eq!((login.kind, login.retry), (Kind::Auth, true), "{login}");
    assert!(!format!("{login:?}").contains("wrong-secret"));
    let durable = world.bus(&[("amqp_durable_queues", "true")]).notify(&recorded().0).await.unwrap_err();
    assert_eq!((durable.kind, durable.retry), (Kind::InvalidConfig, true), "{durable}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_gone_is_found_again() {
    let world = world().await;
    let (message, _) = recorded();
    let away = world.bus(&[("transport_url", "rabbit://cinder:open-sesame@broker:1//")]);
    let error = away.notify(&message).await.unwrap_err();
    assert_eq!(error.to_string(), "unreachable: broker refused the connection");
    let bus = world.bus(&[]);
    for _ in 0..2 {
        bus.notify(&message).await.unwrap();
    }
    assert_eq!(world.broker.waiting(), [("notifications.info".to_owned(), 2)]);
}
