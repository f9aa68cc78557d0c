//! What each cell waited for, as a bar of shares.

use clinker_model::latency::{Measured, Stalls};

use super::grid::{self, Panel};
use super::{at_once, ratio, time, waits};
use crate::html::frame::put;

pub(super) fn section(out: &mut String, cells: &[Measured]) {
    let concurrencies = grid::concurrencies(cells.iter());
    grid::pictures(out, cells, |_| (), |out, panel, ()| table(out, panel, &concurrencies));
}

fn table(out: &mut String, panel: &Panel<'_>, concurrencies: &[u64]) {
    out.push_str(
        "<table class=\"stalls\"><thead><tr><th>rtt</th><th>at once</th><th></th><th>ratio</th></tr></thead>\n",
    );
    for rtt in panel.rtts() {
        out.push_str("<tbody>");
        let cells = concurrencies.iter().filter_map(|at_once| panel.at(rtt, *at_once));
        for (index, measured) in cells.enumerate() {
            let rtt = if index == 0 { super::plot::mark(rtt) } else { String::new() };
            put(
                out,
                format_args!(
                    "<tr><td>{rtt}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    at_once(&measured.cell),
                    bar(measured),
                    ratio(measured.ratio_milli)
                ),
            );
        }
        out.push_str("</tbody>\n");
    }
    out.push_str("</table>");
}

fn bar(measured: &Measured) -> String {
    let Stalls { link_milli, slots_milli, cpu_milli, read_milli, answers_milli } = measured.stalls;
    let mut parts = String::new();
    let shares = [
        ("w-link", link_milli),
        ("w-slots", slots_milli),
        ("w-cpu", cpu_milli),
        ("w-read", read_milli),
        ("w-answers", answers_milli),
    ];
    for (class, milli) in shares.into_iter().filter(|(_, milli)| *milli > 0) {
        put(&mut parts, format_args!("<i class=\"{class}\" style=\"flex:{milli}\"></i>"));
    }
    let told = format!("{}: {}", time(measured.duration_us), waits(measured.stalls));
    format!("<div class=\"shares\" role=\"img\" aria-label=\"{told}\" title=\"{told}\">{parts}</div>")
}
