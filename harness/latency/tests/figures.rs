//! The figures that the engine has to reach, and that a report is the same each time.

use clinker_latency::sweep;
use clinker_model::latency::{Cell, FREE, Measured, Operation};

/// Corners and the middle of the range of the figures: bandwidth × round trip is at most 32 MiB.
fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for operation in Operation::ALL {
        for rtt_us in [1_000, 20_000, 100_000, 200_000] {
            for bandwidth in [12_500_000, 125_000_000, 1_250_000_000] {
                for (chunk, volume) in
                    [(64 << 10, 512 << 20), (1 << 20, 2 << 30), (8 << 20, 2 << 30), (50 << 20, 2 << 30)]
                {
                    let cell = Cell { operation, rtt_us, bandwidth, chunk, volume, at_once: FREE, ..Cell::default() };
                    if bandwidth / 1000 * rtt_us / 1000 <= 32 << 20 {
                        cells.push(cell);
                    }
                }
            }
        }
    }
    let computing = Cell { hash_rate: 300_000_000, volume: 2 << 30, at_once: FREE, ..Cell::default() };
    cells.push(computing);
    cells.push(Cell { bandwidth: 1_250_000_000, chunk: 8 << 20, ..computing });
    cells.push(Cell { hash_rate: 0, read_rate: 100_000_000, ..computing });
    cells
}

/// Checks every cell by a share of its bound, in thousandths, if it has one.
fn check(what: &str, most_milli: u64, share: impl Fn(&Measured) -> Option<(u64, u64)>) {
    let cells = cells();
    let all = sweep(&cells, |_| {}).unwrap();
    let shares: Vec<(u64, &Measured)> = all
        .iter()
        .filter_map(|measured| share(measured).map(|(took_us, bound_us)| (took_us * 1000 / bound_us, measured)))
        .collect();
    let slow: Vec<_> = shares.iter().filter(|(milli, _)| *milli > most_milli).collect();
    assert!(slow.is_empty(), "{what}: {} of {}: {slow:#?}", slow.len(), shares.len());
    // A bound that nobody can be faster than, and figures of more than one cell.
    let fast: Vec<_> = shares.iter().filter(|(milli, _)| *milli < 1000).collect();
    assert!(fast.is_empty() && shares.len() > 10, "{what}: {} cells; {fast:#?}", shares.len());
}

#[test]
fn no_operation_takes_a_twentieth_longer_than_the_bound() {
    check("duration", 1050, |measured| Some((measured.duration_us, measured.bound_us)));
}

#[test]
fn the_first_note_comes_at_most_a_fifth_later_than_it_can() {
    check("first note", 1200, |measured| measured.first_note_us.zip(measured.first_note_bound_us));
}
