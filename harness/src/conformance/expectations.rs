//! Expectations: how a driver is known to fail, why that is accepted, and until when.
//!
//! An entry turns exactly the failure that it describes into [`Verdict::Xfail`]. One that does not describe what is seen
//! any more is stale, which is a failure of its own: [`apply`](Expectations::apply). [`update()`] rewrites a file from a
//! result. `docs/expectations.md` says what a file may hold. Nothing here reads files or clocks.

mod apply;
mod update;

use std::fmt;

use clinker_model::conformance::Subject;
use clinker_model::verdict::Verdict;
use jiff::civil::Date;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::profile;
use crate::loader::locate::{Document, parse_problem};
use crate::loader::presets;
use crate::loader::suggest::hint;
use crate::loader::{LoadError, Problem};

pub use apply::{Stale, Why};
pub use update::{Change, Unfit, update};

/// The entries of one file, in its order.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    #[serde(default, rename = "expect")]
    pub entries: Vec<Entry>,
}

/// A failure that is expected.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `B-INT-001`.
    pub case: String,
    pub verdict: Expected,
    /// How it fails or breaks, as a result says it; never empty.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Why it is accepted.
    pub reason: String,
    /// Where it is worked on.
    #[serde(default)]
    pub tracker: Option<String>,
    /// The last day on which it is accepted, written as a text or as a date of TOML's.
    #[serde(default, deserialize_with = "date")]
    pub expires: Option<String>,
    /// What is put to the test, where the file is used for more than one thing.
    #[serde(default)]
    pub condition: Condition,
}

fn date<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match toml::Value::deserialize(from)? {
        toml::Value::String(text) => Ok(Some(text)),
        toml::Value::Datetime(date) => Ok(Some(date.to_string())),
        other => Err(D::Error::custom(format!("found {other}, expected a date such as \"2027-06-01\""))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    Fail,
    Error,
}

/// The entry is for a subject of which all of this is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Its name.
    #[serde(default)]
    pub driver: Option<String>,
    /// `built-in`, `plug-in` or `adapter`.
    #[serde(default)]
    pub kind: Option<String>,
    /// A capability that it claims.
    #[serde(default)]
    pub capability: Option<String>,
    /// A role that it has.
    #[serde(default)]
    pub role: Option<String>,
}

impl Expected {
    pub fn verdict(self) -> Verdict {
        match self {
            Expected::Fail => Verdict::Fail,
            Expected::Error => Verdict::Error,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(clinker_reports::verdict_word(self.verdict()))
    }
}

impl Condition {
    pub fn holds(&self, subject: &Subject) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let has = |wanted: &Option<String>, found: &[String]| wanted.as_ref().is_none_or(|one| found.contains(one));
        is(&self.driver, &subject.name)
            && is(&self.kind, &subject.kind)
            && has(&self.capability, &subject.capabilities)
            && has(&self.role, &subject.roles)
    }
}

impl Entry {
    fn expiry(&self) -> Option<Date> {
        self.expires.as_deref().and_then(|text| text.parse().ok())
    }
}

impl Expectations {
    /// Reads a file's text; `file` is what errors call it.
    ///
    /// # Errors
    /// Every field that is unknown or wrong, with its line and what would be right: an id that no profile has, a reason
    /// that is empty, a date that is none, two entries for the same case and condition.
    pub fn read(file: &str, text: &str) -> Result<Expectations, LoadError> {
        let failed = |problems: Vec<Problem>| LoadError { file: file.to_owned(), problems };
        let document = Document::parse(text).map_err(|error| failed(vec![parse_problem(text, &error)]))?;
        if update::has_inline_entries(text) {
            return Err(failed(vec![document.problem(&["expect"], update::INLINE.to_owned())]));
        }
        let read: Expectations = toml::from_str(text).map_err(|error| failed(vec![parse_problem(text, &error)]))?;
        let problems: Vec<Problem> =
            (0..read.entries.len()).flat_map(|index| read.problems(&document, index)).collect();
        if problems.is_empty() { Ok(read) } else { Err(failed(problems)) }
    }

    /// Entries whose last day was before `today`.
    pub fn expired(&self, today: Date) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.expiry().is_some_and(|last| today > last))
    }

    fn problems(&self, document: &Document<'_>, index: usize) -> Vec<Problem> {
        let entry = &self.entries[index];
        let mut problems = Vec::new();
        let number = index.to_string();
        let mut wrong = |field: &[&str], message: String| {
            let path: Vec<&str> = ["expect", &number].into_iter().chain(field.iter().copied()).collect();
            problems.push(document.problem(&path, message));
        };
        match profile::find(&entry.case) {
            Ok(case) if case.id == entry.case => {}
            Ok(case) => wrong(&["case"], format!("write the id `{}`", case.id)),
            Err(error) => wrong(&["case"], error.to_string()),
        }
        if entry.reason.trim().is_empty() {
            wrong(&["reason"], "say why this failure is accepted".to_owned());
        }
        if entry.fingerprint.as_deref().is_none_or(str::is_empty) {
            let how = if entry.verdict == Expected::Fail { "fails" } else { "breaks" };
            wrong(&["fingerprint"], format!("say how it {how}: the `fingerprint` of the case in result.json"));
        }
        if let Some(text) = entry.expires.as_ref().filter(|_| entry.expiry().is_none()) {
            wrong(&["expires"], format!("found \"{text}\", expected a date such as \"2027-06-01\""));
        }
        if let Some(url) = entry.tracker.as_ref().filter(|url| !url.contains("://")) {
            wrong(&["tracker"], format!("found \"{url}\", expected the URL of an issue"));
        }
        for (field, message) in wrong_condition(&entry.condition) {
            wrong(&["condition", field], message);
        }
        let same = |other: &Entry| other.case == entry.case && other.condition == entry.condition;
        if self.entries[..index].iter().any(same) {
            wrong(&["case"], format!("{} has an entry already, with the same condition", entry.case));
        }
        problems
    }
}

/// Names of drivers are anybody's; everything else is one of a few words.
fn wrong_condition(condition: &Condition) -> Vec<(&'static str, String)> {
    let capabilities = [profile::capabilities(), super::candidate::OF_THE_ENGINE.to_vec()].concat();
    let words: [(&'static str, &Option<String>, &[&str]); 3] = [
        ("kind", &condition.kind, &["built-in", "plug-in", "adapter"]),
        ("capability", &condition.capability, &capabilities),
        ("role", &condition.role, &["store", "driver", "manager", "service"]),
    ];
    let wrong = |(field, found, known): (&'static str, &Option<String>, &[&str])| {
        let found = found.as_deref().filter(|found| !known.contains(found))?;
        Some((field, format!("unknown {field} `{found}`{}", hint(found, known))))
    };
    let mut all: Vec<_> = words.into_iter().filter_map(wrong).collect();
    // A name that is one letter off a preset's is a slip; another name is a plug-in's or an adapter's.
    let presets = presets::names();
    let near = condition.driver.as_deref().filter(|name| !presets.contains(name) && condition.kind.is_none());
    if let Some((name, near)) = near.and_then(|name| Some((name, crate::loader::suggest::nearest(name, &presets)?))) {
        all.push((
            "driver",
            format!("no driver preset is called `{name}`; did you mean `{near}`? (else say its kind)"),
        ));
    }
    all
}

#[cfg(test)]
mod tests;
