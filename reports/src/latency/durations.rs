//! Duration against round trip: a line per concurrency, and the bound beneath which none can be.

use clinker_model::latency::Measured;

use super::grid::{self, BOTTOM, LEFT, Panel, Row, TOP};
use super::plot::{Log, Px, apart, marks, path, with_room};
use super::time;
use crate::html::frame::put;

const RIGHT: Px = Px::whole(226);
/// Lines that end nearer to each other than this are named together.
const SAME: Px = Px::whole(4);

/// What the panels of a row share.
struct Axes {
    y: Log,
    concurrencies: Vec<u64>,
}

pub(super) fn section(out: &mut String, cells: &[Measured]) {
    let axes = |row: &Row<'_>| {
        let times = row.cells().flat_map(|measured| [measured.duration_us, measured.bound_us]);
        let concurrencies = grid::concurrencies(cells.iter());
        Axes { y: Log::around(times.filter(|us| *us > 0), BOTTOM, TOP), concurrencies }
    };
    grid::pictures(out, cells, axes, panel);
}

fn panel(out: &mut String, panel: &Panel<'_>, axes: &Axes) {
    let rtts = panel.rtts();
    let x = Log::over(rtts.iter().copied(), Px(LEFT.0 + 60), RIGHT);
    grid::begin(out, &axes.y, RIGHT, &says(panel, &rtts));
    across(out, &rtts, &x);
    let bound: Vec<(Px, Px)> =
        rtts.iter().filter_map(|rtt| Some((x.at(*rtt), axes.y.at(least_bound(panel, *rtt)?)))).collect();
    let bound = through(bound);
    let ((first, _), (last, _)) = (bound[0], bound[bound.len() - 1]);
    put(out, format_args!("<path class=\"under\" d=\"{}L{last} {BOTTOM}L{first} {BOTTOM}Z\"/>", path(&bound)));
    for at_once in &axes.concurrencies {
        line(out, panel, *at_once, &x, axes);
    }
    put(out, format_args!("<path class=\"bound\" d=\"{}\"/>", path(&bound)));
    let below = Px((bound[0].1.0 + 120).min(BOTTOM.0 - 20));
    put(out, format_args!("<text class=\"bound-name halo\" x=\"{}\" y=\"{below}\">T*</text>", Px(first.0 + 30)));
    names(out, panel, rtts[rtts.len() - 1], axes);
    out.push_str("</svg>");
}

/// The least time at a round trip, whatever the concurrency.
fn least_bound(panel: &Panel<'_>, rtt_us: u64) -> Option<u64> {
    let at_rtt = panel.cells.iter().filter(|measured| measured.cell.rtt_us == rtt_us);
    at_rtt.map(|measured| measured.bound_us).min()
}

/// Of one round trip alone a line from side to side.
fn through(places: Vec<(Px, Px)>) -> Vec<(Px, Px)> {
    match places[..] {
        [(_, y)] => vec![(LEFT, y), (RIGHT, y)],
        _ => places,
    }
}

/// The round trips, named as far as there is room.
pub(super) fn across(out: &mut String, rtts: &[u64], x: &Log) {
    let labels: Vec<(Px, String)> = rtts.iter().map(|rtt| x.at(*rtt)).zip(marks(rtts)).collect();
    let (baseline, foot) = (Px(BOTTOM.0 + 170), Px(BOTTOM.0 + 40));
    for ((at, text), room) in labels.iter().zip(with_room(&labels)) {
        put(out, format_args!("<path class=\"grid\" d=\"M{at} {BOTTOM}V{foot}\"/>"));
        if room {
            put(out, format_args!("<text class=\"mid\" x=\"{at}\" y=\"{baseline}\">{text}</text>"));
        }
    }
}

fn line(out: &mut String, panel: &Panel<'_>, at_once: u64, x: &Log, axes: &Axes) {
    let class = grid::class(at_once, &axes.concurrencies);
    let mut cells: Vec<&Measured> =
        panel.cells.iter().filter(|measured| measured.cell.at_once == at_once).copied().collect();
    cells.sort_by_key(|measured| measured.cell.rtt_us);
    let place = |measured: &&Measured| (x.at(measured.cell.rtt_us), axes.y.at(measured.duration_us));
    let places: Vec<(Px, Px)> = cells.iter().map(place).collect();
    put(out, format_args!("<g class=\"{class}\"><path class=\"line\" d=\"{}\"/>", path(&through(places.clone()))));
    for (measured, (x, y)) in cells.iter().zip(places) {
        let told = grid::told(measured);
        put(out, format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"2.6\"><title>{told}</title></circle>"));
    }
    out.push_str("</g>");
}

/// The lines' names at their ends.
fn names(out: &mut String, panel: &Panel<'_>, rtt_us: u64, axes: &Axes) {
    let mut ends: Vec<(Px, u64)> = Vec::new();
    for at_once in &axes.concurrencies {
        ends.extend(panel.at(rtt_us, *at_once).map(|measured| (axes.y.at(measured.duration_us), *at_once)));
    }
    ends.sort_unstable();
    let mut groups: Vec<(Px, Vec<u64>)> = Vec::new();
    for (at, at_once) in ends {
        match groups.last_mut() {
            Some((first, group)) if at.0 - first.0 < SAME.0 => group.push(at_once),
            _ => groups.push((at, vec![at_once])),
        }
    }
    let wanted: Vec<Px> = groups.iter().map(|(at, _)| Px(at.0 + 38)).collect();
    let places = apart(&wanted, Px::whole(12), BOTTOM);
    for ((_, mut group), y) in groups.into_iter().zip(places) {
        group.sort_unstable();
        let (class, text) = match &group[..] {
            [only] => (grid::class(*only, &axes.concurrencies), grid::label(*only)),
            [first, .., last] => ("c-some".to_owned(), format!("{}–{}", super::number(*first), super::number(*last))),
            [] => continue,
        };
        let x = Px(RIGHT.0 + 60);
        put(out, format_args!("<text class=\"name-of {class}\" x=\"{x}\" y=\"{y}\">{text}</text>"));
    }
}

fn says(panel: &Panel<'_>, rtts: &[u64]) -> String {
    let (first, last) = (rtts[0], rtts[rtts.len() - 1]);
    let bound = |rtt_us| time(least_bound(panel, rtt_us).unwrap_or_default());
    format!(
        "Duration by round trip; the bound is {} at {} and {} at {}",
        bound(first),
        time(first),
        bound(last),
        time(last)
    )
}
