//! JUnit XML as the Jenkins xUnit plugin's `junit-10.xsd` has it: a suite per family, a test case per item.
//!
//! Written here and not by a crate, because those that exist count skipped cases on the root element, where that schema
//! does not allow it. A message is of an attribute and on one line; the whole failure is the element's text.

use std::fmt::{self, Write as _};

use clinker_model::verdict::Verdict;
use indexmap::IndexMap;
use quick_xml::escape::escape;

use crate::failure;
use crate::item::Item;
use crate::json::File;
use crate::summary::Counts;

/// Renders the file, ended by a newline.
pub fn text(file: &File) -> String {
    let items = file.items();
    let mut suites: IndexMap<&str, Vec<&Item<'_>>> = IndexMap::new();
    for item in &items {
        suites.entry(item.family).or_default().push(item);
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    write(&mut out, file, &items, &suites).expect("a String takes every write");
    out
}

fn write(out: &mut String, file: &File, items: &[Item<'_>], suites: &IndexMap<&str, Vec<&Item<'_>>>) -> fmt::Result {
    let name = match &file.subject {
        Some(subject) => format!("clinker {} {}", subject.profile, subject.name),
        None => "clinker".to_owned(),
    };
    let counts = file.summary.all();
    write!(out, "<testsuites name=\"{}\" tests=\"{}\"", attribute(&name), counts.total)?;
    writeln!(out, " failures=\"{}\" errors=\"{}\" time=\"{}\">", counts.failed, counts.errors, time(items.iter()))?;
    for (family, items) in suites {
        let counts = Counts::of(items.iter().map(|item| item.verdict));
        write!(out, "  <testsuite name=\"{}\" tests=\"{}\"", attribute(family), counts.total)?;
        write!(out, " failures=\"{}\" errors=\"{}\"", counts.failed, counts.errors)?;
        writeln!(out, " skipped=\"{}\" time=\"{}\">", counts.skipped + counts.xfailed, time(items.iter().copied()))?;
        for item in items {
            case(out, &name, item)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn case(out: &mut String, class: &str, item: &Item<'_>) -> fmt::Result {
    let name = format!("{} {}", item.id, item.slug);
    let class = format!("{class}.{}", item.family);
    let time = time(std::iter::once(item));
    write!(out, "    <testcase name=\"{}\" classname=\"{}\" time=\"{time}\"", attribute(&name), attribute(&class))?;
    let reason = item.reason.unwrap_or("no reason was given");
    let (element, message) = match item.verdict {
        Verdict::Pass => return writeln!(out, "/>"),
        Verdict::Skip => ("skipped", reason.to_owned()),
        Verdict::Xfail => ("skipped", format!("expected failure: {reason}")),
        Verdict::Fail | Verdict::Golden => ("failure", reason.to_owned()),
        Verdict::Error => ("error", reason.to_owned()),
    };
    write!(out, ">\n      <{element} message=\"{}\"", attribute(&message))?;
    if element == "skipped" {
        writeln!(out, "/>")?;
    } else {
        let kind = item.fingerprint.unwrap_or_else(|| crate::verdict_word(item.verdict));
        writeln!(out, " type=\"{}\">{}</{element}>", attribute(kind), xml(&failure::item(item)))?;
    }
    writeln!(out, "    </testcase>")
}

/// Seconds with three decimals.
fn time<'i>(items: impl Iterator<Item = &'i Item<'i>>) -> String {
    let wall_ms: u64 = items.map(|item| item.wall_ms).sum();
    format!("{}.{:03}", wall_ms / 1_000, wall_ms % 1_000)
}

/// An attribute keeps to its line.
fn attribute(text: &str) -> String {
    xml(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Text as XML 1.0 may hold it; what it may not hold at all, not even escaped, becomes U+FFFD.
fn xml(text: &str) -> String {
    let may = |ch: char| matches!(ch, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let legal: String = text.chars().map(|ch| if may(ch) { ch } else { '\u{fffd}' }).collect();
    escape(legal.as_str()).into_owned()
}

#[cfg(test)]
mod tests;
