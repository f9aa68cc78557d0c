//! The latency benchmark's values: a case, what came of it, and the file of a sweep.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `format` of the files that this version writes and reads.
pub const FORMAT: u32 = 1;

/// A sweep, in the order of its cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    pub format: u32,
    pub cells: Vec<Measured>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A backup of the whole volume.
    Full,
    /// A backup of a volume of which one hundredth has changed since its parent, in extents of 64 KiB.
    Incremental,
    /// A restore of a full backup to a new volume.
    Restore,
}

impl Operation {
    pub const ALL: [Operation; 3] = [Operation::Full, Operation::Incremental, Operation::Restore];

    pub fn name(self) -> &'static str {
        match self {
            Operation::Full => "full",
            Operation::Incremental => "incremental",
            Operation::Restore => "restore",
        }
    }
}

/// Bytes of a changed extent.
pub const EXTENT: u64 = 64 << 10;

/// One case. Every number is exact: a report of it is the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub operation: Operation,
    /// Bytes of the volume.
    pub volume: u64,
    /// Bytes of the volume per object at most.
    pub chunk: u64,
    /// Bytes per sha256.
    pub block: u64,
    /// Microseconds there and back.
    pub rtt_us: u64,
    /// Bytes per second, each way.
    pub bandwidth: u64,
    /// Lost packets of a million, each way.
    pub loss_ppm: u64,
    /// Bytes of one connection that may be unacknowledged.
    pub window: u64,
    /// Microseconds between the last byte of a request and the first of its answer, spent by the store.
    pub service_us: u64,
    /// `backup_max_inflight_chunks`.
    pub at_once: u64,
    /// Bytes per second that one core hashes; 0 = without end.
    pub hash_rate: u64,
    pub cores: u64,
    /// Bytes of the volume that are read per second; 0 = without end.
    pub read_rate: u64,
}

/// What stands for no limit of the requests at once.
pub const FREE: u64 = 4096;

impl Default for Cell {
    fn default() -> Cell {
        Cell {
            operation: Operation::Full,
            volume: 10 << 30,
            chunk: 50 << 20,
            block: 32 << 10,
            rtt_us: 20_000,
            bandwidth: 125_000_000,
            loss_ppm: 0,
            window: 4 << 20,
            service_us: 10_000,
            at_once: FREE,
            hash_rate: 0,
            cores: 2,
            read_rate: 0,
        }
    }
}

impl Cell {
    pub fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt_us)
    }

    pub fn service(&self) -> Duration {
        Duration::from_micros(self.service_us)
    }

    /// Why it makes no sense, naming the field.
    pub fn problem(&self) -> Option<String> {
        let positive = [
            ("volume", self.volume),
            ("chunk", self.chunk),
            ("block", self.block),
            ("bandwidth", self.bandwidth),
            ("window", self.window),
            ("at_once", self.at_once),
            ("cores", self.cores),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Some(format!("{name}: must not be 0"));
        }
        if !self.chunk.is_multiple_of(self.block) {
            return Some(format!("chunk: {} is not a multiple of the block of {}", self.chunk, self.block));
        }
        let most = [
            ("volume", self.volume, 1 << 50),
            ("chunk", self.chunk, 1 << 30),
            ("window", self.window, 1 << 40),
            ("rtt", self.rtt_us, 3_600_000_000),
            ("service", self.service_us, 3_600_000_000),
        ];
        if let Some((name, value, most)) = most.iter().find(|(_, value, most)| value > most) {
            return Some(format!("{name}: found {value}, expected at most {most}"));
        }
        if self.volume.div_ceil(self.chunk).max(self.extents()) > 1 << 20 {
            return Some(format!("chunk: {} makes more than {} objects of the volume", self.chunk, 1 << 20));
        }
        for (name, rate) in
            [("bandwidth", self.bandwidth), ("hash_rate", self.hash_rate), ("read_rate", self.read_rate)]
        {
            if rate > 0 && self.volume / rate > 100_000_000 {
                return Some(format!("{name}: {rate} bytes per second take more than three years for the volume"));
            }
        }
        if self.loss_ppm >= 1_000_000 {
            return Some("loss_ppm: at most 999999".to_owned());
        }
        if self.operation == Operation::Incremental
            && (!EXTENT.is_multiple_of(self.block) || !self.chunk.is_multiple_of(EXTENT))
        {
            return Some(format!("block: extents of {EXTENT} bytes are whole blocks, and chunks whole extents"));
        }
        None
    }

    /// Changed extents of an increment: one hundredth of the volume, at least one.
    pub fn extents(&self) -> u64 {
        (self.volume / EXTENT / 100).max(1)
    }
}

/// What came of a cell. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub cell: Cell,
    pub duration_us: u64,
    pub bound_us: u64,
    /// The bound of requests strictly in turn, as the original sends them.
    pub in_turn_us: u64,
    /// Duration ÷ bound, in thousandths.
    pub ratio_milli: u64,
    /// Until the first progress note after the start; none if no chunks were counted before the end.
    pub first_note_us: Option<u64>,
    pub first_note_bound_us: Option<u64>,
    pub requests: u64,
    pub bytes: u64,
    /// The most requests at once.
    pub at_once: u64,
    /// Requests of data objects, from beginning to answer.
    pub request_us: Percentiles,
    /// Data objects, from their answer until all before them are answered too: what keeps a chunk from being counted.
    pub commit_us: Percentiles,
    pub stalls: Stalls,
}

/// A cell as it went, for a picture. Times are microseconds since the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    pub measured: Measured,
    /// Bytes on the way, at each moment at which that changed, in the order of time.
    pub points: Vec<(u64, u64)>,
    /// Progress notes, and their percentages in thousandths.
    pub notes: Vec<(u64, u64)>,
}

/// What an operation waited for: shares of its duration, in thousandths, which add up to 1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stalls {
    /// The link carried what the operation moves: it cannot be faster there.
    pub link_milli: u64,
    /// The link was idle and as many requests under way as may be.
    pub slots_milli: u64,
    /// Neither, and a core computed.
    pub cpu_milli: u64,
    /// None of these, and the volume was read.
    pub read_milli: u64,
    /// None of it: answers and round trips.
    pub answers_milli: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}
