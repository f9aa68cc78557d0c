//! Decisions about initialisation: when the next attempt or health check comes, and who sends heartbeats (D1–D3).
//!
//! Plain functions of what happened; [`crate::service`] carries them out.

use std::time::Duration;

use clinker_drivers::Options;

use crate::db::{ServiceView, Share};
use crate::workers::another_is_up;

/// The options that the decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// `backup_periodic_initialization`
    pub periodic: bool,
    /// From the start of a failed attempt to the next one: `backup_driver_init_check_interval`, else
    /// `periodic_interval`.
    pub interval: Duration,
    /// From the start of a check or attempt to the next check: `backup_driver_stats_polling_interval`.
    pub polling: Duration,
    /// `backup_initialization_timeout`: attempts and checks are cut off after it.
    pub cut_off: Duration,
    /// `report_interval`
    pub heartbeat: Duration,
}

impl Timing {
    pub fn of(options: &Options) -> Timing {
        let interval = options.backup_driver_init_check_interval.unwrap_or(options.periodic_interval);
        Timing {
            periodic: options.backup_periodic_initialization,
            interval: Duration::from_secs(interval),
            polling: Duration::from_secs(options.backup_driver_stats_polling_interval),
            cut_off: Duration::from_secs(options.backup_initialization_timeout),
            heartbeat: Duration::from_secs(options.report_interval),
        }
    }
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// `do_setup`, then `check_for_setup_error`, on a new driver.
    Attempt,
    /// `check_for_setup_error` of the working driver.
    HealthCheck,
}

/// A trial that has ended; moments count from the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub trial: Trial,
    pub ok: bool,
    pub started: Duration,
    pub ended: Duration,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A trial at this moment; at once if it has passed.
    Try(Trial, Duration),
    Nothing,
}

/// Where the decisions come from: [`Production`], or a planted bug.
pub trait Lifecycle: Send + Sync {
    /// D2 and D3: what is tried after a trial, and when.
    fn next(&self, timing: &Timing, ended: Ended) -> Next {
        if !timing.periodic {
            return Next::Nothing;
        }
        let (trial, pause) =
            if ended.ok { (Trial::HealthCheck, timing.polling) } else { (Trial::Attempt, timing.interval) };
        Next::Try(trial, (ended.started + pause).max(ended.ended))
    }

    /// Whether a service in this state sends heartbeats.
    fn beats(&self, working: bool) -> bool {
        working
    }

    /// After how long a trial is given up.
    fn cut_off(&self, timing: &Timing) -> Duration {
        timing.cut_off
    }

    /// Whether a worker that does not work leaves the requests to another one of its host.
    fn defers(&self, services: &[ServiceView], host: &str, worker: u32) -> bool {
        another_is_up(services, host, worker)
    }

    /// How many backups and restores run at once, 0 = any number: what `backup_max_operations` says.
    fn slots(&self, configured: usize) -> usize {
        configured
    }

    /// What a worker that starts cleans up: its own part.
    fn cleans_up(&self, share: Share) -> Share {
        share
    }
}

/// The decisions of a real service.
pub struct Production;

impl Lifecycle for Production {}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(periodic: bool) -> Timing {
        let s = Duration::from_secs;
        Timing { periodic, interval: s(60), polling: s(90), cut_off: s(60), heartbeat: s(10) }
    }

    fn check(periodic: bool, trial: Trial, ok: bool, started: u64, ended: u64, expected: Next) {
        let s = Duration::from_secs;
        let ended = Ended { trial, ok, started: s(started), ended: s(ended) };
        assert_eq!(Production.next(&timing(periodic), ended), expected, "{ended:?}");
    }

    fn at(trial: Trial, secs: u64) -> Next {
        Next::Try(trial, Duration::from_secs(secs))
    }

    #[test]
    fn a_failed_attempt_is_followed_one_interval_after_its_start() {
        check(true, Trial::Attempt, false, 0, 3, at(Trial::Attempt, 60));
        // An attempt that took longer than the interval: the next one at once.
        check(true, Trial::Attempt, false, 60, 150, at(Trial::Attempt, 150));
    }

    #[test]
    fn a_working_driver_is_checked_after_the_polling_interval() {
        check(true, Trial::Attempt, true, 120, 121, at(Trial::HealthCheck, 210));
        check(true, Trial::HealthCheck, true, 210, 211, at(Trial::HealthCheck, 300));
    }

    #[test]
    fn a_failed_check_starts_an_interval_of_attempts() {
        check(true, Trial::HealthCheck, false, 210, 215, at(Trial::Attempt, 270));
    }

    #[test]
    fn without_periodic_initialisation_there_is_one_attempt() {
        check(false, Trial::Attempt, false, 0, 3, Next::Nothing);
        check(false, Trial::Attempt, true, 0, 3, Next::Nothing);
    }

    #[test]
    fn only_a_working_service_sends_heartbeats() {
        assert!(Production.beats(true));
        assert!(!Production.beats(false));
    }
}
