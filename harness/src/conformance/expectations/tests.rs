//! Expectations files: what they may say, what they excuse, when they are stale, and how they are rewritten.

use clinker_model::conformance::CaseResult;

use super::*;

const FILE: &str = r#"# Known failures of a driver.

# Restores do not check digests.
[[expect]]
case = "B-INT-001"
verdict = "fail"
fingerprint = "a flipped bit was not found" # word for word
reason = "restore does not look at the md5"
tracker = "https://bugs.example.org/17"
expires = "2027-06-01"

[[expect]]
case = "B-DEL-006"
verdict = "fail"
fingerprint = "delete succeeded"
reason = "the listing's error is swallowed"
condition = { driver = "swift" }
"#;

fn subject(name: &str) -> Subject {
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Subject {
        name: name.to_owned(),
        kind: "adapter".to_owned(),
        roles: texts(&["driver"]),
        capabilities: texts(&["incremental"]),
        profile: "2026.1".to_owned(),
    }
}

fn result(id: &str, verdict: Verdict, fingerprint: Option<&str>) -> CaseResult {
    let case = profile::find(id).unwrap_or_else(|error| panic!("{error}"));
    CaseResult {
        verdict,
        fingerprint: fingerprint.map(str::to_owned),
        reason: (verdict != Verdict::Pass).then(|| "seen".to_owned()),
        ..CaseResult::of(case)
    }
}

fn as_expected() -> Vec<CaseResult> {
    vec![
        result("B-INT-001", Verdict::Fail, Some("a flipped bit was not found")),
        result("B-DEL-006", Verdict::Fail, Some("delete succeeded")),
        result("B-CRT-001", Verdict::Pass, None),
    ]
}

fn day(text: &str) -> Date {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn read(text: &str) -> Expectations {
    Expectations::read("known.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

/// Applies the file to these results of `swift`.
fn applied(mut results: Vec<CaseResult>, today: &str) -> (Vec<Verdict>, Vec<String>) {
    let stale = read(FILE).apply(&subject("swift"), &mut results, &|_| true, day(today));
    (results.iter().map(|result| result.verdict).collect(), stale.iter().map(Stale::to_string).collect())
}

#[test]
fn exactly_the_failure_that_is_described_is_expected() {
    let mut results = as_expected();
    let stale = read(FILE).apply(&subject("swift"), &mut results, &|_| true, day("2027-06-01"));
    assert_eq!(stale, []);
    assert_eq!(
        [results[0].verdict, results[1].verdict, results[2].verdict],
        [Verdict::Xfail, Verdict::Xfail, Verdict::Pass]
    );
    let told = "seen (expected: restore does not look at the md5, https://bugs.example.org/17)";
    assert_eq!(results[0].reason.as_deref(), Some(told));
    assert_eq!(results[0].fingerprint.as_deref(), Some("a flipped bit was not found"));
}

#[test]
fn every_way_of_being_stale_is_told() {
    let check = |change: fn(&mut Vec<CaseResult>), today: &str, verdict: Option<Verdict>, told: &str| {
        let mut results = as_expected();
        change(&mut results);
        let (verdicts, stale) = applied(results, today);
        assert_eq!(stale, [told]);
        assert_eq!(verdicts.first().copied().filter(|_| verdict.is_some()), verdict, "{told}");
    };
    let before = "2026-12-01";
    check(
        |results| results[0] = result("B-INT-001", Verdict::Pass, None),
        before,
        Some(Verdict::Pass),
        "B-INT-001: it passes now: remove the entry",
    );
    check(
        |results| results[0].fingerprint = Some("a panic".to_owned()),
        before,
        Some(Verdict::Fail),
        "B-INT-001: it fails in another way: expected fail \"a flipped bit was not found\"; observed fail \"a panic\"",
    );
    check(
        |results| results[0].verdict = Verdict::Error,
        before,
        Some(Verdict::Error),
        "B-INT-001: it fails in another way: expected fail \"a flipped bit was not found\"; observed error \"a flipped \
         bit was not found\"",
    );
    check(|_| (), "2027-06-02", Some(Verdict::Fail), "B-INT-001: the entry was good until 2027-06-01");
    check(
        |results| results[0] = result("B-INT-001", Verdict::Skip, None),
        before,
        Some(Verdict::Skip),
        "B-INT-001: it was not run (seen): remove the entry or give it a condition",
    );
    check(|results| drop(results.remove(0)), before, None, "B-INT-001: the result has no such case: remove the entry");
}

/// Two entries for B-INT-001 that are for `swift`: one says how it fails, the other does not.
fn two(first: &str, second: &str) -> String {
    let entry = |how: &str, condition: &str| {
        format!(
            "[[expect]]\ncase = \"B-INT-001\"\nverdict = \"fail\"\nfingerprint = \"{how}\"\nreason = \"known\"\n\
             condition = {{ {condition} }}\n"
        )
    };
    entry(first, "driver = \"swift\"") + &entry(second, "kind = \"adapter\"")
}

#[test]
fn entries_for_one_case_are_alternatives_in_any_order() {
    let check = |first: &str, second: &str, verdict: Verdict, stale: usize| {
        let file = two(first, second);
        let mut results = vec![result("B-INT-001", Verdict::Fail, Some("so"))];
        let told = read(&file).apply(&subject("swift"), &mut results, &|_| true, day("2026-12-01"));
        assert_eq!((results[0].verdict, told.len()), (verdict, stale), "{first}, {second}: {told:?}");
        // What one of them says needs no update; where none does, each gets one.
        let results = [result("B-INT-001", Verdict::Fail, Some("so"))];
        assert_eq!(updated(&file, &results).1.len(), stale, "{first}, {second}");
    };
    check("so", "otherwise", Verdict::Xfail, 0);
    check("otherwise", "so", Verdict::Xfail, 0);
    check("so", "so", Verdict::Xfail, 0);
    check("otherwise", "in a third way", Verdict::Fail, 2);
}

#[test]
fn a_breakage_has_a_fingerprint_and_excuses_no_other() {
    let broken = FILE.replacen("\"fail\"", "\"error\"", 1);
    let check = |how: &str, verdict: Verdict| {
        let mut results = as_expected();
        results[0] = result("B-INT-001", Verdict::Error, Some(how));
        read(&broken).apply(&subject("swift"), &mut results, &|_| true, day("2026-12-01"));
        assert_eq!(results[0].verdict, verdict, "{how}");
    };
    check("a flipped bit was not found", Verdict::Xfail);
    check("broke: the robot dropped the tape", Verdict::Error);
    let says = "known.toml:7:1: say how it breaks: the `fingerprint` of the case in result.json";
    refused(&broken, "a flipped bit was not found", "", says);
}

#[test]
fn a_date_may_be_one_of_tomls() {
    let plain = FILE.replace("\"2027-06-01\"", "2027-06-01");
    assert_eq!(read(&plain), read(FILE));
    assert_eq!(updated(&plain, &as_expected()), (plain.clone(), vec![]));
    refused(FILE, "\"2027-06-01\"", "3", "known.toml:10:11: found 3, expected a date such as \"2027-06-01\"");
    let hour = "known.toml:10:1: found \"2027-06-01T07:00:00Z\", expected a date such as \"2027-06-01\"";
    refused(FILE, "\"2027-06-01\"", "2027-06-01T07:00:00Z", hour);
}

#[test]
fn entries_in_one_list_are_refused_by_all() {
    let entry = "{ case = \"B-INT-001\", verdict = \"fail\", fingerprint = \"x\", reason = \"known\" }";
    for list in [format!("[ {entry} ]"), "[]".to_owned(), "3".to_owned(), entry.to_owned()] {
        let text = format!("# Known.\nexpect = {list}\n");
        let told = Expectations::read("known.toml", &text).expect_err(&list).to_string();
        assert!(told.starts_with("known.toml:2:1: write each entry as a table of its own"), "{told}");
        let told = update(&text, &subject("swift"), &as_expected()).expect_err(&list).to_string();
        assert!(told.starts_with("`expect`: write each entry as a table of its own"), "{told}");
    }
}

#[test]
fn an_entry_for_something_else_or_for_a_case_not_selected_is_left_alone() {
    let mut results = as_expected();
    let stale = read(FILE).apply(&subject("s3"), &mut results, &|_| true, day("2026-12-01"));
    assert_eq!((stale, results[1].verdict), (vec![], Verdict::Fail));
    let mut results = vec![result("B-CRT-001", Verdict::Pass, None)];
    assert_eq!(read(FILE).apply(&subject("swift"), &mut results, &|id| id == "B-CRT-001", day("2028-01-01")), []);
}

#[test]
fn a_condition_holds_when_all_of_it_is_true() {
    let mut condition = Condition { capability: Some("incremental".to_owned()), ..Condition::default() };
    assert!(condition.holds(&subject("swift")));
    condition.role = Some("store".to_owned());
    assert!(!condition.holds(&subject("swift")));
    assert!(!Condition { kind: Some("built-in".to_owned()), ..Condition::default() }.holds(&subject("swift")));
}

fn refused(text: &str, from: &str, to: &str, expected: &str) {
    assert!(text.contains(from), "{from}");
    let told = Expectations::read("known.toml", &text.replacen(from, to, 1)).expect_err(to).to_string();
    let first = told.lines().next().unwrap_or_default();
    assert_eq!(first, expected);
}

#[test]
fn a_wrong_field_is_pointed_at_with_what_would_be_right() {
    for (from, to, expected) in [
        ("B-INT-001", "B-INT-0O1", "known.toml:5:1: profile 2026.1 has no case `B-INT-0O1`; did you mean `B-INT-001`?"),
        ("B-INT-001", "bit_flip", "known.toml:5:1: write the id `B-INT-001`"),
        ("tracker", "traker", "known.toml:9:1: unknown field `traker`; did you mean `tracker`?"),
        ("\"fail\"", "\"fial\"", "known.toml:6:11: unknown value `fial`; did you mean `fail`?"),
        ("restore does not look at the md5", " ", "known.toml:8:1: say why this failure is accepted"),
        (
            "a flipped bit was not found",
            "",
            "known.toml:7:1: say how it fails: the `fingerprint` of the case in result.json",
        ),
        ("2027-06-01", "June", "known.toml:10:1: found \"June\", expected a date such as \"2027-06-01\""),
        ("https://bugs.example.org/17", "17", "known.toml:9:1: found \"17\", expected the URL of an issue"),
        (
            "{ driver = \"swift\" }",
            "{ capability = \"incremntal\" }",
            "known.toml:17:15: unknown capability `incremntal`; did you mean `incremental`?",
        ),
        (
            "\"swift\" }",
            "\"swfit\" }",
            "known.toml:17:15: no driver preset is called `swfit`; did you mean `swift`? (else say its kind)",
        ),
    ] {
        refused(FILE, from, to, expected);
    }
    let twice = FILE.replace("B-DEL-006", "B-INT-001");
    refused(
        &twice,
        "condition = { driver = \"swift\" }",
        "",
        "known.toml:13:1: B-INT-001 has an entry already, with the same condition",
    );
}

fn updated(text: &str, results: &[CaseResult]) -> (String, Vec<String>) {
    let (text, changes) = update(text, &subject("swift"), results).unwrap_or_else(|error| panic!("{error}"));
    (text, changes.iter().map(Change::to_string).collect())
}

#[test]
fn an_update_by_a_result_as_expected_changes_nothing() {
    assert_eq!(updated(FILE, &as_expected()), (FILE.to_owned(), vec![]));
    let mut results = as_expected();
    read(FILE).apply(&subject("swift"), &mut results, &|_| true, day("2026-12-01"));
    assert_eq!(updated(FILE, &results), (FILE.to_owned(), vec![]));
}

#[test]
fn an_update_rewrites_how_it_fails_and_keeps_reasons_and_comments() {
    let mut results = as_expected();
    results[0].fingerprint = Some("another way".to_owned());
    let (text, changes) = updated(FILE, &results);
    assert_eq!(text, FILE.replace("a flipped bit was not found", "another way"));
    assert_eq!(changes, ["rewritten  B-INT-001: check that its reason still holds"]);
}

#[test]
fn an_update_removes_what_passes_and_keeps_the_heading_of_the_file() {
    let mut results = as_expected();
    results[0] = result("B-INT-001", Verdict::Pass, None);
    let (text, changes) = updated(FILE, &results);
    assert!(text.starts_with("# Known failures of a driver.\n\n[[expect]]\ncase = \"B-DEL-006\"\n"), "{text}");
    assert!(!text.contains("Restores do not check digests."), "{text}");
    assert_eq!(changes, ["removed    B-INT-001: it passes"]);
    results[1] = result("B-DEL-006", Verdict::Pass, None);
    let (text, _) = updated(FILE, &results);
    assert_eq!(text.trim_end(), "# Known failures of a driver.");
    let (again, _) = updated(&text, &as_expected());
    assert!(again.starts_with("# Known failures of a driver.\n\n[[expect]]\n"), "{again}");
}

#[test]
fn an_update_adds_new_failures_which_wait_for_their_reason() {
    let mut results = as_expected();
    results[2] = result("B-CRT-001", Verdict::Fail, Some("bytes are missing"));
    let (text, changes) = updated(FILE, &results);
    let new = "\n[[expect]]\ncase = \"B-CRT-001\"\nverdict = \"fail\"\nfingerprint = \"bytes are missing\"\nreason = \"\"\n\
               condition = { driver = \"swift\" }\n";
    assert_eq!(text, format!("{FILE}{new}"));
    assert_eq!(changes, ["added      B-CRT-001: fill in its reason"]);
    let told = Expectations::read("known.toml", &text).expect_err("it has no reason yet").to_string();
    assert!(told.contains("known.toml:23:1: say why this failure is accepted"), "{told}");
}

#[test]
fn a_new_file_gets_a_heading() {
    let failures = [result("B-INT-001", Verdict::Fail, Some("not found"))];
    let (text, _) = updated("", &failures);
    assert!(text.starts_with("# Known failures, why each"), "{text}");
    assert!(text.contains("\n\n[[expect]]\ncase = \"B-INT-001\"\n"), "{text}");
    assert!(!text.contains("condition"), "{text}");
}

#[test]
fn an_update_leaves_alone_what_was_not_run_or_is_for_something_else() {
    let mut results = as_expected();
    results[0] = result("B-INT-001", Verdict::Skip, None);
    assert_eq!(updated(FILE, &results), (FILE.to_owned(), vec!["kept       B-INT-001: it was not run".to_owned()]));
    let others = FILE.replace("driver = \"swift\"", "driver = \"s3\"");
    let results = [result("B-DEL-006", Verdict::Pass, None)];
    assert_eq!(updated(&others, &results), (others.clone(), vec![]));
}

/// Driver, case and how it fails.
type Failure = (String, String, String);

/// What `docs/cinder-29.md` says that fails.
fn told_of_cinder() -> Result<Vec<Failure>, Box<dyn std::error::Error>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/cinder-29.md"))?;
    let section = page.split("## What fails").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let mut told: Vec<Failure> = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| `B-")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [case, drivers, how, ..] = cells[..] else { return Err(format!("not a row of the table: {row}").into()) };
        let case = case.trim_start_matches("| `").split('`').next().unwrap_or_default();
        for driver in drivers.split(", ") {
            told.push((driver.replace(':', "-"), case.to_owned(), how.to_owned()));
        }
    }
    Ok(told)
}

#[test]
fn what_the_page_about_cinder_says_and_its_expectations_are_the_same() -> Result<(), Box<dyn std::error::Error>> {
    let told = told_of_cinder()?;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../expectations");
    let mut expected: Vec<Failure> = Vec::new();
    for driver in ["swift", "s3", "posix", "s3-store"] {
        let file = format!("cinder-29-{driver}.toml");
        let text = std::fs::read_to_string(root.join(&file))?;
        for entry in Expectations::read(&file, &text)?.entries {
            expected.push((driver.to_owned(), entry.case, entry.fingerprint.unwrap_or_default()));
        }
    }
    assert!(!told.is_empty());
    let missing: Vec<_> = told.iter().filter(|failure| !expected.contains(failure)).collect();
    let unknown: Vec<_> = expected.iter().filter(|failure| !told.contains(failure)).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "without an entry: {missing:?}; not in the page: {unknown:?}");
    Ok(())
}
