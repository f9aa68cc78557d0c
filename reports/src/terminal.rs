//! The table a person sees at the end: a row per run and one line that counts.

use clinker_model::verdict::{RunResult, Verdict};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::verdict_word;

/// One row per run, then a line that ends `N passed, M failed`.
pub fn table(results: &[RunResult]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["scenario", "driver", "verdict", "virtual", "events", "faults", "note"]);
    for result in results {
        table.add_row([
            result.scenario.clone(),
            result.driver.clone(),
            verdict_word(result.verdict).to_owned(),
            format!("{:.1} s", result.virtual_seconds),
            result.events.to_string(),
            faults(result),
            result.reason.clone().unwrap_or_default(),
        ]);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n{}", lines.join("\n"), summary(results))
}

/// Faults that bit, of those declared.
fn faults(result: &RunResult) -> String {
    let bit = result.faults.iter().filter(|fault| fault.bites > 0).count();
    if result.faults.is_empty() { "–".to_owned() } else { format!("{bit} of {} bit", result.faults.len()) }
}

/// `2 skipped, 5 passed, 1 failed`: whatever neither passed nor was skipped has failed.
pub fn summary(results: &[RunResult]) -> String {
    let of = |verdict: Verdict| results.iter().filter(|result| result.verdict == verdict).count();
    let (passed, skipped) = (of(Verdict::Pass), of(Verdict::Skip));
    let failed = results.len() - passed - skipped;
    let virtual_seconds: f64 = results.iter().map(|result| result.virtual_seconds).sum();
    let wall_ms: u64 = results.iter().map(|result| result.wall_ms).sum();
    let skipped = if skipped > 0 { format!("{skipped} skipped, ") } else { String::new() };
    let counts = format!("{skipped}{passed} passed, {failed} failed");
    let (runs, tenths) = (results.len(), wall_ms / 100);
    format!("{runs} runs, {virtual_seconds:.1} virtual s, {}.{} s added up: {counts}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{failed, passed};

    #[test]
    fn every_run_has_a_row_and_the_last_line_counts() {
        let text = table(&[passed(), failed()]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("scenario") && lines[0].contains("note"), "{text}");
        assert!(lines[1].contains("init/heals") && lines[1].contains("pass"), "{text}");
        assert!(lines[1].contains("260.2 s") && lines[1].contains("1 of 1 bit"), "{text}");
        assert!(lines[2].contains("fail") && lines[2].contains("attempts"), "{text}");
        let last = *lines.last().expect("there are lines");
        assert_eq!(last, "2 runs, 520.5 virtual s, 1.8 s added up: 1 passed, 1 failed");
    }

    #[test]
    fn only_a_pass_passes() {
        let with = |verdict| RunResult { verdict, ..passed() };
        let all = [Verdict::Pass, Verdict::Golden, Verdict::Error, Verdict::Fail, Verdict::Skip].map(with);
        assert!(summary(&all).ends_with(": 1 skipped, 1 passed, 3 failed"), "{}", summary(&all));
        assert!(summary(&[]).ends_with("0 passed, 0 failed"));
    }
}
