//! Workflow commands by which GitHub Actions shows failures beside a run: `::error title=…::…`.

use crate::item::Item;
use crate::json::File;
use crate::{plain, verdict_word};

/// GitHub shows so many of one kind per step and drops the others silently.
const SHOWN_MAX: usize = 10;

/// One command per failed item, those of Core first. If there are too many, the last one says how many more there are.
pub fn lines(file: &File) -> Vec<String> {
    let items = file.items();
    let mut bad: Vec<&Item<'_>> = items.iter().filter(|item| item.is_bad()).collect();
    bad.sort_by_key(|item| !item.core);
    let shown = if bad.len() > SHOWN_MAX { SHOWN_MAX - 1 } else { bad.len() };
    let mut lines: Vec<String> = bad[..shown].iter().map(|item| annotation(item)).collect();
    if shown < bad.len() {
        let more = bad.len() - shown;
        lines.push(error(
            &format!("{more} more failed"),
            &bad[shown..].iter().map(|item| &*item.id).collect::<Vec<_>>().join("\n"),
        ));
    }
    lines
}

fn annotation(item: &Item<'_>) -> String {
    let title = format!("{} {} {}", verdict_word(item.verdict), item.id, item.slug);
    let broken = item.plays.iter().flat_map(|play| &play.findings).find_map(|finding| finding.violations.first());
    let mut text = vec![item.reason.unwrap_or("it did not pass").to_owned()];
    if let Some(violation) = broken {
        text.push(format!("expected {}", violation.expected));
        text.push(format!("observed {}", violation.observed));
    }
    text.push(item.replay.to_owned());
    error(title.trim_end(), &text.join("\n"))
}

fn error(title: &str, text: &str) -> String {
    format!("::error title={}::{}", property(title), data(text))
}

fn data(text: &str) -> String {
    plain(&text.replace("\r\n", "\n")).replace('%', "%25").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use clinker_model::conformance::CaseResult;
    use clinker_model::verdict::Verdict;

    use super::*;
    use crate::testing::{case, cases, failed, passed, subject};

    #[test]
    fn each_failure_is_a_command() {
        assert_eq!(
            lines(&File::of_cases(subject(), cases()))[..2],
            [
                "::error title=fail B-INIT-004 reinit_after_failures::attempts%0Aexpected an attempt of backup-host-1 at \
                 60.000 s%0Aobserved none until 600.000 s%0Aclinker conform --driver swift --case B-INIT-004 --seed 17",
                "::error title=fail B-INT-001 bit_flip::restored 1 byte that was never written%0A\
                 clinker conform --driver swift --case B-INT-001 --seed 17",
            ]
        );
        assert_eq!(lines(&File::of_runs(vec![passed()])), [""; 0]);
        assert!(
            lines(&File::of_runs(vec![failed()]))[0]
                .starts_with("::error title=fail init/heals@swift%3A17::attempts%0A")
        );
    }

    #[test]
    fn nothing_of_a_reason_ends_the_command() {
        let odd = CaseResult {
            slug: "a,b::c\n".to_owned(),
            reason: Some("100 %\r\n::error::x\u{1b}".to_owned()),
            ..case("B-X-001", "", Verdict::Error)
        };
        let said = lines(&File::of_cases(subject(), vec![odd]));
        assert!(
            said[0].starts_with("::error title=error B-X-001 a%2Cb%3A%3Ac::100 %25%0A\\::error::x\\u{1b}%0A"),
            "{said:?}"
        );
        assert!(!said[0].contains(['\n', '\r']));
    }

    #[test]
    fn the_last_one_counts_what_is_not_shown() {
        for (failures, expected) in [(10, 10), (11, 10), (40, 10)] {
            let all: Vec<CaseResult> =
                (0..failures).map(|n| case(&format!("B-X-{n:03}"), "x", Verdict::Fail)).collect();
            let said = lines(&File::of_cases(subject(), all));
            assert_eq!(said.len(), expected);
            let more = format!("::error title={} more failed::B-X-009%0A", failures - 9);
            assert_eq!(said[9].starts_with(&more), failures > 10, "{}", said[9]);
        }
    }
}
