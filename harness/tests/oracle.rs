//! Our service against recorded runs of the original one: Cinder 29.0.0's backup manager, 93 cases.
//!
//! Each case is played here as well ([`plays`]); what came of it, events in order and final rows, must be what the
//! original did plus the [`deviations`] that the play names, each of which must make a difference. A difference that no
//! named deviation explains, a deviation that no row needs, and a row that is neither played nor listed as absent fail.

#[path = "oracle/deviations.rs"]
mod deviations;
#[path = "oracle/direct.rs"]
mod direct;
#[path = "oracle/ours.rs"]
mod ours;
#[path = "oracle/outcome.rs"]
mod outcome;
#[path = "oracle/plays.rs"]
mod plays;
#[path = "oracle/upstream.rs"]
mod upstream;

use std::collections::{BTreeMap, BTreeSet};

use deviations::{DEVIATIONS, Deviation};
use outcome::Outcome;
use plays::Play;

const DOCUMENT: &str = include_str!("../../docs/deviations.md");

#[test]
fn every_recorded_case_differs_from_ours_exactly_by_the_named_deviations() {
    let rows = upstream::rows();
    let (plays, _) = plays::all();
    let mut wrong = Vec::new();
    for play in &plays {
        let ours = match &play.direct {
            Some(case) => direct::outcome(case),
            None => ours::outcome(play),
        };
        for name in &play.rows {
            if let Err(why) = explained(&rows[name], play, &ours) {
                wrong.push(format!("== {name}\n{why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn every_recorded_case_is_played_or_listed_with_a_reason() {
    let rows = upstream::rows();
    let (plays, absent) = plays::all();
    assert_eq!(rows.len(), 93);
    let mut answered = BTreeSet::new();
    let listed = absent.iter().flat_map(|absent| {
        assert!(!absent.why.is_empty());
        &absent.rows
    });
    for name in plays.iter().flat_map(|play| &play.rows).chain(listed) {
        assert!(rows.contains_key(name), "no recorded case is called \"{name}\"");
        assert!(answered.insert(name.clone()), "\"{name}\" is answered twice");
    }
    let left: Vec<&String> = rows.keys().filter(|name| !answered.contains(*name)).collect();
    assert!(left.is_empty(), "neither played nor listed: {left:#?}");
}

#[test]
fn every_deviation_is_shown_by_a_row() {
    let shown = shown_by();
    for deviation in DEVIATIONS {
        assert!(deviation.everywhere || shown.contains_key(deviation.id), "{} is shown by no row", deviation.id);
    }
}

#[test]
fn the_document_lists_the_deviations_of_the_code() {
    let shown = shown_by();
    let expected: Vec<String> = DEVIATIONS.iter().map(|deviation| line(deviation, &shown)).collect();
    let found: Vec<&str> = DOCUMENT.lines().filter(|line| line.starts_with("| DEV-")).collect();
    assert_eq!(found, expected, "docs/deviations.md must have these lines:\n{}", expected.join("\n"));
}

/// A line of the document.
fn line(deviation: &Deviation, shown: &BTreeMap<&str, Vec<String>>) -> String {
    let rows = match shown.get(deviation.id) {
        Some(rows) => rows.join("; "),
        None => "every row with a backup that has no reason".to_owned(),
    };
    format!("| {} | {} | {} | {rows} |", deviation.id, deviation.ours, deviation.decision)
}

/// By deviation, the scenarios of the rows that show it, with the number of such rows.
fn shown_by() -> BTreeMap<&'static str, Vec<String>> {
    let (plays, _) = plays::all();
    let mut counts: BTreeMap<&'static str, BTreeMap<String, usize>> = BTreeMap::new();
    for play in &plays {
        for deviation in named_by(play) {
            for row in &play.rows {
                let scenario = row.split('/').next().unwrap_or(row);
                *counts.entry(deviation.id).or_default().entry(scenario.to_owned()).or_default() += 1;
            }
        }
    }
    let text = |(scenario, count)| if count == 1 { scenario } else { format!("{scenario} ({count})") };
    counts.into_iter().map(|(id, rows)| (id, rows.into_iter().map(text).collect())).collect()
}

fn named_by(play: &Play) -> impl Iterator<Item = &'static Deviation> {
    play.deviations.iter().map(|id| {
        let known = DEVIATIONS.iter().find(|deviation| deviation.id == id);
        known.unwrap_or_else(|| panic!("{}: no deviation is called {id}", play.name()))
    })
}

/// Whether the named deviations explain the difference, and no fewer of them do.
fn explained(row: &serde_json::Value, play: &Play, ours: &Outcome) -> Result<(), String> {
    let named: Vec<&Deviation> = named_by(play).collect();
    compare(row, play, &named, ours)?;
    for left_out in &named {
        let others: Vec<&Deviation> = named.iter().copied().filter(|other| other.id != left_out.id).collect();
        if compare(row, play, &others, ours).is_ok() {
            return Err(format!("{} makes no difference here", left_out.id));
        }
    }
    Ok(())
}

/// Compares a recorded case, as the deviations change it, with ours; the error shows both.
fn compare(row: &serde_json::Value, play: &Play, named: &[&Deviation], ours: &Outcome) -> Result<(), String> {
    let mut expected = upstream::outcome(row, play.backups.keys().map(String::as_str));
    if let Some(until) = &play.until_event {
        let end = expected.events.iter().position(|event| event.event_type == *until);
        expected.events.truncate(end.expect("the named event was recorded"));
    }
    let everywhere = DEVIATIONS.iter().filter(|deviation| deviation.everywhere);
    everywhere.chain(named.iter().copied()).for_each(|deviation| (deviation.apply)(&mut expected, play));
    let mut ours = ours.clone();
    if play.collapse {
        expected.collapse();
        ours.collapse();
    }
    for (fact, why) in &play.not_compared {
        assert!(!why.is_empty());
        expected.facts.remove(fact).ok_or_else(|| format!("\"{fact}\" was not recorded: it need not be excepted"))?;
    }
    // What was not recorded cannot be compared.
    ours.facts.retain(|name, _| expected.facts.contains_key(name));
    let (expected, ours) = (expected.lines(), ours.lines());
    if expected == ours {
        return Ok(());
    }
    let list = |lines: &[String], other: &[String]| -> String {
        let mark = |line: &String| if other.contains(line) { ' ' } else { '!' };
        lines.iter().map(|line| format!("  {} {line}\n", mark(line))).collect()
    };
    Err(format!(" expected:\n{} ours:\n{}", list(&expected, &ours), list(&ours, &expected)))
}
