//! How a checker collects what it saw and becomes a finding.

use clinker_model::verdict::{Finding, Outcome, Violation};

/// More breaches of one checker than this are counted only: the first ones say what is wrong.
const VIOLATIONS_MAX: usize = 20;

/// Counts the places where a rule spoke and keeps the breaches.
pub struct Tally {
    checker: &'static str,
    applied: u64,
    violations: Vec<Violation>,
    more: u64,
}

impl Tally {
    pub fn new(checker: &'static str) -> Tally {
        Tally { checker, applied: 0, violations: Vec::new(), more: 0 }
    }

    /// Notes that the history has something this checker's rules speak of.
    pub fn applies(&mut self) {
        self.applied += 1;
    }

    /// Notes a breach at `t_ns`.
    pub fn broken(&mut self, t_ns: u64, rule: &str, expected: impl Into<String>, observed: impl Into<String>) {
        self.applied += 1;
        if self.violations.len() == VIOLATIONS_MAX {
            self.more += 1;
            return;
        }
        let (rule, expected, observed) = (rule.to_owned(), expected.into(), observed.into());
        self.violations.push(Violation { rule, expected, observed, t_ns });
    }

    /// Applies a rule: a breach unless `holds`.
    pub fn require(
        &mut self,
        holds: bool,
        t_ns: u64,
        rule: &str,
        expected: impl FnOnce() -> String,
        observed: impl FnOnce() -> String,
    ) {
        self.applies();
        if !holds {
            self.broken(t_ns, rule, expected(), observed());
        }
    }

    /// Pass, fail, or not applicable when no rule spoke. Violations are sorted by time.
    pub fn finish(mut self) -> Finding {
        self.violations.sort_by_key(|violation| violation.t_ns);
        if let Some(last) = self.violations.last_mut().filter(|_| self.more > 0) {
            last.observed.push_str(&format!(" (and {} more breaches of this check)", self.more));
        }
        let outcome = match (self.applied, self.violations.is_empty()) {
            (0, _) => Outcome::NotApplicable,
            (_, true) => Outcome::Pass,
            (_, false) => Outcome::Fail,
        };
        Finding { checker: self.checker.to_owned(), outcome, violations: self.violations }
    }
}

/// A moment as reports write it: `12.345 s`.
pub fn at(t_ns: u64) -> String {
    format!("{}.{:03} s", t_ns / 1_000_000_000, t_ns / 1_000_000 % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_that_never_spoke_is_not_applicable() {
        assert_eq!(Tally::new("x").finish().outcome, Outcome::NotApplicable);
    }

    #[test]
    fn breaches_are_sorted_by_time_and_limited() {
        let mut tally = Tally::new("x");
        for t_ns in (0..25).rev() {
            tally.broken(t_ns, "rule", "", "seen");
        }
        let finding = tally.finish();
        assert_eq!(finding.outcome, Outcome::Fail);
        assert_eq!(finding.violations.len(), 20);
        assert_eq!(finding.violations[0].t_ns, 5);
        assert_eq!(finding.violations[19].observed, "seen (and 5 more breaches of this check)");
    }

    #[test]
    fn moments_have_milliseconds() {
        assert_eq!(at(12_345_678_901), "12.345 s");
    }
}
