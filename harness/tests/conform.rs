//! What the conformance suite must never do: pass having played nothing, blame a driver for its own trouble, try again
//! until it works, or lose a case.

#[path = "conform/repeat.rs"]
mod repeat;
#[path = "conform/streams.rs"]
mod streams;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use clinker::catalog;
use clinker::conformance::bench::{Bench, Body, Call, Pace, Setting, Which, play};
use clinker::conformance::candidate::Candidate;
use clinker::conformance::cases::Scale;
use clinker::conformance::outcome::{Outcome, fixture};
use clinker::conformance::profile::{find, profile};
use clinker::conformance::suite::Suite;
use clinker::conformance::trials;
use clinker::run::Server;
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::posix::PosixStore;
use clinker_drivers::s3::S3Store;
use clinker_drivers::{Backup, Error, Kind, RequestContext, Result};
use clinker_env::Env;
use clinker_fakes::{S3Config, S3Fake, s3};
use clinker_model::conformance::CaseResult;
use clinker_model::verdict::{RunResult, Verdict};
use clinker_model::{Fault, FaultId, FaultTarget, StoredObject};
use clinker_reports::json::File;
use jiff::Timestamp;

/// A folder for what a command leaves; gone at the end.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Place {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("conform-{test}"));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Place(root)
    }

    fn clinker(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_clinker")).current_dir(&self.0).args(arguments).output().unwrap()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn result(&self) -> File {
        File::read(&fs::read_to_string(self.0.join("target/clinker/conform-posix/result.json")).unwrap()).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs `clinker` with these words: the exit code, and what is printed must contain `says`.
fn check(place: &Place, arguments: &str, code: i32, says: &str) {
    let output = place.clinker(&arguments.split(' ').collect::<Vec<_>>());
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments}: {printed}");
    assert!(printed.contains(says), "{arguments}: \"{says}\" is missing in:\n{printed}");
}

#[test]
fn nothing_played_is_an_error_of_its_own() {
    let place = Place::new("nothing");
    check(&place, "conform --driver posix --case B-CRT-001 --level extended", 4, "nothing ran");
    check(&place, "conform --driver posix --case B-CEPH-001", 4, "no driver: ceph");
}

#[test]
fn an_unknown_driver_case_or_capability_is_refused_with_a_suggestion() {
    let place = Place::new("unknown");
    check(&place, "conform --driver posx", 2, "did you mean `posix`?");
    check(&place, "conform --driver posix --case B-CRT-0O1", 2, "did you mean `B-CRT-001`?");
    check(&place, "conform --driver posix --needs incremntal", 2, "did you mean `incremental`?");
    check(&place, "conform --driver posix --level cor", 2, "core");
    check(&place, "conform --driver posix --expectations none.toml", 2, "none.toml");
}

#[test]
fn every_case_can_be_listed_with_its_rule() {
    let place = Place::new("list");
    check(&place, "list cases", 0, "B-INT-001 bit_flip  Core [");
    check(&place, "list cases", 0, "    A metadata object of a version that is not known is `invalid_backup`");
}

#[test]
fn every_case_of_the_profile_is_in_a_result_once_and_a_skip_is_no_pass() {
    let place = Place::new("once");
    check(&place, "conform --driver posix --case B-CRT-001 --case B-CEPH-001", 0, "");
    let file = place.result();
    let found: Vec<&str> = file.cases.iter().map(|case| case.id.as_str()).collect();
    let wanted: Vec<&str> = profile().cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(found, wanted);
    let (counts, total) = (&file.summary, profile().cases.len());
    assert_eq!((counts.cases, counts.passed, counts.skipped, counts.failed), (total, 1, total - 1, 0));
    for case in file.cases.iter().filter(|case| case.verdict != Verdict::Pass) {
        assert!(case.plays.is_empty() && case.reason.is_some(), "{} was not played and does not say why", case.id);
    }
}

#[test]
fn a_core_case_that_only_scenarios_have_shown_is_said_to_be_shown_in_part() {
    let place = Place::new("part");
    check(
        &place,
        "conform --driver s3 --case B-FLT-003",
        0,
        ": in part, by 1 scenario; all 3 own plays were skipped: ",
    );
    check(&place, "conform --driver s3 --case B-FLT-003", 0, "passed (1 of them in part, ");
}

const PASSES: &str =
    "[[expect]]\ncase = \"B-CRT-001\"\nverdict = \"fail\"\nfingerprint = \"bytes\"\nreason = \"known\"\n";

#[test]
fn a_stale_expectation_turns_the_gate_red_and_an_update_mends_it() {
    let place = Place::new("stale");
    let file = place.write("known.toml", PASSES);
    let conform = format!("conform --driver posix --case B-CRT-001 --expectations {file}");
    check(&place, &conform, 6, "stale expectation: B-CRT-001: it passes now");
    check(&place, &format!("expectations check {file}"), 0, "1 entries");
    let result = "target/clinker/conform-posix/result.json";
    check(&place, &format!("expectations update {result} {file}"), 0, "removed    B-CRT-001: it passes");
    check(&place, &conform, 0, "");
    // An entry for a case that is not selected says nothing of this run.
    let other = place.write("other.toml", &PASSES.replace("B-CRT-001", "B-CRT-002"));
    check(&place, &format!("conform --driver posix --case B-CRT-001 --expectations {other}"), 0, "");
    let skipped = place.write("skipped.toml", &PASSES.replace("B-CRT-001", "B-CEPH-001"));
    let both = format!("conform --driver posix --case B-CRT-001 --case B-CEPH-001 --expectations {skipped}");
    check(&place, &both, 6, "B-CEPH-001: it was not run (no driver: ceph)");
}

#[test]
fn a_wrong_expectations_file_is_pointed_at() {
    let place = Place::new("wrong");
    let file = place.write("known.toml", &PASSES.replace("fingerprint", "finger_print"));
    check(&place, &format!("expectations check {file}"), 2, "known.toml:4:1: unknown field `finger_print`");
    let file = place.write("expired.toml", &format!("{PASSES}expires = \"2020-01-01\"\n"));
    check(&place, &format!("expectations check {file}"), 6, "B-CRT-001: the entry was good until 2020-01-01");
}

/// The posix store with a put that misbehaves.
struct Odd {
    inner: PosixStore,
    puts: Arc<AtomicU64>,
    put: fn(u64) -> Result<()>,
}

#[async_trait]
impl ChunkStore for Odd {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }
    fn host_bound(&self) -> bool {
        self.inner.host_bound()
    }
    fn check_options(&self) -> Result<()> {
        self.inner.check_options()
    }
    async fn check_for_setup_error(&self) -> Result<()> {
        self.inner.check_for_setup_error().await
    }
    fn container_for(&self, backup: &Backup) -> Result<String> {
        self.inner.container_for(backup)
    }
    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        self.inner.object_prefix(backup, now)
    }
    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()> {
        self.inner.put_container(context, container).await
    }
    async fn list(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        self.inner.list(context, container, prefix).await
    }
    async fn put(&self, cx: &RequestContext, container: &str, name: &str, body: Bytes, md5: [u8; 16]) -> Result<()> {
        (self.put)(self.puts.fetch_add(1, Ordering::Relaxed))?;
        self.inner.put(cx, container, name, body, md5).await
    }
    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        self.inner.get(context, container, name).await
    }
    async fn delete(&self, context: &RequestContext, container: &str, name: &str) -> Result<()> {
        self.inner.delete(context, container, name).await
    }
    async fn discard_partial(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<()> {
        self.inner.discard_partial(context, container, prefix).await
    }
}

/// A candidate whose puts are counted over all plays.
fn odd(put: fn(u64) -> Result<()>) -> Candidate {
    let puts = Arc::new(AtomicU64::new(0));
    Candidate::store("odd", "posix", move |options, env| {
        Ok(Arc::new(Odd { inner: PosixStore::new(options, env), puts: Arc::clone(&puts), put }))
    })
}

fn played(candidate: Candidate, ids: &[&str]) -> Vec<CaseResult> {
    let suite = Suite {
        parts: candidate.parts(),
        candidate,
        entries: catalog::embedded().unwrap(),
        scale: Scale::Gate,
        seeds: 1,
        seed: 17,
        pace: Pace::Virtual,
        pictures: false,
    };
    let cases: Vec<_> = ids.iter().map(|id| find(id).unwrap()).collect();
    suite.run(&cases, 2, &|_| ())
}

#[test]
fn a_case_that_panics_is_an_error_and_the_others_go_on() {
    let results = played(odd(|_| panic!("the robot dropped the tape")), &["B-CRT-001", "B-CAP-003", "B-CRT-002"]);
    let verdicts: Vec<Verdict> = results.iter().map(|result| result.verdict).collect();
    assert_eq!(verdicts, [Verdict::Error, Verdict::Pass, Verdict::Error], "{results:#?}");
    let told = results[0].reason.as_deref().unwrap_or_default();
    assert!(told.contains("the robot dropped the tape"), "{told}");
    let broken = Candidate::store("broken", "posix", |_, _| panic!("no store today"));
    assert_eq!(played(broken, &["B-CRT-001"])[0].verdict, Verdict::Error);
}

fn once_broken(put: u64) -> Result<()> {
    if put == 0 { Err(Error::new(Kind::Unreachable, "the first put fails")) } else { Ok(()) }
}

#[test]
fn a_failure_that_would_not_come_again_is_a_failure() {
    let result = played(odd(once_broken), &["B-CRT-001"]).remove(0);
    assert_eq!(result.verdict, Verdict::Fail);
    let names: BTreeSet<&str> = result.plays.iter().map(|play| play.scenario.as_str()).collect();
    assert_eq!(names.len(), result.plays.len(), "each play is played once");
    assert!(result.fingerprint.is_some_and(|how| how.contains("unreachable")));
}

/// Our S3 server as somebody else's, with pages of 3 names.
struct OwnServer(Arc<S3Fake>);

impl FaultTarget for OwnServer {
    fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        self.0.begin(id, fault)
    }
    fn end(&self, id: FaultId) {
        self.0.end(id);
    }
    fn stored(&self) -> Vec<StoredObject> {
        self.0.stored()
    }
    fn object_bytes(&self, container: &str, name: &str) -> Option<Vec<u8>> {
        self.0.object_bytes(container, name)
    }
    fn put_bytes(&self, container: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.0.put_bytes(container, name, bytes)
    }
}

#[async_trait(?Send)]
impl Server for OwnServer {
    async fn serve(self: Arc<Self>, env: Env) -> std::io::Result<()> {
        Arc::clone(&self.0).serve(env, 8080).await
    }
}

#[test]
fn a_store_with_a_server_of_its_own_is_put_to_the_test_with_that() {
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let candidate = Candidate::store("own", "s3", |options, env| Ok(Arc::new(S3Store::new(options, env)?)));
    let candidate = candidate.claiming(&["net"]).with_server(move |journal| {
        count.fetch_add(1, Ordering::Relaxed);
        let keys = vec![s3::Key::new("backup-access-key", "s3-secret-access-key", "backup")];
        Arc::new(OwnServer(S3Fake::new(S3Config { keys, list_page: 3, ..S3Config::default() }, journal)))
    });
    let results = played(candidate, &["B-CRT-001", "B-CAP-006", "B-DEL-007", "B-CAP-005"]);
    let verdicts: Vec<Verdict> = results.iter().map(|result| result.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, Verdict::Pass, Verdict::Skip], "{results:#?}");
    let plays: usize = results.iter().map(|result| result.plays.len()).sum();
    assert_eq!(made.load(Ordering::Relaxed), plays as u64, "each play has a server of its own");
}

fn body(body: Body) -> RunResult {
    let candidate = Candidate::built_in("posix").unwrap();
    let setting = Setting {
        parts: candidate.parts(),
        candidate,
        case: "B-CRT-001".to_owned(),
        variant: String::new(),
        seed: 17,
        pace: Pace::Virtual,
        page: None,
    };
    play(&setting, "a rule", body).result
}

async fn needs_a_file(_: Bench) -> Outcome {
    fixture(fs::read("no/such/file").map(drop))
}

async fn breaks_what_nobody_uses(bench: Bench) -> Outcome {
    let all = Which { call: Call::Put, about: "", nth: 1, times: 0 };
    bench.fail(all, 500).await.map(drop)
}

#[test]
fn a_broken_fixture_is_never_the_drivers_failure() {
    let result = body(|bench| Box::pin(needs_a_file(bench)));
    assert_eq!(result.verdict, Verdict::Error);
    assert!(result.findings.is_empty());
}

#[test]
fn a_fault_that_hits_nothing_fails_its_case() {
    let result = body(|bench| Box::pin(breaks_what_nobody_uses(bench)));
    assert_eq!((result.verdict, result.faults[0].bites), (Verdict::Fail, 0));
    assert_eq!(result.reason.as_deref(), Some("the fault eio hit nothing"));
}

#[test]
fn a_plug_ins_test_program_ends_with_the_code_of_what_happened() {
    let place = Place::new("trials");
    let run = |candidate: Candidate, arguments: &[&str]| {
        let arguments = ["suite", "--test-threads", "2"].iter().chain(arguments).map(OsString::from);
        trials::run(candidate, arguments.collect::<Vec<_>>())
    };
    let code = |code: u8| format!("{:?}", ExitCode::from(code));
    let check = |candidate: Candidate, arguments: &[&str], expected: u8| {
        assert_eq!(format!("{:?}", run(candidate, arguments)), code(expected), "{arguments:?}");
    };
    let result = place.0.join("result.json").display().to_string();
    let known = place.0.join("known.toml").display().to_string();
    check(odd(|_| Ok(())), &["B-CRT-001"], 0);
    check(odd(once_broken), &["B-CRT-001", "--result", &result], 101);
    check(odd(|_| Ok(())), &["B-CEPH"], 4);
    check(odd(|_| Ok(())), &["no such case"], 4);
    check(odd(|_| Ok(())), &["--seed", "seventeen"], 2);
    // What it left is what a file of expectations is made of; then it is expected, and its absence is not.
    let file = File::read(&fs::read_to_string(&result).unwrap()).unwrap();
    assert_eq!((file.cases.len(), file.summary.failed), (profile().cases.len(), 1));
    self::check(&place, &format!("expectations update {result} {known}"), 0, "added      B-CRT-001");
    check(odd(once_broken), &["B-CRT-001", "--expectations", &known], 2);
    fs::write(&known, fs::read_to_string(&known).unwrap().replace("reason = \"\"", "reason = \"known\"")).unwrap();
    check(odd(once_broken), &["B-CRT-001", "--expectations", &known], 0);
    check(odd(|_| Ok(())), &["B-CRT-001", "--expectations", &known], 101);
}
