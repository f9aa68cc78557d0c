//! Replays the request of a recording against fresh fakes, and compares.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clinker_env::Env;
use clinker_fakes::keystone::{Project, Region, User};
use clinker_fakes::swift::{Access, V1User};
use clinker_fakes::{Grant, Identity, KeystoneConfig, KeystoneFake, SwiftConfig, SwiftFake, TokenRegistry};
use clinker_model::FaultTarget as _;
use jiff::Timestamp;
use tokio::io::AsyncWriteExt as _;

use super::recording::{Recording, chunk, header};
use super::support::{self, Memory, Reply, SetClock};
use super::table::{CANNOT, Row, Step};

const SWIFT: u16 = 18080;
const KEYSTONE: u16 = 18150;
const PROJECT: &str = "6a79d4d0099f4f69a08447d444e0a717";
/// The token of the steps before the recorded request; it may do everything.
const SETUP: &str = "AUTH_tk99999999999999999999999999999999";

struct World {
    env: Env,
    clock: Arc<SetClock>,
    swift: Arc<SwiftFake>,
    account: String,
}

fn identity(user: &str, roles: &[&str], project: &str, account: &str) -> Identity {
    let (user_id, project_name) = match user {
        "backup" => ("97a2c3e3ad9140929b28cb3e02c5a785", "backups"),
        "reader" => ("230d95d6bef44b598723dba02202b6e3", "backups"),
        other => (other, project),
    };
    Identity {
        user_id: user_id.into(),
        user_name: user.into(),
        project_id: project.into(),
        project_name: project_name.into(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        account: account.into(),
    }
}

/// The tokens for which the recordings have stand-ins.
fn plant(tokens: &TokenRegistry) {
    let ks = format!("AUTH_{PROJECT}");
    let long = |letter: &str| format!("gAAAAA{}", letter.repeat(177));
    let noon: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    let late: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let member = || identity("backup", &["member", "reader"], PROJECT, &ks);
    for (token, identity, issued_at, expires_at) in [
        (
            "AUTH_tk00000000000000000000000000000000".into(),
            identity("test:tester", &["admin"], "", "AUTH_test"),
            noon,
            late,
        ),
        ("AUTH_tk11111111111111111111111111111111".into(), identity("test:tester3", &[], "", "AUTH_test"), noon, late),
        (
            "AUTH_tk22222222222222222222222222222222".into(),
            identity("admin:admin", &[".reseller_admin"], "", "AUTH_admin"),
            noon,
            late,
        ),
        (SETUP.into(), identity("set:up", &[".reseller_admin"], "", "AUTH_admin"), noon, late),
        (long("x"), member(), at("2026-11-21T19:12:07Z"), at("2026-11-21T19:13:07Z")),
        (long("y"), identity("reader", &["reader"], PROJECT, &ks), noon, late),
        (long("z"), member(), noon, at("2026-11-21T19:12:40Z")),
        (long("v"), member(), noon, late),
    ] {
        tokens.insert(Grant {
            token,
            identity,
            issued_at,
            expires_at,
            revoked_at: None,
            audit_id: "DJxJl0u-REmoIHt6LG8tdw".into(),
            shortened_by: None,
            revoked_by: None,
        });
    }
}

fn world(file: &str) -> World {
    let (env, clock) = support::env();
    let journal = Arc::new(Memory::default());
    let tokens = TokenRegistry::new(journal.clone());
    plant(&tokens);
    let keystone_mode = file.starts_with("keystone/");
    let config = SwiftConfig {
        storage_url: "http://127.0.0.1:18080".into(),
        users: vec![
            V1User::owner("test:tester", "testing", "AUTH_test"),
            V1User { access: Access::Nothing, ..V1User::owner("test:tester3", "testing3", "AUTH_test") },
        ],
        keystone_uri: keystone_mode.then(|| format!("http://127.0.0.1:{KEYSTONE}/v3")),
        policies: vec![if keystone_mode { "Policy-0".into() } else { "gold".into() }],
        client_timeout: Duration::from_secs(4),
        ..SwiftConfig::default()
    };
    let swift = SwiftFake::new(config, tokens.clone(), journal.clone());
    let reader = User {
        roles: vec![(PROJECT.into(), "reader".into())],
        ..User::member("230d95d6bef44b598723dba02202b6e3", "reader", "readerpass", PROJECT)
    };
    let config = KeystoneConfig {
        public_url: format!("http://127.0.0.1:{KEYSTONE}"),
        users: vec![User::member("97a2c3e3ad9140929b28cb3e02c5a785", "backup", "backuppass", PROJECT), reader],
        projects: vec![
            Project { id: PROJECT.into(), name: "backups".into() },
            Project { id: "0".repeat(32), name: "other".into() },
        ],
        regions: vec![Region::new("RegionOne", "http://127.0.0.1:18180")],
        token_life: Duration::from_secs(60),
        ..KeystoneConfig::default()
    };
    let keystone = KeystoneFake::new(config, tokens, journal);
    env.tasks.spawn(swift.clone().serve(env.clone(), SWIFT));
    env.tasks.spawn(keystone.serve(env.clone(), KEYSTONE));
    let account = if keystone_mode { format!("/v1/AUTH_{PROJECT}") } else { "/v1/AUTH_test".to_owned() };
    World { env, clock, swift, account }
}

async fn take(world: &World, step: &Step, recorded_token: &str) {
    let setup = ("X-Auth-Token", SETUP);
    let (method, path, header, body) = match step {
        Step::At(time) => return world.clock.set_text(time),
        Step::Fault(fault) => return world.swift.begin(0, &fault()).unwrap(),
        Step::Ask(_) | Step::SendOnly(_) | Step::SendAndClose(_) => return,
        Step::Revoke => {
            world.clock.set_text("1795288350");
            let headers = [("X-Auth-Token", recorded_token), ("X-Subject-Token", recorded_token)];
            let reply = support::send(&world.env, KEYSTONE, "DELETE", "/v3/auth/tokens", &headers, b"").await;
            assert_eq!(reply.unwrap().status, 204);
            return;
        }
        Step::Seen => ("HEAD", world.account.clone(), ("X-Auth-Token", recorded_token), vec![]),
        Step::Container => ("PUT", format!("{}/vb", world.account), ("Accept", "*/*"), vec![]),
        Step::Object(name, len) => ("PUT", format!("{}/vb/{name}", world.account), ("Accept", "*/*"), chunk(*len)),
        Step::Post(path, name, value) => ("POST", format!("{}{path}", world.account), (*name, *value), vec![]),
    };
    let headers: &[(&str, &str)] = if header.0 == "X-Auth-Token" { &[header] } else { &[setup, header] };
    let reply = support::send(&world.env, SWIFT, method, &path, headers, &body).await.unwrap();
    assert!(reply.status < 300, "{method} {path}: {reply:?}");
}

/// The moment at which the real server was asked.
fn asked_at(recording: &Recording, row: &Row) -> Option<String> {
    let told = row.before.iter().find_map(|step| match step {
        Step::Ask(time) => Some((*time).to_owned()),
        _ => None,
    });
    let put = header(&recording.headers, "x-put-timestamp").map(str::to_owned);
    told.or(put).or_else(|| {
        let date = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", header(&recording.headers, "date")?).unwrap();
        let date = date.to_datetime().unwrap().to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        Some(format!("{}.5", date.timestamp().as_second()))
    })
}

/// Replays a row's request.
pub async fn ask(row: &Row) -> Reply {
    replay(&Recording::read(row.file), row).await
}

async fn replay(recording: &Recording, row: &Row) -> Reply {
    let world = world(row.file);
    tokio::task::yield_now().await;
    let token = header(&recording.request_headers, "x-auth-token").unwrap_or_default();
    for step in row.before {
        take(&world, step, token).await;
    }
    if let Some(time) = asked_at(recording, row) {
        world.clock.set_text(&time);
    }
    let port = if row.file.starts_with("keystone/ks-") { KEYSTONE } else { SWIFT };
    let mut stream = world.env.net.connect("127.0.0.1", port).await.unwrap();
    stream.write_all(recording.head.as_bytes()).await.unwrap();
    let mut interim = Vec::new();
    if !recording.interim.is_empty() {
        interim.push(support::read_head(&mut stream).await.unwrap().status);
    }
    let sent = row.before.iter().find_map(|step| match step {
        Step::SendOnly(len) => Some((*len, false)),
        Step::SendAndClose(len) => Some((*len, true)),
        _ => None,
    });
    let (sent, close) = sent.unwrap_or((recording.body.len(), false));
    stream.write_all(&recording.body[..sent]).await.unwrap();
    if close {
        stream.shutdown().await.unwrap();
    }
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
    let excused: Vec<&str> = CANNOT.iter().filter(|one| one.0 == row.file).map(|one| one.1).collect();
    let names = |headers: &[(String, String)]| -> Vec<String> {
        let mut names: Vec<String> = headers.iter().map(|(name, _)| name.clone()).collect();
        names.retain(|name| !excused.contains(&name.as_str()));
        names.sort();
        names
    };
    compare("header names", &names(&recording.headers), &names(&reply.headers));
    for name in names(&recording.headers).iter().filter(|name| !row.free.contains(&name.as_str())) {
        let values = |headers: &[(String, String)]| -> BTreeSet<String> {
            headers.iter().filter(|(known, _)| known == name).map(|(name, value)| form(name, value)).collect()
        };
        compare(name, &values(&recording.headers), &values(&reply.headers));
    }
    let fake = reply.text();
    if row.file == "swift/info.txt" {
        compare("document", &"the real one's subset", &subset(&recording.answer, &fake));
    } else if recording.whole {
        compare("body", &anonymous(&recording.answer), &anonymous(&fake));
    } else {
        let real = anonymous(&recording.answer);
        let real = real.trim_end_matches(|c: char| c.is_ascii_hexdigit());
        let fake = anonymous(&fake);
        compare("body's start", &real, &fake.get(..real.len()).unwrap_or(&fake));
    }
    found
}

/// A header's value, with random parts replaced.
fn form(name: &str, value: &str) -> String {
    match name {
        "x-trans-id" | "x-openstack-request-id" => value
            .chars()
            .map(|c| if c.is_ascii_hexdigit() && c != 'e' { '#' } else { c })
            .collect::<String>()
            .replace('e', "#"),
        "x-subject-token" => format!("{}… of {}", &value[..6], value.len()),
        _ => value.to_owned(),
    }
}

/// A text with ids of 32 digits and audit ids replaced.
fn anonymous(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            word.push(c);
            continue;
        }
        let tail = word.len().saturating_sub(32);
        let hex =
            word.len() >= 32 && word.is_char_boundary(tail) && word[tail..].chars().all(|c| c.is_ascii_hexdigit());
        if hex {
            out += &word[..tail];
            out += "<id>";
        } else if word.len() == 22 && out.ends_with("\"audit_ids\": [\"") {
            out += "<audit>";
        } else {
            out += &word;
        }
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

/// Whether each section of the fake's document is, letter for letter, in the real one's recorded start.
fn subset(real: &str, fake: &str) -> String {
    let fake = fake.strip_prefix('{').and_then(|fake| fake.strip_suffix('}')).unwrap_or(fake);
    let missing: Vec<&str> = fake
        .split("}, \"")
        .map(|section| section.trim_start_matches('"').trim_end_matches('}'))
        .filter(|section| !real.contains(section))
        .collect();
    if missing.is_empty() { "the real one's subset".to_owned() } else { format!("{missing:?} more") }
}
