//! Reading a `cinder.conf`: sections, comments, continued lines, quotes, as oslo.config reads them.
//!
//! No error shows a line's text: what stands on a wrong line may be a secret.

use super::{Options, canonical, is_known, table, unknown};
use crate::{Error, Kind, Result};

struct Assignment {
    line: usize,
    section: String,
    name: String,
    value: String,
}

pub(super) fn parse(text: &str) -> Result<(Options, Vec<String>)> {
    let assignments = assignments(text)?;
    let mut options = Options::default();
    let mut ignored = Vec::new();
    for assignment in &assignments {
        let Assignment { line, section, name, value } = assignment;
        let at_home = if is_known(name) { section == home(canonical(name)) } else { section == "DEFAULT" };
        if !at_home {
            ignored.push(if section == "DEFAULT" { name.clone() } else { format!("[{section}] {name}") });
        } else if is_known(name) {
            // An option's own name wins over its deprecated alias, wherever the two stand.
            let overruled = canonical(name) != name
                && assignments.iter().any(|other| other.section == "DEFAULT" && other.name == canonical(name));
            if !overruled {
                options.set(name, value).map_err(|error| at(*line, &error.what))?;
            }
        } else if name.starts_with("backup_") && !known_elsewhere(name) {
            return Err(at(*line, &unknown(name).what));
        } else {
            ignored.push(name.clone());
        }
    }
    Ok((options, ignored))
}

/// The section in which an option stands.
fn home(name: &str) -> &'static str {
    table::SECTIONS.iter().find(|(_, known)| *known == name).map_or("DEFAULT", |(section, _)| section)
}

fn known_elsewhere(name: &str) -> bool {
    table::ELSEWHERE.iter().any(|known| name == *known || (known.ends_with('_') && name.starts_with(known)))
}

fn assignments(text: &str) -> Result<Vec<Assignment>> {
    let mut found: Vec<Assignment> = Vec::new();
    let mut section = None;
    let mut continues = false;
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let trimmed = raw.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') || trimmed.starts_with(';') {
            continue;
        }
        if raw.starts_with([' ', '\t']) {
            let last =
                found.last_mut().filter(|_| continues).ok_or_else(|| at(line, "continued line without an option"))?;
            last.value.push('\n');
            last.value.push_str(trimmed);
        } else if let Some(inner) = trimmed.strip_prefix('[') {
            let name = inner.strip_suffix(']').ok_or_else(|| at(line, "section header without a closing bracket"))?;
            section = Some(name.trim().to_owned());
            continues = false;
        } else {
            let (name, value) =
                trimmed.split_once(['=', ':']).ok_or_else(|| at(line, "expected `name = value` or `[section]`"))?;
            let section =
                section.clone().ok_or_else(|| at(line, "option outside a section; expected [DEFAULT] first"))?;
            found.push(Assignment { line, section, name: name.trim().to_owned(), value: unquoted(value.trim()) });
            continues = true;
        }
    }
    Ok(found)
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if value.len() >= 2 && value.starts_with(quote) && value.ends_with(quote) {
            return value[1..value.len() - 1].to_owned();
        }
    }
    value.to_owned()
}

fn at(line: usize, what: &str) -> Error {
    Error::new(Kind::InvalidConfig, format!("line {line}: {what}"))
}
