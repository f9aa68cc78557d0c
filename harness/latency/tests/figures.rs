//! The figures that the engine has to reach, and that a report is the same each time.

use clinker_latency::content::Content;
use clinker_latency::measure;
use clinker_model::latency::{Cell, FREE, Operation};

/// Cells of which one is played for each place of the range of the figures.
fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for operation in Operation::ALL {
        for rtt_us in [1_000, 20_000, 200_000] {
            for bandwidth in [12_500_000, 125_000_000, 1_250_000_000] {
                for chunk in [1 << 20, 8 << 20, 50 << 20] {
                    // Beyond 32 MiB of bandwidth × round trip no figure is promised.
                    if bandwidth / 1000 * rtt_us / 1000 <= 32 << 20 {
                        let volume = 2 << 30;
                        cells.push(Cell {
                            operation,
                            rtt_us,
                            bandwidth,
                            chunk,
                            volume,
                            at_once: FREE,
                            ..Cell::default()
                        });
                    }
                }
            }
        }
    }
    cells
}

#[test]
fn no_operation_takes_a_twentieth_longer_than_the_bound() {
    let mut contents = std::collections::BTreeMap::new();
    let mut slow = Vec::new();
    for cell in cells() {
        let content = contents.entry(cell.chunk).or_insert_with(|| Content::new(cell.chunk));
        let measured = measure(&cell, content).unwrap().measured;
        println!("{measured:?}");
        if measured.ratio_milli > 1050 {
            slow.push(format!("{cell:?}: {} of {} us", measured.duration_us, measured.bound_us));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}
