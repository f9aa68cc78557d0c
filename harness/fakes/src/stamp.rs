//! Moments as the servers write them: Swift's five decimals, HTTP dates, ISO dates.

use std::time::Duration;

use clinker_env::Env;
use jiff::Timestamp;

/// A moment in Swift's resolution: units of 10 µs since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(i64);

const PER_SECOND: i64 = 100_000;

impl Stamp {
    pub fn now(env: &Env) -> Stamp {
        Stamp(env.clock.now().as_microsecond() / 10)
    }

    /// The moment `by` earlier.
    pub fn ago(self, by: Duration) -> Stamp {
        Stamp(self.0.saturating_sub(i64::try_from(by.as_micros() / 10).unwrap_or(i64::MAX)))
    }

    /// `X-Timestamp`: seconds with five decimals.
    pub fn text(self) -> String {
        format!("{}.{:05}", self.0.div_euclid(PER_SECOND), self.0.rem_euclid(PER_SECOND))
    }

    /// `Last-Modified`: Swift rounds up, so that the date is never before the moment.
    pub fn last_modified(self) -> String {
        http_date(second(-(-self.0).div_euclid(PER_SECOND)))
    }

    /// S3's form in a listing of RGW's: milliseconds and `Z`.
    pub fn iso_ms(self) -> String {
        let date = self.whole_second().strftime("%Y-%m-%dT%H:%M:%S");
        format!("{date}.{:03}Z", self.0.rem_euclid(PER_SECOND) / 100)
    }

    /// S3's form in a listing of Swift's s3api: the second of [`Stamp::last_modified`].
    pub fn iso_whole(self) -> String {
        second(-(-self.0).div_euclid(PER_SECOND)).strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
    }

    /// The second in which it lies.
    pub fn whole_second(self) -> Timestamp {
        second(self.0.div_euclid(PER_SECOND))
    }

    /// `last_modified` of a listing: microseconds, no zone.
    pub fn iso(self) -> String {
        let date = second(self.0.div_euclid(PER_SECOND)).strftime("%Y-%m-%dT%H:%M:%S");
        format!("{date}.{:05}0", self.0.rem_euclid(PER_SECOND))
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// An HTTP date (IMF-fixdate), fractions cut off.
pub(crate) fn http_date(moment: Timestamp) -> String {
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Keystone's form: microseconds and `Z`.
pub(crate) fn keystone_date(moment: Timestamp) -> String {
    format!("{}.{:06}Z", moment.strftime("%Y-%m-%dT%H:%M:%S"), moment.subsec_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_real_server_wrote_it() {
        let stamp = Stamp(179_528_948_313_314);
        assert_eq!(stamp.text(), "1795289483.13314");
        assert_eq!(stamp.last_modified(), "Sat, 21 Nov 2026 19:31:24 GMT");
        assert_eq!(stamp.iso(), "2026-11-21T19:31:23.133140");
        assert_eq!(stamp.iso_ms(), "2026-11-21T19:31:23.133Z");
        assert_eq!(stamp.iso_whole(), "2026-11-21T19:31:24.000Z");
        assert_eq!(stamp.ago(Duration::from_secs(3)).text(), "1795289480.13314");
    }

    #[test]
    fn a_whole_second_is_not_rounded_up() {
        assert_eq!(Stamp(179_528_948_300_000).last_modified(), "Sat, 21 Nov 2026 19:31:23 GMT");
    }
}
