//! The latency benchmark's results: a [`table()`] for people, a [`page()`] with pictures, and what moved since a baseline.

mod durations;
mod flight;
mod grid;
mod markdown;
mod page;
mod percentiles;
mod plot;
mod stalls;
mod table;
#[cfg(test)]
mod testing;

use clinker_model::latency::{Cell, FREE, Measured, Sweep};
use table::waits;

pub use flight::shown;
pub use markdown::markdown;
pub use page::page;
pub use table::table;

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
            ("first_note_bound_us", measured.first_note_bound_us),
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
            ("stalls.read_milli", Some(measured.stalls.read_milli)),
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
    number(cell.at_once)
}

/// A number of requests at once.
fn number(at_once: u64) -> String {
    if at_once == FREE { "free".to_owned() } else { at_once.to_string() }
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
        0 => "0".to_owned(),
        bytes if bytes % (1 << 30) == 0 => format!("{} GiB", bytes >> 30),
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// Bytes per second as bits.
fn bandwidth(bytes_per_second: u64) -> String {
    let mbit = bytes_per_second * 8 / 1_000_000;
    if mbit >= 1000 && mbit.is_multiple_of(1000) { format!("{} Gbit/s", mbit / 1000) } else { format!("{mbit} Mbit/s") }
}

#[cfg(test)]
mod tests {
    use clinker_model::latency::FORMAT;

    use super::testing::measured;
    use super::*;

    fn sweep(cells: Vec<Measured>) -> Sweep {
        Sweep { format: FORMAT, cells }
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
