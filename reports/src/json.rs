//! `result.json`: the result of one invocation for other programs, with a number that changes when its shape does.
//!
//! Every other report is made from it. `result.schema.json` says what is in it; [`crate::summary`] counts.

use std::collections::BTreeSet;

use clinker_model::conformance::{CaseResult, Subject};
use clinker_model::verdict::RunResult;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::summary::Summary;

/// Number of the shape of [`File`]. A field may be added under the same number; one that goes or changes needs a new one.
pub const FORMAT: u32 = 2;

/// JSON Schema (draft 2020-12) of the file.
pub const SCHEMA: &str = include_str!("../result.schema.json");

/// The whole file: the cases of a profile with what was played for each, or runs of scenarios on their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub format: u32,
    /// What was put to the test; absent when scenarios were run.
    pub subject: Option<Subject>,
    pub summary: Summary,
    pub cases: Vec<CaseResult>,
    pub runs: Vec<RunResult>,
}

/// Why a text is no `result.json`.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("it is no result.json: {0}")]
    Shape(serde_json::Error),
    #[error("it is no result.json: case {0} stands in it more than once")]
    Twice(String),
    #[error("`format` is {0}; this program reads {FORMAT}")]
    Format(u64),
}

impl File {
    /// Of scenarios that were run.
    pub fn of_runs(runs: Vec<RunResult>) -> File {
        File::counted(None, Vec::new(), runs)
    }

    /// Of a profile's cases, each of which is there once.
    pub fn of_cases(subject: Subject, cases: Vec<CaseResult>) -> File {
        File::counted(Some(subject), cases, Vec::new())
    }

    fn counted(subject: Option<Subject>, cases: Vec<CaseResult>, runs: Vec<RunResult>) -> File {
        let mut file = File { format: FORMAT, subject, summary: Summary::default(), cases, runs };
        file.summary = Summary::of(&file);
        file
    }

    /// Reads a file that [`text`] wrote. Its counts are made anew from what it holds.
    ///
    /// # Errors
    /// When it is no JSON of this shape, of a shape with another number, or has a case twice.
    pub fn read(text: &str) -> Result<File, Unreadable> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(Unreadable::Shape)?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format != u64::from(FORMAT) => return Err(Unreadable::Format(format)),
            _ => {}
        }
        let file: File = serde_json::from_value(value).map_err(Unreadable::Shape)?;
        let mut ids = BTreeSet::new();
        if let Some(twice) = file.cases.iter().find(|case| !ids.insert(&case.id)) {
            return Err(Unreadable::Twice(twice.id.clone()));
        }
        Ok(File::counted(file.subject, file.cases, file.runs))
    }
}

/// Renders the file, ended by a newline. Plays and findings stand on a line each.
pub fn text(file: &File) -> String {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Layout::default());
    file.serialize(&mut serializer).expect("names are strings and a Vec takes every write");
    out.push(b'\n');
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::{cases, failed, passed, subject};

    #[test]
    fn the_file_reads_back() {
        for file in [File::of_runs(vec![passed(), failed()]), File::of_cases(subject(), cases())] {
            assert_eq!(File::read(&text(&file)).expect("it is its own form"), file);
        }
    }

    #[test]
    fn counts_are_made_and_not_believed() {
        let mut file = File::of_runs(vec![failed()]);
        file.summary.passed = 1;
        assert_eq!(File::read(&text(&file)).expect("it is its own form").summary.passed, 0);
    }

    #[test]
    fn what_cannot_be_read_is_told_of() {
        let twice = text(&File::of_cases(subject(), [cases(), cases()].concat()));
        let old = text(&File::of_runs(vec![])).replacen('2', "1", 1);
        for (text, expected) in [
            (&*old, "`format` is 1; this program reads 2"),
            (&*twice, "it is no result.json: case B-INIT-001 stands in it more than once"),
            ("{}", "it is no result.json: missing field `format`"),
            ("[", "it is no result.json: EOF"),
        ] {
            let error = File::read(text).expect_err(text);
            assert!(std::error::Error::source(&error).is_none(), "whoever prints the chain says it twice");
            let said = error.to_string();
            assert!(said.starts_with(expected), "{said}");
        }
    }

    fn names(value: &Value) -> Vec<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn the_names_of_its_fields_are_fixed() {
        let value: Value = serde_json::from_str(&text(&File::of_runs(vec![failed()]))).expect("it is JSON");
        assert_eq!(names(&value), ["format", "subject", "summary", "cases", "runs"]);
        let run = &value["runs"][0];
        let expected = "scenario driver seed verdict reason findings faults hash events virtual_seconds wall_ms replay";
        assert_eq!(names(run), expected.split(' ').collect::<Vec<_>>());
        assert_eq!(names(&run["findings"][0]), ["checker", "outcome", "violations"]);
        assert_eq!(names(&run["findings"][0]["violations"][0]), ["rule", "expected", "observed", "t_ns"]);
        assert_eq!(names(&run["faults"][0]), ["name", "at_ns", "until_ns", "bites"]);
        assert_eq!(run["verdict"], "fail");
        let value: Value = serde_json::from_str(&text(&File::of_cases(subject(), cases()))).expect("it is JSON");
        let expected =
            "id slug level core needs rule spec upstream verdict reason fingerprint hint plays wall_ms replay";
        assert_eq!(names(&value["cases"][0]), expected.split(' ').collect::<Vec<_>>());
        assert_eq!(names(&value["subject"]), ["name", "kind", "roles", "capabilities", "profile"]);
    }
}
