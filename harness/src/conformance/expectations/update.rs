//! Rewriting an expectations file from a result, so that it says again what is so and keeps what people wrote into it.

use std::fmt;

use clinker_model::conformance::{CaseResult, Subject};
use clinker_model::verdict::Verdict;
use clinker_reports::verdict_word;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TomlError, value};

use super::Condition;

/// What begins a file that was not there.
const NEW: &str = "# Known failures, why each is accepted, and until when: docs/expectations.md.\n";

/// What is said of entries that stand in one list.
pub(super) const INLINE: &str = "write each entry as a table of its own that begins with `[[expect]]`, so that it can be \
                                 rewritten and keep its comments";

/// Why a file cannot be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Toml(#[from] TomlError),
    #[error("`expect`: {INLINE}")]
    Inline,
}

/// Whether what is called `expect` is something else than tables of their own.
pub(super) fn has_inline_entries(text: &str) -> bool {
    text.parse::<DocumentMut>().is_ok_and(|document| is_inline(&document))
}

fn is_inline(document: &DocumentMut) -> bool {
    document.get("expect").is_some_and(|item| !item.is_none() && !item.is_array_of_tables())
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A failure that had none. Its reason is empty, and the file is refused until somebody fills it in.
    Added(String),
    /// It fails in another way than before.
    Rewritten(String),
    /// It passes.
    Removed(String),
    /// It was not played, so nothing is known of it: it stays.
    NotRun(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Added(case) => write!(f, "added      {case}: fill in its reason"),
            Change::Rewritten(case) => write!(f, "rewritten  {case}: check that its reason still holds"),
            Change::Removed(case) => write!(f, "removed    {case}: it passes"),
            Change::NotRun(case) => write!(f, "kept       {case}: it was not run"),
        }
    }
}

/// Makes a file's text say what a result says: verdicts and fingerprints of entries for this subject are rewritten, entries
/// of what passes go, failures without an entry get one at the end. Reasons, trackers, dates and comments stay.
///
/// # Errors
/// The text is no TOML, or its entries are not tables of their own.
pub fn update(text: &str, subject: &Subject, results: &[CaseResult]) -> Result<(String, Vec<Change>), Unfit> {
    let mut document: DocumentMut = if text.trim().is_empty() { NEW.parse()? } else { text.parse()? };
    if is_inline(&document) {
        return Err(Unfit::Inline);
    }
    let mut changes = Vec::new();
    let mut known = Vec::new();
    // What stands above something that is not there (any more): it goes above what comes next.
    let mut orphaned = String::new();
    if document.get("expect").is_none() {
        orphaned = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing("");
    }
    let empty = Item::ArrayOfTables(ArrayOfTables::new());
    if let Some(tables) = document.entry("expect").or_insert(empty).as_array_of_tables_mut() {
        // Entries for one case are alternatives: where one says what is so, the others stay.
        let said: Vec<String> = tables.iter().filter_map(|table| as_said(table, subject, results)).collect();
        let mut index = 0;
        while let Some(table) = tables.get_mut(index) {
            let case = table.get("case").and_then(Item::as_str).unwrap_or_default().to_owned();
            let result = results.iter().find(|result| result.id == case);
            let result = result.filter(|_| condition(table).holds(subject));
            let change = result.filter(|_| !said.contains(&case)).and_then(|result| rewrite(table, result));
            known.extend(result.map(|result| result.id.clone()));
            if matches!(change, Some(Change::Removed(_))) {
                if index == 0 && orphaned.is_empty() {
                    orphaned = heading(table);
                }
                tables.remove(index);
            } else {
                prepend(table, &std::mem::take(&mut orphaned));
                index += 1;
            }
            changes.extend(change);
        }
        let by_driver = tables.iter().any(|table| condition(table).driver.is_some());
        let new = results.iter().filter(|result| is_failure(result) && !known.contains(&result.id));
        for result in new {
            let mut table = added(result, by_driver.then_some(&*subject.name));
            let blank = if tables.is_empty() && orphaned.is_empty() { "" } else { "\n" };
            prepend(&mut table, &format!("{}{blank}", std::mem::take(&mut orphaned)));
            tables.push(table);
            changes.push(Change::Added(result.id.clone()));
        }
    }
    if !orphaned.is_empty() {
        let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing(orphaned + &trailing);
    }
    Ok((document.to_string(), changes))
}

fn is_failure(result: &CaseResult) -> bool {
    matches!(result.verdict, Verdict::Fail | Verdict::Golden | Verdict::Error)
}

/// Brings one entry up to date.
fn rewrite(table: &mut Table, result: &CaseResult) -> Option<Change> {
    let case = result.id.clone();
    match result.verdict {
        Verdict::Pass => return Some(Change::Removed(case)),
        Verdict::Skip => return Some(Change::NotRun(case)),
        // It failed as the entry says.
        Verdict::Xfail => return None,
        Verdict::Fail | Verdict::Golden | Verdict::Error => {}
    }
    if describes(table, result) {
        return None;
    }
    let word = verdict_word(result.verdict);
    set(table, "verdict", word);
    match &result.fingerprint {
        Some(how) => set(table, "fingerprint", how),
        None => {
            table.remove("fingerprint");
        }
    }
    Some(Change::Rewritten(case))
}

/// Whether an entry has the verdict of a failure and its fingerprint.
fn describes(table: &Table, result: &CaseResult) -> bool {
    let is = |key: &str, wanted: Option<&str>| table.get(key).and_then(Item::as_str) == wanted;
    is("verdict", Some(verdict_word(result.verdict))) && is("fingerprint", result.fingerprint.as_deref())
}

/// The case of an entry for this subject that describes the failure as it is.
fn as_said(table: &Table, subject: &Subject, results: &[CaseResult]) -> Option<String> {
    let case = table.get("case").and_then(Item::as_str)?;
    let result = results.iter().find(|result| result.id == case && is_failure(result))?;
    (condition(table).holds(subject) && describes(table, result)).then(|| case.to_owned())
}

/// Sets a text; what stands around it (a comment behind it) stays.
fn set(table: &mut Table, key: &str, text: &str) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = text.into();
            *old.decor_mut() = decor;
        }
        None => table[key] = value(text),
    }
}

fn condition(table: &Table) -> Condition {
    let text = |item: Option<&Item>| item.and_then(Item::as_str).map(str::to_owned);
    let condition = table.get("condition");
    let of = |key: &str| text(condition.and_then(|condition| condition.get(key)));
    Condition { driver: of("driver"), kind: of("kind"), capability: of("capability"), role: of("role") }
}

/// What stands above the first entry and is not about it: all but the last block.
fn heading(table: &Table) -> String {
    let above = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    above.trim_end().rfind("\n\n").map(|at| above[..=at].to_owned()).unwrap_or_default()
}

fn prepend(table: &mut Table, text: &str) {
    if text.is_empty() {
        return;
    }
    let above = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
    table.decor_mut().set_prefix(format!("{text}{above}"));
}

fn added(result: &CaseResult, driver: Option<&str>) -> Table {
    let mut table = Table::new();
    table["case"] = value(&*result.id);
    table["verdict"] = value(verdict_word(result.verdict));
    if let Some(how) = &result.fingerprint {
        table["fingerprint"] = value(how);
    }
    table["reason"] = value("");
    if let Some(driver) = driver {
        let mut condition = InlineTable::new();
        condition.insert("driver", driver.into());
        table["condition"] = value(condition);
    }
    table
}
