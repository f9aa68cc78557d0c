//! Replays the request of a recording against a fresh fake of its flavour, and compares.

use std::collections::BTreeSet;
use std::sync::Arc;

use clinker_env::Env;
use clinker_fakes::s3::{Flavour, Key};
use clinker_fakes::{S3Config, S3Fake};
use clinker_model::FaultTarget as _;
use tokio::io::AsyncWriteExt as _;

use super::recording::{Recording, chunk, header};
use super::signing::Signer;
use super::support::{self, Memory, Reply, SetClock};
use super::table::{CANNOT, Row, Step};

const PORT: u16 = 18080;

struct World {
    env: Env,
    clock: Arc<SetClock>,
    s3: Arc<S3Fake>,
    signer: Signer,
}

fn world(file: &str) -> World {
    let (env, clock) = support::env();
    let (flavour, signer, owner) = if file.starts_with("rgw/") {
        (Flavour::Rgw, Signer { access: "BACKUPKEY", secret: "backupsecret", region: "default" }, "backup")
    } else {
        (Flavour::S3api, Signer { access: "test:tester", secret: "testing", region: "us-east-1" }, "test:tester")
    };
    let config = S3Config {
        flavour,
        region: signer.region.into(),
        keys: vec![Key::new(signer.access, signer.secret, owner)],
        ..S3Config::default()
    };
    let s3 = S3Fake::new(config, Arc::new(Memory::default()));
    env.tasks.spawn(s3.clone().serve(env.clone(), PORT));
    World { env, clock, s3, signer }
}

async fn take(world: &World, step: &Step) {
    let (path, body) = match step {
        Step::At(time) => return world.clock.set_text(time),
        Step::Fault(fault) => return world.s3.begin(0, &fault()).unwrap(),
        Step::Bucket(path) => (path, Vec::new()),
        Step::Object(path, len) => (path, chunk(*len)),
        Step::Text(path, text, times) => (path, text.repeat(*times).into_bytes()),
    };
    let typed: &[(&str, &str)] = match step {
        Step::Object(..) => &[("Content-Type", "application/octet-stream")],
        _ => &[],
    };
    let reply = world.signer.ask(&world.env, PORT, ("PUT", path), typed, &body).await.unwrap();
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
}

/// Replays a row's request.
pub async fn ask(row: &Row) -> Reply {
    replay(&Recording::read(row.file), row).await
}

async fn replay(recording: &Recording, row: &Row) -> Reply {
    let world = world(row.file);
    tokio::task::yield_now().await;
    for step in row.before {
        take(&world, step).await;
    }
    let date = header(&recording.headers, "date").expect("every recorded answer has a date");
    let date = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", date).unwrap().to_datetime().unwrap();
    let date = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    world.clock.set_text(&format!("{}.5", date.as_second()));
    let mut stream = world.env.net.connect("127.0.0.1", PORT).await.unwrap();
    stream.write_all(recording.head.as_bytes()).await.unwrap();
    let mut interim = Vec::new();
    if header(&recording.request_headers, "expect").is_some() {
        interim.push(support::read_head(&mut stream).await.unwrap().status);
    }
    stream.write_all(&recording.body).await.unwrap();
    let mut reply = support::read_reply(&mut stream, &recording.method).await.expect("an answer");
    reply.interim.splice(..0, interim);
    reply
}

/// Everything in which the fake's answer differs from the recorded one.
pub async fn differences(row: &Row) -> Vec<String> {
    let recording = Recording::read(row.file);
    let reply = replay(&recording, row).await;
    let mut found = Vec::new();
    let mut compare = |what: &str, real: &dyn std::fmt::Debug, fake: &dyn std::fmt::Debug| {
        let (real, fake) = (format!("{real:?}"), format!("{fake:?}"));
        if real != fake {
            found.push(format!("{what} of {}:\n  real {real}\n  fake {fake}", recording.target));
        }
    };
    compare("status", &recording.status_line, &reply.status_line);
    compare("interim answers", &recording.interim, &reply.interim);
    let mut excused: Vec<&str> = CANNOT.iter().filter(|one| one.0 == row.file).map(|one| one.1).collect();
    if excused.contains(&"transfer-encoding") {
        // What stands in its place.
        excused.push("content-length");
    }
    let names = |headers: &[(String, String)]| -> Vec<String> {
        let mut names: Vec<String> = headers.iter().map(|(name, _)| name.clone()).collect();
        names.retain(|name| !excused.contains(&name.as_str()));
        names.sort();
        names
    };
    compare("header names", &names(&recording.headers), &names(&reply.headers));
    for name in &names(&recording.headers) {
        let values = |headers: &[(String, String)]| -> BTreeSet<String> {
            headers.iter().filter(|(known, _)| known == name).map(|(_, value)| anonymous(value)).collect()
        };
        compare(name, &values(&recording.headers), &values(&reply.headers));
    }
    let (real, fake) = (anonymous(&recording.answer), anonymous(&reply.text()));
    if recording.whole {
        compare("body", &real, &fake);
    } else {
        compare("body's start", &real, &fake.get(..real.len()).unwrap_or(&fake));
    }
    found
}

/// A text with the ids of requests (`tx` and 21 digits, a dash and 10 digits) replaced.
fn anonymous(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("tx") {
        let (before, from) = rest.split_at(at);
        out += before;
        let id = from.get(2..34).is_some_and(|id| {
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
            digits(&id[..21]) && &id[21..22] == "-" && digits(&id[22..])
        });
        let (shown, len) = if id { ("<id>", 34) } else { ("tx", 2) };
        out += shown;
        rest = &from[len..];
    }
    out + rest
}
