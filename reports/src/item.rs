//! What renderers show a line of: a case of a profile or, where there are none, a run of a scenario.

use std::borrow::Cow;

use clinker_model::conformance::{CaseResult, Level};
use clinker_model::verdict::{RunResult, Verdict};

use crate::json::File;

/// One line of a report.
#[derive(Clone, Debug)]
pub struct Item<'f> {
    /// `B-INIT-004`, or `init/heals@swift:17`. No two items of a file share one.
    pub id: Cow<'f, str>,
    /// Empty for a run.
    pub slug: &'f str,
    /// What a report groups by: `INIT`, or a scenario's folder.
    pub family: &'f str,
    /// Absent for a run.
    pub level: Option<Level>,
    pub core: bool,
    pub verdict: Verdict,
    pub reason: Option<&'f str>,
    /// Words that stay the same as long as it fails in the same way.
    pub fingerprint: Option<&'f str>,
    pub plays: &'f [RunResult],
    pub wall_ms: u64,
    pub replay: &'f str,
    /// The case itself.
    pub case: Option<&'f CaseResult>,
}

impl File {
    /// One item per case, or one per run if there are no cases.
    pub fn items(&self) -> Vec<Item<'_>> {
        let cases = self.cases.iter().map(of_case);
        // Runs beside cases are nobody's; none of ours writes such a file, and nothing in it may get lost.
        cases.chain(self.runs.iter().map(of_run)).collect()
    }
}

/// A case as an item.
pub fn of_case(case: &CaseResult) -> Item<'_> {
    Item {
        id: Cow::Borrowed(&case.id),
        slug: &case.slug,
        family: case.id.split('-').nth(1).unwrap_or(&case.id),
        level: Some(case.level),
        core: case.core,
        verdict: case.verdict,
        reason: case.reason.as_deref(),
        fingerprint: case.fingerprint.as_deref(),
        plays: &case.plays,
        wall_ms: case.wall_ms,
        replay: &case.replay,
        case: Some(case),
    }
}

/// A run as an item. The checks that failed are its fingerprint.
pub fn of_run(run: &RunResult) -> Item<'_> {
    let fingerprint = run.reason.as_deref().filter(|_| matches!(run.verdict, Verdict::Fail | Verdict::Golden));
    Item {
        id: Cow::Owned(format!("{}@{}:{}", run.scenario, run.driver, run.seed)),
        slug: "",
        family: run.scenario.split('/').next().unwrap_or_default(),
        level: None,
        core: false,
        verdict: run.verdict,
        reason: run.reason.as_deref(),
        fingerprint,
        plays: std::slice::from_ref(run),
        wall_ms: run.wall_ms,
        replay: &run.replay,
        case: None,
    }
}

impl Item<'_> {
    /// `must` or `should`, as the profile says; empty for a run.
    pub fn level_word(&self) -> &'static str {
        match self.level {
            Some(Level::Must) => "must",
            Some(Level::Should) => "should",
            None => "",
        }
    }

    /// Whether someone has to look at it.
    pub fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Fail | Verdict::Golden | Verdict::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cases, failed, passed, subject};

    fn ids(file: &File) -> Vec<String> {
        file.items().iter().map(|item| format!("{} {} {}", item.family, item.id, item.level_word())).collect()
    }

    #[test]
    fn items_are_cases_or_else_runs() {
        let file = File::of_cases(subject(), cases());
        assert_eq!(ids(&file)[..2], ["INIT B-INIT-001 must", "INIT B-INIT-004 must"]);
        let file = File::of_runs(vec![passed(), failed()]);
        assert_eq!(ids(&file), ["init init/heals@swift:17 ", "init init/heals@swift:17 "]);
        let items = file.items();
        assert_eq!([items[0].fingerprint, items[1].fingerprint], [None, Some("attempts")]);
        assert_eq!([items[0].is_bad(), items[1].is_bad()], [false, true]);
    }
}
