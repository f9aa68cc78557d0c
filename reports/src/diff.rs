//! Two results compared: items that appeared, vanished, got another verdict, or fail in another way.

use clinker_model::verdict::Verdict;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::item::Item;
use crate::json::File;
use crate::verdict_word;

/// What became of one item between two results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub id: String,
    pub kind: Kind,
    /// Absent for what appeared.
    pub before: Option<State>,
    /// Absent for what vanished.
    pub after: Option<State>,
    /// Whether it is a change for the worse.
    pub worse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Appeared,
    Vanished,
    /// Another verdict.
    Verdict,
    /// The same verdict with another fingerprint.
    Fingerprint,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub verdict: Verdict,
    pub fingerprint: Option<String>,
    pub reason: Option<String>,
}

/// Every change, in the order of the first result, then what appeared.
pub fn of(before: &File, after: &File) -> Vec<Change> {
    let (old, new) = (by_id(before), by_id(after));
    let mut changes: Vec<Change> = old.iter().filter_map(|(id, old)| change(id, Some(old), new.get(id))).collect();
    changes.extend(
        new.iter().filter(|(id, _)| !old.contains_key(*id)).filter_map(|(id, new)| change(id, None, Some(new))),
    );
    changes
}

/// Items by id; of several with one id, which no file of ours has, the last.
fn by_id(file: &File) -> IndexMap<String, State> {
    let state = |item: &Item<'_>| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        State { verdict: item.verdict, fingerprint: text(item.fingerprint), reason: text(item.reason) }
    };
    file.items().iter().map(|item| (item.id.to_string(), state(item))).collect()
}

fn change(id: &str, before: Option<&State>, after: Option<&State>) -> Option<Change> {
    let (kind, worse) = match (before, after) {
        (Some(_), None) => (Kind::Vanished, true),
        (None, Some(new)) => (Kind::Appeared, is_bad(new.verdict)),
        (Some(old), Some(new)) if old.verdict != new.verdict => {
            (Kind::Verdict, badness(new.verdict) > badness(old.verdict))
        }
        (Some(old), Some(new)) if old.fingerprint != new.fingerprint => (Kind::Fingerprint, false),
        _ => return None,
    };
    Some(Change { id: id.to_owned(), kind, before: before.cloned(), after: after.cloned(), worse })
}

fn is_bad(verdict: Verdict) -> bool {
    badness(verdict) > badness(Verdict::Skip)
}

/// What was not tried may be broken: that is worse than a failure which is known and expected.
fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Xfail => 1,
        Verdict::Skip => 2,
        Verdict::Golden => 3,
        Verdict::Fail => 4,
        Verdict::Error => 5,
    }
}

/// Whether anything got worse.
pub fn any_worse(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.worse)
}

/// A row per change and a line that counts; what got worse comes first.
pub fn text(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "no difference".to_owned();
    }
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by_key(|change| !change.worse);
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["", "item", "before", "after", "how it fails now"]);
    for change in sorted {
        let word = |state: &Option<State>| state.as_ref().map_or("–", |state| verdict_word(state.verdict)).to_owned();
        let sign = if change.worse { "worse" } else { sign(change.kind) };
        table.add_row([sign.to_owned(), change.id.clone(), word(&change.before), word(&change.after), how(change)]);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    let worse = changes.iter().filter(|change| change.worse).count();
    format!("{}\n{} changed, {worse} for the worse", lines.join("\n"), changes.len())
}

fn sign(kind: Kind) -> &'static str {
    match kind {
        Kind::Appeared => "new",
        Kind::Verdict => "better",
        Kind::Fingerprint => "other",
        Kind::Vanished => "gone",
    }
}

fn how(change: &Change) -> String {
    let said = |state: &State| state.fingerprint.clone().or_else(|| state.reason.clone()).unwrap_or_default();
    let (before, after) = (change.before.as_ref().map(said), change.after.as_ref().map(said).unwrap_or_default());
    match (change.kind, before) {
        (Kind::Fingerprint, Some(before)) => format!("{after} (was: {before})"),
        _ => after,
    }
}

#[cfg(test)]
mod tests {
    use clinker_model::conformance::CaseResult;

    use super::*;
    use crate::testing::{case, cases, failed, passed, subject};

    fn file(cases: Vec<CaseResult>) -> File {
        File::of_cases(subject(), cases)
    }

    fn check(before: Verdict, after: Verdict, expected: Option<bool>) {
        let of_one = |verdict| file(vec![case("B-X-001", "x", verdict)]);
        let changes = of(&of_one(before), &of_one(after));
        assert_eq!(changes.first().map(|change| change.worse), expected, "{before:?} to {after:?}");
    }

    #[test]
    fn a_verdict_gets_better_or_worse() {
        check(Verdict::Pass, Verdict::Pass, None);
        check(Verdict::Pass, Verdict::Fail, Some(true));
        check(Verdict::Fail, Verdict::Pass, Some(false));
        check(Verdict::Pass, Verdict::Skip, Some(true));
        check(Verdict::Pass, Verdict::Xfail, Some(true));
        check(Verdict::Xfail, Verdict::Skip, Some(true));
        check(Verdict::Skip, Verdict::Fail, Some(true));
        check(Verdict::Fail, Verdict::Error, Some(true));
        check(Verdict::Error, Verdict::Fail, Some(false));
        check(Verdict::Golden, Verdict::Skip, Some(false));
    }

    #[test]
    fn what_vanished_is_worse_and_what_appeared_is_if_it_failed() {
        let all = cases();
        let changes = of(&file(all[..3].to_vec()), &file(all[1..].to_vec()));
        let said: Vec<(&str, Kind, bool)> =
            changes.iter().map(|change| (&*change.id, change.kind, change.worse)).collect();
        assert_eq!(
            said,
            [
                ("B-INIT-001", Kind::Vanished, true),
                ("B-DEL-006", Kind::Appeared, false),
                ("B-NOTE-008", Kind::Appeared, true),
                ("B-CEPH-001", Kind::Appeared, false),
            ]
        );
        assert!(any_worse(&changes));
    }

    #[test]
    fn another_fingerprint_is_a_change_and_not_a_worse_one() {
        let other = CaseResult { fingerprint: Some("attempts: two at once".to_owned()), ..cases().remove(1) };
        let changes = of(&file(vec![cases().remove(1)]), &file(vec![other]));
        assert_eq!(changes[0].kind, Kind::Fingerprint);
        assert!(!any_worse(&changes));
        let text = text(&changes);
        assert!(
            text.contains("other  B-INIT-004  fail    fail   attempts: two at once (was: attempts: none until)"),
            "{text}"
        );
        assert!(text.ends_with("\n1 changed, 0 for the worse"), "{text}");
    }

    #[test]
    fn runs_are_compared_by_scenario_driver_and_seed() {
        let changes = of(&File::of_runs(vec![passed()]), &File::of_runs(vec![failed()]));
        let text = text(&changes);
        assert!(text.contains("worse  init/heals@swift:17  pass    fail   attempts"), "{text}");
        assert_eq!(super::text(&[]), "no difference");
        let back: Vec<Change> = serde_json::from_value(serde_json::json!(changes)).expect("its own form");
        assert_eq!(back, changes);
    }
}
