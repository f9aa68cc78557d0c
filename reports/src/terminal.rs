//! The table a person sees at the end: a row per case or run, and lines that count; and a line per case until then.

use clinker_model::verdict::{RunResult, Verdict};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::item::Item;
use crate::json::File;
use crate::summary::{Counts, Summary};
use crate::{plain, verdict_word};

/// Characters of a reason in the table; the failure's own text has all of it.
const REASON_MAX: usize = 90;

/// The table of a file: of its cases with the counts per role, or of its runs.
pub fn text(file: &File) -> String {
    if file.subject.is_none() && file.cases.is_empty() { table(&file.runs) } else { cases(file) }
}

/// One row per run, then a line that ends `N passed, M failed`.
pub fn table(results: &[RunResult]) -> String {
    let row = |result: &RunResult| {
        [
            result.scenario.clone(),
            result.driver.clone(),
            verdict_word(result.verdict).to_owned(),
            format!("{:.1} s", result.virtual_seconds),
            result.events.to_string(),
            faults(result),
            result.reason.clone().unwrap_or_default(),
        ]
    };
    let header = ["scenario", "driver", "verdict", "virtual", "events", "faults", "note"];
    format!("{}\n{}", rows(header, results.iter().map(row)), summary(results))
}

fn cases(file: &File) -> String {
    let row = |item: &Item<'_>| {
        [
            item.id.to_string(),
            item.slug.to_owned(),
            item.level_word().to_owned(),
            verdict_word(item.verdict).to_owned(),
            plays(item.plays),
            short(item.reason.unwrap_or_default()),
        ]
    };
    let header = ["case", "", "level", "verdict", "plays", "reason"];
    format!("{}\n\n{}", rows(header, file.items().iter().map(row)), footer(file))
}

fn rows<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| plain(&cell)));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Plays that passed, of those that were: `3/3`.
fn plays(plays: &[RunResult]) -> String {
    let passed = plays.iter().filter(|play| play.verdict == Verdict::Pass).count();
    if plays.is_empty() { "–".to_owned() } else { format!("{passed}/{}", plays.len()) }
}

fn short(reason: &str) -> String {
    let first = reason.lines().next().unwrap_or_default();
    let whole = first.len() == reason.trim_end().len() && first.chars().count() <= REASON_MAX;
    if whole { first.to_owned() } else { format!("{}…", first.chars().take(REASON_MAX).collect::<String>()) }
}

/// `store: Core 41/43 passed (2 failed) · Extended 12/20 passed (8 skipped)` per role, then a line that counts all.
pub fn footer(file: &File) -> String {
    let Summary { cases, runs, roles, .. } = &file.summary;
    let mut lines: Vec<String> = roles
        .iter()
        .map(|role| format!("{}: Core {} · Extended {}", role.role, role.core.text(), role.extended.text()))
        .collect();
    let wall_ms: u64 = file.items().iter().map(|item| item.wall_ms).sum();
    let counts = file.summary.all();
    let rest = Some(counts.rest()).filter(|rest| !rest.is_empty()).map(|rest| format!(", {rest}")).unwrap_or_default();
    let of = if *cases > 0 { format!("{cases} cases, ") } else { String::new() };
    let (whole, tenths) = (wall_ms / 1_000, wall_ms / 100 % 10);
    lines.push(format!("{of}{runs} runs, {whole}.{tenths} s added up: {} passed{rest}", counts.passed));
    lines.join("\n")
}

/// Faults that bit, of those declared.
fn faults(result: &RunResult) -> String {
    let bit = result.faults.iter().filter(|fault| fault.bites > 0).count();
    if result.faults.is_empty() { "–".to_owned() } else { format!("{bit} of {} bit", result.faults.len()) }
}

/// `2 skipped, 5 passed, 1 failed`: whatever neither passed nor was skipped has failed.
pub fn summary(results: &[RunResult]) -> String {
    let Counts { total, passed, skipped, .. } = Counts::of(results.iter().map(|result| result.verdict));
    let failed = total - passed - skipped;
    // The sum of no numbers is -0.0.
    let virtual_seconds = results.iter().map(|result| result.virtual_seconds).sum::<f64>() + 0.0;
    let wall_ms: u64 = results.iter().map(|result| result.wall_ms).sum();
    let skipped = if skipped > 0 { format!("{skipped} skipped, ") } else { String::new() };
    let counts = format!("{skipped}{passed} passed, {failed} failed");
    let (runs, tenths) = (results.len(), wall_ms / 100);
    format!("{runs} runs, {virtual_seconds:.1} virtual s, {}.{} s added up: {counts}", tenths / 10, tenths % 10)
}

/// Lines for whoever waits: how many are done of how many, and what became of the last one.
#[derive(Clone, Debug)]
pub struct Progress {
    total: usize,
    done: usize,
}

impl Progress {
    pub fn new(total: usize) -> Progress {
        Progress { total, done: 0 }
    }

    /// ` 7/90  fail  B-INIT-004 reinit_after_failures: attempts`, for the case that is done now.
    pub fn line(&mut self, item: &Item<'_>) -> String {
        self.done += 1;
        let width = self.total.to_string().len();
        let name = format!("{} {}", item.id, item.slug);
        let reason = item.reason.map(|reason| format!(": {}", short(reason))).unwrap_or_default();
        let verdict = verdict_word(item.verdict);
        plain(&format!("{:>width$}/{}  {verdict:<6}  {}{reason}", self.done, self.total, name.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{of_case, of_run};
    use crate::testing::{cases as some_cases, failed, passed, subject};

    #[test]
    fn every_run_has_a_row_and_the_last_line_counts() {
        let text = text(&File::of_runs(vec![passed(), failed()]));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("scenario") && lines[0].contains("note"), "{text}");
        assert!(lines[1].contains("init/heals") && lines[1].contains("pass"), "{text}");
        assert!(lines[1].contains("260.2 s") && lines[1].contains("1 of 1 bit"), "{text}");
        assert!(lines[2].contains("fail") && lines[2].contains("attempts"), "{text}");
        let last = *lines.last().expect("there are lines");
        assert_eq!(last, "2 runs, 520.5 virtual s, 1.8 s added up: 1 passed, 1 failed");
    }

    #[test]
    fn every_case_has_a_row_and_each_role_a_line() {
        let expected = "
 case                                 level   verdict  plays  reason
 B-INIT-001  healthy_start            must    pass     1/1
 B-INIT-004  reinit_after_failures    must    fail     1/2    attempts
 B-INT-001   bit_flip                 must    fail     –      restored 1 byte that was never written
 B-DEL-006   list_fails               must    xfail    0/1    an empty listing is taken for success
 B-NOTE-008  notifier_down            should  error    0/1    the run broke: a panic
 B-CEPH-001  diff_restore_table       must    skip     –      no driver

store: Core 0/3 passed (1 failed, 1 failed as expected, 1 skipped) · Extended none
manager: Core 1/2 passed (1 failed) · Extended 0/1 passed (1 broke)
6 cases, 5 runs, 7.5 s added up: 1 passed, 2 failed, 1 broke, 1 failed as expected, 1 skipped";
        let words = |text: &str| -> Vec<String> {
            text.trim().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(words(&text(&File::of_cases(subject(), some_cases()))), words(expected));
    }

    #[test]
    fn only_a_pass_passes() {
        let with = |verdict| RunResult { verdict, ..passed() };
        let all = [Verdict::Pass, Verdict::Golden, Verdict::Error, Verdict::Fail, Verdict::Skip].map(with);
        assert!(summary(&all).ends_with(": 1 skipped, 1 passed, 3 failed"), "{}", summary(&all));
        assert!(summary(&[]).ends_with("0 passed, 0 failed"));
    }

    #[test]
    fn progress_counts_up() {
        let mut progress = Progress::new(12);
        assert_eq!(
            progress.line(&of_case(&some_cases()[1])),
            " 1/12  fail    B-INIT-004 reinit_after_failures: attempts"
        );
        assert_eq!(progress.line(&of_run(&passed())), " 2/12  pass    init/heals@swift:17");
    }

    #[test]
    fn a_subject_without_cases_is_no_table_of_runs() {
        let text = text(&File::of_cases(subject(), vec![]));
        assert!(text.ends_with("\n0 runs, 0.0 s added up: 0 passed"), "{text}");
        assert!(table(&[]).ends_with("\n0 runs, 0.0 virtual s, 0.0 s added up: 0 passed, 0 failed"), "{}", table(&[]));
    }

    #[test]
    fn a_driver_cannot_write_over_the_table() {
        let odd = RunResult { reason: Some("\u{1b}[2Jx\n::error::y".to_owned()), ..failed() };
        let text = table(&[odd]);
        assert!(text.contains("\\u{1b}[2Jx") && text.contains("\\::error::y") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn reasons_stay_on_their_line() {
        assert_eq!(short("one\ntwo"), "one…");
        assert_eq!(short(&"x".repeat(90)), "x".repeat(90));
        assert_eq!(short(&"x".repeat(91)), "x".repeat(90) + "…");
    }
}
