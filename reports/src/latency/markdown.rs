//! The durations as Markdown, for documentation: a table for each operation and rate, a column for each number at once.

use std::fmt::Write as _;

use clinker_model::latency::{Measured, Operation};

use super::{at_once, bandwidth, ratio, size, time};

const HEAD: &str = "\
# Durations of chunked backups

Made by `clinker bench latency --markdown FILE`, in virtual time: the same on every machine. The columns are
`backup_max_inflight_chunks`, 1 being the original's way and `free` as many as the engine wants; in each the duration and its
ratio to the bound, which is that of the widest column. What is measured and what the bound is: [latency](latency.md).
";

/// Durations, each with its ratio to the bound of as many requests at once as one likes; and what the tables are of.
pub fn markdown(cells: &[Measured]) -> String {
    let mut text = HEAD.to_owned();
    for operation in Operation::ALL {
        let mut rates: Vec<u64> = cells.iter().map(|measured| measured.cell.bandwidth).collect();
        rates.sort_unstable();
        rates.dedup();
        for rate in rates {
            let of = |measured: &&Measured| measured.cell.operation == operation && measured.cell.bandwidth == rate;
            let cells: Vec<&Measured> = cells.iter().filter(of).collect();
            if let Some(first) = cells.first() {
                let volume = size(first.cell.volume);
                let _ = writeln!(text, "\n## {}, {volume}, {}\n", operation.name(), bandwidth(rate));
                write_table(&mut text, &cells);
            }
        }
    }
    text
}

fn write_table(text: &mut String, cells: &[&Measured]) {
    let mut columns: Vec<u64> = cells.iter().map(|measured| measured.cell.at_once).collect();
    columns.sort_unstable();
    columns.dedup();
    let named = |number: &u64| cells.iter().find(|measured| measured.cell.at_once == *number).map(|m| at_once(&m.cell));
    let heads: Vec<String> = columns.iter().filter_map(named).collect();
    let _ = writeln!(text, "| rtt | chunk | bound | {} |", heads.join(" | "));
    let _ = writeln!(text, "| --- | --- | --- |{}", " --- |".repeat(heads.len()));
    let mut rows: Vec<(u64, u64)> = cells.iter().map(|measured| (measured.cell.rtt_us, measured.cell.chunk)).collect();
    rows.dedup();
    for (rtt_us, chunk) in rows {
        let row: Vec<&&Measured> =
            cells.iter().filter(|measured| (measured.cell.rtt_us, measured.cell.chunk) == (rtt_us, chunk)).collect();
        let least_us = row.iter().map(|measured| measured.bound_us).min().unwrap_or(0);
        let told = columns.iter().map(|number| {
            let measured = row.iter().find(|measured| measured.cell.at_once == *number);
            measured.map_or("–".to_owned(), |measured| {
                format!("{} ({})", time(measured.duration_us), ratio(measured.duration_us * 1000 / least_us.max(1)))
            })
        });
        let told: Vec<String> = told.collect();
        let _ = writeln!(text, "| {} | {} | {} | {} |", time(rtt_us), size(chunk), time(least_us), told.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use clinker_model::latency::{Cell, FREE};

    use super::super::testing::measured;
    use super::*;

    #[test]
    fn each_link_and_chunk_has_a_row_and_each_number_at_once_a_column() {
        let of = |at_once, rtt_us, duration_us| {
            let whole = measured();
            Measured { cell: Cell { at_once, rtt_us, ..whole.cell }, duration_us, bound_us: 50_000_000, ..whole }
        };
        let text = markdown(&[of(1, 1000, 150_000_000), of(FREE, 1000, 51_000_000), of(FREE, 2000, 50_000_000)]);
        let expected = "\n## full, 10 GiB, 1 Gbit/s\n\n\
                        | rtt | chunk | bound | 1 | free |\n\
                        | --- | --- | --- | --- | --- |\n\
                        | 1.0 ms | 50 MiB | 50.0 s | 150.0 s (3.00) | 51.0 s (1.02) |\n\
                        | 2.0 ms | 50 MiB | 50.0 s | – | 50.0 s (1.00) |\n";
        assert_eq!(text, format!("{HEAD}{expected}"));
    }
}
