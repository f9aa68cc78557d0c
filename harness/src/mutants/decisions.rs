//! Mutants that substitute a decision: of the lifecycle, of the outcomes, of the chunk engine.

use std::sync::Arc;

use clinker_drivers::chunked::decisions::{EngineDecisions, MetadataAt};
use clinker_manager::lifecycle::{Ended, Lifecycle, Next, Production, Timing};
use clinker_manager::model::VolumeStatus;
use clinker_manager::notify::Terminal;
use clinker_manager::transitions::{Case, Outcome, Section5, Transitions, VolumeChange};

use crate::run::Parts;

/// The original since 2020: the loop ends with the first exception.
pub(super) fn init_stops_at_first_failure(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn next(&self, timing: &Timing, ended: Ended) -> Next {
            if ended.ok { Production.next(timing, ended) } else { Next::Nothing }
        }
    }
    parts.lifecycle = Arc::new(Bug);
}

pub(super) fn heartbeat_while_not_working(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn beats(&self, _working: bool) -> bool {
            true
        }
    }
    parts.lifecycle = Arc::new(Bug);
}

/// What happens without the switch happens with it.
pub(super) fn switch_without_effect(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn next(&self, timing: &Timing, ended: Ended) -> Next {
            Production.next(&Timing { periodic: true, ..*timing }, ended)
        }
    }
    parts.lifecycle = Arc::new(Bug);
}

/// The next attempt is counted from the end of the last one, so the grid drifts.
pub(super) fn interval_from_the_end(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn next(&self, timing: &Timing, ended: Ended) -> Next {
            Production.next(timing, Ended { started: ended.ended, ..ended })
        }
    }
    parts.lifecycle = Arc::new(Bug);
}

/// The original: once initialised, never looked at again.
pub(super) fn no_health_check(parts: &mut Parts) {
    struct Bug;
    impl Lifecycle for Bug {
        fn next(&self, timing: &Timing, ended: Ended) -> Next {
            if ended.ok { Next::Nothing } else { Production.next(timing, ended) }
        }
    }
    parts.lifecycle = Arc::new(Bug);
}

/// Outcomes with one case changed.
pub(super) struct Altered(pub fn(Case, Outcome) -> Outcome);

impl Transitions for Altered {
    fn outcome(&self, case: Case) -> Outcome {
        (self.0)(case, Section5.outcome(case))
    }
}

pub(super) fn end_after_failure(parts: &mut Parts) {
    parts.transitions = Arc::new(Altered(|case, outcome| match case {
        Case::CreateFailed => Outcome { terminal: Terminal::End, ..outcome },
        _ => outcome,
    }));
}

/// The original compares the backup's status with a volume's.
pub(super) fn creating_target_ends_error_restoring(parts: &mut Parts) {
    parts.transitions = Arc::new(Altered(|case, outcome| match case {
        Case::RestoreFailed => Outcome {
            volume: VolumeChange::AfterRestore {
                restoring: VolumeStatus::ErrorRestoring,
                creating: VolumeStatus::ErrorRestoring,
            },
            ..outcome
        },
        _ => outcome,
    }));
}

/// The original until 2017 (bug 1683258): only a good end gives the source back.
pub(super) fn snapshot_stays_backing_up(parts: &mut Parts) {
    parts.transitions = Arc::new(Altered(|case, outcome| match case {
        Case::CreateFailed => Outcome { volume: VolumeChange::Unchanged, ..outcome },
        _ => outcome,
    }));
}

/// The original ends a cancelled create as a success.
pub(super) fn cancel_looks_like_success(parts: &mut Parts) {
    parts.transitions = Arc::new(Altered(|case, outcome| match case {
        Case::CreateForceDeleted => Outcome { terminal: Terminal::End, ..outcome },
        _ => outcome,
    }));
}

/// Makes an engine whose one decision is wrong.
macro_rules! engine_bug {
    ($(#[$doc:meta])* $name:ident, $($method:tt)*) => {
        $(#[$doc])*
        pub(super) fn $name(parts: &mut Parts) {
            struct Bug;
            impl EngineDecisions for Bug {
                $($method)*
            }
            parts.engine = Arc::new(Bug);
        }
    };
}

engine_bug!(
    integrity_check_skipped,
    fn digest_accepted(&self, _expected: &[u8], _actual: &[u8]) -> bool {
        true
    }
);

engine_bug!(
    timer_survives_a_failure,
    fn timer_stops_after_failure(&self) -> bool {
        false
    }
);

engine_bug!(
    percentage_by_chunk_count,
    fn percent(&self, _done: u64, _len: u64, chunks: u64, total: u64) -> f64 {
        (chunks * 10_000 / total.max(1)) as f64 / 100.0
    }
);

engine_bug!(
    sent_counts_as_stored,
    fn chunk_is_done(&self, _objects_left: usize) -> bool {
        true
    }
);

engine_bug!(
    metadata_before_chunks,
    fn metadata_at(&self) -> MetadataAt {
        MetadataAt::BeforeChunks
    }
);

engine_bug!(
    object_count_off_by_one,
    fn object_count(&self, data_objects: u64) -> u64 {
        data_objects + 1
    }
);

engine_bug!(
    raw_data_labelled_as_compressed,
    fn compression_tag<'a>(&self, configured: &'a str, _raw: bool) -> &'a str {
        configured
    }
);
