//! `result.json`: the result of one invocation for other programs, with a number that changes when its shape does.

use clinker_model::verdict::{RunResult, Verdict};
use serde::{Deserialize, Serialize};

/// Number of the shape of [`File`]. A field may be added under the same number; one that goes or changes needs a new one.
pub const FORMAT: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub format: u32,
    pub summary: Summary,
    pub runs: Vec<RunResult>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub runs: usize,
    pub passed: usize,
    /// A check failed, the golden differs, or the harness broke.
    pub failed: usize,
    pub skipped: usize,
}

/// Renders the file, ended by a newline.
pub fn text(runs: &[RunResult]) -> String {
    let of = |verdict: Verdict| runs.iter().filter(|run| run.verdict == verdict).count();
    let (passed, skipped) = (of(Verdict::Pass), of(Verdict::Skip));
    let summary = Summary { runs: runs.len(), passed, failed: runs.len() - passed - skipped, skipped };
    let file = File { format: FORMAT, summary, runs: runs.to_vec() };
    serde_json::to_string_pretty(&file).expect("names are strings and numbers are finite") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{failed, passed};

    #[test]
    fn the_file_reads_back_with_its_counts() {
        let runs = [passed(), failed()];
        let file: File = serde_json::from_str(&text(&runs)).expect("it is its own form");
        assert_eq!(file.format, 1);
        assert_eq!(file.summary, Summary { runs: 2, passed: 1, failed: 1, skipped: 0 });
        assert_eq!(file.runs, runs);
    }

    #[test]
    fn the_names_of_its_fields_are_fixed() {
        let value: serde_json::Value = serde_json::from_str(&text(&[failed()])).expect("it is JSON");
        let names = |value: &serde_json::Value| -> Vec<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        assert_eq!(names(&value), ["format", "summary", "runs"]);
        let run = &value["runs"][0];
        let expected = "scenario driver seed verdict reason findings faults hash events virtual_seconds wall_ms replay";
        assert_eq!(names(run), expected.split(' ').collect::<Vec<_>>());
        assert_eq!(names(&run["findings"][0]), ["checker", "outcome", "violations"]);
        assert_eq!(names(&run["findings"][0]["violations"][0]), ["rule", "expected", "observed", "t_ns"]);
        assert_eq!(names(&run["faults"][0]), ["name", "at_ns", "until_ns", "bites"]);
        assert_eq!(run["verdict"], "fail");
    }
}
