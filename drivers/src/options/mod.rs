//! Typed options under Cinder's names (D9): the one place where option names live.
//!
//! [`table`] declares every option on a line of its own; [`value`] turns text into typed values and says what would
//! have been right; [`ini`] reads a `cinder.conf`.

mod ini;
mod table;
mod value;

pub use table::Options;
pub use value::{Limits, Secret};

use crate::{Error, Kind, Result};

/// The longest a duration may be, a century: sums of such never leave the clock's range.
const SECONDS_MAX: u64 = 100 * 366 * 86_400;

/// What is known of one option.
#[derive(Clone, Debug)]
pub struct OptionInfo {
    pub name: &'static str,
    /// `int`, `float`, `bool`, `str`, `list` or `secret`.
    pub kind: &'static str,
    /// The default as text; none for an option that is unset by default.
    pub default: Option<String>,
    pub help: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
    pub limits: Limits,
}

impl Options {
    /// Every option, in the order of the declaration.
    pub fn table() -> &'static [OptionInfo] {
        table::infos()
    }

    /// Sets the option `name` (or the one of which it is a deprecated alias) from its text in a configuration file.
    ///
    /// Fails with `invalid_config`, naming the option, what was found (never a secret's value) and what would be right.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        match self.set_declared(canonical(name), text.trim()) {
            Some(result) => result.map_err(|wrong| invalid(name, &wrong)),
            None => Err(unknown(name)),
        }
    }

    /// Reads the text of a `cinder.conf`. The second value lists the options that mean nothing here, in file order.
    ///
    /// Foreign names and names of Cinder's that nothing here reads are listed; an unknown `backup_*` name is an error.
    pub fn parse_ini(text: &str) -> Result<(Options, Vec<String>)> {
        ini::parse(text)
    }

    /// Checks every option's limits and the rules between options.
    pub fn validate(&self) -> Result<()> {
        if let Some((name, wrong)) = self.first_out_of_limits() {
            return Err(invalid(name, &wrong));
        }
        if let Some((name, seconds)) = self.durations().into_iter().find(|(_, seconds)| *seconds > SECONDS_MAX) {
            return Err(invalid(name, &format!("found {seconds}, expected at most {SECONDS_MAX} seconds")));
        }
        if self.service_down_time <= self.report_interval {
            return Err(invalid(
                "service_down_time",
                &format!(
                    "found {}, expected more than report_interval ({}): a service would be down between heartbeats",
                    self.service_down_time, self.report_interval
                ),
            ));
        }
        Ok(())
    }

    /// The options that become waits and time-outs.
    fn durations(&self) -> [(&'static str, u64); 12] {
        let check_interval = self.backup_driver_init_check_interval.unwrap_or_default();
        [
            ("periodic_interval", self.periodic_interval),
            ("report_interval", self.report_interval),
            ("service_down_time", self.service_down_time),
            ("backup_initialization_timeout", self.backup_initialization_timeout),
            ("backup_driver_init_check_interval", check_interval),
            ("backup_driver_stats_polling_interval", self.backup_driver_stats_polling_interval),
            ("backup_timer_interval", self.backup_timer_interval),
            ("backup_swift_retry_backoff", self.backup_swift_retry_backoff),
            ("backup_swift_timeout", self.backup_swift_timeout),
            ("rpc_response_timeout", self.rpc_response_timeout),
            ("heartbeat_timeout_threshold", self.heartbeat_timeout_threshold),
            // The cast saturates, so that what is far too long stays so.
            ("backup_s3_timeout", self.backup_s3_timeout.ceil() as u64),
        ]
    }

    /// The values of all secret options that are set, for whoever must keep them out of a text.
    pub fn secrets(&self) -> Vec<String> {
        self.secret_values().into_iter().map(|secret| secret.expose().to_owned()).filter(|s| !s.is_empty()).collect()
    }

    /// Replaces `$name` and `${name}` by that option's value, as Cinder does in its defaults (`$state_path/backup`).
    ///
    /// `$$` is a dollar sign. Names that are unknown, unset or secret stay as they are.
    pub fn expand(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let (name, whole) = reference(&rest[at..]);
            match self.shown(name) {
                _ if whole == "$$" => out.push('$'),
                Some(value) => out.push_str(&value),
                None => out.push_str(whole),
            }
            rest = &rest[at + whole.len()..];
        }
        out.push_str(rest);
        out
    }
}

/// The name in a reference at the start of `text` (which begins with `$`), and the reference as written.
fn reference(text: &str) -> (&str, &str) {
    if text.starts_with("$$") {
        return ("", "$$");
    }
    if let Some(inner) = text.strip_prefix("${")
        && let Some(end) = inner.find('}')
    {
        return (&inner[..end], &text[..end + 3]);
    }
    let end = text[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(text.len(), |end| end + 1);
    (&text[1..end], &text[..end])
}

fn canonical(name: &str) -> &str {
    table::ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| canonical)
}

fn is_known(name: &str) -> bool {
    Options::table().iter().any(|info| info.name == canonical(name))
}

fn invalid(name: &str, wrong: &str) -> Error {
    Error::new(Kind::InvalidConfig, format!("option {name}: {wrong}"))
}

/// Never shows the value: under a misspelt name it may be a secret.
fn unknown(name: &str) -> Error {
    let near = Options::table()
        .iter()
        .map(|info| (strsim::damerau_levenshtein(name, info.name), info.name))
        .min()
        .filter(|(distance, _)| *distance <= 2.max(name.len() / 4));
    let hint = match near {
        Some((_, near)) => format!("; did you mean {near}?"),
        None => String::new(),
    };
    Error::new(Kind::InvalidConfig, format!("option {name}: no such option{hint}"))
}
