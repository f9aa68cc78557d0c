//! Bytes on the way over time, of a few cells that tell most: the most requests at once above, strictly in turn below.

use clinker_model::latency::{Cell, Measured, Trace};

use super::plot::{Px, mark, round_above};
use super::{at_once, name, ratio, size, time};
use crate::html::frame::put;

/// How finely time is drawn: as many columns, however wide the page is.
const COLUMNS: u64 = 800;
const HEIGHT: i64 = 140;
/// What the lines' names need above the curve.
const TOP: i64 = 32;
const FOOT: i64 = 22;

/// Cells that are compared: one, and the same with the fewest requests at once.
struct Pair {
    why: &'static str,
    cells: Vec<Cell>,
}

/// The cells whose [`Trace`]s the page shows: the farthest from its bound, the one that gains most by requests at once, and
/// the median, each with its like of the fewest requests at once.
pub fn shown(cells: &[Measured]) -> Vec<Cell> {
    let mut shown: Vec<Cell> = Vec::new();
    for cell in pairs(cells).into_iter().flat_map(|pair| pair.cells) {
        if !shown.contains(&cell) {
            shown.push(cell);
        }
    }
    shown
}

fn pairs(cells: &[Measured]) -> Vec<Pair> {
    let most = |one: &&Measured| alike(cells, one).all(|other| other.cell.at_once <= one.cell.at_once);
    let mut best: Vec<&Measured> = cells.iter().filter(most).collect();
    best.sort_by_key(|measured| measured.ratio_milli);
    let Some(farthest) = best.last().copied() else { return Vec::new() };
    let gain = |one: &&&Measured| {
        let slow_us = fewest(cells, one).map_or(0, |fewest| fewest.duration_us);
        u128::from(slow_us) * 1000 / u128::from(one.duration_us.max(1))
    };
    let chosen = [
        ("Farthest from its bound", farthest),
        ("Gains most by requests at once", best.iter().rev().max_by_key(gain).copied().unwrap_or(farthest)),
        ("The median of all ratios", best[best.len() / 2]),
    ];
    let mut pairs: Vec<Pair> = Vec::new();
    for (why, one) in chosen {
        let other = fewest(cells, one).map(|fewest| fewest.cell).filter(|cell| *cell != one.cell);
        let cells: Vec<Cell> = [one.cell].into_iter().chain(other).collect();
        if pairs.iter().all(|pair| pair.cells != cells) {
            pairs.push(Pair { why, cells });
        }
    }
    pairs
}

/// The cells that differ from one in nothing but requests at once, itself among them.
fn alike<'a>(cells: &'a [Measured], one: &Measured) -> impl Iterator<Item = &'a Measured> {
    let is = Cell { at_once: 0, ..one.cell };
    cells.iter().filter(move |other| Cell { at_once: 0, ..other.cell } == is)
}

fn fewest<'a>(cells: &'a [Measured], one: &Measured) -> Option<&'a Measured> {
    alike(cells, one).min_by_key(|other| other.cell.at_once)
}

pub(super) fn section(out: &mut String, cells: &[Measured], traces: &[Trace]) {
    for Pair { why, cells } in pairs(cells) {
        let find = |cell: &Cell| traces.iter().find(|trace| trace.measured.cell == *cell);
        let traces: Vec<&Trace> = cells.iter().filter_map(find).collect();
        let Some(first) = traces.first() else { continue };
        let what = name(&first.measured.cell);
        let what = what.rsplit_once(", ").map_or(&what[..], |(what, _)| what);
        put(out, format_args!("<h3>{why}: <span>{what}</span></h3>\n"));
        let axes = Axes::of(&traces);
        for trace in traces {
            flight(out, trace, &columns(trace, axes.end_us), &axes);
        }
    }
}

/// What the pictures of a pair share.
struct Axes {
    end_us: u64,
    /// The most bytes on the way.
    most: u64,
    /// The least of their bounds: it holds for every concurrency.
    bound_us: u64,
}

impl Axes {
    /// All of the faster, and of the slower as much as can be compared with it.
    fn of(traces: &[&Trace]) -> Axes {
        let measured = traces.iter().map(|trace| &trace.measured);
        let longest = measured.clone().map(|measured| measured.duration_us).max().unwrap_or(0);
        let shortest = measured.clone().map(|measured| measured.duration_us).min().unwrap_or(0);
        let bound_us = measured.map(|measured| measured.bound_us).min().unwrap_or(0);
        let end_us = longest.min(shortest.saturating_mul(3)).max(bound_us).max(1);
        let most = traces.iter().flat_map(|trace| columns(trace, end_us)).map(|column| column.most).max();
        Axes { end_us, most: most.unwrap_or(1).max(1), bound_us }
    }

    /// In percent of the picture's width, with two digits.
    fn x(&self, us: u64) -> String {
        let hundredths = u128::from(us.min(self.end_us)) * 10_000 / u128::from(self.end_us);
        format!("{}.{:02}%", hundredths / 100, hundredths % 100)
    }

    fn y(&self, bytes: u64) -> Px {
        let tall = (HEIGHT - TOP) as u128 * 10;
        Px(HEIGHT * 10 - (u128::from(bytes) * tall / u128::from(self.most)) as i64)
    }
}

/// What was on the way in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Column {
    least: u64,
    most: u64,
}

/// Of a step function one column for each of equal stretches of time. What lasts no time is not seen.
fn columns(trace: &Trace, end_us: u64) -> Vec<Column> {
    let begins = |column: u64| (u128::from(end_us) * u128::from(column) / u128::from(COLUMNS)) as u64;
    let mut all = Vec::with_capacity(COLUMNS as usize);
    let (mut points, mut bytes) = (trace.points.iter().peekable(), 0);
    for column in 0..COLUMNS {
        let (mut now_us, stretch_end_us) = (begins(column), begins(column + 1));
        let (mut least, mut most) = (u64::MAX, 0);
        loop {
            let next_us = points.peek().map_or(stretch_end_us, |(at_us, _)| stretch_end_us.min(*at_us));
            if next_us > now_us {
                (least, most) = (least.min(bytes), most.max(bytes));
                now_us = next_us;
            }
            match points.next_if(|(at_us, _)| *at_us < stretch_end_us) {
                Some((_, after)) => bytes = *after,
                None => break,
            }
        }
        all.push(Column { least: least.min(most), most });
    }
    all
}

fn flight(out: &mut String, trace: &Trace, columns: &[Column], axes: &Axes) {
    let Measured { cell, duration_us, first_note_us, .. } = trace.measured;
    let ratio_milli = duration_us.saturating_mul(1000) / axes.bound_us.max(1);
    let note = first_note_us.map_or(String::new(), |us| format!(", first progress note after {}", time(us)));
    let caption = if cell.at_once == 1 {
        "1 at once, the original's way".to_owned()
    } else {
        format!("{} at once", at_once(&cell))
    };
    let height = HEIGHT + FOOT;
    put(
        out,
        format_args!(
            "<figure class=\"flight\"><figcaption><b>{caption}</b>: {}, {} × T*{note}</figcaption>\n\
             <div><svg class=\"ys\" width=\"58\" height=\"{height}\" aria-hidden=\"true\">",
            time(duration_us),
            ratio(ratio_milli)
        ),
    );
    let levels = levels(axes.most);
    for level in &levels {
        let at = axes.y(*level);
        put(out, format_args!("<text class=\"end\" x=\"52\" y=\"{}\">{}</text>", Px(at.0 + 38), size(*level)));
    }
    let says = format!("Bytes on the way over {}, at most {}", time(duration_us), size(axes.most));
    put(out, format_args!("</svg><svg class=\"plot\" height=\"{height}\" role=\"img\" aria-label=\"{says}\">"));
    for level in levels {
        let at = axes.y(level);
        put(out, format_args!("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{at}\" y2=\"{at}\"/>"));
    }
    areas(out, columns, axes);
    notes(out, trace, axes);
    times(out, axes);
    if duration_us > axes.end_us {
        let text = format!("goes on until {} →", time(duration_us));
        put(out, format_args!("<text class=\"ended-name halo end\" x=\"100%\" y=\"27\">{text}</text>"));
    } else {
        line(out, "ended", "ended", axes, duration_us, 27);
    }
    line(out, "bound", "T*", axes, axes.bound_us, 12);
    out.push_str("</svg></div></figure>\n");
}

/// Up to the least of each column in full, from there to the most paler; stretched to the width that there is.
fn areas(out: &mut String, columns: &[Column], axes: &Axes) {
    put(
        out,
        format_args!(
            "<svg width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 {COLUMNS} {HEIGHT}\" preserveAspectRatio=\"none\">"
        ),
    );
    area(out, "most", columns.iter().map(|column| axes.y(column.most)));
    area(out, "least", columns.iter().map(|column| axes.y(column.least)));
    out.push_str("</svg>");
}

fn area(out: &mut String, class: &str, heights: impl Iterator<Item = Px>) {
    put(out, format_args!("<path class=\"{class}\" d=\"M0 {HEIGHT}"));
    let mut last = None;
    for (index, y) in heights.enumerate() {
        if last != Some(y) {
            put(out, format_args!("H{index}V{y}"));
        }
        last = Some(y);
    }
    put(out, format_args!("H{COLUMNS}V{HEIGHT}Z\"/>"));
}

/// A tick for each note; those that would cover each other are one.
fn notes(out: &mut String, trace: &Trace, axes: &Axes) {
    let column = |at_us: u64| u128::from(at_us.min(axes.end_us)) * u128::from(COLUMNS) / u128::from(axes.end_us);
    let mut ticks: Vec<u128> = trace.notes.iter().map(|(at_us, _)| column(*at_us)).collect();
    ticks.dedup();
    let ticks: String = ticks.iter().map(|at| format!("M{at} 0v7")).collect();
    put(
        out,
        format_args!(
            "<svg y=\"{}\" width=\"100%\" height=\"7\" viewBox=\"0 0 {COLUMNS} 7\" preserveAspectRatio=\"none\">\
             <path class=\"note\" d=\"{ticks}\"/></svg>",
            HEIGHT - 7
        ),
    );
}

/// Round moments along the foot.
fn times(out: &mut String, axes: &Axes) {
    let step = round_above((axes.end_us / 5).max(1));
    put(out, format_args!("<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\"/>"));
    let baseline = HEIGHT + 15;
    put(out, format_args!("<text x=\"0\" y=\"{baseline}\">0</text>"));
    // The last has room if it is not at the very edge.
    for at_us in (1..).map(|count| count * step).take_while(|at_us| *at_us <= axes.end_us / 25 * 24) {
        let (x, text, foot) = (axes.x(at_us), mark(at_us), HEIGHT + 4);
        put(out, format_args!("<line class=\"axis\" x1=\"{x}\" x2=\"{x}\" y1=\"{HEIGHT}\" y2=\"{foot}\"/>"));
        put(out, format_args!("<text class=\"mid\" x=\"{x}\" y=\"{baseline}\">{text}</text>"));
    }
}

/// A moment as a line from top to bottom, named on the side on which there is room.
fn line(out: &mut String, class: &str, name: &str, axes: &Axes, us: u64, baseline: i64) {
    let (x, right) = (axes.x(us), us < axes.end_us / 2);
    let (side, shift) = if right { ("", 5) } else { (" end", -5) };
    put(
        out,
        format_args!(
            "<line class=\"{class}\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"{HEIGHT}\"/>\
             <text class=\"{class}-name halo{side}\" x=\"{x}\" dx=\"{shift}\" y=\"{baseline}\">{name} {}</text>",
            time(us)
        ),
    );
}

/// Round numbers of bytes: nothing, and two or three steps of the same power of two.
fn levels(most: u64) -> Vec<u64> {
    let step = 1 << (most / 2).max(1).ilog2();
    (0..).map(|count| count * step).take_while(|bytes| *bytes <= most).collect()
}

#[cfg(test)]
mod tests {
    use clinker_model::latency::FREE;

    use super::super::testing::measured;
    use super::*;

    fn trace(points: &[(u64, u64)]) -> Trace {
        Trace { measured: measured(), points: points.to_vec(), notes: Vec::new() }
    }

    #[test]
    fn a_column_has_the_least_and_the_most_of_its_stretch() {
        // Columns of 10 us: 40 bytes for half of the first; 100 from there on, after a moment of 0 that lasts no time.
        let all = columns(&trace(&[(5, 40), (10, 0), (10, 100), (25, 20), (40, 0)]), 10 * COLUMNS);
        let column = |least, most| Column { least, most };
        assert_eq!(all[..4], [column(0, 40), column(100, 100), column(20, 100), column(20, 20)]);
        assert_eq!((all.len() as u64, all[4]), (COLUMNS, column(0, 0)));
    }

    #[test]
    fn a_hundred_thousand_points_are_as_many_columns_as_one() {
        let points: Vec<(u64, u64)> = (0..100_000).map(|at| (at, at % 3)).collect();
        let all = columns(&trace(&points), 100_000);
        assert_eq!(all, vec![Column { least: 0, most: 2 }; COLUMNS as usize]);
    }

    #[test]
    fn levels_are_powers_of_two_and_none_is_above_the_most() {
        for (most, expected) in
            [(3 << 20, [0, 1 << 20, 2 << 20, 3 << 20].as_slice()), (5 << 20, &[0, 2 << 20, 4 << 20]), (1, &[0, 1])]
        {
            assert_eq!(levels(most), expected);
        }
    }

    #[test]
    fn the_farthest_the_most_gaining_and_the_median_are_shown_each_with_its_like() {
        let of = |rtt_us, at_once, duration_us, ratio_milli| Measured {
            cell: Cell { rtt_us, at_once, ..Cell::default() },
            duration_us,
            ratio_milli,
            ..measured()
        };
        let mut cells = Vec::new();
        // At once and in turn: 3 is the farthest, 2 gains most, and of five ratios 1002 is in the middle.
        for (rtt, turn, ratio) in
            [(1, 1_000, 1_000), (2, 9_000, 1_001), (3, 2_000, 1_100), (4, 1_000, 1_002), (5, 1_000, 1_003)]
        {
            cells.push(of(rtt, 1, turn, 1_000));
            cells.push(of(rtt, FREE, 1_000, ratio));
        }
        let shown = shown(&cells);
        let places: Vec<(u64, u64)> = shown.iter().map(|cell| (cell.rtt_us, cell.at_once)).collect();
        assert_eq!(places, [(3, FREE), (3, 1), (2, FREE), (2, 1), (4, FREE), (4, 1)]);
        assert_eq!(super::shown(&cells[..1]).len(), 1);
        assert!(super::shown(&[]).is_empty());
    }
}
