//! The latency benchmark's results: a table for people, and what moved since a baseline.

use clinker_model::latency::{Cell, FREE, Measured, Stalls, Sweep};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

/// One row per cell: what was asked, how long it took, and how far from the bound that is.
pub fn table(cells: &[Measured]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
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
        "link",
    ]);
    for measured in cells {
        let Measured { cell, request_us, .. } = measured;
        table.add_row([
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
        ]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The worst of a sweep, in one line.
pub fn summary(cells: &[Measured]) -> String {
    let Some(worst) = cells.iter().max_by_key(|measured| measured.ratio_milli) else { return "0 cells".to_owned() };
    format!("{} cells; the farthest from its bound: {} at {}", cells.len(), ratio(worst.ratio_milli), name(&worst.cell))
}

/// What is not as in the baseline, a line each: a number that moved, a cell that came or went.
pub fn moved(baseline: &Sweep, now: &Sweep) -> Vec<String> {
    let find = |cells: &[Measured], cell: &Cell| cells.iter().find(|measured| measured.cell == *cell).cloned();
    let mut lines = Vec::new();
    for old in &baseline.cells {
        match find(&now.cells, &old.cell) {
            None => lines.push(format!("{}: was measured, is no more", name(&old.cell))),
            Some(new) if new == *old => {}
            Some(new) => lines.push(format!("{}: {}", name(&old.cell), changes(old, &new).join(", "))),
        }
    }
    let added = now.cells.iter().filter(|new| find(&baseline.cells, &new.cell).is_none());
    lines.extend(added.map(|new| format!("{}: is new", name(&new.cell))));
    lines
}

fn changes(old: &Measured, new: &Measured) -> Vec<String> {
    let numbers = |measured: &Measured| {
        let Measured { request_us, commit_us, .. } = measured;
        [
            ("duration_us", Some(measured.duration_us)),
            ("bound_us", Some(measured.bound_us)),
            ("in_turn_us", Some(measured.in_turn_us)),
            ("first_note_us", measured.first_note_us),
            ("requests", Some(measured.requests)),
            ("bytes", Some(measured.bytes)),
            ("at_once", Some(measured.at_once)),
            ("p50_us", Some(request_us.p50)),
            ("p90_us", Some(request_us.p90)),
            ("p99_us", Some(request_us.p99)),
            ("p999_us", Some(request_us.p999)),
            ("max_us", Some(request_us.max)),
            ("commit.p50_us", Some(commit_us.p50)),
            ("commit.p90_us", Some(commit_us.p90)),
            ("commit.p99_us", Some(commit_us.p99)),
            ("commit.p999_us", Some(commit_us.p999)),
            ("commit.max_us", Some(commit_us.max)),
            ("stalls.link_milli", Some(measured.stalls.link_milli)),
            ("stalls.slots_milli", Some(measured.stalls.slots_milli)),
            ("stalls.cpu_milli", Some(measured.stalls.cpu_milli)),
        ]
    };
    let text = |number: Option<u64>| number.map_or("none".to_owned(), |number| number.to_string());
    let both = numbers(old).into_iter().zip(numbers(new)).filter(|((_, old), (_, new))| old != new);
    both.map(|((name, old), (_, new))| format!("{name} {} → {}", text(old), text(new))).collect()
}

/// What a cell is called in texts.
pub fn name(cell: &Cell) -> String {
    let Cell { operation, rtt_us, chunk, .. } = cell;
    let (operation, rate) = (operation.name(), bandwidth(cell.bandwidth));
    format!("{operation}, {} rtt, {rate}, {} chunks, {} at once", time(*rtt_us), size(*chunk), at_once(cell))
}

fn at_once(cell: &Cell) -> String {
    if cell.at_once == FREE { "free".to_owned() } else { cell.at_once.to_string() }
}

fn first_note(measured: &Measured) -> String {
    match (measured.first_note_us, measured.first_note_bound_us) {
        (Some(at), Some(bound)) => format!("{} ({})", time(at), ratio(at * 1000 / bound.max(1))),
        (Some(at), None) => time(at),
        (None, _) => "–".to_owned(),
    }
}

/// The shares above nothing, the largest first.
fn waits(stalls: Stalls) -> String {
    let Stalls { link_milli, slots_milli, cpu_milli, answers_milli } = stalls;
    let mut shares = [(link_milli, "link"), (slots_milli, "slots"), (cpu_milli, "cpu"), (answers_milli, "answers")];
    shares.sort_by_key(|(milli, _)| std::cmp::Reverse(*milli));
    let told = shares.into_iter().filter(|(milli, _)| *milli >= 10);
    told.map(|(milli, name)| format!("{name} {} %", milli / 10)).collect::<Vec<_>>().join(", ")
}

fn ratio(milli: u64) -> String {
    format!("{}.{:02}", milli / 1000, milli % 1000 / 10)
}

/// Microseconds as people write them.
pub fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// Bytes per second as bits.
fn bandwidth(bytes_per_second: u64) -> String {
    let mbit = bytes_per_second * 8 / 1_000_000;
    if mbit >= 1000 && mbit % 1000 == 0 { format!("{} Gbit/s", mbit / 1000) } else { format!("{mbit} Mbit/s") }
}

#[cfg(test)]
mod tests {
    use clinker_model::latency::{FORMAT, Percentiles};

    use super::*;

    fn measured() -> Measured {
        Measured {
            cell: Cell::default(),
            duration_us: 86_400_000,
            bound_us: 86_000_000,
            in_turn_us: 100_000_000,
            ratio_milli: 1004,
            first_note_us: Some(4_300_000),
            first_note_bound_us: Some(4_300_000),
            requests: 209,
            bytes: 10 << 30,
            at_once: 2,
            request_us: Percentiles { p50: 838_000, p90: 839_000, p99: 840_000, p999: 841_000, max: 841_000 },
            commit_us: Percentiles::default(),
            stalls: Stalls { link_milli: 994, answers_milli: 6, ..Stalls::default() },
        }
    }

    fn sweep(cells: Vec<Measured>) -> Sweep {
        Sweep { format: FORMAT, cells }
    }

    #[test]
    fn a_row_has_the_duration_and_both_ratios() {
        let table = table(&[measured()]);
        for part in ["full", "20.0 ms", "1 Gbit/s", "50 MiB", "free", "86.4 s", "1.00", "1.16", "link 99 %"] {
            assert!(table.contains(part), "{part}: {table}");
        }
    }

    #[test]
    fn what_moved_is_told_with_both_numbers_and_nothing_else_is() {
        let (old, mut new) = (measured(), measured());
        assert!(moved(&sweep(vec![old.clone()]), &sweep(vec![new.clone()])).is_empty());
        new.duration_us += 20_000;
        let lines = moved(&sweep(vec![old.clone()]), &sweep(vec![new]));
        assert_eq!(
            lines,
            ["full, 20.0 ms rtt, 1 Gbit/s, 50 MiB chunks, free at once: duration_us 86400000 → 86420000"]
        );
        let other = Measured { cell: Cell { rtt_us: 1, ..Cell::default() }, ..measured() };
        let lines = moved(&sweep(vec![old]), &sweep(vec![other]));
        assert!(lines[0].ends_with("is no more") && lines[1].ends_with("is new"), "{lines:?}");
    }
}
