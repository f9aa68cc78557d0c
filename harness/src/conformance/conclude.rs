//! The verdict of a case from its plays: the worst counts, and nothing that was not played is a pass.

use clinker_model::conformance::{Case, CaseResult};
use clinker_model::verdict::{Outcome as Found, RunResult, Verdict};

use super::candidate::Candidate;

/// What one play said.
pub(super) struct One {
    pub result: RunResult,
    pub fingerprint: Option<String>,
    /// Whether it was a play of the case's own body, not one of a scenario.
    pub own: bool,
}

pub(super) fn conclude(result: &mut CaseResult, case: &Case, plays: Vec<One>, candidate: &Candidate) {
    let of = |verdict: Verdict| plays.iter().find(|play| play.result.verdict == verdict);
    let worst = of(Verdict::Error).or_else(|| of(Verdict::Fail)).or_else(|| of(Verdict::Golden));
    if let Some(worst) = worst {
        result.verdict = if worst.result.verdict == Verdict::Error { Verdict::Error } else { Verdict::Fail };
        result.reason = worst.result.reason.clone();
        let mut ways: Vec<String> = plays.iter().filter_map(way).collect();
        ways.sort();
        ways.dedup();
        result.fingerprint = (!ways.is_empty()).then(|| ways.join("; "));
        result.hint = case.known.as_ref().map(|known| format!("cinder 29.0.0: {known}"));
    } else if of(Verdict::Pass).is_some() {
        match idle_check(case, &plays) {
            None => {
                result.verdict = Verdict::Pass;
                result.reason = in_part(&plays);
            }
            Some(check) => broke(result, format!("the check {check}, which is to show it, applied in no play")),
        }
    } else {
        let why = plays.iter().find_map(|play| play.result.reason.clone());
        result.reason = Some(why.unwrap_or_else(|| format!("nothing shows it for {}", candidate.name)));
    }
    result.plays = plays.into_iter().map(|play| play.result).collect();
}

/// The case could not be judged.
pub(super) fn broke(result: &mut CaseResult, why: String) {
    result.verdict = Verdict::Error;
    result.fingerprint = Some(how_it_broke(&why));
    result.reason = Some(why);
}

/// How a play failed or broke, if it did.
fn way(play: &One) -> Option<String> {
    let broke = || play.result.reason.as_deref().filter(|_| play.result.verdict == Verdict::Error).map(how_it_broke);
    play.fingerprint.clone().or_else(broke)
}

/// The first line of what broke, without what differs from seed to seed and from machine to machine: folders, ids, numbers.
fn how_it_broke(why: &str) -> String {
    let word = |word: &str| {
        let start = word.find('/').filter(|at| word[..*at].chars().all(|ch| !ch.is_alphanumeric()));
        let local = match (start, word.rfind('/')) {
            (Some(start), Some(end)) if start < end => format!("{}…{}", &word[..start], &word[end..]),
            _ => word.to_owned(),
        };
        local.split_inclusive(|ch: char| !ch.is_ascii_alphanumeric() && ch != '-').map(without_numbers).collect()
    };
    let words: Vec<String> = why.lines().next().unwrap_or_default().split_whitespace().map(word).collect();
    format!("broke: {}", words.join(" "))
}

/// `#` for an id, or for each number in a piece of a word.
fn without_numbers(piece: &str) -> String {
    let end = piece.trim_end_matches(|ch: char| !ch.is_ascii_alphanumeric() && ch != '-').len();
    let (name, rest) = piece.split_at(end);
    let is_id = name.len() >= 8 && name.chars().all(|ch| ch.is_ascii_hexdigit() || ch == '-');
    if is_id && name.contains(|ch: char| ch.is_ascii_digit()) {
        return format!("#{rest}");
    }
    let mut out = String::new();
    for ch in name.chars() {
        match ch {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            _ => out.push(ch),
        }
    }
    out + rest
}

/// Of a pass, why it is one in part only: every play of the case's own was skipped, and scenarios alone have shown it.
fn in_part(plays: &[One]) -> Option<String> {
    let (own, others): (Vec<&One>, Vec<&One>) = plays.iter().partition(|play| play.own);
    if own.is_empty() || own.iter().any(|play| play.result.verdict != Verdict::Skip) {
        return None;
    }
    let why = own.iter().find_map(|play| play.result.reason.as_deref()).unwrap_or("no reason was given");
    let shown = others.iter().filter(|play| play.result.verdict == Verdict::Pass).count();
    let scenarios = if shown == 1 { "1 scenario".to_owned() } else { format!("{shown} scenarios") };
    let skipped =
        if own.len() == 1 { "its own play was".to_owned() } else { format!("all {} own plays were", own.len()) };
    Some(format!("in part, by {scenarios}; {skipped} skipped: {why}"))
}

/// A checker that the case rests on and that had nothing to say in any scenario of it.
fn idle_check<'c>(case: &'c Case, plays: &[One]) -> Option<&'c String> {
    let scenarios = plays.iter().filter(|play| case.scenarios.contains(&play.result.scenario));
    let findings: Vec<_> = scenarios.flat_map(|play| &play.result.findings).collect();
    if findings.is_empty() {
        return None;
    }
    let applied = |check: &String| {
        findings.iter().any(|finding| finding.checker == *check && finding.outcome != Found::NotApplicable)
    };
    case.checks.iter().find(|check| !applied(check))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_broke_is_the_same_at_every_seed_and_on_every_machine() {
        for (why, expected) in [
            ("host h panicked: index 7 of 5\nat x.rs:12", "broke: host h panicked: index # of #"),
            ("read /home/a/b/c.toml: no such file (os error 2)", "broke: read …/c.toml: no such file (os error #)"),
            ("read (/tmp/x1/y.json)", "broke: read (…/y.json)"),
            ("backup 5d1e9f8c-7b6a-4d3e-2f1a-0b9c8d7e6f50: gone", "broke: backup #: gone"),
            ("hash 00ff00ff00ff00ff, md5", "broke: hash #, md#"),
            ("harness/src/lib.rs and feedback", "broke: harness/src/lib.rs and feedback"),
            ("", "broke: "),
        ] {
            assert_eq!(how_it_broke(why), expected);
        }
    }

    fn one(own: bool, verdict: Verdict) -> One {
        let result = RunResult {
            verdict,
            reason: (verdict != Verdict::Pass).then(|| "no tokens here".to_owned()),
            ..RunResult::unplayed("x", "swift", 17, String::new())
        };
        One { result, fingerprint: None, own }
    }

    #[test]
    fn a_pass_of_scenarios_alone_says_what_was_skipped() {
        use Verdict::{Pass, Skip};
        let told = |plays: &[(bool, Verdict)]| {
            in_part(&plays.iter().map(|(own, verdict)| one(*own, *verdict)).collect::<Vec<_>>())
        };
        let two = "in part, by 1 scenario; all 2 own plays were skipped: no tokens here";
        assert_eq!(told(&[(true, Skip), (true, Skip), (false, Pass), (false, Skip)]).as_deref(), Some(two));
        let other = "in part, by 2 scenarios; its own play was skipped: no tokens here";
        assert_eq!(told(&[(true, Skip), (false, Pass), (false, Pass)]).as_deref(), Some(other));
        assert_eq!(told(&[(true, Skip), (true, Pass), (false, Skip)]), None);
        assert_eq!(told(&[(false, Pass), (false, Skip)]), None);
    }
}
