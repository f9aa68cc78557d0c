//! The chunk engine's decisions, apart from its effects.
//!
//! Every method's body is the production decision. A planted bug overrides exactly one of them; nothing else in the
//! engine has a switch.

use std::time::Duration;

/// When metadata objects are written. Its presence marks a backup as complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataAt {
    /// After every data object and the sha256file.
    Last,
    /// Also before the first data object, naming none: a crash then leaves what looks like a complete backup.
    BeforeChunks,
}

/// What the engine asks when it has to choose.
pub trait EngineDecisions: Send + Sync {
    /// The share that is done, in percent with two decimals, rounded down. Bytes and chunks of the whole volume.
    fn percent(&self, processed: u64, device_len: u64, _chunks_done: u64, _chunks_total: u64) -> f64 {
        let hundredths = u128::from(processed) * 10_000 / u128::from(device_len.max(1));
        hundredths as f64 / 100.0
    }

    /// Whether a note is due now that `chunks_done` chunks are done, one being asked for `every` so many.
    fn count_note_due(&self, chunks_done: u64, chunks_total: u64, every: u64) -> bool {
        chunks_done < chunks_total && chunks_done.checked_rem(every) == Some(0)
    }

    /// The period of the timer's notes, one being asked for every `configured`.
    fn timer_period(&self, configured: Duration) -> Duration {
        configured
    }

    /// Whether a backup that failed or was cancelled silences its timer.
    fn timer_stops_after_failure(&self) -> bool {
        true
    }

    /// Whether data with the digest `actual` may be taken for data with the digest `expected`.
    fn digest_accepted(&self, expected: &[u8], actual: &[u8]) -> bool {
        expected == actual
    }

    /// Whether a chunk is done of which so many objects are not stored yet.
    fn chunk_is_done(&self, objects_left: usize) -> bool {
        objects_left == 0
    }

    fn metadata_at(&self) -> MetadataAt {
        MetadataAt::Last
    }

    /// The `object_count` of a backup that wrote so many data objects.
    fn object_count(&self, data_objects: u64) -> u64 {
        data_objects
    }

    /// The compression tag of an object: `stored_raw` when compressing it saved nothing.
    fn compression_tag<'a>(&self, configured: &'a str, stored_raw: bool) -> &'a str {
        if stored_raw { "none" } else { configured }
    }
}

/// The decisions of a real service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Production;

impl EngineDecisions for Production {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_rounded_down_to_hundredths() {
        let check = |processed, device_len, expected: f64| {
            assert_eq!(Production.percent(processed, device_len, 0, 0), expected, "{processed} of {device_len}");
        };
        check(0, 7, 0.0);
        check(1, 3, 33.33);
        check(2, 3, 66.66);
        check(29, 100, 29.0);
        check(3, 3, 100.0);
        check(u64::MAX - 1, u64::MAX, 99.99);
    }

    #[test]
    fn a_count_note_is_due_after_every_nth_chunk_but_the_last() {
        let due = |total, every| {
            (1..=total).filter(|done| Production.count_note_due(*done, total, every)).collect::<Vec<_>>()
        };
        assert_eq!(due(4, 1), [1, 2, 3]);
        assert_eq!(due(9, 3), [3, 6]);
        assert_eq!(due(10, 3), [3, 6, 9]);
        assert_eq!(due(3, 10), [0; 0]);
        assert_eq!(due(3, 0), [0; 0]);
    }
}
