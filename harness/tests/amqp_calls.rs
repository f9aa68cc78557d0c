//! Calls over the bus against the strict broker: the bytes that oslo.messaging's client and server would exchange.

#[path = "support/broker.rs"]
mod broker;

use std::time::Duration;

use broker::{World, cast, world};
use clinker_drivers::{Error, Kind, Result};
use clinker_env::Tasks;
use clinker_manager::bus::amqp::AmqpBus;
use clinker_manager::bus::{Bus as _, Method, ReplyTo};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

const LIMIT: Duration = Duration::from_secs(60);

async fn call(bus: &AmqpBus, id: &str, limit: Duration) -> Result<Value> {
    bus.call("host-1", &cast(id, Method::ExportRecord), limit).await
}

/// A manager that answers each call after `late`, as `answer` says of its id.
fn manager(world: &World, late: Duration, answer: fn(&str) -> Result<Value>) {
    let bus = world.bus(&[]);
    Tasks::Runtime.spawn(async move {
        let mut queue = bus.consume("host-1").await.unwrap();
        loop {
            let request = queue.next().await.unwrap();
            queue.acknowledge().await.unwrap();
            sleep(late).await;
            // A caller that has gone has no queue.
            let _ = bus.reply(&request.reply_to.unwrap(), &answer(&request.id)).await;
        }
    });
}

fn named(id: &str) -> Result<Value> {
    Ok(json!({ "backup_service": "s", "backup_url": id }))
}

#[tokio::test(start_paused = true)]
async fn a_call_and_its_answer_are_oslo_messagings() {
    let world = world().await;
    let manager = world.bus(&[]);
    let mut queue = manager.consume("host-1").await.unwrap();
    world.written.lock().unwrap().clear();
    let caller = world.bus(&[]);
    Tasks::Runtime.spawn(async move { call(&caller, "c-1", LIMIT).await.map(drop).unwrap_or(()) });
    let request = queue.next().await.unwrap();
    let ReplyTo { queue: reply_q, call } = request.reply_to.clone().unwrap();
    assert_eq!((call.as_str(), reply_q.len()), ("c-1", "reply_".len() + 32));
    let written = String::from_utf8_lossy(&world.written.lock().unwrap()).into_owned();
    // Not durable, not exclusive, not auto-delete: the bits after the name; then x-expires, a half hour.
    let declared = format!("{reply_q}\0\0\0\0\u{f}\tx-expiresI\0\u{1b}w@");
    assert!(written.contains(&declared), "{written}");
    let (first, second) = (
        r#"{\"method\": \"export_record\", \"args\": {\"backup_id\": \"b-1\"}, \"version\": \"2.4\", "#,
        format!(r#"\"_msg_id\": \"c-1\", \"_reply_q\": \"{reply_q}\", \"_timeout\": null, \"_unique_id\": \"c-1\", "#),
    );
    assert!(written.contains(&format!("{first}{second}")), "{written}");
    assert!(written.contains("application/json\u{5}utf-8\0\0\0\0\u{2}\0\u{5}"), "it expires: {written}");
    world.written.lock().unwrap().clear();
    manager.reply(&request.reply_to.unwrap(), &named("u")).await.unwrap();
    let written = String::from_utf8_lossy(&world.written.lock().unwrap()).into_owned();
    let answer =
        r#"{\"result\": {\"backup_service\": \"s\", \"backup_url\": \"u\"}, \"failure\": null, \"ending\": true, "#;
    assert!(written.contains(&format!(r#"{answer}\"_msg_id\": \"c-1\", \"_unique_id\": \""#)), "{written}");
    // To the default exchange, by the queue's name, mandatory.
    assert!(written.contains(&format!("\0<\0(\0\0\0&{reply_q}\u{1}")), "{written}");
}

#[tokio::test(start_paused = true)]
async fn each_caller_gets_the_answer_to_his_own_call() {
    let world = world().await;
    manager(&world, Duration::from_secs(1), named);
    let bus = world.bus(&[]);
    let (one, two) = tokio::join!(call(&bus, "c-1", LIMIT), call(&bus, "c-2", LIMIT));
    assert_eq!((one.unwrap(), two.unwrap()), (named("c-1").unwrap(), named("c-2").unwrap()));
    let other = world.bus(&[]);
    assert_eq!(call(&other, "c-3", LIMIT).await.unwrap(), named("c-3").unwrap());
    let queues: Vec<String> = world.broker.waiting().into_iter().map(|(name, _)| name).collect();
    assert_eq!(queues.iter().filter(|name| name.starts_with("reply_")).count(), 2, "one for each process: {queues:?}");
}

#[tokio::test(start_paused = true)]
async fn a_managers_error_comes_back_as_it_was() {
    let world = world().await;
    manager(
        &world,
        Duration::ZERO,
        |_| Err(Error::new(Kind::InvalidBackup, "backup is error").during("export_record")),
    );
    let error = call(&world.bus(&[]), "c-1", LIMIT).await.unwrap_err();
    assert_eq!(
        (error.kind, error.to_string().as_str()),
        (Kind::InvalidBackup, "invalid_backup: export_record: backup is error")
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_dropped() {
    let world = world().await;
    manager(&world, Duration::from_secs(8), named);
    let bus = world.bus(&[]);
    let began = Instant::now();
    let error = call(&bus, "c-1", Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.to_string(), "timeout: host-1 did not answer within 5s (option rpc_response_timeout)");
    assert_eq!((error.retry, began.elapsed().as_millis()), (true, 5000));
    // It comes while the next one waits.
    assert_eq!(call(&bus, "c-2", LIMIT).await.unwrap(), named("c-2").unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_takes_leaves_nothing_behind() {
    let world = world().await;
    let bus = world.bus(&[]);
    drop(bus.consume("host-1").await.unwrap());
    call(&bus, "c-1", Duration::from_secs(5)).await.unwrap_err();
    let mut queue = bus.consume("host-1").await.unwrap();
    let taken = timeout(LIMIT, queue.next()).await;
    assert!(taken.is_err(), "the request has expired: {taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_time_out_says_why_nobody_was_asked() {
    let world = world().await;
    let host = call(&world.bus(&[]), "c-1", LIMIT).await.unwrap_err();
    let said = "timeout: host-1 did not answer within 60s (option rpc_response_timeout); it was not asked: ";
    assert_eq!(host.to_string(), format!("{said}broker has no queue for the message"));
    let away = world.bus(&[("transport_url", "rabbit://cinder:open-sesame@broker:1//")]);
    let away = call(&away, "c-1", LIMIT).await.unwrap_err();
    assert_eq!(away.to_string(), format!("{said}broker refused the connection"));
    let wrong = world.bus(&[("transport_url", "rabbit://cinder:wrong-secret@broker//")]);
    let wrong = call(&wrong, "c-1", LIMIT).await.unwrap_err();
    assert_eq!(wrong.to_string(), format!("{said}broker refused the credentials"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_nobody_is_not_found() {
    let world = world().await;
    let to = ReplyTo { queue: "reply_0123".into(), call: "c-1".into() };
    let error = world.bus(&[]).reply(&to, &named("u")).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::NotFound, true));
}
