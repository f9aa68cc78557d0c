//! The names of a case's plays, by which one of them is played alone: `B-FLT-001/create/7/eio`.
//!
//! A play of a body is called as its variant, a scenario as in its file, and one of B-DET-001 as the play that is repeated.

use std::collections::{BTreeMap, BTreeSet};

use clinker_model::conformance::Case;

use super::cases::{self, CaseBody, Scale};
use super::determinism;
use super::suite::Suite;
use crate::loader::suggest::hint;

/// Plays that were asked for by name, by the case's id; of a case that is not here, all are.
pub type Only = BTreeMap<String, Vec<String>>;

/// How many names an error lists where there are too many for all.
const NAMES_SHOWN_MAX: usize = 6;

impl Suite {
    /// The variants of a body that are to be played: those of the scale; or, of all there are, those asked for.
    pub(super) fn variants(&self, body: &CaseBody, only: &[String]) -> Vec<String> {
        if only.is_empty() {
            return (body.variants)(&self.candidate, self.scale);
        }
        self.all_variants(body).into_iter().filter(|name| only.contains(name)).collect()
    }

    fn all_variants(&self, body: &CaseBody) -> Vec<String> {
        let mut all = (body.variants)(&self.candidate, Scale::Gate);
        let known: BTreeSet<String> = all.iter().cloned().collect();
        all.extend((body.variants)(&self.candidate, Scale::Full).into_iter().filter(|name| !known.contains(name)));
        all
    }

    /// The names of all plays of a case at any scale. The only play of a body has none.
    pub fn names(&self, case: &Case) -> Vec<String> {
        let body = cases::body(&case.id).map(|body| self.all_variants(body)).unwrap_or_default();
        let twice = if case.id == determinism::TWICE { determinism::bodies(&self.candidate) } else { Vec::new() };
        let twice = twice.into_iter().map(|(body, variant)| name(body.id, &variant));
        let scenarios = self.scenarios_of(case).map(|entry| entry.name.clone());
        body.into_iter().filter(|name| !name.is_empty()).chain(twice).chain(scenarios).collect()
    }

    /// Takes names of cases apart: `B-FLT-001` is the whole case, `B-FLT-001/create/7/eio` one play of it.
    ///
    /// # Errors
    /// The profile has no such case, or the case no such play for this candidate; with what is near.
    pub fn only(&self, named: &[String]) -> anyhow::Result<Only> {
        let mut only = Only::new();
        let mut whole = BTreeSet::new();
        for text in named {
            let (id, play) = text.split_once('/').map_or((&**text, None), |(id, play)| (id, Some(play)));
            let case = super::profile::find(id)?;
            let Some(play) = play else {
                whole.insert(case.id.clone());
                continue;
            };
            let names = self.names(case);
            if !names.iter().any(|name| name == play) {
                anyhow::bail!("{}", self.unknown(case, play, &names));
            }
            only.entry(case.id.clone()).or_default().push(play.to_owned());
        }
        only.retain(|id, _| !whole.contains(id));
        Ok(only)
    }

    fn unknown(&self, case: &Case, play: &str, names: &[String]) -> String {
        let start = format!("{} has no play `{play}` for {}", case.id, self.candidate.name);
        if names.is_empty() {
            return format!("{start}: its plays have no names; write {}", case.id);
        }
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        match hint(play, &known) {
            hint if !hint.is_empty() => start + &hint,
            _ => {
                let (count, some) = (known.len(), known[..NAMES_SHOWN_MAX.min(known.len())].join(", "));
                format!("{start}; there are {count}, such as {some}")
            }
        }
    }
}

/// `B-FLT-001/create/7/eio`, or the id alone if the play has no name.
pub fn name(case: &str, play: &str) -> String {
    if play.is_empty() { case.to_owned() } else { format!("{case}/{play}") }
}
