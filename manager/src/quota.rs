//! Quotas: how many backups, and GiB of them, a project may have (`reference/02` §2.10).
//!
//! What is used is counted from the rows, in the transaction that adds one: there is no counter that could drift and no
//! reservation that a crash could leave behind.

use serde::{Deserialize, Serialize};

/// What a project may have at most; any negative number means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `quota_backups`
    pub backups: i64,
    /// `quota_backup_gigabytes`
    pub gigabytes: i64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { backups: 10, gigabytes: 1000 }
    }
}

impl Limits {
    pub const NONE: Limits = Limits { backups: -1, gigabytes: -1 };

    pub fn is_default(&self) -> bool {
        *self == Limits::default()
    }
}

/// What a project has, or asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub backups: u64,
    /// GiB, by the size of the volumes, whatever is stored.
    pub gigabytes: u64,
}

/// One line of `GET /os-quota-sets/{project}?usage=true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    pub limit: i64,
    pub in_use: u64,
    /// Always 0: whatever is asked for counts as in use from the transaction on that accepts it.
    pub reserved: u64,
}

/// The two quotas of the backup service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaSet {
    pub backups: Quota,
    pub backup_gigabytes: Quota,
}

impl QuotaSet {
    pub fn new(limits: Limits, used: Usage) -> QuotaSet {
        let quota = |limit, in_use| Quota { limit, in_use, reserved: 0 };
        QuotaSet {
            backups: quota(limits.backups, used.backups),
            backup_gigabytes: quota(limits.gigabytes, used.gigabytes),
        }
    }
}

/// Why no more is granted: every quota that would be exceeded; `None` = it is granted.
pub fn refusal(limits: Limits, used: Usage, asked: Usage) -> Option<String> {
    let exceeded = |name, limit: i64, used: u64, asked: u64| {
        let over = u64::try_from(limit).is_ok_and(|limit| used.saturating_add(asked) > limit);
        over.then(|| format!("{name} has {used} of {limit} in use, {asked} more asked for"))
    };
    let backups = exceeded("quota_backups", limits.backups, used.backups, asked.backups);
    let gigabytes = exceeded("quota_backup_gigabytes", limits.gigabytes, used.gigabytes, asked.gigabytes);
    let reasons: Vec<String> = backups.into_iter().chain(gigabytes).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limits: (i64, i64), used: (u64, u64), expected: Option<&str>) {
        let limits = Limits { backups: limits.0, gigabytes: limits.1 };
        let used = Usage { backups: used.0, gigabytes: used.1 };
        let refused = refusal(limits, used, Usage { backups: 1, gigabytes: 3 });
        assert_eq!(refused.as_deref(), expected, "{limits:?} {used:?}");
    }

    #[test]
    fn what_fits_exactly_is_granted() {
        check((2, 10), (1, 7), None);
        check((2, 10), (2, 7), Some("quota_backups has 2 of 2 in use, 1 more asked for"));
        check((2, 10), (1, 8), Some("quota_backup_gigabytes has 8 of 10 in use, 3 more asked for"));
    }

    #[test]
    fn every_exceeded_quota_is_named() {
        let both = "quota_backups has 0 of 0 in use, 1 more asked for; \
                    quota_backup_gigabytes has 0 of 2 in use, 3 more asked for";
        check((0, 2), (0, 0), Some(both));
    }

    #[test]
    fn minus_one_is_no_limit() {
        check((-1, -1), (u64::MAX, u64::MAX), None);
        check((-1, 1), (5, 0), Some("quota_backup_gigabytes has 0 of 1 in use, 3 more asked for"));
    }
}
