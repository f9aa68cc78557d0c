//! Tests that `result.schema.json` says of `result.json` what is so: what is written fits it, and what is not written
//! does not.

use clinker_model::timeline::{Lane, LaneSpan, Mark, MarkKind, SpanKind, Timeline, Tone};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::json::{File, SCHEMA, text};
use crate::testing::{cases, failed, passed, subject};

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    jsonschema::meta::validate(&schema).expect("the schema is one of draft 2020-12");
    jsonschema::validator_for(&schema).expect("the schema compiles")
}

/// The schema with no room for fields that it does not know, by which the tests see that it knows all that is written.
fn closed() -> Validator {
    fn close(value: &mut Value) {
        if let Some(fields) = value.as_object_mut() {
            if fields.get("properties").is_some_and(Value::is_object) && fields.get("type") == Some(&json!("object")) {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        } else if let Some(values) = value.as_array_mut() {
            values.iter_mut().for_each(close);
        }
    }
    let mut schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    close(&mut schema);
    jsonschema::validator_for(&schema).expect("the schema compiles")
}

fn value(file: &File) -> Value {
    serde_json::from_str(&text(file)).expect("it is JSON")
}

/// A file of cases in which every field has a value.
fn full() -> File {
    let mark = |kind| Mark { kind, t_ns: 1, label: "x".to_owned(), tone: Tone::Bad };
    let span = |kind| LaneSpan { kind, label: "x".to_owned(), from_ns: 1, until_ns: None, tone: Tone::Good };
    let spans = [SpanKind::Fault, SpanKind::State, SpanKind::Attempt, SpanKind::Operation, SpanKind::Gap].map(span);
    let marks = [
        MarkKind::Heartbeat,
        MarkKind::Request,
        MarkKind::Notification,
        MarkKind::Process,
        MarkKind::Bite,
        MarkKind::Violation,
    ]
    .map(mark);
    let lane = Lane { host: "api".to_owned(), spans: spans.to_vec(), marks: marks.to_vec(), omitted: 3 };
    let mut cases = cases();
    cases[0].plays[0].timeline = Some(Timeline { end_ns: 5, lanes: vec![lane, Lane::default()] });
    cases[0].plays[0].faults[0].until_ns = None;
    File::of_cases(subject(), cases)
}

#[test]
fn what_is_written_fits_and_all_of_it_is_known() {
    let validator = closed();
    for file in [full(), File::of_runs(vec![passed(), failed()]), File::of_runs(vec![])] {
        let errors: Vec<String> = validator.iter_errors(&value(&file)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

/// Every object of the file, by where it stands.
fn objects(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(path.to_owned());
            fields.iter().for_each(|(name, value)| objects(value, &format!("{path}/{name}"), found));
        }
        Value::Array(values) => {
            let each = values.iter().enumerate();
            each.for_each(|(index, value)| objects(value, &format!("{path}/{index}"), found));
        }
        _ => {}
    }
}

/// Fields that may be absent: those that are left out when they are empty, and those added under the same `format`.
const ABSENT: [&str; 5] = ["timeline", "spans", "marks", "omitted", "partial"];

#[test]
fn a_field_that_is_missing_does_not_fit_and_one_more_does() {
    let (validator, closed, whole) = (validator(), closed(), value(&full()));
    let mut paths = Vec::new();
    objects(&whole, "", &mut paths);
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        let mut more = whole.clone();
        more.pointer_mut(&path).expect("it was found there")["unknown"] = json!(1);
        assert!(validator.is_valid(&more), "a field more in {path:?}");
        assert!(!closed.is_valid(&more), "a field more in {path:?}");
        let text = serde_json::to_string(&more).expect("it is JSON");
        File::read(&text).unwrap_or_else(|error| panic!("a field more in {path:?}: {error}"));
        let names: Vec<String> = fields(&whole, &path);
        for name in names.iter().filter(|name| !ABSENT.contains(&name.as_str())) {
            let mut less = whole.clone();
            let object = less.pointer_mut(&path).and_then(Value::as_object_mut).expect("an object");
            object.remove(name);
            assert!(!validator.is_valid(&less), "no {name} in {path:?}");
        }
    }
}

fn fields(value: &Value, path: &str) -> Vec<String> {
    value.pointer(path).and_then(Value::as_object).expect("an object").keys().cloned().collect()
}

#[test]
fn values_of_another_kind_do_not_fit() {
    let (validator, whole) = (validator(), value(&full()));
    for (path, wrong) in [
        ("/format", json!(1)),
        ("/cases/0/verdict", json!("passed")),
        ("/cases/0/level", json!("may")),
        ("/cases/0/id", json!("")),
        ("/cases/0/wall_ms", json!(-1)),
        ("/cases/0/plays/0/hash", json!("xyz")),
        ("/cases/0/plays/0/seed", json!(1.5)),
        ("/cases/0/plays/0/timeline/lanes/0/marks/0/kind", json!("tick")),
        ("/cases/0/plays/0/timeline/lanes/0/spans/0/tone", json!("loud")),
    ] {
        let mut changed = whole.clone();
        *changed.pointer_mut(path).expect("it is there") = wrong;
        assert!(!validator.is_valid(&changed), "{path}");
    }
}
