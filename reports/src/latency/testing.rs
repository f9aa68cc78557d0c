//! Results as the tests here need them.

use clinker_model::latency::{Cell, Measured, Percentiles, Stalls};

pub(crate) fn measured() -> Measured {
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
