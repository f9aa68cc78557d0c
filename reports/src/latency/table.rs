//! The table: one row per cell.

use clinker_model::latency::{Measured, Stalls};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::{at_once, bandwidth, ratio, size, time};

/// What is told of a cell.
pub(super) const COLUMNS: [&str; 15] = [
    "operation",
    "rtt",
    "bandwidth",
    "chunk",
    "at once",
    "duration",
    "bound",
    "ratio",
    "in turn",
    "first note",
    "requests",
    "p50",
    "p99",
    "max",
    "waited for",
];

/// One row per cell: what was asked, how long it took, and how far from the bound that is.
pub fn table(cells: &[Measured]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(COLUMNS);
    for measured in cells {
        table.add_row(row(measured));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

pub(super) fn row(measured: &Measured) -> [String; 15] {
    let Measured { cell, request_us, .. } = measured;
    [
        cell.operation.name().to_owned(),
        time(cell.rtt_us),
        bandwidth(cell.bandwidth),
        size(cell.chunk),
        at_once(cell),
        time(measured.duration_us),
        time(measured.bound_us),
        ratio(measured.ratio_milli),
        // How far requests strictly in turn are from the same bound.
        ratio(measured.in_turn_us * 1000 / measured.bound_us.max(1)),
        first_note(measured),
        measured.requests.to_string(),
        time(request_us.p50),
        time(request_us.p99),
        time(request_us.max),
        waits(measured.stalls),
    ]
}

fn first_note(measured: &Measured) -> String {
    match (measured.first_note_us, measured.first_note_bound_us) {
        (Some(at), Some(bound)) => format!("{} ({})", time(at), ratio(at * 1000 / bound.max(1))),
        (Some(at), None) => time(at),
        (None, _) => "–".to_owned(),
    }
}

/// The shares above nothing, the largest first.
pub(super) fn waits(stalls: Stalls) -> String {
    let Stalls { link_milli, slots_milli, cpu_milli, read_milli, answers_milli } = stalls;
    let mut shares = [
        (link_milli, "link"),
        (slots_milli, "slots"),
        (cpu_milli, "cpu"),
        (read_milli, "read"),
        (answers_milli, "answers"),
    ];
    shares.sort_by_key(|(milli, _)| std::cmp::Reverse(*milli));
    let told = shares.into_iter().filter(|(milli, _)| *milli >= 10);
    told.map(|(milli, name)| format!("{name} {} %", milli / 10)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::measured;
    use super::*;

    #[test]
    fn a_row_has_the_duration_and_both_ratios() {
        let table = table(&[measured()]);
        for part in ["full", "20.0 ms", "1 Gbit/s", "50 MiB", "free", "86.4 s", "1.00", "1.16", "link 99 %"] {
            assert!(table.contains(part), "{part}: {table}");
        }
    }
}
