//! The state of a service: a pure function of its rows and the database's clock (D1).

use clinker_env::Clock;

use crate::model::ServiceRow;

/// What the scheduler and the service list see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    // Ordered from worst to best: a host's state is the best of its workers'.
    Down,
    Initializing,
    Up,
}

/// Which clock ages are taken on: [`Monotonic`], or a planted bug.
pub trait Ages: Send + Sync {
    /// The database's clock now, nanoseconds. `monotonic` counts from the last stamp stored before its host's boot.
    fn now(&self, monotonic: u64, wall: &dyn Clock) -> u64;
}

/// D1: wall clocks jump and drift, so that they are for display only.
pub struct Monotonic;

impl Ages for Monotonic {
    fn now(&self, monotonic: u64, _wall: &dyn Clock) -> u64 {
        monotonic
    }
}

/// State of one worker at `now`; both `now` and `service_down_time` in nanoseconds.
pub fn of_worker(row: &ServiceRow, now: u64, service_down_time: u64) -> ServiceState {
    let age = |stamp: u64| now.saturating_sub(stamp);
    if row.working {
        return match row.last_heartbeat {
            Some(beat) if age(beat) <= service_down_time => ServiceState::Up,
            _ => ServiceState::Down,
        };
    }
    let in_time = age(row.started_at) < service_down_time;
    if row.reason.is_none() && in_time { ServiceState::Initializing } else { ServiceState::Down }
}

/// State of a host: the best of its workers'. `down` without any.
pub fn of_host<'a>(
    workers: impl IntoIterator<Item = &'a ServiceRow>,
    now: u64,
    service_down_time: u64,
) -> ServiceState {
    workers.into_iter().map(|row| of_worker(row, now, service_down_time)).max().unwrap_or(ServiceState::Down)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn row(working: bool, reason: Option<&str>, last_heartbeat: Option<u64>) -> ServiceRow {
        ServiceRow {
            id: "h".into(),
            host: "h".into(),
            binary: "cinder-backup".into(),
            worker: 0,
            process: "p".to_owned(),
            driver: "d".into(),
            availability_zone: "nova".into(),
            started_at: 100 * S,
            working,
            reason: reason.map(str::to_owned),
            last_heartbeat,
            attempt: 0,
            updated_at: None,
            host_bound: false,
        }
    }

    fn check(row: &ServiceRow, now_s: u64, expected: ServiceState) {
        assert_eq!(of_worker(row, now_s * S, 60 * S), expected, "at {now_s} s: {row:?}");
    }

    #[test]
    fn registration_is_not_a_check_in() {
        let registered = row(false, None, None);
        check(&registered, 100, ServiceState::Initializing);
        // Still initialising `service_down_time` (60 s) after the start counts as down.
        check(&registered, 159, ServiceState::Initializing);
        check(&registered, 160, ServiceState::Down);
    }

    #[test]
    fn a_failed_attempt_is_down_at_once() {
        check(&row(false, Some("unreachable: …"), None), 101, ServiceState::Down);
    }

    #[test]
    fn a_heartbeat_keeps_up_for_service_down_time_inclusive() {
        let beating = row(true, None, Some(200 * S));
        check(&beating, 260, ServiceState::Up);
        check(&beating, 261, ServiceState::Down);
    }

    #[test]
    fn a_fresh_heartbeat_does_not_make_a_failing_worker_up() {
        check(&row(false, Some("timeout: …"), Some(200 * S)), 200, ServiceState::Down);
    }

    #[test]
    fn a_host_is_as_good_as_its_best_worker() {
        let rows = [row(false, Some("auth: …"), None), row(true, None, Some(200 * S))];
        assert_eq!(of_host(&rows, 201 * S, 60 * S), ServiceState::Up);
        assert_eq!(of_host(&[], 201 * S, 60 * S), ServiceState::Down);
    }
}
