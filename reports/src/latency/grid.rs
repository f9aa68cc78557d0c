//! Which cells a small picture shows: those that differ in nothing but their round trip and how many requests at once.

use std::collections::BTreeSet;

use clinker_model::latency::{Cell, FREE, Measured, Operation};

use super::plot::{Log, Px};
use super::{bandwidth, size, time};
use crate::html::frame::put;

pub(super) struct Panel<'a> {
    /// What its cells have in common; round trip and requests at once are 0.
    pub what: Cell,
    pub cells: Vec<&'a Measured>,
}

/// Panels that are compared: of one operation and one link. They have the same axes.
pub(super) struct Row<'a>(pub Vec<Panel<'a>>);

impl<'a> Panel<'a> {
    /// Round trips, ascending.
    pub fn rtts(&self) -> Vec<u64> {
        self.cells.iter().map(|measured| measured.cell.rtt_us).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub fn at(&self, rtt_us: u64, at_once: u64) -> Option<&'a Measured> {
        let is = |cell: &Cell| cell.rtt_us == rtt_us && cell.at_once == at_once;
        self.cells.iter().find(|measured| is(&measured.cell)).copied()
    }

    /// What it is called beneath the name of its operation.
    pub fn title(&self) -> String {
        format!("{} · {} chunks", bandwidth(self.what.bandwidth), size(self.what.chunk))
    }
}

impl<'a> Row<'a> {
    pub fn cells(&self) -> impl Iterator<Item = &'a Measured> + Clone {
        self.0.iter().flat_map(|panel| panel.cells.iter().copied())
    }
}

/// The rows of an operation, in the order of its cells.
pub(super) fn rows(cells: &[Measured], operation: Operation) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for measured in cells.iter().filter(|measured| measured.cell.operation == operation) {
        let what = Cell { rtt_us: 0, at_once: 0, ..measured.cell };
        let row = Cell { chunk: 0, ..what };
        let is_of = |found: &Row<'_>| found.0.iter().any(|panel| Cell { chunk: 0, ..panel.what } == row);
        let index = rows.iter().position(is_of).unwrap_or_else(|| {
            rows.push(Row(Vec::new()));
            rows.len() - 1
        });
        let panels = &mut rows[index].0;
        match panels.iter_mut().find(|panel| panel.what == what) {
            Some(panel) => panel.cells.push(measured),
            None => panels.push(Panel { what, cells: vec![measured] }),
        }
    }
    rows
}

/// How many requests at once the cells have, ascending.
pub(super) fn concurrencies<'a>(cells: impl Iterator<Item = &'a Measured>) -> Vec<u64> {
    cells.map(|measured| measured.cell.at_once).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The class that has the colour of a concurrency: strictly in turn, free, or those between, by their rank.
pub(super) fn class(at_once: u64, all: &[u64]) -> String {
    match at_once {
        1 => "c-turn".to_owned(),
        FREE => "c-free".to_owned(),
        _ => {
            let rank = all.iter().filter(|other| **other > 1 && **other < at_once).count();
            format!("c-{}", rank.min(3))
        }
    }
}

/// What a concurrency is called at its line.
pub(super) fn label(at_once: u64) -> String {
    match at_once {
        1 => "original".to_owned(),
        FREE => "free".to_owned(),
        number => number.to_string(),
    }
}

/// Every operation with pictures that `panel` draws, given what its row has in common.
pub(super) fn pictures<T>(
    out: &mut String,
    cells: &[Measured],
    common: impl Fn(&Row<'_>) -> T,
    panel: impl Fn(&mut String, &Panel<'_>, &T),
) {
    for operation in Operation::ALL {
        let rows = rows(cells, operation);
        if rows.is_empty() {
            continue;
        }
        put(out, format_args!("<h3>{}</h3>\n", title(operation)));
        // A line of the page for each row, if that fills it.
        let fills = rows.iter().any(|row| row.0.len() > 2);
        out.push_str("<div class=\"panels\">\n");
        for (index, row) in rows.iter().enumerate() {
            let common = common(row);
            if fills && index > 0 {
                out.push_str("</div>\n<div class=\"panels\">\n");
            }
            for each in &row.0 {
                put(out, format_args!("<figure class=\"panel\"><figcaption>{}</figcaption>", each.title()));
                panel(out, each, &common);
                out.push_str("</figure>\n");
            }
        }
        out.push_str("</div>\n");
    }
}

pub(super) fn title(operation: Operation) -> &'static str {
    match operation {
        Operation::Full => "Full backup",
        Operation::Incremental => "Incremental backup, one hundredth changed",
        Operation::Restore => "Restore",
    }
}

/// The size of a small picture and of what is drawn in it.
pub(super) const WIDTH: i64 = 280;
pub(super) const HEIGHT: i64 = 178;
pub(super) const LEFT: Px = Px::whole(42);
pub(super) const TOP: Px = Px::whole(8);
pub(super) const BOTTOM: Px = Px::whole(154);

/// Begins a small picture with a vertical axis of times. `says` is for who cannot see it.
pub(super) fn begin(out: &mut String, y: &Log, right: Px, says: &str) {
    put(out, format_args!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{says}\">"));
    for tick in y.ticks() {
        let (at, text) = (y.at(tick), Px(LEFT.0 - 50));
        let baseline = Px(at.0 + 38);
        put(out, format_args!("<path class=\"grid\" d=\"M{LEFT} {at}H{right}\"/>"));
        put(out, format_args!("<text class=\"end\" x=\"{text}\" y=\"{baseline}\">{}</text>", super::plot::mark(tick)));
    }
}

/// What a mark tells when it is pointed at.
pub(super) fn told(measured: &Measured) -> String {
    let at_once = super::at_once(&measured.cell);
    format!(
        "{} rtt, {at_once} at once: {}, {} × the bound for it ({})",
        time(measured.cell.rtt_us),
        time(measured.duration_us),
        super::ratio(measured.ratio_milli),
        time(measured.bound_us)
    )
}
