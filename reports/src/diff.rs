//! Two results compared: what was put to the test, and items that appeared, vanished, got another verdict, or fail in
//! another way.

use clinker_model::conformance::Subject;
use clinker_model::verdict::Verdict;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::item::Item;
use crate::json::File;
use crate::{plain, verdict_word};

/// All that differs between two results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// What was put to the test, and by which profile.
    pub subject: Vec<Differs>,
    pub items: Vec<Change>,
}

/// Something about the subject that is not the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Differs {
    /// `name`, `kind`, `roles`, `capabilities`, `profile`.
    pub what: String,
    /// Empty where scenarios were run, which have no subject.
    pub before: String,
    pub after: String,
    /// Whether it is a change for the worse: other rules, or a role or a claim that was taken back.
    pub worse: bool,
}

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

/// Every change; of items in the order of the first result, then what appeared.
pub fn of(before: &File, after: &File) -> Diff {
    let (old, new) = (by_id(before), by_id(after));
    let mut items: Vec<Change> = old.iter().filter_map(|(id, old)| change(id, Some(old), new.get(id))).collect();
    items.extend(
        new.iter().filter(|(id, _)| !old.contains_key(*id)).filter_map(|(id, new)| change(id, None, Some(new))),
    );
    let none = Subject::default();
    let subject = subjects(before.subject.as_ref().unwrap_or(&none), after.subject.as_ref().unwrap_or(&none));
    Diff { subject, items }
}

fn subjects(before: &Subject, after: &Subject) -> Vec<Differs> {
    // What another driver does not claim is no loss.
    let same = before.name == after.name;
    let lost = |before: &[String], after: &[String]| same && before.iter().any(|one| !after.contains(one));
    let list = |all: &[String]| all.join(", ");
    let (old, new) = (before, after);
    let all = [
        ("name", old.name.clone(), new.name.clone(), false),
        ("kind", old.kind.clone(), new.kind.clone(), false),
        // What was not held to the same rules cannot be said to keep them as well as before.
        ("profile", old.profile.clone(), new.profile.clone(), true),
        ("roles", list(&old.roles), list(&new.roles), lost(&old.roles, &new.roles)),
        ("capabilities", list(&old.capabilities), list(&new.capabilities), lost(&old.capabilities, &new.capabilities)),
    ];
    let other = all.into_iter().filter(|(_, before, after, _)| before != after);
    other.map(|(what, before, after, worse)| Differs { what: what.to_owned(), before, after, worse }).collect()
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
pub fn any_worse(diff: &Diff) -> bool {
    diff.items.iter().any(|change| change.worse) || diff.subject.iter().any(|differs| differs.worse)
}

/// What is not the same about the subject, a row per item that changed, and a line that counts; what got worse comes first.
pub fn text(diff: &Diff) -> String {
    let mut lines: Vec<String> = diff.subject.iter().map(differs).collect();
    match (lines.is_empty(), diff.items.is_empty()) {
        (true, true) => return "no difference".to_owned(),
        (false, true) => lines.push("the items are the same, but not what was put to the test".to_owned()),
        _ => lines.push(items(&diff.items)),
    }
    lines.join("\n")
}

/// `other profile: before 2026.1, now 2026.2`.
fn differs(differs: &Differs) -> String {
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { plain(text) };
    let sign = if differs.worse { "worse" } else { "other" };
    format!("{sign}  {}: before {}; now {}", differs.what, or_none(&differs.before), or_none(&differs.after))
}

fn items(changes: &[Change]) -> String {
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by_key(|change| !change.worse);
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["", "item", "before", "after", "how it fails now"]);
    for change in sorted {
        let word = |state: &Option<State>| state.as_ref().map_or("–", |state| verdict_word(state.verdict)).to_owned();
        let sign = if change.worse { "worse" } else { sign(change.kind) };
        let row = [sign.to_owned(), change.id.clone(), word(&change.before), word(&change.after), how(change)];
        table.add_row(row.map(|cell| plain(&cell)));
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
        let changes = of(&of_one(before), &of_one(after)).items;
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
            changes.items.iter().map(|change| (&*change.id, change.kind, change.worse)).collect();
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
        assert_eq!(changes.items[0].kind, Kind::Fingerprint);
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
        assert_eq!(super::text(&Diff::default()), "no difference");
        let back: Diff = serde_json::from_value(serde_json::json!(changes)).expect("its own form");
        assert_eq!(back, changes);
    }

    #[test]
    fn another_subject_or_profile_is_told_first() {
        let all = |subject| File::of_cases(subject, cases());
        let check = |change: fn(&mut clinker_model::conformance::Subject), worse: bool, expected: &str| {
            let mut other = subject();
            change(&mut other);
            let diff = of(&all(subject()), &all(other));
            let told = format!("{expected}\nthe items are the same, but not what was put to the test");
            assert_eq!((text(&diff), any_worse(&diff)), (told, worse));
        };
        check(|subject| subject.profile = "2026.2".to_owned(), true, "worse  profile: before 2026.1; now 2026.2");
        check(|subject| subject.name = "s3".to_owned(), false, "other  name: before swift; now s3");
        check(|subject| subject.kind = "adapter".to_owned(), false, "other  kind: before built-in; now adapter");
        check(|subject| subject.roles.truncate(1), true, "worse  roles: before store, manager; now store");
        check(
            |subject| subject.capabilities.clear(),
            true,
            "worse  capabilities: before incremental, progress; now none",
        );
        check(
            |subject| subject.capabilities.push("net".to_owned()),
            false,
            "other  capabilities: before incremental, progress; now incremental, progress, net",
        );
        let diff = of(&all(subject()), &File::of_runs(vec![]));
        assert!(text(&diff).starts_with("other  name: before swift; now none\n"), "{}", text(&diff));
    }
}
