//! Bodies of cases, one file per family: what a case does with a driver on a bench, and what must come of it.

mod capability;
mod cost;
mod create;
mod delete;
mod documents;
mod faults;
mod format;
mod incremental;
mod integrity;
mod progress;
mod record;
mod restore;
mod stores;

use super::bench::{Bench, Body};
use super::candidate::Candidate;

/// How much of a family of plays is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// The first, the middle and the last place at which a fault can strike.
    #[default]
    Gate,
    /// Every place.
    Full,
}

/// The body of a case.
pub struct CaseBody {
    pub id: &'static str,
    pub body: Body,
    /// Its plays; one without a name where there is only one.
    pub variants: fn(&Candidate, Scale) -> Vec<String>,
    /// Names that a listing gives at most, where the case is about pages.
    pub page: Option<usize>,
}

const fn case(id: &'static str, body: Body) -> CaseBody {
    CaseBody { id, body, variants: |_, _| vec![String::new()], page: None }
}

/// The body of a case, if it has one.
pub fn body(id: &str) -> Option<&'static CaseBody> {
    families().find(|case| case.id == id)
}

/// Every body.
pub fn families() -> impl Iterator<Item = &'static CaseBody> {
    let all: [&[CaseBody]; 13] = [
        capability::CASES,
        cost::CASES,
        create::CASES,
        delete::CASES,
        documents::CASES,
        faults::CASES,
        format::CASES,
        incremental::CASES,
        integrity::CASES,
        progress::CASES,
        record::CASES,
        restore::CASES,
        stores::CASES,
    ];
    all.into_iter().flatten()
}
