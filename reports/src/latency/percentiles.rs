//! How long requests take: of each cell the median, and how far the slow ones are from it.

use clinker_model::latency::{Measured, Percentiles};

use super::grid::{self, BOTTOM, LEFT, Panel, Row, TOP};
use super::plot::{Log, Px, marks};
use super::time;
use crate::html::frame::put;

const RIGHT: Px = Px::whole(276);

struct Axes {
    y: Log,
    concurrencies: Vec<u64>,
}

pub(super) fn section(out: &mut String, cells: &[Measured]) {
    let axes = |row: &Row<'_>| {
        let times = row.cells().flat_map(|measured| [measured.request_us.p50, measured.request_us.max]);
        Axes { y: Log::around(times, BOTTOM, TOP), concurrencies: grid::concurrencies(cells.iter()) }
    };
    grid::pictures(out, cells, axes, panel);
}

fn panel(out: &mut String, panel: &Panel<'_>, axes: &Axes) {
    let rtts = panel.rtts();
    grid::begin(out, &axes.y, RIGHT, "Times of requests by round trip and requests at once");
    let band = (RIGHT.0 - LEFT.0) / rtts.len() as i64;
    let labels = marks(&rtts);
    for ((index, rtt), label) in (0..).zip(&rtts).zip(&labels) {
        let left = LEFT.0 + index * band;
        let (middle, baseline) = (Px(left + band / 2), Px(BOTTOM.0 + 170));
        if index > 0 {
            put(out, format_args!("<path class=\"grid\" d=\"M{} {TOP}V{}\"/>", Px(left), Px(BOTTOM.0 + 40)));
        }
        put(out, format_args!("<text class=\"mid\" x=\"{middle}\" y=\"{baseline}\">{label}</text>"));
        let step = band / (axes.concurrencies.len() as i64 + 1);
        for (place, at_once) in (1..).zip(&axes.concurrencies) {
            if let Some(measured) = panel.at(*rtt, *at_once) {
                range(out, measured, Px(left + place * step), axes);
            }
        }
    }
    out.push_str("</svg>");
}

/// A dot at the median, a thick line to p90, a thin one to p99, a dash at the longest.
fn range(out: &mut String, measured: &Measured, x: Px, axes: &Axes) {
    let Percentiles { p50, p90, p99, max, .. } = measured.request_us;
    let [p50, p90, p99, max] = [p50, p90, p99, max].map(|us| axes.y.at(us));
    let class = grid::class(measured.cell.at_once, &axes.concurrencies);
    put(
        out,
        format_args!(
            "<g class=\"{class}\"><title>{}</title><path class=\"thin\" d=\"M{x} {p50}V{p99}\"/>\
             <path class=\"thick\" d=\"M{x} {p50}V{p90}\"/><path class=\"thin\" d=\"M{} {max}H{}\"/>\
             <circle cx=\"{x}\" cy=\"{p50}\" r=\"2.6\"/></g>",
            told(measured),
            Px(x.0 - 30),
            Px(x.0 + 30),
        ),
    );
}

fn told(measured: &Measured) -> String {
    let Percentiles { p50, p90, p99, p999, max } = measured.request_us;
    let [p50, p90, p99, p999, max] = [p50, p90, p99, p999, max].map(time);
    format!(
        "{} rtt, {} at once: p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, longest {max}; answered, but not yet counted: \
         p50 {}, p99 {}",
        time(measured.cell.rtt_us),
        super::at_once(&measured.cell),
        time(measured.commit_us.p50),
        time(measured.commit_us.p99)
    )
}
