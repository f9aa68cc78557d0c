//! The program as its users meet it: exit codes, errors that point at the field, files it leaves, replay.

#[path = "program/bench.rs"]
mod bench;
#[path = "program/engine.rs"]
mod engine;
#[path = "program/reports.rs"]
mod reports;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A scenario that passes, short. Its name is not that of a built-in one, so it has no golden.
const HEALTHY: &str = r#"
about = "The service comes up."
drivers = ["posix"]
options.backup_periodic_initialization = true
end = "20s"
[expect]
service = [ { by = "5s", is = "up" } ]
"#;

/// A folder of scenarios and a place for results; gone at the end.
struct Place(PathBuf);

impl Place {
    fn new(test: &str, name: &str, text: &str) -> Place {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("program-{test}"));
        let _ = fs::remove_dir_all(&root);
        let file = root.join("scenarios").join(format!("{name}.toml"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        Place(root)
    }

    fn clinker(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clinker"));
        command.current_dir(&self.0).arg("--scenarios").arg(self.0.join("scenarios")).args(arguments);
        command.output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `clinker` on one scenario: the exit code, and what is printed must contain `says`.
fn check(test: &str, scenario: &str, arguments: &[&str], code: i32, says: &[&str]) {
    let place = Place::new(test, "area/case", scenario);
    let output = place.clinker(arguments);
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{printed}");
    for part in says {
        assert!(printed.contains(part), "\"{part}\" is missing in:\n{printed}");
    }
}

#[test]
fn another_seed_is_judged_without_golden() {
    check("seed", HEALTHY, &["run", "--seed", "3"], 0, &["1 passed, 0 failed"]);
}

#[test]
fn a_scenario_without_golden_is_not_a_pass() {
    check(
        "no-golden",
        HEALTHY,
        &["run"],
        3,
        &["no golden accepted yet", "clinker replay --scenarios", "clk1:area/case@posix:"],
    );
}

#[test]
fn a_broken_expectation_fails_with_rule_and_repro() {
    let wrong = HEALTHY.replace("is = \"up\"", "is = \"down\"");
    check(
        "expect",
        &wrong,
        &["run", "--seed", "3"],
        1,
        &["FAIL", "expected", "observed", "clinker replay --scenarios", " clk1:"],
    );
}

#[test]
fn a_fault_that_never_bites_fails() {
    let idle = HEALTHY.replace("[expect]", "[[fault]]\nat = \"10s\"\nfull = { after = \"1GiB\" }\n[expect]");
    check("bite", &idle, &["run", "--seed", "3"], 1, &["faults"]);
}

#[test]
fn an_engine_refuses_what_it_cannot_do() {
    for (arguments, says) in [
        (&["run", "--engine", "real", "--tick", "5"][..], "--tick: real has none"),
        (&["run", "--engine", "real", "--seeds", "2"], "--seeds: real cannot order events anew"),
        (&["run", "--engine", "warp"], "[possible values: simnet, turmoil, real]"),
    ] {
        check("engine", HEALTHY, arguments, 2, &[says]);
    }
    let held =
        HEALTHY.replace("[expect]", "[[fault]]\nat = \"2s\"\nuntil = \"3s\"\nhold = { host = \"db\" }\n[expect]");
    let says = "real cannot play all of its faults and its schedule: simnet can";
    check("engine", &held, &["run", "--engine", "real", "--seed", "3"], 4, &[says, "skip"]);
}

#[test]
fn a_run_in_real_time_is_judged_as_any_other() {
    let short = HEALTHY.replace("end = \"20s\"\n", "").replace("\"5s\"", "\"1s\"");
    check("real", &short, &["run", "--engine", "real", "--seed", "3", "--json"], 0, &[":3:real:", "\"pass\""]);
}

#[test]
fn nothing_selected_is_an_error() {
    check("none", HEALTHY, &["run", "no-such-scenario"], 4, &["nothing ran"]);
    check("none", HEALTHY, &["run", "--driver", "swift"], 4, &["nothing ran"]);
}

#[test]
fn an_unknown_driver_is_named() {
    check("driver", HEALTHY, &["run", "--driver", "s4"], 2, &["no driver preset is called \"s4\"", "swift-v3"]);
}

#[test]
fn a_wrong_field_is_pointed_at_with_a_suggestion() {
    let wrong = HEALTHY.replace("options.backup_periodic_initialization", "options.backup_periodic_initialisation");
    check("field", &wrong, &["run"], 2, &["case.toml:4:", "backup_periodic_initialization"]);
    let wrong = HEALTHY.replace("about =", "abuot =");
    check("field", &wrong, &["run"], 2, &["case.toml:2:1", "about"]);
}

#[test]
fn json_is_one_document() {
    let place = Place::new("json", "area/case", HEALTHY);
    let output = place.clinker(&["run", "--seed", "3", "--json"]);
    let file: clinker_reports::json::File = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((file.summary.runs, file.summary.passed), (1, 1));
    assert_eq!(file.runs[0].hash.len(), 16);
}

#[test]
fn a_run_leaves_its_files_and_they_can_be_judged_and_replayed() {
    let place = Place::new("files", "area/case", HEALTHY);
    assert_eq!(place.clinker(&["run", "--seed", "3"]).status.code(), Some(0));
    let folder = "target/clinker/area/case@posix-3";
    for file in ["plan.toml", "history.jsonl", "result.json", "junit.xml", "index.html"] {
        assert!(place.0.join(folder).join(file).is_file(), "{file}");
    }
    let judged = place.clinker(&["check", &format!("{folder}/history.jsonl")]);
    assert_eq!(judged.status.code(), Some(0), "{}", text(&judged.stderr));
    assert!(text(&judged.stdout).contains("pass  service_state"));
    let again = place.clinker(&["replay", folder]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
}

#[test]
fn a_history_that_breaks_a_rule_fails_the_check() {
    let place = Place::new("check", "area/case", HEALTHY);
    place.clinker(&["run", "--seed", "3"]);
    let path = place.0.join("target/clinker/area/case@posix-3/history.jsonl");
    // The expectation is part of the recorded plan: turned round, the same history breaks it.
    let history = fs::read_to_string(&path).unwrap().replacen("\"is\":\"up\"", "\"is\":\"down\"", 1);
    fs::write(&path, history).unwrap();
    let judged = place.clinker(&["check", path.to_str().unwrap()]);
    assert_eq!(judged.status.code(), Some(1), "{}", text(&judged.stdout));
}

#[test]
fn files_that_are_no_history_are_named_with_their_line() {
    let place = Place::new("garbage", "area/case", HEALTHY);
    place.clinker(&["run", "--seed", "3"]);
    let whole = fs::read_to_string(place.0.join("target/clinker/area/case@posix-3/history.jsonl")).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let half = lines[..lines.len() / 2].join("\n");
    let holed = [&lines[..3], &lines[5..]].concat().join("\n");
    let twice = [&lines[..], &lines[1..]].concat().join("\n");
    let late = lines[2].replacen("\"t_ns\":", "\"t_ns\":1844674407370955161", 1);
    let late = [lines[0], lines[1], &late].join("\n");
    for (name, contents, says) in [
        ("empty", "", "it is empty"),
        ("prose", "hello\n", "prose:1"),
        ("cut", "{\"format\":1", "cut:1"),
        ("half", &half, "it is cut off"),
        ("holed", &holed, "records are missing"),
        ("twice", &twice, "out of order"),
        ("late", &late, "late:3"),
    ] {
        let path = place.0.join(name);
        fs::write(&path, contents).unwrap();
        let output = place.clinker(&["check", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(text(&output.stderr).contains(says), "{name}: {}", text(&output.stderr));
    }
    let output = place.clinker(&["replay", "no/such/folder"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("neither a token"));
}

#[test]
fn a_token_replays_its_run() {
    let place = Place::new("token", "area/case", HEALTHY);
    let result = place.clinker(&["run", "--seed", "3", "--json"]);
    let file: clinker_reports::json::File = serde_json::from_slice(&result.stdout).unwrap();
    let token = file.runs[0].replay.split(' ').next_back().unwrap();
    let output = place.clinker(&["replay", token]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(&file.runs[0].hash));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new("pipe", "area/case", HEALTHY);
    for (arguments, code) in [(&["list", "checks"][..], 0), (&["run", "--seed", "3"], 0), (&["run"], 3)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clinker"));
        command.current_dir(&place.0).arg("--scenarios").arg("scenarios").args(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = command.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn results_that_cannot_be_kept_are_told_of_before_the_first_run() {
    check("out", HEALTHY, &["run", "--out", "/dev/null/x"], 2, &["--out: create folder /dev/null/x"]);
}

#[test]
fn the_printed_command_repeats_a_run_of_another_folder() {
    let place = Place::new("repro", "area/case", HEALTHY);
    let output = place.clinker(&["run"]);
    let printed = text(&output.stderr);
    let last = printed.lines().last().unwrap();
    let folder = format!("clinker replay --scenarios {:?} clk1:", place.0.join("scenarios"));
    assert!(last.contains(&folder), "{last}");
}

#[test]
fn a_plan_edited_by_hand_is_checked() {
    let place = Place::new("edited", "area/case", HEALTHY);
    place.clinker(&["run", "--seed", "3"]);
    let path = place.0.join("target/clinker/area/case@posix-3/plan.toml");
    let plan = fs::read_to_string(&path).unwrap();
    for (piece, by, says) in [
        ("engine = \"simnet\"", "engine = \"turmoil\"", "`tick` 0s of engine turmoil is not from"),
        ("gib = \"1MiB\"", "gib = \"0\"", "`gib` is at least"),
        ("block = \"4KiB\"", "block = \"0\"", "is not a multiple"),
        ("backup_hosts = 1", "backup_hosts = 0", "`backup_hosts` is from 1"),
        ("driver = \"posix\"", "driver = \"s4\"", "`driver` is one of"),
        ("end = \"20s\"", "end = \"1000d\"", "`end` 86400000s is after"),
        ("seed = 3", "seed = \"three\"", "plan.toml: no plan"),
    ] {
        assert!(plan.contains(piece), "{piece} is in:\n{plan}");
        fs::write(&path, plan.replacen(piece, by, 1)).unwrap();
        let output = place.clinker(&["replay", "target/clinker/area/case@posix-3"]);
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{by}: {printed}");
        assert!(printed.contains(says), "{by}: {printed}");
        assert!(!printed.contains("neither a token"), "{by}: {printed}");
    }
}

#[test]
fn a_token_with_an_impossible_tick_is_refused() {
    let token = "clk1:area/case@posix:3:turmoil-0:x";
    check("tick", HEALTHY, &["replay", token], 2, &["the tick is from 1 to 1000"]);
}

#[test]
fn a_scenario_too_large_to_run_is_refused() {
    let with = |text: &str| HEALTHY.replace("end = \"20s\"\n", text);
    for (text, says) in [
        ("geometry.chunk = \"9999999999GiB\"\n", "is more than 16MiB"),
        ("geometry.chunk = \"1\"\ngeometry.block = \"1\"\n[[volume]]\nname = \"v\"\n", "are more than 4096"),
        ("[[volume]]\nname = \"v\"\nsize = \"1000GiB\"\n", "is more than 256MiB"),
        ("end = \"1000d\"\n", "86400000s is after 2678400s"),
        ("backup_hosts = 99\n", "`backup_hosts` is from 1 to 16"),
    ] {
        check("large", &with(text), &["run", "--seed", "3"], 2, &[says]);
    }
}
