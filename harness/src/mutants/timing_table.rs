//! Which mutant breaks which timing rule, and the smallest scenario that shows it. Each rule has at least one.

use super::{Mutant, blocking, decisions, ports, timing};

/// Mutants of timing rules: of these rules exactly the named one notices.
pub(super) static TIMING: &[Mutant] = &[
    Mutant {
        name: "down-by-staleness-only",
        about: "a failed attempt is not marked: only the heartbeats that stay away tell",
        scenario: "init/refused-at-start",
        driver: "swift",
        checker: "down_mark",
        plant: timing::down_by_staleness_only,
    },
    Mutant {
        name: "check-answered-from-memory",
        about: "a driver that worked once answers health checks without asking its store",
        scenario: "health/lost-and-back",
        driver: "swift",
        checker: "detection",
        plant: timing::check_answered_from_memory,
    },
    Mutant {
        name: "dead-by-wall-clock",
        about: "ages are taken on wall clocks: a dead host stays up when the database's clock is put back",
        scenario: "clock/database-back-host-dead",
        driver: "swift",
        checker: "down_by",
        plant: timing::ages_by_wall_clock,
    },
    Mutant {
        name: "down-by-wall-clock",
        about: "ages are taken on wall clocks: a working host is down when the database's clock is put forward",
        scenario: "clock/database-ahead",
        driver: "swift",
        checker: "up_while_fresh",
        plant: timing::ages_by_wall_clock,
    },
    Mutant {
        name: "refusal-remembered",
        about: "a server that refused once is never asked again",
        scenario: "clock/host-ahead-store-refuses",
        driver: "swift",
        checker: "up_by",
        plant: timing::refusal_remembered,
    },
    Mutant {
        name: "interval-from-the-end",
        about: "the interval is counted from the end of an attempt, so the grid drifts",
        scenario: "init/silent-at-start",
        driver: "swift",
        checker: "attempt_spacing",
        plant: decisions::interval_from_the_end,
    },
    Mutant {
        name: "polling-from-the-end",
        about: "the polling interval is counted from the end of a check",
        scenario: "clock/drift",
        driver: "swift",
        checker: "check_spacing",
        plant: timing::polling_from_the_end,
    },
    Mutant {
        name: "no-cut-off",
        about: "an attempt may take as long as it likes",
        scenario: "init/silent-at-start",
        driver: "swift",
        checker: "cut_off",
        plant: timing::no_cut_off,
    },
    Mutant {
        name: "cut-off-too-late",
        about: "an attempt is cut off a second too late",
        scenario: "init/silent-at-start",
        driver: "swift",
        checker: "cut_off",
        plant: timing::cut_off_too_late,
    },
    Mutant {
        name: "attempts-overlap",
        about: "an attempt that was cut off runs on beside the next one",
        scenario: "init/silent-at-start",
        driver: "swift",
        checker: "single_flight",
        plant: ports::attempts_overlap,
    },
    Mutant {
        name: "success-told-late",
        about: "a success shows only with a later heartbeat",
        scenario: "init/healthy-start",
        driver: "swift",
        checker: "first_heartbeat",
        plant: timing::success_told_with_the_next_heartbeat,
    },
    Mutant {
        name: "computing-on-the-loop",
        about: "hashing and compression run on the service's event loop",
        scenario: "health/heartbeats-under-computing",
        driver: "swift",
        checker: "heartbeat_spacing",
        plant: blocking::computing_on_the_loop,
    },
    Mutant {
        name: "heartbeats-late",
        about: "heartbeats take turns with something slow",
        scenario: "init/healthy-start",
        driver: "swift",
        checker: "heartbeat_spacing",
        plant: timing::heartbeats_late,
    },
    Mutant {
        name: "the-dead-are-heard",
        about: "a heartbeat counts whichever of the worker's processes has sent it",
        scenario: "restart/late-heartbeat",
        driver: "swift",
        checker: "heartbeat_spacing",
        plant: timing::the_dead_are_heard,
    },
    Mutant {
        name: "heartbeat-while-not-working",
        about: "heartbeats go out although no attempt has succeeded",
        scenario: "init/refused-at-start",
        driver: "swift",
        checker: "heartbeat_silence",
        plant: decisions::heartbeat_while_not_working,
    },
    Mutant {
        name: "registration-late",
        about: "a process registers some time after its start",
        scenario: "init/healthy-start",
        driver: "swift",
        checker: "registration",
        plant: timing::registration_late,
    },
    Mutant {
        name: "clean-up-late",
        about: "what the process before left open is closed when a periodic task gets to it",
        scenario: "restart/create-before-finish",
        driver: "swift",
        checker: "recovery",
        plant: timing::clean_up_late,
    },
    Mutant {
        name: "timer-period-doubled",
        about: "the progress timer's period is twice the configured one",
        scenario: "create/timer-progress",
        driver: "swift",
        checker: "timer_notes",
        plant: timing::timer_period_doubled,
    },
    Mutant {
        name: "first-count-note-left-out",
        about: "counting notes starts with the second",
        scenario: "create/count-progress",
        driver: "swift",
        checker: "count_notes",
        plant: timing::first_count_note_left_out,
    },
    Mutant {
        name: "finish-late",
        about: "the end of an operation is written when somebody next looks for it",
        scenario: "clock/api-ahead",
        driver: "swift",
        checker: "operation_end",
        plant: timing::finish_late,
    },
];

#[cfg(test)]
mod tests {
    use clinker_judge::checkers::timing::CHECKERS;

    use super::*;

    #[test]
    fn every_timing_rule_has_a_mutant() {
        for rule in CHECKERS {
            assert!(TIMING.iter().any(|mutant| mutant.checker == rule.name), "{}", rule.name);
        }
        for mutant in TIMING {
            assert!(CHECKERS.iter().any(|rule| mutant.checker == rule.name), "{}", mutant.name);
        }
    }
}
