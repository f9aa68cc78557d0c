//! A summary in GitHub's Markdown, for `GITHUB_STEP_SUMMARY`: what failed first, and never more than GitHub takes.

use std::fmt::Write as _;

use crate::failure;
use crate::item::Item;
use crate::json::File;
use crate::{plain, verdict_word};

/// GitHub refuses a step's summary of more than 1 MiB; a part of it is left to other commands of the same step.
const BYTES_MAX: usize = 960 * 1024;

/// Renders the summary.
pub fn text(file: &File) -> String {
    let mut out = format!("## {}\n\n{}\n", heading(file), verdict(file));
    roles(&mut out, file);
    let items = file.items();
    let mut bad: Vec<&Item<'_>> = items.iter().filter(|item| item.is_bad()).collect();
    bad.sort_by_key(|item| !item.core);
    section(&mut out, "Failed", &bad, failed);
    let others: Vec<&Item<'_>> = items.iter().filter(|item| !item.is_bad()).collect();
    section(&mut out, "All others", &others, row);
    out
}

fn heading(file: &File) -> String {
    match &file.subject {
        Some(subject) => format!("Clinker: {} · profile {}", inline(&subject.name), inline(&subject.profile)),
        None => "Clinker".to_owned(),
    }
}

/// `**2 of 67 cases failed**: 50 passed, 15 skipped`.
fn verdict(file: &File) -> String {
    let counts = file.summary.all();
    let noun = if file.cases.is_empty() { "runs" } else { "cases" };
    let bad = counts.failed + counts.errors;
    let said = match (counts.total, bad) {
        (0, _) => format!("❌ **no {noun}**"),
        (total, 0) if counts.is_full() => format!("✅ **all {total} {noun} passed**"),
        (_, 0) => format!("✅ **none of {} {noun} failed**", counts.total),
        (total, bad) => format!("❌ **{bad} of {total} {noun} failed**"),
    };
    let rest = counts.rest();
    let rest = if rest.is_empty() { String::new() } else { format!(", {rest}") };
    format!("{said} · {} passed{rest}", counts.passed)
}

fn roles(out: &mut String, file: &File) {
    if file.summary.roles.is_empty() {
        return;
    }
    out.push_str("\n| role | Core | Extended |\n| --- | --- | --- |\n");
    for role in &file.summary.roles {
        push(out, &format!("| {} | {} | {} |\n", cell(&role.role), role.core.text(), role.extended.text()));
    }
}

/// A heading and what `render` makes of each item, until there is no more room.
fn section(out: &mut String, title: &str, items: &[&Item<'_>], render: fn(&Item<'_>, bool) -> String) {
    if items.is_empty() {
        return;
    }
    push(out, &format!("\n### {title}\n\n"));
    for (index, item) in items.iter().enumerate() {
        let text = render(item, index == 0);
        if out.len() + text.len() > BYTES_MAX {
            return push(out, &format!("\n… and {} more, which are in result.json.\n", items.len() - index));
        }
        out.push_str(&text);
    }
}

fn push(out: &mut String, text: &str) {
    out.write_str(text).expect("a String takes every write");
}

/// A failed item: its reason to see, its text to open.
fn failed(item: &Item<'_>, _first: bool) -> String {
    let text = failure::item(item);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    let slug = Some(item.slug).filter(|slug| !slug.is_empty()).map(|slug| format!(" {}", inline(slug)));
    let core = if item.core { " · Core" } else { "" };
    format!(
        "<details><summary>{} <b>{}</b>{}{core}: {}</summary>\n\n{fence}text\n{text}{fence}\n\n</details>\n",
        verdict_word(item.verdict),
        inline(&item.id),
        slug.unwrap_or_default(),
        inline(item.reason.unwrap_or_default()),
    )
}

/// The longest run of backticks, which a fence around the text has to be longer than.
fn longest_run(text: &str) -> usize {
    text.split(|ch| ch != '`').map(str::len).max().unwrap_or(0)
}

fn row(item: &Item<'_>, first: bool) -> String {
    let head = if first { "| | | verdict | reason |\n| --- | --- | --- | --- |\n" } else { "" };
    let reason = cell(item.reason.unwrap_or_default());
    format!("{head}| {} | {} | {} | {reason} |\n", cell(&item.id), cell(item.slug), verdict_word(item.verdict))
}

/// Text on one line that is neither HTML nor Markdown.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for word in plain(text).split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        for ch in word.chars() {
            match ch {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '#' | '@' | '$' => {
                    write!(out, "&#{};", u32::from(ch)).expect("a String takes every write");
                }
                _ => out.push(ch),
            }
        }
    }
    out
}

fn cell(text: &str) -> String {
    inline(text).replace('|', "&#124;")
}

#[cfg(test)]
mod tests {
    use clinker_model::conformance::CaseResult;
    use clinker_model::verdict::Verdict;

    use super::*;
    use crate::testing::{case, cases, failed, passed, subject};

    #[test]
    fn failures_come_first_with_their_text() {
        let text = text(&File::of_cases(subject(), cases()));
        let head = "\
## Clinker: swift · profile 2026.1

❌ **3 of 6 cases failed** · 1 passed, 2 failed, 1 broke, 1 failed as expected, 1 skipped

| role | Core | Extended |
| --- | --- | --- |
| store | 0/3 passed (1 failed, 1 failed as expected, 1 skipped) | none |
| manager | 1/2 passed (1 failed) | 0/1 passed (1 broke) |

### Failed

<details><summary>fail <b>B-INIT-004</b> reinit&#95;after&#95;failures · Core: attempts</summary>

```text
FAIL B-INIT-004";
        assert!(text.starts_with(head), "{text}");
        let order =
            ["B-INIT-004</b>", "B-INT-001</b>", "B-NOTE-008</b>", "### All others", "| B-INIT-001 |", "| B-DEL-006 |"];
        let places: Vec<Option<usize>> = order.iter().map(|piece| text.find(piece)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{text}");
    }

    #[test]
    fn the_first_line_says_how_it_went() {
        for (verdicts, expected) in [
            (&[][..], "❌ **no runs** · 0 passed"),
            (&[Verdict::Pass], "✅ **all 1 runs passed** · 1 passed"),
            (&[Verdict::Pass, Verdict::Skip], "✅ **none of 2 runs failed** · 1 passed, 1 skipped"),
            (&[Verdict::Skip, Verdict::Error], "❌ **1 of 2 runs failed** · 0 passed, 1 broke, 1 skipped"),
        ] {
            let runs =
                verdicts.iter().map(|verdict| clinker_model::verdict::RunResult { verdict: *verdict, ..passed() });
            assert_eq!(verdict(&File::of_runs(runs.collect())), expected);
        }
    }

    #[test]
    fn it_never_grows_beyond_what_is_taken() {
        let long = CaseResult { reason: Some("x".repeat(10_000)), ..case("B-X-001", "x", Verdict::Fail) };
        let passed = CaseResult { reason: Some("y".repeat(10_000)), ..case("B-X-002", "x", Verdict::Skip) };
        for kind in [long, passed] {
            let text = text(&File::of_cases(subject(), vec![kind; 300]));
            assert!(text.len() < 1_000_000, "{}", text.len());
            assert!(text.trim_end().ends_with("more, which are in result.json."));
        }
    }

    #[test]
    fn nothing_of_a_reason_is_markup() {
        let reason = "\u{1b}</summary> a|b `x` ```` *y* @someone\nmore".to_owned();
        let bad = CaseResult { reason: Some(reason.clone()), ..case("B-X-001", "x", Verdict::Fail) };
        let skipped = CaseResult { reason: Some(reason), ..case("B-X-002", "x", Verdict::Skip) };
        let text = text(&File::of_cases(subject(), vec![bad, skipped]));
        assert!(
            text.contains(
                "&#92;u{1b}&lt;/summary&gt; a|b &#96;x&#96; &#96;&#96;&#96;&#96; &#42;y&#42; &#64;someone more</summary>"
            ),
            "{text}"
        );
        assert!(text.contains("a&#124;b"), "{text}");
        assert!(text.contains("\n`````text\n") && text.contains("\n`````\n"), "{text}");
    }

    #[test]
    fn runs_have_a_summary_too() {
        let text = text(&File::of_runs(vec![passed(), failed()]));
        assert!(
            text.starts_with("## Clinker\n\n❌ **1 of 2 runs failed** · 1 passed, 1 failed\n\n### Failed\n\n<details>"),
            "{text}"
        );
    }
}
