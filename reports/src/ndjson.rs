//! A stream for programs that want to see results as they come: one JSON object per line, each with a `type`.
//!
//! `start`, then a `case` or `run` each as it ends, then `end` with the counts. Timelines are left to `result.json`.

use clinker_model::conformance::{CaseResult, Subject};
use clinker_model::verdict::RunResult;
use serde_json::{Value, json};

use crate::json::{FORMAT, File};
use crate::summary::Summary;

/// `{"type":"start","format":2,"total":90,"subject":{…}}`.
pub fn start(subject: Option<&Subject>, total: usize) -> String {
    json!({ "type": "start", "format": FORMAT, "total": total, "subject": subject }).to_string()
}

/// `{"type":"case","case":{…}}`.
pub fn case(case: &CaseResult) -> String {
    let mut value = json!({ "type": "case", "case": case });
    if let Some(plays) = value.pointer_mut("/case/plays").and_then(Value::as_array_mut) {
        plays.iter_mut().for_each(without_timeline);
    }
    value.to_string()
}

/// `{"type":"run","run":{…}}`.
pub fn run(run: &RunResult) -> String {
    let mut value = json!({ "type": "run", "run": run });
    without_timeline(&mut value["run"]);
    value.to_string()
}

fn without_timeline(run: &mut Value) {
    if let Some(fields) = run.as_object_mut() {
        fields.shift_remove("timeline");
    }
}

/// `{"type":"end","summary":{…}}`.
pub fn end(summary: &Summary) -> String {
    json!({ "type": "end", "summary": summary }).to_string()
}

/// The whole stream of a file, each line ended by a newline.
pub fn text(file: &File) -> String {
    let first = start(file.subject.as_ref(), file.cases.len() + file.runs.len());
    let lines = std::iter::once(first).chain(file.cases.iter().map(case)).chain(file.runs.iter().map(run));
    lines.chain([end(&file.summary)]).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cases, failed, subject, timeline};

    #[test]
    fn a_stream_is_a_line_per_event() {
        let mut cases = cases();
        cases[1].plays[1].timeline = Some(timeline());
        cases[1].reason = Some("two\nlines".to_owned());
        let file = File::of_cases(subject(), cases);
        let text = text(&file);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("each is JSON")).collect();
        let types: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
        assert_eq!(types, ["start", "case", "case", "case", "case", "case", "case", "end"]);
        assert_eq!((&lines[0]["total"], &lines[0]["subject"]["name"]), (&json!(6), &json!("swift")));
        assert_eq!(lines[2]["case"]["reason"], "two\nlines");
        assert!(lines[2]["case"]["plays"][1].get("timeline").is_none());
        assert_eq!(lines[7]["summary"]["failed"], 2);
    }

    #[test]
    fn runs_are_lines_as_well() {
        let mut failed = failed();
        failed.timeline = Some(timeline());
        let value: Value = serde_json::from_str(&run(&failed)).expect("it is JSON");
        failed.timeline = None;
        assert_eq!(value, json!({ "type": "run", "run": failed }));
    }
}
