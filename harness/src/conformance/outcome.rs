//! How the body of a case ends.

use clinker_drivers::{Error, Kind};

/// A body returns `Ok` when everything was as the rule says.
pub type Outcome<T = ()> = Result<T, Stop>;

/// Why a body stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The driver broke the rule.
    Failed {
        /// How, in words that are the same at every seed: the fingerprint.
        what: String,
        expected: String,
        observed: String,
    },
    /// It cannot be shown here, and that is nobody's fault.
    Skipped(String),
    /// The harness or a fixture broke.
    Broken(String),
}

impl Stop {
    pub fn failed(what: impl Into<String>, expected: impl Into<String>, observed: impl Into<String>) -> Stop {
        Stop::Failed { what: what.into(), expected: expected.into(), observed: observed.into() }
    }
}

/// An operation that should have succeeded.
impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        let operation = if error.operation.is_empty() { "the operation" } else { &error.operation };
        Stop::failed(format!("{operation} failed: {}", error.kind), "success", error.to_string())
    }
}

/// Fails with `what` unless `true`; `observed` is made only then.
pub fn ensure(so: bool, what: &str, expected: impl Into<String>, observed: impl FnOnce() -> String) -> Outcome {
    if so { Ok(()) } else { Err(Stop::failed(what, expected, observed())) }
}

/// Fails with `what` unless both are equal.
pub fn equal<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, expected: &T, observed: &T) -> Outcome {
    ensure(expected == observed, what, format!("{expected:?}"), || format!("{observed:?}"))
}

/// Fails unless the operation failed with one of these kinds; gives the error.
pub fn refused<T>(what: &str, result: Result<T, Error>, kinds: &[Kind]) -> Outcome<Error> {
    let expected = || kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ");
    match result {
        Err(error) if kinds.contains(&error.kind) => Ok(error),
        Err(error) => Err(Stop::failed(
            format!("{what}: {} instead", error.kind),
            format!("an error {}", expected()),
            error.to_string(),
        )),
        Ok(_) => Err(Stop::failed(format!("{what}: succeeded"), format!("an error {}", expected()), "success")),
    }
}

/// The value that the harness itself needs; its absence is nobody's failure but the harness's.
pub fn fixture<T>(value: Result<T, impl std::fmt::Display>) -> Outcome<T> {
    value.map_err(|why| Stop::Broken(why.to_string()))
}
