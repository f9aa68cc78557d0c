//! What expectations make of results: expected failures, and entries that are stale.

use std::fmt;

use clinker_model::conformance::{CaseResult, Subject};
use clinker_model::verdict::Verdict;
use clinker_reports::verdict_word;
use jiff::civil::Date;

use super::{Entry, Expectations};

/// An entry that no longer says what is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    pub case: String,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It passes.
    Passed,
    /// It fails, but not so.
    Different { expected: String, observed: String },
    /// Its last day is over.
    Expired { on: String },
    /// It was to be played and was not.
    NotRun { reason: String },
    /// The result has no such case.
    Vanished,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.case)?;
        match &self.why {
            Why::Passed => write!(f, "it passes now: remove the entry"),
            Why::Different { expected, observed } => {
                write!(f, "it fails in another way: expected {expected}; observed {observed}")
            }
            Why::Expired { on } => write!(f, "the entry was good until {on}"),
            Why::NotRun { reason } => write!(f, "it was not run ({reason}): remove the entry or give it a condition"),
            Why::Vanished => write!(f, "the result has no such case: remove the entry"),
        }
    }
}

impl Expectations {
    /// Marks expected failures as [`Verdict::Xfail`] and gives the entries for this subject that are stale.
    ///
    /// Entries for one case are alternatives, in whatever order: if one describes the failure, none of them is stale.
    /// `selected` are the cases that were to be played; an entry for another one is left alone. `today` is a day in UTC.
    pub fn apply(
        &self,
        subject: &Subject,
        results: &mut [CaseResult],
        selected: &dyn Fn(&str) -> bool,
        today: Date,
    ) -> Vec<Stale> {
        let ours: Vec<&Entry> = self.entries_for(subject).filter(|entry| selected(&entry.case)).collect();
        for result in &mut *results {
            let same = ours.iter().filter(|entry| entry.case == result.id);
            if let Some(entry) = same.into_iter().find(|entry| entry.stale(result, today).is_none()) {
                entry.excuse(result);
            }
        }
        let stale = |entry: &&Entry| {
            let why = match results.iter().find(|result| result.id == entry.case) {
                Some(result) => entry.stale(result, today),
                None => Some(Why::Vanished),
            };
            why.map(|why| Stale { case: entry.case.clone(), why })
        };
        ours.iter().filter_map(stale).collect()
    }

    fn entries_for(&self, subject: &Subject) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.condition.holds(subject))
    }

    /// As [`Expectations::apply`], for one result that was to be played.
    pub fn apply_to(&self, subject: &Subject, result: &mut CaseResult, today: Date) -> Vec<Stale> {
        let id = result.id.clone();
        self.apply(subject, std::slice::from_mut(result), &|case| case == id, today)
    }
}

impl Entry {
    /// Why it does not say what is so, or none: then the result is an expected failure.
    fn stale(&self, result: &CaseResult, today: Date) -> Option<Why> {
        match result.verdict {
            Verdict::Pass => return Some(Why::Passed),
            Verdict::Skip => {
                return Some(Why::NotRun { reason: result.reason.clone().unwrap_or_else(|| "skipped".to_owned()) });
            }
            Verdict::Xfail => return None,
            Verdict::Fail | Verdict::Golden | Verdict::Error => {}
        }
        if result.verdict != self.verdict.verdict() || result.fingerprint != self.fingerprint {
            let expected = shown(verdict_word(self.verdict.verdict()), self.fingerprint.as_deref());
            let observed = shown(verdict_word(result.verdict), result.fingerprint.as_deref());
            return Some(Why::Different { expected, observed });
        }
        let last = self.expiry().filter(|last| today > *last)?;
        Some(Why::Expired { on: last.to_string() })
    }

    fn excuse(&self, result: &mut CaseResult) {
        if result.verdict == Verdict::Xfail {
            return;
        }
        result.verdict = Verdict::Xfail;
        let tracker = self.tracker.as_ref().map(|url| format!(", {url}")).unwrap_or_default();
        let seen = result.reason.as_deref().unwrap_or("it fails");
        result.reason = Some(format!("{seen} (expected: {}{tracker})", self.reason));
    }
}

fn shown(verdict: &str, fingerprint: Option<&str>) -> String {
    fingerprint.map_or_else(|| verdict.to_owned(), |how| format!("{verdict} \"{how}\""))
}
