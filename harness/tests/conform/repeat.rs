//! The line that a failure prints plays exactly that failure again; and one play of a case can be had by its name alone.

use std::ffi::OsString;
use std::fs;

use clinker::conformance::trials;
use clinker_drivers::{Error, Kind};
use clinker_model::conformance::CaseResult;
use clinker_model::verdict::{RunResult, Verdict};
use clinker_reports::json::File;

use super::{Place, check, odd};

/// The case that failed, in a result.
fn failed(file: &File) -> &CaseResult {
    file.cases.iter().find(|case| case.verdict == Verdict::Fail).expect("a case failed")
}

/// Everything about a play but how long it took, and its picture.
fn same(one: &RunResult, other: &RunResult) {
    let bare = |run: &RunResult| RunResult { wall_ms: 0, timeline: None, ..run.clone() };
    assert_eq!(bare(one), bare(other));
}

#[test]
fn the_line_of_a_plug_in_plays_the_failure_again_whatever_found_it() {
    let place = Place::new("repeat-plug-in");
    let result = place.0.join("result.json");
    let play = |words: &str| -> File {
        let words = words.split_whitespace().map(OsString::from);
        let more = ["--result".into(), result.clone().into_os_string()];
        let all = [OsString::from("suite")].into_iter().chain(words).chain(more);
        trials::run(odd(|_| Err(Error::new(Kind::Quota, "no room"))), all);
        File::read(&fs::read_to_string(&result).unwrap()).unwrap()
    };
    let found = play("--case B-FLT-001 --full --seed 18 --seeds 2");
    let case = failed(&found);
    let bad: Vec<&RunResult> = case.plays.iter().filter(|play| play.verdict == Verdict::Fail).collect();
    let last = *bad.iter().find(|play| play.scenario == "B-FLT-001/restore/16/eio" && play.seed == 19).unwrap();
    assert_eq!(case.replay, bad[0].replay);
    for bad in [bad[0], last] {
        let line = bad.replay.strip_prefix("cargo test --test conformance -- ").unwrap();
        assert_eq!(line, format!("--case {} --seed {}", bad.scenario, bad.seed));
        let again = play(line);
        let again = failed(&again);
        assert_eq!((again.plays.len(), &again.replay), (1, &bad.replay));
        same(&again.plays[0], bad);
    }
}

/// Greets, and ends when it is asked for anything. Its text has every quote in it.
const DIES: &str = r#"read -r line; echo '{"id":1,"ok":{"protocol":1,"name":"script","capabilities":["chunked"]}}'; : "$HOME"; read -r line; exit 3"#;

pub fn dying<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let words = ["conform", "--adapter", DIES, "--driver", "posix", "--wall-limit", "7", "--case", "B-CRT-001"];
    [&words[..], more].concat()
}

#[test]
fn the_line_of_an_adapter_is_one_that_a_shell_reads_as_it_was_meant() {
    let place = Place::new("repeat-adapter");
    let output = place.clinker(&dying(&["--seed", "23"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let read = || {
        let text = fs::read_to_string(place.0.join("target/clinker/conform-adapter-posix/result.json")).unwrap();
        fs::remove_file(place.0.join("target/clinker/conform-adapter-posix/result.json")).unwrap();
        File::read(&text).unwrap()
    };
    let found = read();
    let case = failed(&found);
    assert!(case.replay.ends_with(" --driver posix --wall-limit 7 --case B-CRT-001 --seed 23"), "{}", case.replay);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(printed.contains(&format!("\n  repro     {}\n", case.replay)), "{printed}");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_clinker"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = std::process::Command::new("sh");
    let status = shell.current_dir(&place.0).env("PATH", path).args(["-c", &case.replay]).output().unwrap().status;
    assert_eq!(status.code(), Some(1));
    let again = read();
    let again = failed(&again);
    let how = |case: &CaseResult| (case.id.clone(), case.fingerprint.clone(), case.replay.clone(), case.plays[0].seed);
    assert_eq!(how(again), how(case));
}

#[test]
fn a_play_is_had_by_its_name_and_an_unknown_one_is_refused() {
    let place = Place::new("repeat-one");
    check(&place, "conform --driver posix --case B-FLT-001/create/7/eoi", 2, "did you mean `create/7/eio`?");
    check(
        &place,
        "conform --driver posix --case B-FLT-001/nonsense",
        2,
        "has no play `nonsense` for posix; there are ",
    );
    check(&place, "conform --driver posix --case B-CRT-001/1", 2, "B-CRT-001 has no play `1` for posix");
    check(&place, "conform --driver posix --case B-SWF-001/1", 2, "its plays have no names; write B-SWF-001");
    for (name, played) in [
        ("B-FLT-001/create/7/eio", &["B-FLT-001/create/7/eio"][..]),
        ("B-FLT-001/create/middle/eio", &["B-FLT-001/create/middle/eio"]),
        ("B-INIT-001/init/healthy-start", &["init/healthy-start"]),
        ("B-DET-001/B-CRT-001", &["B-CRT-001"]),
    ] {
        check(&place, &format!("conform --driver posix --case {name}"), 0, "1 passed");
        let file = place.result();
        let plays = file.cases.iter().flat_map(|case| &case.plays).map(|play| play.scenario.as_str());
        assert_eq!(plays.collect::<Vec<_>>(), played);
        let case = file.cases.iter().find(|case| !case.plays.is_empty()).unwrap();
        let line = case.replay.strip_prefix("clinker ").unwrap();
        assert!(line.contains(name) || line.starts_with("replay "), "{line}");
        check(&place, line, 0, "");
    }
}
