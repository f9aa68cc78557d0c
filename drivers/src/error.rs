//! Errors of drivers and service: a kind, whether a retry may help, a text that names operation and target.

use std::error::Error as StdError;
use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An option is missing, out of bounds, or contradicts another.
    InvalidConfig,
    /// The volume cannot be used for what was asked.
    InvalidVolume,
    /// The backup (its row, format or chain) cannot be used for what was asked.
    InvalidBackup,
    /// Credentials or permission.
    Auth,
    /// No connection, or it broke, or the server answered that it cannot serve.
    Unreachable,
    /// No answer in time.
    Timeout,
    NotFound,
    /// Someone else changed it first.
    Conflict,
    /// No space left, or a quota is used up.
    Quota,
    /// Data differs from what was stored.
    Integrity,
    /// Not a capability of this driver or service.
    Unsupported,
    /// No backup service is up.
    ServiceDown,
    Cancelled,
    /// A bug, or an answer that makes no sense.
    Internal,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::InvalidConfig => "invalid_config",
            Kind::InvalidVolume => "invalid_volume",
            Kind::InvalidBackup => "invalid_backup",
            Kind::Auth => "auth",
            Kind::Unreachable => "unreachable",
            Kind::Timeout => "timeout",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Quota => "quota",
            Kind::Integrity => "integrity",
            Kind::Unsupported => "unsupported",
            Kind::ServiceDown => "service_down",
            Kind::Cancelled => "cancelled",
            Kind::Internal => "internal",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with its kind and the operation it ended.
///
/// Displays as the project's reason text, `kind: operation: what` (operations use Cinder's method names; *what* names
/// the target), or just `cancelled`. The texts are ours: an OS's or a library's words stay in [`StdError::source`],
/// so that reasons are the same on every machine.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    /// Cinder's name of the operation, e.g. `check_for_setup_error`; empty until [`Error::during`] sets it.
    pub operation: String,
    /// Target and what happened, e.g. `swift refused the connection`.
    pub what: String,
    /// Whether the same request may succeed when sent again.
    pub retry: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A definite error: sending the request again would not help.
    pub fn new(kind: Kind, what: impl Into<String>) -> Error {
        Error { kind, operation: String::new(), what: what.into(), retry: false, source: None }
    }

    /// An error that a retry may get over.
    pub fn transient(kind: Kind, what: impl Into<String>) -> Error {
        Error { retry: true, ..Error::new(kind, what) }
    }

    pub fn cancelled() -> Error {
        Error::new(Kind::Cancelled, "")
    }

    /// Names the operation, unless an inner one has been named.
    pub fn during(mut self, operation: &str) -> Error {
        if self.operation.is_empty() {
            self.operation = operation.to_owned();
        }
        self
    }

    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == Kind::Cancelled {
            return f.write_str("cancelled");
        }
        write!(f, "{}: ", self.kind)?;
        if !self.operation.is_empty() {
            write!(f, "{}: ", self.operation)?;
        }
        f.write_str(&self.what)
    }
}

/// Characters of a foreign text that an error shows.
const SHOWN_MAX: usize = 255;

/// A text from a server or document as an error shows it: on one line, and not longer than anyone reads.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        None => text.escape_debug().to_string(),
        Some((end, _)) => format!("{}…", text[..end].escape_debug()),
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_kind_operation_and_target() {
        let error = Error::transient(Kind::Unreachable, "swift refused the connection").during("check_for_setup_error");
        assert_eq!(error.to_string(), "unreachable: check_for_setup_error: swift refused the connection");
    }

    #[test]
    fn a_foreign_text_is_shown_on_one_line_and_cut() {
        assert_eq!(shown("a\nb\"é"), "a\\nb\\\"é");
        assert_eq!(shown(&"é".repeat(255)), "é".repeat(255));
        assert_eq!(shown(&"é".repeat(256)), "é".repeat(255) + "…");
    }

    #[test]
    fn the_innermost_operation_wins() {
        let error = Error::new(Kind::NotFound, "container vb").during("put_container").during("backup");
        assert_eq!(error.operation, "put_container");
    }

    #[test]
    fn a_cancel_has_no_other_words() {
        assert_eq!(Error::cancelled().during("backup").to_string(), "cancelled");
    }
}
