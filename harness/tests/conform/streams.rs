//! What goes to standard output for programs stays what it is, whatever else is asked for.

use clinker_reports::json::File;
use serde_json::Value;

use super::Place;
use super::repeat::dying;

fn printed(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn has_annotation(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("::error title=fail B-CRT-001 "))
}

#[test]
fn annotations_do_not_get_among_what_programs_read() {
    let place = Place::new("streams");
    let output = place.clinker(&dying(&["--json", "--annotations"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let file = File::read(&printed(&output.stdout)).unwrap();
    assert_eq!(file.summary.failed, 1);
    assert!(has_annotation(&printed(&output.stderr)), "{}", printed(&output.stderr));

    let output = place.clinker(&dying(&["--ndjson", "--annotations"]));
    let text = printed(&output.stdout);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("each is JSON")).collect();
    assert!(has_annotation(&printed(&output.stderr)), "{}", printed(&output.stderr));
    // Each case of the profile is a line, once: the total says how many, and so does the end.
    let mut ids: Vec<&str> = lines.iter().filter_map(|line| line["case"]["id"].as_str()).collect();
    assert_eq!((ids.first(), ids.len()), (Some(&"B-CRT-001"), lines.len() - 2));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(Some(ids.len() as u64), lines[0]["total"].as_u64());
    assert_eq!(Some(ids.len() as u64), lines[lines.len() - 1]["summary"]["cases"].as_u64());

    let output = place.clinker(&dying(&["--annotations"]));
    assert!(has_annotation(&printed(&output.stdout)) && !has_annotation(&printed(&output.stderr)));
    let result = "target/clinker/conform-adapter-posix/result.json";
    let output = place.clinker(&["report", result, "--annotations", "--ndjson", "-"]);
    assert!(printed(&output.stdout).lines().all(|line| line.starts_with('{')), "{}", printed(&output.stdout));
    assert!(has_annotation(&printed(&output.stderr)));
}

#[test]
fn two_results_of_other_subjects_are_never_the_same() {
    let place = Place::new("subjects");
    let conform = |driver: &str| {
        place.clinker(&["conform", "--driver", driver, "--case", "B-CRT-001", "--out", driver]);
        std::fs::read_to_string(place.0.join(driver).join("result.json")).unwrap()
    };
    let (posix, _) = (conform("posix"), conform("s3"));
    let other = place.write("other.json", &posix.replacen("\"profile\": \"2026.1\"", "\"profile\": \"2027.1\"", 1));
    for (after, code, says) in [
        ("posix/result.json", 0, "no difference\n"),
        (&*other, 1, "worse  profile: before 2026.1; now 2027.1\n"),
        ("s3/result.json", 0, "other  name: before posix; now s3\n"),
    ] {
        let output = place.clinker(&["diff", "posix/result.json", after]);
        let text = printed(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.starts_with(says), "{text}");
    }
}
