//! Adapters that are none, or cease to be: each is a failure of its kind in bounded time, and none leaves a process.

use std::sync::Arc;
use std::time::Duration;

use clinker::adapter::{AdapterCommand, AdapterDriver, AdapterFailure, AdapterProcess, How};
use clinker_drivers::{BackupDriver as _, RequestContext};

use super::place::{Device, Place, check_gone, members};
use super::support::Control;
use super::{posix_options, row};

/// Of the row of `backup_with`.
const ID: &str = "b0000000-0000-4000-8000-000000000001";
/// Greets as it should.
const GREETS: &str = r#"*'"hello"'*) echo '{"id":1,"ok":{"protocol":1,"name":"script"}}';;"#;
const OBEYS: &str = r#"*) echo "{\"id\":$n,\"ok\":{}}";;"#;

async fn check_start(command: &str, limit: Duration, how: How, what: &str) {
    let place = Place::new();
    let command = AdapterCommand { start_limit: limit, ..place.command(command) };
    let failure = match AdapterProcess::start(command).await {
        Ok(_) => panic!("it has started"),
        Err(failure) => failure,
    };
    assert_eq!(failure.how, how, "{failure}");
    assert!(failure.to_string().contains(what), "{failure}");
}

#[tokio::test]
async fn what_does_not_greet_is_a_failure_of_its_kind() {
    let (soon, long) = (Duration::from_millis(200), Duration::from_secs(30));
    check_start("sleep 1000", soon, How::Hung, "did not answer hello within 0.2 s").await;
    check_start("sleep 1000 & sleep 1000", soon, How::Hung, "did not answer hello").await;
    check_start("yes", long, How::Protocol, "sent the line \"y\", which is no JSON").await;
    check_start("echo '{}'; sleep 1000", long, How::Protocol, "which has none of \"id\"").await;
    check_start("exit 7", long, How::Died, "ended with exit code 7").await;
    check_start("kill -TERM $$", long, How::Died, "was ended by signal 15").await;
    check_start("no-such-program", long, How::Died, "no-such-program").await;
    check_start("exec >&-; sleep 1000", long, How::Died, "closed its standard output").await;
    let endless = "head -c 40000000 /dev/zero | tr '\\0' x; sleep 1000";
    check_start(endless, long, How::Protocol, "sent a line of more than 33554432 bytes").await;
    let answers = |line: &str| format!("read -r line; echo '{line}'; sleep 1000");
    let other = answers(r#"{"id":1,"ok":{"protocol":2,"name":"x"}}"#);
    check_start(&other, long, How::Protocol, "speaks version 2 of the protocol, the harness 1").await;
    check_start(&answers(r#"{"id":1,"ok":{"name":"x"}}"#), long, How::Protocol, "speaks version null").await;
    check_start(&answers(r#"{"id":9,"ok":{}}"#), long, How::Protocol, "answered request 9 while 1 (hello)").await;
    let refuses = answers(r#"{"id":1,"error":{"kind":"unsupported","message":"role driver","definite":true}}"#);
    check_start(&refuses, long, How::Protocol, "answered hello with \"unsupported: role driver\"").await;
}

#[tokio::test]
async fn what_it_said_last_is_in_the_failure() {
    let place = Place::new();
    let failure = AdapterProcess::start(place.command("echo one >&2; echo two >&2; exit 1")).await.err().unwrap();
    assert_eq!(failure.said, ["one", "two"]);
    assert_eq!(failure.to_string(), "the adapter ended with exit code 1\n  | one\n  | two");
}

/// Runs a backup through an adapter in sh, which greets, obeys, and then does this with a backup.
async fn backup_with(body: &str, limit: Duration) -> (AdapterProcess, clinker_drivers::Error) {
    let place = Place::new();
    let script = place.script(&format!("case \"$line\" in {GREETS} *'\"backup\"'*) {body};; {OBEYS} esac"));
    let command = AdapterCommand { request_limit: limit, ..place.command(&script) };
    let process = AdapterProcess::start(command).await.unwrap_or_else(|failure| panic!("{failure}"));
    let driver = AdapterDriver::new(&process, posix_options(&place));
    driver.do_setup().await.unwrap();
    let (device, control) = (Device::new(vec![1; 5000]), Arc::new(Control::default()));
    let stored = driver.backup(&RequestContext::admin(), &row("b", None), None, &device, control).await;
    (process, stored.unwrap_err())
}

async fn check_backup(body: &str, limit: Duration, how: How, what: &str) {
    let (process, error) = backup_with(body, limit).await;
    let failure = AdapterFailure::behind(&error).expect("a failure of the adapter").clone();
    assert_eq!((failure.how, process.failure().map(|failure| failure.how)), (how, Some(how)), "{failure}");
    assert!(failure.what.contains(what), "{failure}");
    // Whatever is asked of it later ends at once, in the same way.
    let driver = AdapterDriver::new(&process, Default::default());
    let again = driver.check_for_setup_error().await.unwrap_err();
    assert_eq!(AdapterFailure::behind(&again), Some(&failure));
    let again = driver.export_record(&row("b", None)).unwrap_err();
    assert_eq!(AdapterFailure::behind(&again), Some(&failure));
    let pid = process.pid();
    drop(process);
    check_gone(pid);
}

#[tokio::test]
async fn what_goes_wrong_in_a_backup_is_a_failure_of_its_kind() {
    let (soon, long) = (Duration::from_millis(300), Duration::from_secs(30));
    check_backup("exit 3", long, How::Died, "ended with exit code 3").await;
    check_backup("sleep 1000", soon, How::Hung, "did not answer backup within 0.3 s").await;
    check_backup("sleep 1000 & exit 3", soon, How::Hung, "did not answer backup").await;
    check_backup("echo oops", long, How::Protocol, "sent the line \"oops\"").await;
    check_backup(
        r#"echo "{\"id\":$n,\"ok\":{}}""#,
        long,
        How::Protocol,
        "answered backup with a wrong \"object_count\"",
    )
    .await;
    check_backup(r#"echo '{"id":77,"ok":{}}'"#, long, How::Protocol, "answered request 77 while").await;
    let asks = |ask: u64, backup: &str, rest: &str| format!(r#"echo '{{"ask":{ask},"backup":"{backup}",{rest}}}'"#);
    let meta = asks(1, ID, r#""what":"volume_meta","volume_meta":null"#);
    check_backup(&meta, long, How::Protocol, "during a request that has no such question").await;
    let saves = r#""what":"save_location","container":"c","service_metadata":"p""#;
    check_backup(&asks(1, "another", saves), long, How::Protocol, "during the backup of backup b0000000-").await;
    let twice = [asks(7, ID, r#""what":"cancelled""#), asks(7, ID, saves)].join(";");
    check_backup(&twice, long, How::Protocol, "under the number 7 of an earlier question").await;
    // Bytes of one kind, lines of the other.
    let notes = r#"head -c 9000000 /dev/zero | tr '\0' x | fold -w 60000 | sed 's/.*/{"event":"log","level":"info","text":"&"}/'"#;
    check_backup(notes, long, How::Protocol, "sent more than 10000 questions and events").await;
    let many = r#"yes '{"event":"warning","backup":"x","finding":"y"}' | head -n 20000"#;
    check_backup(many, long, How::Protocol, "sent more than 10000 questions and events").await;
    let no_percent = r#"echo '{"event":"notification","backup":"b0000000-0000-4000-8000-000000000001","event_type":"backup.createprogress","payload":{}}'"#;
    check_backup(no_percent, long, How::Protocol, "without a number \"backup_percent\"").await;
}

#[tokio::test]
async fn a_child_of_the_adapter_ends_with_it() {
    let place = Place::new();
    let script = place.script(&format!("sleep 1000 & case \"$line\" in {GREETS} esac"));
    let process = AdapterProcess::start(place.command(&script)).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(members(process.pid()).len() >= 2, "the script and its child run");
    place.check_gone(process);
}

#[tokio::test]
async fn a_note_after_the_end_of_its_backup_is_late() {
    let note = r#"echo '{"event":"notification","backup":"b0000000-0000-4000-8000-000000000001","event_type":"backup.createprogress","payload":{"backup_percent":50.0}}'"#;
    let fails = r#"echo "{\"id\":$n,\"error\":{\"kind\":\"unreachable\",\"message\":\"swift\",\"definite\":false}}""#;
    let (process, error) = backup_with(&format!("{note}; {fails}; {note}; {note}"), Duration::from_secs(30)).await;
    assert_eq!((error.to_string().as_str(), error.retry), ("unreachable: backup: swift", true));
    // An answer later than the notes shows that they have come.
    let driver = AdapterDriver::new(&process, Default::default());
    driver.check_for_setup_error().await.unwrap();
    let late: Vec<bool> = process.notifications().iter().map(|noted| noted.late).collect();
    assert_eq!(late, [false, true, true]);
    assert_eq!(process.late_notifications("b0000000-0000-4000-8000-000000000001").len(), 2);
    assert_eq!(process.late_notifications("another").len(), 0);
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_ended_by_its_next_question() {
    let asks = r#"echo '{"ask":5,"what":"cancelled","backup":"b0000000-0000-4000-8000-000000000001"}'; read -r line; case "$line" in *true*) ;; *) exit 9;; esac; echo "{\"id\":$n,\"error\":{\"kind\":\"cancelled\",\"message\":\"\",\"definite\":true}}""#;
    let place = Place::new();
    let script = place.script(&format!("case \"$line\" in {GREETS} *'\"backup\"'*) sleep 0.3; {asks};; {OBEYS} esac"));
    let process = AdapterProcess::start(place.command(&script)).await.unwrap_or_else(|failure| panic!("{failure}"));
    let driver = AdapterDriver::new(&process, posix_options(&place));
    let (device, control) = (Device::new(vec![1; 5000]), Arc::new(Control::default()));
    let (context, backup) = (RequestContext::admin(), row("b", None));
    let given_up = driver.backup(&context, &backup, None, &device, control);
    tokio::time::timeout(Duration::from_millis(50), given_up).await.unwrap_err();
    driver.check_for_setup_error().await.unwrap();
    assert_eq!(process.failure(), None);
}
