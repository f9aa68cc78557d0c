//! How an adapter fails to take part at all, apart from the errors that a driver may answer with.

use std::fmt;

use clinker_drivers::{Error, Kind};

/// The class of a failure; its name is the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// No answer within the wall limit.
    Hung,
    /// The process ended, or closed its standard output, or never started.
    Died,
    /// It said something that the protocol does not know.
    Protocol,
}

impl How {
    pub fn as_str(self) -> &'static str {
        match self {
            How::Hung => "hung",
            How::Died => "died",
            How::Protocol => "protocol",
        }
    }
}

/// Why an adapter is of no use any more. Its process has been ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterFailure {
    pub how: How,
    /// A fragment that fits after "the adapter".
    pub what: String,
    /// The last lines of its standard error.
    pub said: Vec<String>,
}

impl AdapterFailure {
    pub(super) fn new(how: How, what: impl Into<String>) -> AdapterFailure {
        AdapterFailure { how, what: what.into(), said: Vec::new() }
    }

    /// The failure behind a driver call's error, if that is what ended the call.
    pub fn behind(error: &Error) -> Option<&AdapterFailure> {
        std::error::Error::source(error).and_then(|source| source.downcast_ref())
    }
}

impl fmt::Display for AdapterFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the adapter {}", self.what)?;
        self.said.iter().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

impl std::error::Error for AdapterFailure {}

impl From<AdapterFailure> for Error {
    fn from(failure: AdapterFailure) -> Error {
        Error::new(Kind::Internal, format!("the adapter {}", failure.what)).with_source(failure)
    }
}
