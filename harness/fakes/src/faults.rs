//! The faults that are switched on at one fake, and what they do to a request.
//!
//! This table decides; [`crate::server`] carries out and counts the bites. Faults of stored objects act once, at their
//! start, and live on in the object; faults of tokens live in [`crate::TokenRegistry`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use clinker_model::fault::{Cut, Matching, Side, Slow, Status};
use clinker_model::{Fault, FaultId};
use tokio::time::Instant;

#[derive(Default)]
pub(crate) struct FaultTable {
    active: Mutex<BTreeMap<FaultId, Active>>,
}

struct Active {
    fault: Fault,
    /// Matching requests since the start.
    seen: u64,
    /// Bytes stored since the start.
    stored: u64,
    /// The second that began last, and the requests that were let through in it.
    second: Option<(Instant, u64)>,
}

/// What the active faults do to one request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decision {
    pub silent: Option<FaultId>,
    pub status: Option<(FaultId, Status)>,
    /// Body bytes that still pass.
    pub cut_request: Option<(FaultId, u64)>,
    pub cut_response: Option<(FaultId, u64)>,
    pub slow: Vec<FaultId>,
    pub delay: Duration,
    /// 0 = unlimited.
    pub bytes_per_second: u64,
}

impl FaultTable {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<FaultId, Active>> {
        self.active.lock().expect("no panic while the lock is held")
    }

    /// Switches on a fault of requests or of the whole store. What else the fake supports is its own business.
    pub fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        if let Fault::Status(status) = fault
            && !(200..=599).contains(&status.code)
        {
            return Err(format!("apply fault `status`: code {} is not an HTTP status from 200 to 599", status.code));
        }
        self.lock().insert(id, Active { fault: fault.clone(), seen: 0, stored: 0, second: None });
        Ok(())
    }

    pub fn end(&self, id: FaultId) {
        self.lock().remove(&id);
    }

    /// Counts a request and says what happens to it. `class` is its method as [`Matching`] means it, `targets` its path
    /// and query as sent and decoded.
    pub fn on_request(&self, class: &str, targets: &[&str]) -> Decision {
        let mut decision = Decision::default();
        for (&id, active) in self.lock().iter_mut() {
            let Active { fault, seen, second, .. } = active;
            match fault {
                Fault::Silent(_) => decision.silent = decision.silent.or(Some(id)),
                Fault::Status(status)
                    if hits(&status.requests, seen, class, targets) && beyond(status.beyond_per_second, second) =>
                {
                    decision.status.get_or_insert((id, status.clone()));
                }
                Fault::Cut(cut) if hits(&cut.requests, seen, class, targets) => decision.cut(id, cut),
                Fault::Slow(slow) if hits(&slow.requests, seen, class, targets) => decision.slow_down(id, slow),
                _ => {}
            }
        }
        decision
    }

    pub fn wrong_credentials(&self) -> Option<FaultId> {
        self.lock().iter().find(|(_, active)| matches!(active.fault, Fault::WrongCredentials(_))).map(|(&id, _)| id)
    }

    /// The fault that shows the oldest listing.
    pub fn lag(&self) -> Option<(FaultId, Duration)> {
        let table = self.lock();
        let lags = table.iter().filter_map(|(&id, active)| match &active.fault {
            Fault::Lag(lag) => Some((id, lag.by.0)),
            _ => None,
        });
        lags.max_by_key(|&(id, by)| (by, std::cmp::Reverse(id)))
    }

    /// Takes `bytes` into account, or names the fault for which there is no space left.
    pub fn admit(&self, bytes: u64) -> Result<(), FaultId> {
        let mut table = self.lock();
        for (&id, active) in table.iter() {
            if let Fault::Full(full) = &active.fault
                && active.stored.saturating_add(bytes) > full.after.0
            {
                return Err(id);
            }
        }
        table.values_mut().for_each(|active| active.stored = active.stored.saturating_add(bytes));
        Ok(())
    }
}

impl Decision {
    fn cut(&mut self, id: FaultId, cut: &Cut) {
        match cut.side {
            Side::Request => self.cut_request.get_or_insert((id, cut.after.0)),
            Side::Response => self.cut_response.get_or_insert((id, cut.after.0)),
        };
    }

    fn slow_down(&mut self, id: FaultId, slow: &Slow) {
        if slow.delay.0.is_zero() && slow.bytes_per_second == 0 {
            return;
        }
        self.slow.push(id);
        self.delay = self.delay.max(slow.delay.0);
        self.bytes_per_second = match (self.bytes_per_second, slow.bytes_per_second) {
            (0, rate) | (rate, 0) => rate,
            (one, other) => one.min(other),
        };
    }
}

/// Whether the fault applies to this request; a matching one is counted.
fn hits(matching: &Matching, seen: &mut u64, class: &str, targets: &[&str]) -> bool {
    let method = matching.method.is_empty() || matching.method.eq_ignore_ascii_case(class);
    if !method || !targets.iter().any(|target| target.contains(&matching.path)) {
        return false;
    }
    *seen += 1;
    let nth = matching.nth.max(1);
    *seen >= nth && (matching.times == 0 || *seen - nth < matching.times)
}

/// Whether this request is one too many of its second; the first of them starts the second.
fn beyond(per_second: u64, second: &mut Option<(Instant, u64)>) -> bool {
    let now = Instant::now();
    let this_second = second.filter(|(began, _)| now < *began + Duration::from_secs(1));
    let (began, let_through) = this_second.unwrap_or((now, 0));
    *second = Some((began, (let_through + 1).min(per_second)));
    let_through >= per_second
}

#[cfg(test)]
mod tests {
    use clinker_model::Span;
    use clinker_model::fault::{Full, HostTarget, Lag};

    use super::*;

    fn check(method: &str, path: &str, nth: u64, times: u64, requests: &[(&str, &str)], expect: &[bool]) {
        let matching = Matching { method: method.into(), path: path.into(), nth, times };
        let mut seen = 0;
        let got: Vec<bool> =
            requests.iter().map(|(class, target)| hits(&matching, &mut seen, class, &[target])).collect();
        assert_eq!(got, expect, "{matching:?}");
    }

    #[test]
    fn the_kth_matching_requests_are_hit_and_no_others() {
        let four = [("PUT", "/a"), ("GET", "/a"), ("PUT", "/b"), ("PUT", "/a")];
        check("", "", 1, 0, &four, &[true, true, true, true]);
        check("PUT", "", 2, 1, &four, &[false, false, true, false]);
        check("put", "", 2, 0, &four, &[false, false, true, true]);
        check("PUT", "/a", 1, 2, &four, &[true, false, false, true]);
        check("LIST", "", 1, 0, &four, &[false; 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_lets_so_many_through_in_each_second() {
        let table = FaultTable::default();
        let (host, requests) = ("swift".to_owned(), Matching { method: "PUT".to_owned(), ..Matching::default() });
        let status = Status { host, code: 503, retry_after: None, beyond_per_second: 2, requests };
        table.begin(0, &Fault::Status(status)).unwrap();
        let refused = |method| table.on_request(method, &["/"]).status.is_some();
        assert_eq!(["PUT", "GET", "PUT", "PUT", "PUT"].map(refused), [false, false, false, true, true]);
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(refused("PUT"));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(["PUT", "PUT", "PUT"].map(refused), [false, false, true]);
    }

    #[test]
    fn an_empty_table_does_nothing() {
        let table = FaultTable::default();
        assert_eq!(table.on_request("GET", &["/"]), Decision::default());
        assert_eq!((table.wrong_credentials(), table.lag(), table.admit(u64::MAX)), (None, None, Ok(())));
    }

    #[test]
    fn a_full_store_counts_from_the_start_of_the_fault() {
        let table = FaultTable::default();
        table.admit(100).unwrap();
        table.begin(3, &Fault::Full(Full { after: clinker_model::ByteSize(10) })).unwrap();
        assert_eq!([table.admit(6), table.admit(6), table.admit(4), table.admit(1)], [Ok(()), Err(3), Ok(()), Err(3)]);
        table.end(3);
        assert_eq!(table.admit(1), Ok(()));
    }

    #[test]
    fn of_two_faults_the_stronger_counts() {
        let table = FaultTable::default();
        for (id, by) in [(1, 5), (2, 9)] {
            table.begin(id, &Fault::Lag(Lag { by: Span::secs(by) })).unwrap();
        }
        assert_eq!(table.lag(), Some((2, Duration::from_secs(9))));
        let slow = |delay, bytes_per_second| {
            Fault::Slow(Slow {
                host: "h".into(),
                delay: Span::secs(delay),
                bytes_per_second,
                requests: Matching::default(),
            })
        };
        table.begin(3, &slow(4, 100)).unwrap();
        table.begin(4, &slow(1, 50)).unwrap();
        let decision = table.on_request("GET", &["/"]);
        assert_eq!(
            (decision.slow, decision.delay, decision.bytes_per_second),
            (vec![3, 4], Duration::from_secs(4), 50)
        );
    }

    #[test]
    fn a_status_that_is_none_is_refused_by_name() {
        let host = HostTarget { host: "swift".into() };
        let table = FaultTable::default();
        let status = Status {
            host: host.host.clone(),
            code: 99,
            retry_after: None,
            beyond_per_second: 0,
            requests: Matching::default(),
        };
        let error = table.begin(0, &Fault::Status(status)).unwrap_err();
        assert!(error.contains("code 99"), "{error}");
        assert_eq!(table.begin(1, &Fault::Silent(host)), Ok(()));
    }
}
