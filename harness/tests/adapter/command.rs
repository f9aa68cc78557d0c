//! The command with adapters that are none: a verdict and a report each time, and nothing is left of them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clinker_model::verdict::Verdict;
use clinker_reports::json::File;
use serde_json::{Value, json};

use super::place::{Place, check_gone, members};

fn clinker(place: &Place, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clinker"));
    command.current_dir(place.folder()).args(arguments).stdin(Stdio::null());
    command
}

fn conform<'a>(driver: &'a str, adapter: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["conform", "--driver", driver, "--out", "out", "--adapter", adapter];
    arguments.extend(more);
    arguments
}

/// Fingerprint of the only case that was played, which has failed, and what was observed.
fn failed(place: &Place, driver: &str, adapter: &str, more: &[&str]) -> (String, String) {
    let done = clinker(place, &conform(driver, adapter, more)).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{adapter}: {said}");
    let file = File::read(&std::fs::read_to_string(place.folder().join("out/result.json")).unwrap()).unwrap();
    let case = file.cases.iter().find(|case| case.verdict != Verdict::Skip).expect("a case was played");
    assert_eq!(case.verdict, Verdict::Fail);
    let observed = case.plays[0].findings[0].violations[0].observed.clone();
    (case.fingerprint.clone().unwrap_or_default(), observed)
}

fn check(adapter: &str, fingerprint: &str, reason: &str) {
    let place = Place::new();
    let (how, why) = failed(&place, "posix", adapter, &["--case", "B-CRT-001", "--start-limit", "1"]);
    assert_eq!(how, fingerprint, "{why}");
    assert!(why.contains(reason), "{why}");
}

#[test]
fn an_adapter_that_does_not_start_is_the_verdict_of_every_case() {
    check("sleep 5000", "hung", "did not answer hello within 1 s");
    check("no-such-program", "died", "no-such-program");
    check("exit 7", "died", "ended with exit code 7");
    let greets = |more: &str| format!(r#"read -r line; echo '{{"id":1,"ok":{{"protocol":1,"name":"x"{more}}}}}'; cat"#);
    check(&greets(r#","capabilities":["incremetal"]"#), "protocol", "no capability; did you mean `incremental`?");
}

#[test]
fn what_a_driver_never_stored_is_its_failure_not_the_harness() {
    let place = Place::new();
    let answers = r#"case "$line" in
      *'"hello"'*) echo '{"id":1,"ok":{"protocol":1,"name":"nothing","capabilities":["chunked","swift","net"]}}';;
      *'"backup"'*) echo "{\"id\":$n,\"ok\":{\"object_count\":0}}";;
      *) echo "{\"id\":$n,\"ok\":{}}";;
    esac"#;
    let adapter = place.script(answers);
    let (how, why) = failed(&place, "swift", &adapter, &["--case", "B-RST-011"]);
    assert_eq!(how, "nothing is stored where the driver says", "{why}");
}

#[tokio::test]
async fn an_end_by_a_signal_leaves_neither_adapter_nor_report() {
    let place = Place::new();
    std::fs::create_dir(place.folder().join("out")).unwrap();
    std::fs::write(place.folder().join("out/result.json"), "of yesterday").unwrap();
    let told = place.folder().join("pid");
    let mut harness = clinker(&place, &conform("posix", "echo $$ >pid; exec sleep 5000", &[])).spawn().unwrap();
    let adapter = loop {
        match std::fs::read_to_string(&told).unwrap_or_default().trim().parse::<u32>() {
            Ok(pid) => break pid,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert!(!members(adapter).is_empty());
    let asked = Command::new("kill").args(["-TERM", &harness.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let ended = harness.wait().unwrap();
    assert_eq!((ended.code(), ended.signal()), (Some(143), None));
    check_gone(adapter);
    assert!(!std::path::Path::new(&format!("/dev/shm/clinker-devices-{adapter}")).exists());
    assert!(!place.folder().join("out/result.json").exists(), "the report of an earlier run is gone");
}

fn say(child: &mut Child, message: &Value) {
    writeln!(child.stdin.as_mut().unwrap(), "{message}").unwrap();
}

#[test]
fn our_own_adapter_ends_with_its_input_while_a_question_is_unanswered() {
    let place = Place::new();
    let repository = place.folder().join("repository");
    std::fs::create_dir(&repository).unwrap();
    std::fs::write(place.folder().join("device"), [7; 4096]).unwrap();
    let arguments = ["adapter", "--driver", "posix"];
    let mut child = clinker(&place, &arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    say(&mut child, &json!({ "id": 1, "op": "configure", "options": { "backup_posix_path": repository } }));
    assert_eq!(lines.next().unwrap(), r#"{"id":1,"ok":{}}"#);
    let row = json!({ "id": "b0000000-0000-4000-8000-000000000001", "volume_id": "v", "size": 1 });
    let context = json!({ "user_id": "u", "project_id": "p", "token": null });
    let device = place.folder().join("device");
    let backup = json!({ "id": 2, "op": "backup", "context": context, "backup": row, "parent": null, "device": device, "volume_size": 4096 });
    say(&mut child, &backup);
    assert!(lines.next().unwrap().contains(r#""what":"save_location""#));
    drop(child.stdin.take());
    let last = lines.last().expect("an answer");
    assert!(last.contains("the harness has gone away"), "{last}");
    assert!(child.wait().unwrap().success());
}
