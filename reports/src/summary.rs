//! Counts of a result: of all items, and of Core and Extended in each role. Only a pass counts as passed.

use clinker_model::conformance::CaseResult;
use clinker_model::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::json::File;

/// What a driver or service can be; everything else that a case needs is a capability.
pub const ROLES: [&str; 4] = ["store", "driver", "manager", "service"];

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Cases, run or not.
    pub cases: usize,
    /// Runs, those played for a case included.
    pub runs: usize,
    pub passed: usize,
    /// Of those that passed, the ones that were shown in part only.
    #[serde(default)]
    pub partial: usize,
    /// A check failed or the golden differs.
    pub failed: usize,
    pub skipped: usize,
    /// Failed as expected.
    pub xfailed: usize,
    /// The harness or a fixture broke.
    pub errors: usize,
    /// By role, if there are cases.
    pub roles: Vec<RoleSummary>,
}

/// How far a role is fulfilled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSummary {
    /// `store`, `driver`, `manager`, `service`.
    pub role: String,
    pub core: Counts,
    pub extended: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub total: usize,
    pub passed: usize,
    /// Of those that passed, the ones that were shown in part only.
    #[serde(default)]
    pub partial: usize,
    pub failed: usize,
    pub skipped: usize,
    pub xfailed: usize,
    pub errors: usize,
}

impl Counts {
    pub fn of(verdicts: impl Iterator<Item = Verdict>) -> Counts {
        let mut counts = Counts::default();
        for verdict in verdicts {
            counts.total += 1;
            *match verdict {
                Verdict::Pass => &mut counts.passed,
                Verdict::Fail | Verdict::Golden => &mut counts.failed,
                Verdict::Skip => &mut counts.skipped,
                Verdict::Xfail => &mut counts.xfailed,
                Verdict::Error => &mut counts.errors,
            } += 1;
        }
        counts
    }

    fn of_cases<'c>(cases: impl Iterator<Item = &'c CaseResult>) -> Counts {
        let cases: Vec<&CaseResult> = cases.collect();
        let partial = cases.iter().filter(|case| is_partial(case)).count();
        Counts { partial, ..Counts::of(cases.iter().map(|case| case.verdict)) }
    }

    /// Whether there is something and all of it passed as a whole.
    pub fn is_full(&self) -> bool {
        self.total > 0 && self.passed == self.total && self.partial == 0
    }

    /// What did not pass as a whole: `1 of them in part, 2 failed, 1 skipped`; empty if all passed.
    pub fn rest(&self) -> String {
        let named = [
            (self.partial, "of them in part"),
            (self.failed, "failed"),
            (self.errors, "broke"),
            (self.xfailed, "failed as expected"),
            (self.skipped, "skipped"),
        ];
        let some: Vec<String> =
            named.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        some.join(", ")
    }

    /// `41/43 passed (2 failed)`; `none` if there is nothing to pass.
    pub fn text(&self) -> String {
        match (self.total, self.rest()) {
            (0, _) => "none".to_owned(),
            (_, rest) if rest.is_empty() => format!("{}/{} passed", self.passed, self.total),
            (_, rest) => format!("{}/{} passed ({rest})", self.passed, self.total),
        }
    }
}

impl Summary {
    /// Counts what a file holds.
    pub fn of(file: &File) -> Summary {
        let counts = Counts::of(file.items().iter().map(|item| item.verdict));
        let plays: usize = file.cases.iter().map(|case| case.plays.len()).sum();
        let Counts { passed, failed, skipped, xfailed, errors, .. } = counts;
        let partial = file.cases.iter().filter(|case| is_partial(case)).count();
        let (cases, runs) = (file.cases.len(), plays + file.runs.len());
        Summary { cases, runs, passed, partial, failed, skipped, xfailed, errors, roles: roles(file) }
    }

    /// The counts of all items together.
    pub fn all(&self) -> Counts {
        let Summary { passed, partial, failed, skipped, xfailed, errors, .. } = *self;
        Counts {
            total: passed + failed + skipped + xfailed + errors,
            passed,
            partial,
            failed,
            skipped,
            xfailed,
            errors,
        }
    }
}

/// Whether a case passed and yet was not shown as a whole: its reason says what is missing.
pub fn is_partial(case: &CaseResult) -> bool {
    case.verdict == Verdict::Pass && case.reason.is_some()
}

/// The subject's roles, and any other of which a case was played all the same.
fn roles(file: &File) -> Vec<RoleSummary> {
    let own: &[String] = file.subject.as_ref().map_or(&[], |subject| &subject.roles);
    let mut roles: Vec<&str> = own.iter().map(String::as_str).collect();
    for role in ROLES {
        let played = |case: &CaseResult| case.verdict != Verdict::Skip && case.needs.iter().any(|need| need == role);
        if !roles.contains(&role) && file.cases.iter().any(played) {
            roles.push(role);
        }
    }
    let of = |role: &str, core: bool| {
        let ours = file.cases.iter().filter(|case| case.core == core && roles_of(case, &roles).contains(&role));
        Counts::of_cases(ours)
    };
    roles
        .iter()
        .map(|role| RoleSummary { role: (*role).to_owned(), core: of(role, true), extended: of(role, false) })
        .collect()
}

/// The roles that a case counts for: those it names; all of them if it is about `any`; and if it names capabilities
/// only, the role whose they are, which is the one nearest to the store.
fn roles_of<'r>(case: &CaseResult, roles: &[&'r str]) -> Vec<&'r str> {
    let named = |role: &str| case.needs.iter().any(|need| need == role);
    if ROLES.iter().any(|role| named(role)) {
        return roles.iter().copied().filter(|role| named(role)).collect();
    }
    if case.needs.is_empty() || named("any") {
        return roles.to_vec();
    }
    ROLES.iter().find_map(|nearest| roles.iter().copied().find(|role| role == nearest)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{case, cases, failed, passed, subject};

    fn check(needs: &[&str], expected: &[&str]) {
        let needs = needs.iter().map(|need| (*need).to_owned()).collect();
        let case = CaseResult { needs, ..case("B-X-001", "x", Verdict::Pass) };
        assert_eq!(roles_of(&case, &["manager", "driver", "store"]), expected, "{:?}", case.needs);
    }

    #[test]
    fn a_case_counts_for_the_roles_it_is_about() {
        check(&["store", "incremental"], &["store"]);
        check(&["manager", "keys"], &["manager"]);
        check(&["driver", "manager"], &["manager", "driver"]);
        check(&["service"], &[]);
        check(&["any"], &["manager", "driver", "store"]);
        check(&[], &["manager", "driver", "store"]);
        check(&["incremental"], &["store"]);
    }

    #[test]
    fn a_summary_counts_each_item_once() {
        let summary = File::of_cases(subject(), cases()).summary;
        // INIT-001 passes, INIT-004 and INT-001 fail, DEL-006 is expected to, NOTE-008 broke, CEPH-001 is skipped.
        let all = Counts { total: 6, passed: 1, failed: 2, partial: 0, skipped: 1, xfailed: 1, errors: 1 };
        assert_eq!(summary.all(), all);
        assert_eq!((summary.cases, summary.runs), (6, 5));
        let summary = File::of_runs(vec![passed(), failed()]).summary;
        assert_eq!((summary.cases, summary.runs, summary.passed, summary.failed), (0, 2, 1, 1));
        assert!(summary.roles.is_empty());
    }

    #[test]
    fn roles_have_core_and_extended() {
        let summary = File::of_cases(subject(), cases()).summary;
        let said: Vec<String> = summary
            .roles
            .iter()
            .map(|role| format!("{}: {} | {}", role.role, role.core.text(), role.extended.text()))
            .collect();
        assert_eq!(
            said,
            [
                "store: 0/3 passed (1 failed, 1 failed as expected, 1 skipped) | none",
                "manager: 1/2 passed (1 failed) | 0/1 passed (1 broke)",
            ]
        );
    }

    #[test]
    fn a_pass_in_part_is_never_full() {
        let mut some = vec![case("B-X-001", "x", Verdict::Pass), case("B-X-002", "y", Verdict::Pass)];
        assert!(File::of_cases(subject(), some.clone()).summary.roles[0].core.is_full());
        some[1].reason = Some("in part, by 1 scenario".to_owned());
        let summary = File::of_cases(subject(), some).summary;
        assert_eq!((summary.passed, summary.partial), (2, 1));
        let core = summary.roles[0].core;
        assert_eq!((core.is_full(), &*core.text()), (false, "2/2 passed (1 of them in part)"));
    }

    #[test]
    fn only_all_is_full() {
        let of = |verdicts: &[Verdict]| Counts::of(verdicts.iter().copied());
        assert!(of(&[Verdict::Pass, Verdict::Pass]).is_full());
        assert!(!of(&[]).is_full());
        for other in [Verdict::Fail, Verdict::Golden, Verdict::Skip, Verdict::Xfail, Verdict::Error] {
            assert!(!of(&[Verdict::Pass, other]).is_full(), "{other:?}");
        }
    }
}
