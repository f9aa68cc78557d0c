//! `clinker report` and `clinker diff`: files that runs left, rendered again and compared.

use std::fs;

use clinker_reports::json::File;

use super::{HEALTHY, Place, text};

const RUN: &str = "target/clinker/area/case@posix-3";

/// A place where the run passed under seed 3 and failed, expecting the opposite, under seed 4.
fn played(test: &str) -> Place {
    let place = Place::new(test, "area/case", HEALTHY);
    assert_eq!(place.clinker(&["run", "--seed", "3"]).status.code(), Some(0));
    fs::write(place.0.join("scenarios/area/case.toml"), HEALTHY.replace("is = \"up\"", "is = \"down\"")).unwrap();
    assert_eq!(place.clinker(&["run", "--seed", "4"]).status.code(), Some(1));
    place
}

#[test]
fn a_run_leaves_its_reports_with_a_timeline() {
    let place = played("left");
    let read = |name: &str| fs::read_to_string(place.0.join(RUN).join(name)).unwrap();
    let file = File::read(&read("result.json")).unwrap();
    let timeline = file.runs[0].timeline.as_ref().unwrap();
    let lane = timeline.lanes.iter().find(|lane| lane.host == "backup-host-1").unwrap();
    assert!(
        lane.spans.iter().any(|span| span.label == "up") && lane.marks.iter().any(|mark| mark.label == "heartbeat")
    );
    assert!(read("junit.xml").contains("<testcase name=\"area/case@posix:3\""));
    assert!(read("index.html").contains("data-timeline=\"0\""));
}

#[test]
fn every_report_can_be_had_again() {
    let place = played("again");
    let (good, bad) = (format!("{RUN}/result.json"), format!("{}4/result.json", RUN.strip_suffix('3').unwrap()));
    let written = ["--junit", "x.xml", "--html", "x.html", "--markdown", "x.md", "--ndjson", "x.ndjson"];
    let output = place.clinker(&[&["report", &good, &bad][..], &written].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(": 1 passed, 1 failed"), "{}", text(&output.stdout));
    for (name, piece) in [
        ("x.xml", "tests=\"2\" failures=\"1\""),
        ("x.html", "1 of 2 runs failed"),
        ("x.md", "❌ **1 of 2 runs failed**"),
        ("x.ndjson", "{\"type\":\"end\""),
    ] {
        let written = fs::read_to_string(place.0.join(name)).unwrap();
        assert!(written.contains(piece), "{name}: {written}");
    }
    let output = place.clinker(&["report", &bad, "--annotations"]);
    let said = text(&output.stdout);
    assert!(said.starts_with("::error title=fail area/case@posix%3A4::service_state%0A"), "{said}");
    let output = place.clinker(&["report", &bad, "--junit", "-"]);
    assert!(text(&output.stdout).starts_with("<?xml") && text(&output.stdout).trim_end().ends_with("</testsuites>"));
}

#[test]
fn a_summary_is_added_to_what_the_step_has_said() {
    let place = played("append");
    fs::write(place.0.join("summary.md"), "before\n").unwrap();
    place.clinker(&["report", &format!("{RUN}/result.json"), "--markdown", "summary.md"]);
    assert!(fs::read_to_string(place.0.join("summary.md")).unwrap().starts_with("before\n## Clinker"));
}

#[test]
fn the_schema_is_printed() {
    let output = Place::new("schema", "area/case", HEALTHY).clinker(&["report", "--schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["properties"]["format"]["const"], 2);
}

#[test]
fn a_difference_for_the_worse_is_told_by_the_exit_code() {
    let place = played("diff");
    let good = fs::read_to_string(place.0.join(RUN).join("result.json")).unwrap();
    fs::write(place.0.join("good"), &good).unwrap();
    let mut file = File::read(&good).unwrap();
    file.runs[0].verdict = clinker_model::verdict::Verdict::Fail;
    file.runs[0].reason = Some("attempts".to_owned());
    fs::write(place.0.join("bad"), clinker_reports::json::text(&file)).unwrap();
    fs::write(place.0.join("old"), good.replacen("\"format\": 2", "\"format\": 1", 1)).unwrap();
    for (before, after, code, says) in [
        ("good", "good", 0, "no difference"),
        ("good", "bad", 1, "area/case@posix:3"),
        ("bad", "good", 0, "1 changed, 0 for the worse"),
        ("good", "old", 2, "`format` is 1; this program reads 2"),
        ("good", "nowhere", 2, "read nowhere"),
    ] {
        let output = place.clinker(&["diff", before, after]);
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{before} {after}: {printed}");
        assert!(printed.contains(says), "{before} {after}: {printed}");
    }
    let output = place.clinker(&["diff", "good", "bad", "--json"]);
    let changes: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&changes["items"][0]["kind"], &changes["items"][0]["worse"]), (&"verdict".into(), &true.into()));
}

#[test]
fn what_is_no_result_is_named() {
    let place = Place::new("no-result", "area/case", HEALTHY);
    fs::write(place.0.join("prose"), "hello").unwrap();
    for (file, says) in [("prose", "prose: it is no result.json"), ("nowhere", "read nowhere")] {
        let output = place.clinker(&["report", file]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    assert_eq!(place.clinker(&["report"]).status.code(), Some(2));
}
