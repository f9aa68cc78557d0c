//! Mutants: planted bugs, each a real bug of the original service or a near one. A scenario must turn red under each.
//!
//! A mutant substitutes one decision of the service or wraps one of its ports; there is no third way.

mod account;
mod blocking;
pub mod by_case;
mod calls;
mod crash;
mod decisions;
mod files;
pub mod generic;
mod keys;
mod outcomes;
mod ports;
mod services;
mod timing;
mod timing_table;
mod volumes;

use clinker_model::verdict::{Outcome, RunResult, Verdict};

use crate::run::Parts;

pub use crash::{CRASH_MUTANTS, CrashMutant};

/// A planted bug with the scenario that must notice it.
pub struct Mutant {
    pub name: &'static str,
    /// What the service does wrong.
    pub about: &'static str,
    pub scenario: &'static str,
    pub driver: &'static str,
    /// The checker that must say so.
    pub checker: &'static str,
    plant: fn(&mut Parts),
}

impl Mutant {
    /// The service's parts with the bug in them.
    pub fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        self.plant_into(&mut parts);
        parts
    }

    /// Puts the bug into parts that are there already.
    pub fn plant_into(&self, parts: &mut Parts) {
        (self.plant)(parts);
    }

    /// Whether a run under the mutant failed by the named checker. A run that broke kills nothing.
    pub fn is_killed_by(&self, result: &RunResult) -> bool {
        result.verdict == Verdict::Fail
            && result.findings.iter().any(|finding| finding.checker == self.checker && finding.outcome == Outcome::Fail)
    }
}

/// Every mutant.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    MUTANTS.iter().chain(outcomes::OUTCOMES).chain(account::ACCOUNT).chain(timing_table::TIMING)
}

/// Those of operations, integrity and secrets.
static MUTANTS: &[Mutant] = &[
    Mutant {
        name: "attachments-forgotten",
        about: "what a dead process attached stays so, unless a row still tells of it",
        scenario: "restart/force-delete-elsewhere",
        driver: "swift",
        checker: "sources",
        plant: volumes::attachments_forgotten,
    },
    Mutant {
        name: "key-not-deleted",
        about: "the key of a backup outlives it",
        scenario: "keys/backup-restore-delete",
        driver: "swift",
        checker: "keys",
        plant: keys::key_not_deleted,
    },
    Mutant {
        name: "key-shared",
        about: "a backup names its volume's own key instead of a clone",
        scenario: "keys/increments",
        driver: "swift",
        checker: "keys",
        plant: keys::key_shared,
    },
    Mutant {
        name: "key-not-written-down",
        about: "a backup's key is made before its row names it",
        scenario: "keys/crash-when-cloned",
        driver: "swift",
        checker: "keys",
        plant: keys::key_not_written_down,
    },
    Mutant {
        name: "metadata-lost",
        about: "a restore brings back the bytes and not the volume's metadata",
        scenario: "metadata/restored",
        driver: "swift",
        checker: "restored_metadata",
        plant: keys::metadata_lost,
    },
    Mutant {
        name: "temporary-copy-leaks",
        about: "the temporary copy of a volume in use is never removed",
        scenario: "copy/temporary-volume",
        driver: "swift",
        checker: "sources",
        plant: volumes::temporary_copy_leaks,
    },
    Mutant {
        name: "volume-in-use-read-live",
        about: "a volume in use is backed up while its user writes to it, not from a copy",
        scenario: "copy/temporary-volume",
        driver: "swift",
        checker: "restored_bytes",
        plant: volumes::volume_in_use_read_live,
    },
    Mutant {
        name: "snapshot-stays-backing-up",
        about: "a snapshot whose backup fails stays backing-up for ever",
        scenario: "snapshot/store-gone",
        driver: "swift",
        checker: "operations",
        plant: decisions::snapshot_stays_backing_up,
    },
    Mutant {
        name: "import-unverified",
        about: "an imported record is believed without a look at the store",
        scenario: "record/another-prefix",
        driver: "swift",
        checker: "leftovers",
        plant: ports::import_unverified,
    },
    Mutant {
        name: "init-stops-at-first-failure",
        about: "the loop of attempts ends with the first one that fails",
        scenario: "init/refused-at-start",
        driver: "swift",
        checker: "attempt_spacing",
        plant: decisions::init_stops_at_first_failure,
    },
    Mutant {
        name: "attempts-although-switched-off",
        about: "attempts follow a failed one although backup_periodic_initialization is off",
        scenario: "init/one-attempt-only",
        driver: "swift",
        checker: "attempts",
        plant: decisions::switch_without_effect,
    },
    Mutant {
        name: "no-health-check",
        about: "a driver that worked once is never looked at again",
        scenario: "init/healthy-start",
        driver: "swift",
        checker: "check_spacing",
        plant: decisions::no_health_check,
    },
    Mutant {
        name: "end-after-failure",
        about: "a failed create is announced as ended",
        scenario: "create/put-refused-for-ever",
        driver: "swift",
        checker: "events",
        plant: decisions::end_after_failure,
    },
    Mutant {
        name: "cancel-looks-like-success",
        about: "a cancelled create is announced as ended",
        scenario: "cancel/force-delete-middle",
        driver: "swift",
        checker: "events",
        plant: decisions::cancel_looks_like_success,
    },
    Mutant {
        name: "creating-target-ends-error-restoring",
        about: "a new volume whose restore fails ends error_restoring",
        scenario: "integrity/bit-flip-new-volume",
        driver: "swift",
        checker: "expectations",
        plant: decisions::creating_target_ends_error_restoring,
    },
    Mutant {
        name: "integrity-check-skipped",
        about: "restored data are not compared with any digest",
        scenario: "integrity/bit-flip",
        driver: "swift",
        checker: "restored_bytes",
        plant: decisions::integrity_check_skipped,
    },
    Mutant {
        name: "timer-survives-a-failure",
        about: "the progress timer goes on after the backup has failed",
        scenario: "create/silent-after-failure",
        driver: "swift",
        checker: "events",
        plant: decisions::timer_survives_a_failure,
    },
    Mutant {
        name: "percentage-by-chunk-count",
        about: "progress counts chunks instead of bytes",
        scenario: "create/count-progress",
        driver: "swift",
        checker: "progress",
        plant: decisions::percentage_by_chunk_count,
    },
    Mutant {
        name: "sent-counts-as-stored",
        about: "progress tells of chunks that are on their way as if they were stored",
        scenario: "transfers/long-link",
        driver: "swift",
        checker: "progress",
        plant: decisions::sent_counts_as_stored,
    },
    Mutant {
        name: "metadata-before-chunks",
        about: "the metadata object is written before the data it vouches for",
        scenario: "create/count-progress",
        driver: "swift",
        checker: "write_order",
        plant: decisions::metadata_before_chunks,
    },
    Mutant {
        name: "object-count-off-by-one",
        about: "the row counts one object too many",
        scenario: "create/count-progress",
        driver: "swift",
        checker: "leftovers",
        plant: decisions::object_count_off_by_one,
    },
    Mutant {
        name: "raw-data-labelled-as-compressed",
        about: "an object that was stored raw is labelled as compressed",
        scenario: "create/incremental-chain",
        driver: "swift",
        checker: "expectations",
        plant: decisions::raw_data_labelled_as_compressed,
    },
    Mutant {
        name: "listing-error-swallowed",
        about: "a delete whose listing fails removes the row and leaves the objects",
        scenario: "delete/listing-refused",
        driver: "swift",
        checker: "expectations",
        plant: ports::listing_error_swallowed,
    },
    Mutant {
        name: "token-logged",
        about: "request heads go to the log, tokens and all",
        scenario: "create/count-progress",
        driver: "swift",
        checker: "secrets",
        plant: ports::token_logged,
    },
    Mutant {
        name: "confirm-ignored",
        about: "a notification counts as delivered before the broker has confirmed it",
        scenario: "broker/away-during-create",
        driver: "swift",
        checker: "collected",
        plant: ports::confirm_ignored,
    },
    Mutant {
        name: "call-outlives-its-limit",
        about: "a call waits ten times as long as rpc_response_timeout says",
        scenario: "broker/answer-too-late",
        driver: "swift",
        checker: "calls",
        plant: calls::outlives_its_limit,
    },
    Mutant {
        name: "answer-of-another-call",
        about: "an answer is given to whoever calls next, whichever call it answers",
        scenario: "broker/two-calls",
        driver: "swift",
        checker: "calls",
        plant: calls::answer_of_another_call,
    },
    Mutant {
        name: "dead-hosts-are-chosen",
        about: "a request goes to any host that ever registered, dead or alive",
        scenario: "services/dead-hosts",
        driver: "swift",
        checker: "placement",
        plant: services::dead_hosts_are_chosen,
    },
    Mutant {
        name: "zones-are-ignored",
        about: "a request goes to a host of any zone",
        scenario: "services/two-zones",
        driver: "swift",
        checker: "placement",
        plant: services::zones_are_ignored,
    },
    Mutant {
        name: "bound-stores-are-ignored",
        about: "a restore, a delete or an incremental goes to a host that cannot reach the backup",
        scenario: "services/own-disks",
        driver: "posix",
        checker: "placement",
        plant: services::bound_stores_are_ignored,
    },
    Mutant {
        name: "idle-worker-takes-requests",
        about: "a worker whose driver does not work takes requests although another one works",
        scenario: "services/idle-worker",
        driver: "swift",
        checker: "placement",
        plant: services::idle_worker_takes_requests,
    },
    Mutant {
        name: "slots-are-not-counted",
        about: "any number of backups and restores run at once, whatever backup_max_operations says",
        scenario: "create/one-slot",
        driver: "swift",
        checker: "operations",
        plant: services::slots_are_not_counted,
    },
    Mutant {
        name: "clean-up-takes-the-neighbours-work",
        about: "a worker that starts cleans up what another worker of its host is doing",
        scenario: "services/worker-restarts",
        driver: "swift",
        checker: "placement",
        plant: services::clean_up_takes_the_neighbours_work,
    },
    Mutant {
        name: "repeated-under-new-keys",
        about: "a call whose answer was lost is repeated as a new one",
        scenario: "database/restart-unanswered-note",
        driver: "swift",
        checker: "progress",
        plant: services::repeated_under_new_keys,
    },
];
