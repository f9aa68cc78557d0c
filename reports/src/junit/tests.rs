//! The file is parsed again and held against the rules of the Jenkins schema, written down here.

use std::collections::BTreeMap;

use clinker_model::conformance::CaseResult;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::*;
use crate::testing::{cases, failed, passed, subject};

/// Of an element of the schema: the attributes it must have, those it may have, its children, and whether it has text.
type Rule = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str], bool);

const SCHEMA: [Rule; 6] = [
    ("testsuites", &[], &["name", "time", "tests", "failures", "errors"], &["testsuite"], false),
    (
        "testsuite",
        &["name", "tests", "failures", "errors"],
        &["group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"],
        &["testsuite", "properties", "testcase", "system-out", "system-err"],
        false,
    ),
    (
        "testcase",
        &["name"],
        &["time", "classname", "group"],
        &["skipped", "error", "failure", "system-out", "system-err"],
        false,
    ),
    ("skipped", &[], &["type", "message"], &[], true),
    ("error", &[], &["type", "message"], &[], true),
    ("failure", &[], &["type", "message"], &[], true),
];

/// One element as it was read.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
    children: Vec<Element>,
}

fn opened(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().map(|attribute| {
        let attribute = attribute.expect("attributes are well formed and there once");
        let value = attribute.value.into_owned();
        assert!(!value.contains(['\n', '\t', '<']), "an attribute keeps to its line: {value}");
        (attribute.key.as_ref().to_owned(), quick_xml::escape::unescape(&value).expect("known entities").into_owned())
    });
    Element { name: start.name().as_ref().to_owned(), attributes: attributes.collect(), ..Element::default() }
}

fn parse(text: &str) -> Element {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        let parent = |open: &mut Vec<Element>| open.len() - 1;
        match reader.read_event().expect("well-formed XML") {
            Event::Start(start) => open.push(opened(&start)),
            Event::Empty(start) => {
                let at = parent(&mut open);
                open[at].children.push(opened(&start));
            }
            Event::End(_) => {
                let done = open.pop().expect("it was opened");
                open.last_mut().expect("a parent").children.push(done);
            }
            Event::Text(text) => {
                open.last_mut().expect("a parent").text.push_str(&text);
            }
            Event::GeneralRef(entity) => {
                let raw = format!("&{};", &*entity);
                let ch = quick_xml::escape::unescape(&raw).expect("a known entity").into_owned();
                open.last_mut().expect("a parent").text.push_str(&ch);
            }
            Event::Decl(_) => {}
            Event::Eof => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    let mut roots = open.pop().expect("the document").children;
    assert_eq!(roots.len(), 1);
    roots.remove(0)
}

/// Holds an element and all in it against the schema.
fn validate(element: &Element) {
    let rule = SCHEMA.iter().find(|rule| rule.0 == element.name);
    let (name, must, may, children, mixed) = rule.unwrap_or_else(|| panic!("no element {}", element.name));
    for attribute in *must {
        assert!(element.attributes.contains_key(*attribute), "{name} has {attribute}");
    }
    for (attribute, value) in &element.attributes {
        assert!(must.contains(&&**attribute) || may.contains(&&**attribute), "{name} may have no {attribute}");
        let number = matches!(&**attribute, "tests" | "failures" | "errors" | "skipped" | "time");
        assert!(!number || value.parse::<f64>().is_ok_and(|number| number >= 0.0), "{attribute}={value}");
    }
    assert!(*mixed || element.text.trim().is_empty(), "{name} has text: {}", element.text);
    for child in &element.children {
        assert!(children.contains(&&*child.name), "{name} may have no {}", child.name);
        validate(child);
    }
}

fn counted(element: &Element, name: &str) -> usize {
    let own = usize::from(element.name == name);
    own + element.children.iter().map(|child| counted(child, name)).sum::<usize>()
}

fn read(file: &File) -> Element {
    let root = parse(&text(file));
    validate(&root);
    for suite in root.children.iter().chain([&root]) {
        for (attribute, element) in
            [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
        {
            let said = suite.attributes.get(attribute).map(|count| count.parse::<usize>().expect("a count"));
            assert!(said.is_none_or(|said| said == counted(suite, element)), "{attribute} of {:?}", suite.attributes);
        }
    }
    root
}

#[test]
fn cases_are_test_cases_in_the_suite_of_their_family() {
    let root = read(&File::of_cases(subject(), cases()));
    assert_eq!(root.attributes["name"], "clinker 2026.1 swift");
    let of = |suite: &Element| {
        let name = |case: &Element| format!("{}/{}", suite.attributes["name"], case.attributes["name"]);
        suite.children.iter().map(name).collect::<Vec<_>>()
    };
    let names: Vec<String> = root.children.iter().flat_map(of).collect();
    assert_eq!(
        names[..3],
        ["INIT/B-INIT-001 healthy_start", "INIT/B-INIT-004 reinit_after_failures", "INT/B-INT-001 bit_flip"]
    );
    assert_eq!(names.len(), 6);
    assert_eq!(root.children[0].children[1].attributes["time"], "1.250");
}

#[test]
fn each_verdict_has_its_element() {
    let root = read(&File::of_cases(subject(), cases()));
    let all: Vec<&Element> = root.children.iter().flat_map(|suite| &suite.children).collect();
    let said: Vec<String> = all
        .iter()
        .map(|case| match &case.children[..] {
            [] => "passed".to_owned(),
            [one] => format!("{}: {}", one.name, one.attributes["message"]),
            more => panic!("{more:?}"),
        })
        .collect();
    assert_eq!(
        said,
        [
            "passed",
            "failure: attempts",
            "failure: restored 1 byte that was never written",
            "skipped: expected failure: an empty listing is taken for success",
            "error: the run broke: a panic",
            "skipped: no driver",
        ]
    );
    let failure = &all[1].children[0];
    assert_eq!(failure.attributes["type"], "attempts: none until");
    assert!(
        failure.text.starts_with("FAIL B-INIT-004") && failure.text.contains("\n  repro     clinker conform"),
        "{}",
        failure.text
    );
}

#[test]
fn runs_are_test_cases_as_well() {
    let root = read(&File::of_runs(vec![passed(), failed()]));
    assert_eq!(counted(&root, "testcase"), 2);
    read(&File::of_runs(vec![]));
}

#[test]
fn no_character_of_a_reason_breaks_the_file() {
    let reason = "\u{0}\u{1b}[31m <b>&\"'\u{fffe} ]]> --> \r\n\u{1f525} \t end".to_owned();
    let case =
        CaseResult { reason: Some(reason.clone()), hint: Some(reason.clone()), slug: reason, ..cases().remove(2) };
    let root = read(&File::of_cases(subject(), vec![case]));
    let failure = &root.children[0].children[0].children[0];
    assert_eq!(failure.attributes["message"], "\u{fffd}\u{fffd}[31m <b>&\"'\u{fffd} ]]> --> \u{1f525} end");
    assert!(failure.text.contains("<b>&\"'\u{fffd} ]]> -->"), "{}", failure.text);
}
